"""Links inside a dataset: where they may lead, and that nothing is written through them.

A dataset may come from anybody, and a link in it may name any file of this computer. The chosen folder itself may be a
link. Inside it, what a link leads to is read only in allowed folders, and nothing is written through a link at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import SdftError
from ..recipe import DatasetRecipe
from ..storage.text import printable

MayRead = Callable[[Path], bool]
"""Whether the place that a path leads to may be read."""


class LinkError(SdftError, ValueError):
    """Nothing was written, because a link is in the way; the message names it and says what to do."""


def within(folders: Iterable[str | Path]) -> MayRead:
    """Return a test whether a path, with its links resolved, is one of these folders or below one."""
    roots = [Path(os.path.realpath(Path(folder).expanduser())) for folder in folders if folder]

    def holds(path: Path) -> bool:
        real = Path(os.path.realpath(path))
        return any(real == root or root in real.parents for root in roots)

    return holds


def readable(recipe: DatasetRecipe) -> MayRead:
    """Return a test for what a recipe's dataset may read: its concepts' folders and ``dataset.linked_folder``.

    Panels that show one folder ask with a recipe of that folder alone, so that they show what training would read.
    """
    folders = [folder for concept in recipe.concepts for folder in (concept.instance, concept.regularization)]
    return within([*folders, recipe.linked_folder])


def left_out(path: Path) -> str:
    """Return the sentence about a link whose target isn't read."""
    return (
        f"{printable(path)} is a link that leads out of the dataset's folders, so it is left out: put a copy in its "
        "place, or set dataset.linked_folder to the folder that it leads to."
    )


def link_to(root: Path, path: Path) -> Path | None:
    """Return the first link below ``root`` on the way to ``path``, ``path`` included; None where there is none."""
    try:
        names = path.relative_to(root).parts
    except ValueError:
        return path
    place = root
    for name in names:
        place = place / name
        if name == ".." or place.is_symlink():
            return place
    return None


def check_write(root: Path, path: Path) -> None:
    """Raise LinkError where writing ``path`` would lead out of ``root`` or through a link inside it."""
    link = link_to(root, path)
    if link is not None:
        raise LinkError(
            f"{printable(link)} is a link, and nothing is written through links: replace it with a copy of what it "
            "leads to."
        )

"""Moves an upload's files into the dataset: each picture with its caption and mask, never over an existing file.

A picture whose name is taken gets a number, and its caption and mask get it too.
"""

from __future__ import annotations

import filecmp
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from ..dataset import names
from ..dataset.links import LinkError, check_write
from ..storage.text import printable, quantity
from .errors import NotAllowed
from .unpack import Refusals, kind

Named = tuple[str, Path]
"""A file's name in the dataset, and its path until it is moved."""


def place_files(root: Path, files: Sequence[tuple[tuple[str, ...], Path]], refusals: Refusals) -> dict[str, object]:
    """Move files into the dataset at ``root``, each by the parts of its name; return how many, and where.

    ``refusals`` gets a sentence for each file that can't be placed.
    """
    groups: dict[tuple[tuple[str, ...], str], list[Named]] = {}
    for parts, path in files:
        groups.setdefault((parts[:-1], _base(parts[-1]).casefold()), []).append((parts[-1], path))
    added = {"picture": 0, "text": 0}
    same = renamed = 0
    folders: dict[Path, _Folder] = {}
    for number, ((parents, _), group) in enumerate(sorted(groups.items())):
        path = root.joinpath(*parents)
        try:
            _make(path, root)
            if path not in folders:
                folders[path] = _Folder(path)
            folder = folders[path]
            moves, equal = _moves(folder, _without_repeats(group, refusals), refusals)
            for source, target in moves:
                _move(source, target)
                folder.add(target.name)
                added[kind(target.name)] += 1
            same += equal
            renamed += any(target.name not in {name for name, _ in group} for _, target in moves)
        except NotAllowed as error:
            refusals.add(str(error))
        except OSError as error:
            left = len(groups) - number
            refusals.add(
                f"{printable(path)} can't be written ({error.strerror or error}): "
                f"{quantity(left, 'picture was', 'pictures were')} not "
                "added; "
                "change its permissions or free space, and send them again."
            )
            break
    return {
        "folder": str(root),
        "pictures": added["picture"],
        "captions": added["text"],
        "same": same,
        "renamed": renamed,
        "refused": refusals.sentences,
    }


class _Folder:
    """The files of one folder, by name and by group: a picture with its caption and its mask."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names: dict[str, str] = {}
        self._groups: dict[str, list[str]] = {}
        for name in os.listdir(path):
            self.add(name)

    def add(self, name: str) -> None:
        self._names[name.casefold()] = name
        self._groups.setdefault(_base(name).casefold(), []).append(name)

    def group(self, name: str) -> list[str]:
        return self._groups.get(_base(name).casefold(), [])

    def holds(self, name: str) -> bool:
        return name.casefold() in self._names

    def same(self, name: str, path: Path) -> bool:
        """Return whether a file of this name exists with the same bytes."""
        known = self._names.get(name.casefold())
        return known is not None and filecmp.cmp(self.path / known, path, shallow=False)


def _moves(folder: _Folder, group: Sequence[Named], refusals: Refusals) -> tuple[list[tuple[Path, Path]], int]:
    """Return (from, to) of each file of a group to move, and how many already exist with the same bytes.

    A new picture never gets the caption or mask of another one: where one is in the way, the whole group gets a number.
    """
    sent = {name.casefold() for name, _ in group}
    present = folder.group(group[0][0])
    masks = {name for name in (*sent, *present) if _is_mask(name)}
    pictures = {name for name in (*sent, *present) if kind(name) == "picture"} - masks
    if not pictures:  # a mask's name without its picture is a picture's name
        pictures, masks = masks, set()
    equal = {name for name, path in group if folder.same(name, path)}
    new = [name for name, _ in group if name.casefold() in pictures and name not in equal]
    differing = [name for name, _ in group if name not in equal and folder.holds(name)]
    others = any(name in pictures and name.casefold() not in sent for name in present)
    if not new or not (differing or others):
        for name in differing:  # its picture exists already
            what = "another mask" if name.casefold() in masks else "another caption"
            refusals.add(f"{printable(name)} already exists with {what}; the existing file was kept.")
        left = {*equal, *differing}
        return [(path, folder.path / name) for name, path in group if name not in left], len(equal)
    together = [(name, path) for name, path in group if name in new or name.casefold() not in pictures]
    for number in itertools.count(2):
        numbered = [(_numbered(name, number), path) for name, path in together]
        if not folder.group(numbered[0][0]):
            return [(path, folder.path / name) for name, path in numbered], len(equal)
        if all(folder.same(name, path) for name, path in numbered):  # sent before
            return [], len(equal) + len(numbered)
    raise AssertionError("there is always a next number")


def _without_repeats(group: Sequence[Named], refusals: Refusals) -> list[Named]:
    """Return the first of the files whose names differ only in case; refuse the others where their content differs."""
    found: dict[str, Named] = {}
    for name, path in group:
        first, first_path = found.setdefault(name.casefold(), (name, path))
        if first_path != path and not filecmp.cmp(first_path, path, shallow=False):
            how = "twice" if first == name else f"as {printable(first)}, too, which is the same name on some systems"
            refusals.add(
                f"{printable(name)} was sent {how}, with different content: the first was added; rename this one."
            )
    return list(found.values())


def _numbered(name: str, number: int) -> str:
    """Number a name: ``dog.png`` → ``dog (2).png``, ``dog-mask.png`` → ``dog (2)-mask.png``."""
    base = _base(name)
    return f"{base} ({number}){name[len(base) :]}"


def _base(name: str) -> str:
    """Return the part of a name that a picture, its caption and its mask have in common."""
    stem = os.path.splitext(name)[0]
    return names.mask_of(stem) or stem


def _is_mask(name: str) -> bool:
    return kind(name) == "picture" and names.mask_of(os.path.splitext(name)[0]) is not None


def _make(folder: Path, root: Path) -> None:
    """Make a folder in the dataset. Raises NotAllowed where a link stands in its path."""
    try:
        check_write(root, folder)
    except LinkError as error:
        raise NotAllowed(str(error)) from error
    folder.mkdir(parents=True, exist_ok=True)


def _move(source: Path, target: Path) -> None:
    """Move a file without replacing one that was created meanwhile. Raises FileExistsError."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        if os.path.lexists(target):
            raise FileExistsError(None, "it was created meanwhile", str(target)) from None
        os.rename(source, target)
    else:
        os.unlink(source)

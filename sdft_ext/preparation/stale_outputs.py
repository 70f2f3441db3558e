"""What earlier preparations wrote into a folder and this one doesn't make: it would be trained with, so it goes to the
trash.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection
from pathlib import Path

from ..dataset import names
from ..dataset.folder import CAPTION_ENDINGS
from ..dataset.trash import Trash
from .plan import Plan
from .record import Record


def announced(plan: Plan, record: Record) -> Plan:
    """The plan, with a note of the pictures that would be taken away."""
    count = len(_pictures(plan, record))
    if not count:
        return plan
    what = "1 picture" if count == 1 else f"{count:,} pictures"
    note = f"{what} of an earlier preparation would not be made again and would be moved to the folder's trash."
    return dataclasses.replace(plan, notes=(*plan.notes, note))


def take_away(plan: Plan, record: Record, kept: Collection[str]) -> None:
    """Move to the trash what only earlier preparations wrote; ``kept`` are the names of the files of this one.

    What somebody has changed since stays, but for the caption and the mask of a picture that goes. Raises TrashError.
    """
    pictures = _pictures(plan, record)
    stems = {os.path.splitext(action.target)[0] for action in plan.actions}
    left = list(pictures)
    for stem in (os.path.splitext(name)[0] for name in pictures):
        if stem not in stems:
            left += [*(stem + ending for ending in CAPTION_ENDINGS), f"{stem}-mask.png"]
    for name in record.files:
        stem = os.path.splitext(name)[0]
        loose = stem in stems or names.mask_of(stem) in stems
        if name not in record.keys and loose and record.ours(name) and _inside(plan, name):
            left.append(name)
    left = [name for name in dict.fromkeys(left) if name not in kept and os.path.lexists(plan.out / name)]
    if not left:
        return
    Trash(plan.out).remove([plan.out / name for name in left], company=False)
    for name in left:
        record.files.pop(name, None)
        record.keys.pop(name, None)
    record.save()


def _pictures(plan: Plan, record: Record) -> list[str]:
    """Names of the pictures that would go. Beside the originals, where others write too, none."""
    if plan.beside or record.other != record.source:
        return []
    targets = {action.target for action in plan.actions}
    return [name for name in record.keys if name not in targets and record.ours(name) and _inside(plan, name)]


def _inside(plan: Plan, name: str) -> bool:
    """Whether a name from the record is of a file in the folder: links, and who writes records, may lead elsewhere."""
    path = plan.out / name
    real, root = Path(os.path.realpath(path.parent)), Path(os.path.realpath(plan.out))
    return ".." not in path.parts and not Path(name).is_absolute() and (real == root or root in real.parents)

"""Files of earlier preparations that a new one doesn't write: they would be trained too, so they go to the trash."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection

from ..dataset import names
from ..dataset.links import link_to
from ..dataset.pairing import CAPTION_ENDINGS
from ..dataset.trash import Trash
from .plan import Plan
from .record import Record


def note_stale(plan: Plan, record: Record) -> Plan:
    """Return the plan with a note about the pictures that would be removed."""
    count = len(_pictures(plan, record))
    if not count:
        return plan
    what = "1 picture" if count == 1 else f"{count:,} pictures"
    verb = "is" if count == 1 else "are"
    note = f"{what} from an earlier preparation {verb} not in this one and would be moved to the folder's trash."
    return dataclasses.replace(plan, notes=(*plan.notes, note))


def remove_stale(plan: Plan, record: Record, current: Collection[str]) -> None:
    """Move files that only earlier preparations wrote to the trash; ``current`` are the names of this one's files.

    Files that were changed since stay, except the caption and mask of a removed picture. Raises TrashError.
    """
    pictures = _pictures(plan, record)
    stems = {os.path.splitext(action.target)[0] for action in plan.actions}
    stale = list(pictures)
    for stem in (os.path.splitext(name)[0] for name in pictures):
        if stem not in stems:
            stale += [*(stem + ending for ending in CAPTION_ENDINGS), f"{stem}-mask.png"]
    for name in record.files:
        stem = os.path.splitext(name)[0]
        belongs = stem in stems or names.mask_of(stem) in stems
        if name not in record.keys and belongs and record.is_unchanged(name) and _inside(plan, name):
            stale.append(name)
    stale = [name for name in dict.fromkeys(stale) if name not in current and os.path.lexists(plan.out / name)]
    if not stale:
        return
    Trash(plan.out).remove([plan.out / name for name in stale], sidecars=False)
    for name in stale:
        record.files.pop(name, None)
        record.keys.pop(name, None)
    record.save()


def _pictures(plan: Plan, record: Record) -> list[str]:
    """Return the names of stale pictures; none in the originals' folder, where other programs write too."""
    if plan.in_place or record.former_source != record.source:
        return []
    targets = {action.target for action in plan.actions}
    return [name for name in record.keys if name not in targets and record.is_unchanged(name) and _inside(plan, name)]


def _inside(plan: Plan, name: str) -> bool:
    """Return whether a name from the record is inside the folder; links or a forged record may lead elsewhere."""
    path = plan.out / name
    return bool(name) and link_to(plan.out, path.parent) is None

"""The captions of open folders: show, filter, edit with preview and undo, save, resolve conflicts."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..captions import frequency
from ..captions.edits import parse_edit
from ..captions.entries import EditPlan, Picture
from ..captions.errors import Outdated
from ..captions.filters import FilterContext, filter_pictures
from ..captions.planning import plan_edit
from ..captions.reading import Counter
from ..captions.store import CaptionStore
from ..dataset.links import readable
from ..storage.text import printable
from . import caption_answers
from .caption_answers import MOST_SHOWN, CaptionAnswers, Plain
from .caption_duplicates import DuplicateSearches
from .errors import DeskError, NotFound, NotNow
from .folders import Folders
from .thumbnails import Thumbnails

MOST_OPEN = 4
"""Folders that stay open."""
PAGE_CHARACTERS = 4_000_000
"""Characters of captions in one answer."""

Texts = Callable[[], tuple[Sequence[Picture], Sequence[str | None]]]
"""A function that returns pictures and their new captions (None: unchanged), called while nobody else edits."""


@dataclass(frozen=True)
class Selection:
    """Pictures of an open folder: those with ``ids``, or those that pass ``filter``, or both; without either, all."""

    folder: str
    opened: str
    ids: Sequence[int] | None = None
    filter: Any = None

    @property
    def is_all(self) -> bool:
        return self.ids is None and not self.filter


class CaptionSets:
    """The captions of the folders that were opened last. ``ready`` waits for what the tokenizer needs."""

    def __init__(
        self, folders: Folders, thumbnails: Thumbnails, duplicates: DuplicateSearches, ready: Callable[[], None]
    ) -> None:
        self._folders, self._duplicates, self._ready = folders, duplicates, ready
        self._sets: OrderedDict[str, CaptionStore] = OrderedDict()
        self._counter = Counter()
        self._answers = CaptionAnswers(thumbnails, self._counter)
        self._lock = threading.Lock()

    def open(self, text: str, start: int, linked_folder: str = "") -> Plain:
        """Return a folder's captions from the ``start``-th on. Links in it may lead into ``linked_folder``, too.

        Raises DeskError or CaptionsError.
        """
        folder = self._folders.folder(text)
        self._folders.check_links(folder)
        dataset = self._folders.alone(folder, linked_folder)
        with self._lock:
            found = self._sets.get(str(folder))
        if found is None or found.linked_folder != dataset.linked_folder:
            found = self._add(str(folder), CaptionStore(folder, readable(dataset), dataset.linked_folder))
        else:
            found.refresh()
        self._folders.folder(text, remember=True)
        with found.lock:
            pictures = found.in_order
            end, left = start, PAGE_CHARACTERS
            while end < len(pictures) and left > 0:
                left -= len(pictures[end].caption) + 200
                end += 1
            concepts: dict[str, int] = {}
            for picture in pictures:
                concepts[picture.concept] = concepts.get(picture.concept, 0) + 1
            return {
                "opened": found.opened,
                "folder": str(folder),
                "total": len(pictures),
                "pictures": self._answers.pictures(pictures[start:end]),
                "next": end if end < len(pictures) else None,
                "concepts": [{"concept": name, "pictures": count} for name, count in sorted(concepts.items())],
                "problems": found.problems[:MOST_SHOWN],
                "revision": found.revision,
                "history": self._answers.history(found),
                "trigger": frequency.common_start([p.caption for p in pictures if p.entry.text]),
            }

    def get(self, folder: str, opened: str) -> CaptionStore:
        """Return an open folder's captions. Raises NotNow where it is no longer open, NotFound where not allowed."""
        path = self._folders.place(folder)
        with self._lock:
            found = self._sets.get(str(path))
            if found is not None:
                self._sets.move_to_end(str(path))
        if found is None or found.opened != opened:
            raise NotNow("The captions of this folder are no longer open; open the folder again.")
        if not self._folders.may_show(path):
            raise NotFound(f"{path} is no longer in the allowed folders.")
        return found

    def state(self, folder: str, opened: str, since: int) -> Plain:
        """Return what has changed since a revision, on disk too."""
        found = self.get(folder, opened)
        found.refresh()
        return self._answers.changed(found, since)

    def select(self, selection: Selection) -> list[Picture]:
        """Return a selection's pictures, ordered by name. Raises NotNow, NotFound or CaptionsError."""
        found = self.get(selection.folder, selection.opened)
        with found.lock:
            return self._selected(found, selection)

    def filter(self, selection: Selection) -> list[int]:
        """Return the ids of the pictures that pass a selection's filter."""
        found = self.get(selection.folder, selection.opened)
        return [picture.id for picture in self._selected(found, selection)]

    def count_tokens(self, captions: Sequence[str]) -> list[int]:
        """Count the tokens of each text; the first call waits until the tokenizer is loaded."""
        self._ready()
        return self._counter.counts(captions)

    def preview(self, selection: Selection, edit_spec: Plain, most: int) -> Plain:
        """Preview what an edit (see docs/api.md) would change; ``most`` captions are shown before and after."""
        found, chosen = self.get(selection.folder, selection.opened), parse_edit(edit_spec)

        def texts() -> tuple[Sequence[Picture], Sequence[str | None]]:
            pictures = self._selected(found, selection)
            return pictures, chosen.apply([picture.caption for picture in pictures])

        return self.preview_texts(found, texts, most)

    def edit(
        self,
        selection: Selection,
        edit_spec: Plain,
        *,
        preview: str | None = None,
        revision: int | None = None,
        since: int | None = None,
    ) -> Plain:
        """Edit captions. Raises Outdated where pictures have another ``revision``, or ``preview`` no longer holds."""
        found, chosen = self.get(selection.folder, selection.opened), parse_edit(edit_spec)

        def texts() -> tuple[Sequence[Picture], Sequence[str | None]]:
            pictures = self._selected(found, selection)
            for picture in pictures if revision is not None else ():
                if picture.revision != revision:
                    raise Outdated(f"{printable(picture.name)} has changed meanwhile; check it, then edit it again.")
            return pictures, chosen.apply([picture.caption for picture in pictures])

        return self.edit_texts(found, chosen.what, texts, preview=preview, since=since)

    def preview_texts(self, found: CaptionStore, texts: Texts, most: int, preview: str | None = None) -> Plain:
        """Preview what new captions would change."""
        with found.lock:
            pictures, new = texts()
            outcome = plan_edit(pictures, new)
            _check_preview(outcome, preview)
            return caption_answers.preview(pictures, outcome, most)

    def edit_texts(
        self, found: CaptionStore, what: str, texts: Texts, *, preview: str | None, since: int | None
    ) -> Plain:
        """Write new captions as one edit, named ``what`` for undo. Raises Outdated as ``edit`` does."""

        def plan() -> EditPlan:
            outcome = plan_edit(*texts())
            _check_preview(outcome, preview)
            return outcome

        before = found.revision if since is None else since
        done = found.edit(what, plan)
        return {"count": done.count, "notes": list(done.notes), **self._answers.changed(found, before)}

    def step(self, folder: str, opened: str, back: bool, since: int | None) -> Plain:
        """Undo (``back``) or redo an edit."""
        found = self.get(folder, opened)
        before = found.revision if since is None else since
        done = found.undo() if back else found.redo()
        notes = list(done.notes)
        return {"done": done.what, "count": done.count, "notes": notes, **self._answers.changed(found, before)}

    def save(self, selection: Selection, since: int | None) -> Plain:
        """Write the changed captions of a selection."""
        found = self.get(selection.folder, selection.opened)
        before = found.revision if since is None else since
        saved = found.save(None if selection.is_all else self._selected(found, selection))
        by_caption = found.ids_by_caption()
        return {
            "saved": saved.count,
            "conflicts": [id for name in saved.conflicts for id in by_caption.get(name, ())],
            "failed": [{"id": id, "text": text} for name, text in saved.failed for id in by_caption.get(name, ())[:1]],
            "notes": list(saved.notes),
            **self._answers.changed(found, before),
        }

    def autosave(self, folder: str, opened: str, on: bool, since: int | None) -> Plain:
        """Choose whether every edit is saved at once."""
        found = self.get(folder, opened)
        before = found.revision if since is None else since
        found.set_autosave(on)
        return self._answers.changed(found, before)

    def conflicts(self, folder: str, opened: str) -> list[Plain]:
        """List captions that were changed both here and by another program, each with all three texts."""
        found = self.get(folder, opened)
        found.refresh()
        with found.lock:
            return [
                {
                    "id": picture.id,
                    "name": picture.name,
                    "before": picture.entry.base,
                    "mine": picture.entry.text,
                    "theirs": picture.entry.theirs,
                }
                for picture in found.in_order
                if picture.entry.conflict
            ]

    def resolve(self, folder: str, opened: str, ids: Sequence[int], keep: str, since: int | None) -> Plain:
        """Resolve conflicts by keeping ``mine`` or ``theirs``. Raises DeskError for another value."""
        found = self.get(folder, opened)
        if keep not in ("mine", "theirs"):
            raise DeskError("A conflict is resolved by keeping mine or theirs.")
        before = found.revision if since is None else since
        found.resolve([found.picture(id).entry.name for id in ids], keep == "mine")
        return self._answers.changed(found, before)

    def _add(self, folder: str, made: CaptionStore) -> CaptionStore:
        with self._lock:
            found = self._sets.get(folder)
            if found is None or found.linked_folder != made.linked_folder:
                if found is not None:
                    self._duplicates.forget(found.opened)
                found = self._sets[folder] = made
            self._sets.move_to_end(folder)
            while len(self._sets) > MOST_OPEN:
                self._duplicates.forget(self._sets.popitem(last=False)[1].opened)
        return found

    def _selected(self, found: CaptionStore, selection: Selection) -> list[Picture]:
        context = FilterContext(self.count_tokens, self._duplicates.found(found.opened))
        return filter_pictures(selection.filter, found.select(selection.ids), context)


def _check_preview(outcome: EditPlan, preview: str | None) -> None:
    if preview is not None and preview != caption_answers.token(outcome):
        raise Outdated("The captions have changed since the preview; preview the edit again.")

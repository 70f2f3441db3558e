"""The captions of a folder, open for editing: edits go into the journal first, and into the files when they are saved.

What another program writes is taken over where nothing was edited here, and is a conflict where something was: a file
is written only where it still holds what it held when it was read.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..dataset.links import MayRead, within
from ..storage.text import printable
from .entries import CaptionEntry, EditPlan, EditResult, Picture, SaveResult, count_captions, some_names
from .errors import CaptionsError, Outdated
from .journal import Edit, Journal
from .journal_lines import Change, Text, base_line, edit_line
from .reader import Reader
from .saver import Saver


class CaptionStore:
    """The captions below ``root``. ``may_read`` says which places links may lead to; by default only ``root`` itself.
    ``linked_folder``: the one of these that isn't ``root``, to tell stores of one folder apart.

    Nothing is written through a link. Raises CaptionsError where the folder is missing or contains no pictures. All
    methods may be called from any thread; ``lock`` keeps other threads away for longer.
    """

    def __init__(self, root: Path, may_read: MayRead | None = None, linked_folder: str = "") -> None:
        self.root, self.linked_folder = Path(root).absolute(), linked_folder
        self.opened = secrets.token_hex(8)
        self.lock = threading.RLock()
        self._journal = Journal(self.root)
        self.may_read = may_read or within([self.root])
        self._reader = Reader(self.root, self._journal, self.may_read)
        self._saver = Saver(self._reader, self._journal)
        self._in_step = False
        self.refresh()
        self._shorten()

    # Asking.

    @property
    def pictures(self) -> dict[int, Picture]:
        """The pictures by their ids."""
        return self._reader.pictures

    @property
    def removed(self) -> dict[int, int]:
        """Ids of pictures that have gone, and the revision in which each went."""
        return self._reader.removed

    @property
    def problems(self) -> list[str]:
        """Sentences about files that can't be used."""
        return self._reader.problems

    @property
    def revision(self) -> int:
        """A number that grows with every change."""
        return self._reader.revision

    @property
    def in_order(self) -> list[Picture]:
        """All pictures, sorted by name."""
        return sorted(self.pictures.values(), key=lambda picture: picture.name)

    def select(self, ids: Iterable[int] | None) -> list[Picture]:
        """Return pictures by their ids, sorted by name; all with None. Ids of pictures that are gone are skipped."""
        if ids is None:
            return self.in_order
        wanted = set(ids)
        return [picture for picture in self.in_order if picture.id in wanted]

    def picture(self, id: int) -> Picture:
        found = self.pictures.get(id)
        if found is None:
            raise CaptionsError("There is no such picture in the folder any more; open the folder again.")
        return found

    def changed_since(self, revision: int) -> list[Picture]:
        """Return the pictures that have changed after a revision."""
        return [picture for picture in self.in_order if picture.revision > revision]

    @property
    def undo_label(self) -> str | None:
        """What undo would take back, as a phrase."""
        stack = self._journal.history.undo
        return stack[-1].what if stack else None

    @property
    def redo_label(self) -> str | None:
        """What redo would do again, as a phrase."""
        stack = self._journal.history.redo
        return stack[-1].what if stack else None

    @property
    def autosave(self) -> bool:
        """Whether every edit is saved at once; kept with the folder."""
        return self._journal.history.autosave

    def count(self, state: str) -> int:
        """Count the captions in this state."""
        return sum(entry.state == state for entry in self._reader.entries.values())

    def read_only_reason(self) -> str:
        """Return a sentence where nothing can be written into the folder, else an empty text."""
        hidden = self.root / ".sdft" / "captions"
        for path in (hidden, *hidden.parents):
            if path.is_dir():
                return (
                    ""
                    if os.access(path, os.W_OK | os.X_OK)
                    else f"{printable(path)} can't be written; change its permissions to edit the captions here."
                )
            if path.exists():
                return f"{printable(path)} is a file where a folder is needed; rename it to edit the captions here."
        return f"The folder {printable(self.root)} is gone; put it back."

    def ids_by_caption(self) -> dict[str, list[int]]:
        """Return the ids of each caption's pictures, by the caption's name."""
        with self.lock:
            found: dict[str, list[int]] = {}
            for picture in self.in_order:
                found.setdefault(picture.entry.name, []).append(picture.id)
            return found

    # Reading.

    def refresh(self) -> None:
        """Take over what other programs have written. Raises CaptionsError where the folder is gone."""
        with self.lock:
            if self._in_step and not self._journal.changed():
                self._reader.refresh()
                return
            self._in_step = False  # a journal read without its captions would call its edits saved
            self._journal.load()
            self._reader.reload()
            self._in_step = True

    def _shorten(self) -> None:
        """Rewrite the journal if it has grown large."""
        try:
            if not self.read_only_reason() and (self.root / ".sdft" / "captions").is_dir():
                with self._journal.locked():
                    self.refresh()
                    self._journal.shorten()
        except (CaptionsError, OSError, RuntimeError):
            return  # it is only long: the next program that opens the folder may shorten it

    # Changing.

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep other threads and programs away, with everything read that they have done. Raises CaptionsError."""
        with self.lock:
            reason = self.read_only_reason()
            if reason:
                raise CaptionsError(reason)
            with self._journal.locked():
                self.refresh()
                self._record_saved()
                self._saver.remove_leftovers()
                yield

    def _record_saved(self) -> None:
        """Write into the journal which captions are saved although it doesn't say so: by a program that was killed."""
        entries = self._reader.entries
        names = [
            name
            for name, pending in self._journal.history.texts.items()
            if pending.bases != {pending.text} and name in entries and entries[name].state == "saved"
        ]
        if names:
            self._journal.add({"do": "saved", "names": names})

    def edit(self, what: str, plan: Callable[[], EditPlan]) -> EditResult:
        """Make an edit, called ``what`` ("rename a tag"), that ``plan`` works out with everybody's last changes read.

        Raises CaptionsError where it can't be kept; then nothing is changed. (``plan`` may raise its own.) Planning may
        take seconds, so other programs are locked out only afterwards; where they have changed something, it is
        repeated.
        """
        with self.lock:
            self.refresh()
            seen = self.revision
            planned = plan()
            with self._exclusive():
                return self._apply(what, planned if self.revision == seen else plan())

    def _apply(self, what: str, plan: EditPlan) -> EditResult:
        if not plan.changes:
            return EditResult(what, 0, plan.notes)
        what = f"{what} in {count_captions(len(plan.changes))}"
        self._journal.add(edit_line(secrets.token_hex(6), what, plan.changes))
        for name, _, after in plan.changes:
            self._set(self._reader.entries[name], after)
        notes = plan.notes + self._autosaved([name for name, _, _ in plan.changes])
        return EditResult(what, len(plan.changes), notes)

    def undo(self) -> EditResult:
        """Take the last edit back. Raises Outdated where there is none."""
        return self._step(back=True)

    def redo(self) -> EditResult:
        """Redo the edit that was undone last. Raises Outdated where there is none."""
        return self._step(back=False)

    def _step(self, back: bool) -> EditResult:
        with self._exclusive():
            stack = self._journal.history.undo if back else self._journal.history.redo
            if not stack:
                raise Outdated(f"There is nothing to {'undo' if back else 'redo'}.")
            edit: Edit = stack[-1]
            moves: list[tuple[CaptionEntry, Text]] = []
            changed, unavailable = [], []
            for name, before, after in self._journal.changes(edit):
                entry = self._reader.entries.get(name)
                now, new = (after, before) if back else (before, after)
                if entry is None or entry.locked:
                    unavailable.append(name)
                elif entry.text != now:
                    changed.append(name)
                else:
                    moves.append((entry, new))
            self._journal.add({"do": "undo" if back else "redo", "id": edit.id, "left": changed})
            for entry, new in moves:
                self._set(entry, new)
            notes = _step_notes(unavailable, changed) + self._autosaved([entry.name for entry, _ in moves])
            return EditResult(edit.what, len(moves), notes)

    def _set(self, entry: CaptionEntry, text: Text) -> None:
        entry.text = text
        if entry.conflict and text in (entry.theirs, entry.base):  # nothing of ours contradicts theirs any more
            entry.base = entry.text = entry.theirs
            entry.conflict, entry.theirs = False, None
        self._reader.bump(entry)

    def set_autosave(self, on: bool) -> None:
        """Set whether every edit is saved at once; kept with the folder."""
        with self._exclusive():
            if on != self.autosave:
                self._journal.add({"do": "autosave", "on": on})

    def resolve(self, names: Sequence[str], mine: bool) -> EditResult:
        """Settle conflicts: keep this program's text, or the other one's. Undo brings the other text back."""
        with self._exclusive():
            chosen = [self._reader.entries[name] for name in names if name in self._reader.entries]
            chosen = [entry for entry in chosen if entry.conflict]
            if not chosen:
                return EditResult("settle conflicts", 0)
            changes: list[Change] = []
            bases = {}
            for entry in chosen:
                bases[entry.name] = entry.theirs
                own, other = entry.text, entry.theirs
                changes.append((entry.name, other, own) if mine else (entry.name, own, other))
            what = f"keep {'my' if mine else 'the other'} text in {count_captions(len(chosen))}"
            self._journal.add(edit_line(secrets.token_hex(6), what, changes))
            if not mine:  # afterwards: with this line alone, our text would be written over theirs
                self._journal.add(base_line(bases))
            for entry, (_, _, after) in zip(chosen, changes, strict=True):
                entry.base, entry.conflict = entry.theirs, False
                entry.theirs = None
                self._set(entry, after)
            return EditResult(what, len(chosen), self._autosaved([entry.name for entry in chosen]))

    # Saving.

    def save(self, pictures: Sequence[Picture] | None = None) -> SaveResult:
        """Write the captions that have changed (of these pictures); no other file is touched. Raises CaptionsError."""
        with self._exclusive():
            wanted = None if pictures is None else {picture.entry.name for picture in pictures}
            entries = sorted(self._reader.entries.items())
            return self._saver.save([entry for name, entry in entries if wanted is None or name in wanted])

    def _autosaved(self, names: Sequence[str]) -> tuple[str, ...]:
        """Save these captions if autosave is on; return what the user should know about it."""
        if not self.autosave:
            return ()
        entries = self._reader.entries
        try:
            saved = self._saver.save([entries[name] for name in names if name in entries])
        except CaptionsError as error:
            return (f"The change is kept, but not saved yet: {error}",)
        return saved.notes + tuple(text for _, text in saved.failed)


def _step_notes(unavailable: Sequence[str], changed: Sequence[str]) -> tuple[str, ...]:
    """Say which captions an undo or redo leaves as they are."""
    notes: tuple[str, ...] = ()
    if unavailable:
        notes = (
            f"{count_captions(len(unavailable))} can't be shown now ({some_names(unavailable)}), as the picture is "
            f"missing "
            "or the text file can't be read; the change is kept, and shows once that is fixed.",
        )
    if changed:
        one = len(changed) == 1
        notes += (
            f"{count_captions(len(changed))} {'stays' if one else 'stay'} as {'it is' if one else 'they are'} "
            f"({some_names(changed)}): another program has changed {'it' if one else 'them'} since.",
        )
    return notes

"""The captions of a folder, as they are on disk and as they shall be: edits first go into the journal, and into the files when they are saved.

Each caption has three texts: ``base``, which its file held when it was last looked at; ``text``, which it shall hold; and,
where another program has written the file while they differed, ``theirs``. What others write is taken over where nothing
was edited here, and is a conflict where something was: a file is written only where it still holds ``base``.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..dataset.folder import CAPTION_BYTES, DatasetError, ListedPicture, list_pictures
from ..dataset.pictures import Header, PictureError, read_header
from ..storage.text import printable
from . import files
from .errors import CaptionsError, Outdated
from .files import ChangedMeanwhile, Form, Written
from .journal import Change, Edit, Journal, Text, base_line, edit_line

MOST_READ = 2**20
"""Bytes; a longer text file is left alone."""
RECENT = 50_000_000
"""Nanoseconds: what happens right after a change of a folder may have the same time."""
AT_ONCE = 250
"""Files that are written between two looks at whether all is well."""
WRITERS = 8
"""Files that are written at the same time: each waits for the disk."""

Signature = tuple[int, int, int]
"""Size, time in nanoseconds, and number of a file."""


@dataclass
class Caption:
    """One caption: of a picture, or of several that differ only in their endings.

    ``name`` is their path below the folder without ending. ``file`` holds it, or would; ``present`` whether it is there.
    """

    name: str
    file: Path
    words: str
    from_folder: bool
    base: Text = None
    text: Text = None
    theirs: Text = None
    conflict: bool = False
    locked: str = ""
    form: Form = field(default_factory=Form)
    exact: bool = True
    signature: Signature | None = None
    fresh: bool = True
    ids: set[int] = field(default_factory=set)

    @property
    def caption(self) -> str:
        """What training reads: the file's text, or what the folder or the picture is called."""
        return self.words if self.text is None else self.text

    @property
    def state(self) -> str:
        if self.locked:
            return "locked"
        return "conflict" if self.conflict else "saved" if self.text == self.base else "changed"

    @property
    def source(self) -> str:
        if self.text is not None:
            return "caption" if self.file.suffix.lower() == ".caption" else "txt"
        return "none" if not self.words else "folder" if self.from_folder else "name"


@dataclass
class Picture:
    """One picture of the folder. ``width`` and ``height`` in pixels; ``id`` is its for as long as the set is open."""

    id: int
    name: str
    path: Path
    concept: str
    width: int
    height: int
    size: int
    mtime_ns: int
    of: Caption
    revision: int = 0

    @property
    def caption(self) -> str:
        return self.of.caption


@dataclass(frozen=True)
class Outcome:
    """What an edit would change: captions' names and their new texts; ``notes`` say what it leaves, and why."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """What was done, in words; how many captions it changed; what was left, and why."""

    what: str
    count: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Saved:
    """How many files were written; names of captions that another program has changed; names and reasons of failures."""

    count: int
    conflicts: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()


class Captions:
    """The captions below ``root``. ``may_write`` is asked with the place that a linked caption file really lies in.

    Raises CaptionsError where the folder is missing or holds no pictures. All methods may be called from any thread.
    """

    def __init__(self, root: Path, may_write: Callable[[Path], bool] = lambda path: True) -> None:
        self.root = Path(root).absolute()
        self.opened = secrets.token_hex(8)
        self.revision = 1
        self.problems: list[str] = []
        self.gone: dict[int, int] = {}
        self.pictures: dict[int, Picture] = {}
        self._may_write = may_write
        self._journal = Journal(self.root)
        self._ids: dict[str, int] = {}
        self._captions: dict[str, Caption] = {}
        self._headers: dict[str, tuple[int, int, Header | str]] = {}
        self.lock = threading.RLock()
        self._folders: dict[str, int] = {}
        self._loaded = self._clean = False
        self.look()

    # What there is.

    @property
    def in_order(self) -> list[Picture]:
        """All pictures, in the order of their names."""
        return sorted(self.pictures.values(), key=lambda picture: picture.name)

    def chosen(self, ids: Iterable[int] | None) -> list[Picture]:
        """Pictures by their ids, in the order of their names; all with None. Ids of pictures that are gone are passed over."""
        if ids is None:
            return self.in_order
        wanted = set(ids)
        return [picture for picture in self.in_order if picture.id in wanted]

    def picture(self, id: int) -> Picture:
        found = self.pictures.get(id)
        if found is None:
            raise CaptionsError("There is no such picture in the folder any more; open it again.")
        return found

    def changed(self, since: int) -> list[Picture]:
        """Pictures that have changed after a revision."""
        return [picture for picture in self.in_order if picture.revision > since]

    @property
    def undo_words(self) -> str | None:
        stack = self._journal.history.undo
        return stack[-1].what if stack else None

    @property
    def redo_words(self) -> str | None:
        stack = self._journal.history.redo
        return stack[-1].what if stack else None

    @property
    def autosave(self) -> bool:
        return self._journal.history.autosave

    def count(self, state: str) -> int:
        """Captions in this state."""
        return sum(caption.state == state for caption in self._captions.values())

    def why_read_only(self) -> str:
        """A sentence where nothing can be written into the folder, else empty."""
        place = self.root / ".sdft" / "captions"
        for path in (place, *place.parents):
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
        """The pictures of each caption."""
        with self.lock:
            found: dict[str, list[int]] = {}
            for picture in self.in_order:
                found.setdefault(picture.of.name, []).append(picture.id)
            return found

    # Looking at the disk.

    def look(self) -> None:
        """Take over what other programs have written since the last look. Raises CaptionsError where the folder is gone."""
        with self.lock:
            if self._loaded and not self._journal.changed():
                if self._folders and self._folders == _folders(self._folders):
                    self._read_files()
                else:
                    self._read_folder()
                return
            self._journal.load()
            for caption in self._captions.values():
                caption.signature = None
            self._read_folder(anew=True)
            if not self._loaded:
                self._loaded = True
                self._shorten()

    def _shorten(self) -> None:
        try:
            if not self.why_read_only() and (self.root / ".sdft" / "captions").is_dir():
                with self._journal.alone():
                    self._journal.load()
                    self._journal.shorten()
        except (CaptionsError, OSError, RuntimeError):
            return  # it is only long: the next one who opens the folder may shorten it

    def _read_files(self) -> None:
        """Look at each file: none has come or gone, but pictures may be written anew in place."""
        for path, (size, mtime_ns, _) in self._headers.items():
            if _size_and_time(path) != (size, mtime_ns):
                self._read_folder()
                return
        for caption in self._captions.values():
            if self._read_caption(caption, anew=False):
                self._bump(caption)

    def _read_folder(self, anew: bool = False) -> None:
        folders, self._folders = _folders(_all_folders(self.root)), {}
        try:
            found, problems = list_pictures(self.root)
        except DatasetError as error:
            raise CaptionsError(str(error)) from error
        texts = [problem.text for problem in problems]
        headers = self._read_headers(found)
        present: set[str] = set()
        touched: set[str] = set()
        for file in found:
            header = headers[str(file.path)]
            if isinstance(header, str):
                texts.append(header)
                continue
            caption = self._caption_of(file)
            if caption.name not in touched:
                touched.add(caption.name)
                caption.words, caption.from_folder = file.words, file.from_folder
                if self._read_caption(caption, anew):
                    self._bump(caption)
            if caption.locked:
                texts.append(caption.locked)
            elif caption.signature is not None and caption.signature[0] > CAPTION_BYTES:
                texts.append(
                    f"{printable(caption.file)} is longer than {CAPTION_BYTES // 1024} kB, so training doesn't read it; shorten it."
                )
            present.add(self._picture_of(file, header, caption))
        for picture in [p for p in self.pictures.values() if p.name not in present]:
            del self.pictures[picture.id]
            self.revision += 1
            self.gone[picture.id] = self.revision
        for name in self._captions.keys() - touched:
            del self._captions[name]
        if not self.pictures:
            raise CaptionsError(
                f"The folder {printable(self.root)} holds no pictures; put JPEG, PNG or WebP files there. {' '.join(texts[:3])}"
            )
        self.problems, self._folders = texts, folders

    def _read_headers(self, found: Sequence[ListedPicture]) -> dict[str, Header | str]:
        """Each picture's header, or the sentence why it can't be used; only new and changed files are read."""
        now: dict[str, tuple[int, int]] = {}
        for file in found:
            now[str(file.path)] = _size_and_time(file.entry)
        new = [f.path for f in found if self._headers.get(str(f.path), (None, None))[:2] != now[str(f.path)]]
        with ThreadPoolExecutor(2) as pool:
            for path, header in zip(new, pool.map(_header, new), strict=True):
                self._headers[str(path)] = (*now[str(path)], header)
        self._headers = {name: self._headers[name] for name in now}
        return {name: kept[2] for name, kept in self._headers.items()}

    def _caption_of(self, file: ListedPicture) -> Caption:
        name = os.path.splitext(self._name(file.path))[0]
        caption = self._captions.get(name)
        if caption is not None and file.text_file is None and caption.file.suffix == ".txt":
            return caption
        place = file.text_file or file.path.with_name(f"{os.path.splitext(file.path.name)[0]}.txt")
        if caption is None:
            caption = self._captions[name] = Caption(name, place, file.words, file.from_folder)
        elif caption.file != place:
            caption.file, caption.signature = place, None
        return caption

    def _name(self, path: Path) -> str:
        """A path below the folder, with ``/``; said without ``relative_to``, as 5,000 of those take a fifth of a second."""
        return str(path)[len(str(self.root)) :].replace(os.sep, "/").lstrip("/")

    def _picture_of(self, file: ListedPicture, header: Header, caption: Caption) -> str:
        name = self._name(file.path)
        size, mtime_ns, _ = self._headers[str(file.path)]
        id = self._ids.setdefault(name, len(self._ids))
        caption.ids.add(id)
        known = self.pictures.get(id)
        if known is None or (known.size, known.mtime_ns) != (size, mtime_ns):
            self.revision += 1
            self.gone.pop(id, None)
            self.pictures[id] = Picture(
                id,
                name,
                file.path,
                name.rpartition("/")[0],
                header.width,
                header.height,
                size,
                mtime_ns,
                caption,
                self.revision,
            )
        else:
            known.of = caption
        return name

    def _read_caption(self, caption: Caption, anew: bool) -> bool:
        """Look at a caption's file; whether the caption is another one, or in another state, now."""
        signature = _signature(caption.file)
        anew = anew or caption.fresh
        if signature == caption.signature and not anew:
            return False
        caption.fresh = False
        before = (caption.text, caption.state)
        written: Written | None = None
        caption.locked = ""
        if signature is not None:
            if signature[0] > MOST_READ:
                caption.locked = (
                    f"{printable(caption.file)} is longer than 1 MB, which is no caption; shorten it, or remove it."
                )
            else:
                try:
                    data = files.read(caption.file)
                except OSError as error:
                    data = b""
                    caption.locked = (
                        f"{printable(caption.file)} can't be read ({error.strerror}); change its permissions."
                    )
                if data is not None and not caption.locked:
                    written = files.parse(data)
                    if _is_picture(data):
                        caption.locked = (
                            f"{printable(caption.file)} holds a picture, not a caption; give it a picture's ending."
                        )
        caption.signature = signature
        if caption.locked:
            caption.base = caption.text = ""
            caption.conflict, caption.fresh = False, True  # once it can be read, the journal says what it was to become
            return before != (caption.text, caption.state)
        self._settle(caption, written.text if written is not None else None, anew)
        if written is not None:
            caption.form = written.form
        caption.exact = written is None or written.exact
        return before != (caption.text, caption.state)

    def _settle(self, caption: Caption, disk: Text, anew: bool) -> None:
        """What a caption is, now that its file holds ``disk``. ``anew``: going by the journal, as after a start."""
        known = {caption.base}  # what the file may hold if no other program has written it
        if anew:
            held = self._journal.history.texts.get(caption.name)
            known = set(held.bases) if held is not None else {disk}
            caption.text = held.text if held is not None else disk
            caption.base = next((text for text in known if text != caption.text), caption.text)
        caption.conflict, caption.theirs = False, None
        if disk == caption.text or known == {caption.text}:
            caption.base = caption.text = disk
        elif disk in known:
            caption.base = disk
        else:
            caption.conflict, caption.theirs = True, disk

    def _bump(self, caption: Caption) -> None:
        self.revision += 1
        for id in caption.ids:
            if id in self.pictures:
                self.pictures[id].revision = self.revision

    # Changing.

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While nobody else of ours changes anything, and with all that they have done read."""
        with self.lock:
            why = self.why_read_only()
            if why:
                raise CaptionsError(why)
            with self._journal.alone():
                self.look()
                self._settled()
                self._cleared()
                yield

    def _cleared(self) -> None:
        """Once, before the first change: what killed programs left beside the captions."""
        if not self._clean:
            for folder in {self.root, *(caption.file.parent for caption in self._captions.values())}:
                files.clear(folder)
            self._clean = True

    def _settled(self) -> None:
        """Say in the journal which captions are saved although it doesn't say so: a killed program had written their files."""
        names = [
            name
            for name, held in self._journal.history.texts.items()
            if held.bases != {held.text} and name in self._captions and self._captions[name].state == "saved"
        ]
        if names:
            self._journal.add({"do": "saved", "names": names})

    def outcome(self, pictures: Sequence[Picture], texts: Sequence[str | None]) -> Outcome:
        """What it would change to give these pictures these texts (None: leave it as it is)."""
        changes: dict[str, Change] = {}
        long: list[str] = []
        locked: list[str] = []
        bad: list[str] = []
        why = ""
        conflicts = 0
        for picture, text in zip(pictures, texts, strict=True):
            caption = picture.of
            if text is None or caption.name in changes:
                continue
            if text == caption.caption:
                continue
            try:
                new = cleaned(text)
            except CaptionsError as error:
                bad.append(picture.name)
                why = why or str(error)
                continue
            if new == caption.caption:
                continue
            if caption.locked:
                locked.append(picture.name)
            elif caption.conflict:
                conflicts += 1
            elif len(new.encode("utf-8", "surrogatepass")) > CAPTION_BYTES:
                long.append(picture.name)
            else:
                changes[caption.name] = (caption.name, caption.text, new)
        if bad and len(bad) == len(pictures):
            raise CaptionsError(f"{_named(bad)}: {why}")
        notes = []
        if bad:
            notes.append(f"{_captions(len(bad))} can't be changed so ({_named(bad)}): {why}")
        if long:
            notes.append(
                f"{_captions(len(long))} would be longer than {CAPTION_BYTES // 1024} kB, more than is read, and stay as they "
                f"are ({_named(long)}): shorten them."
            )
        if locked:
            notes.append(f"{_captions(len(locked))} can't be edited ({_named(locked)}): the folder's problems say why.")
        if conflicts:
            notes.append(
                f"{_captions(conflicts)} were also changed by another program: say first whose text shall stay."
            )
        return Outcome(tuple(changes.values()), tuple(notes))

    def edit(self, what: str, plan: Callable[[], Outcome]) -> Done:
        """Work out what an edit changes, with everybody's last changes read, and keep it. ``what``: ``rename a tag``.

        Raises CaptionsError where it can't be kept; then nothing is changed. (``plan`` may raise its own.) Working it out may
        take seconds, so other programs are kept away only afterwards; where they have changed something, it is done again.
        """
        with self.lock:
            self.look()
            seen = self.revision
            outcome = plan()
            return self._edited(what, outcome, seen, plan)

    def _edited(self, what: str, outcome: Outcome, seen: int, plan: Callable[[], Outcome]) -> Done:
        with self._alone():
            if self.revision != seen:
                outcome = plan()
            if not outcome.changes:
                return Done(what, 0, outcome.notes)
            words = (
                f"{what} in {_captions(len(outcome.changes))}" if len(outcome.changes) > 1 else f"{what} in 1 caption"
            )
            self._journal.add(edit_line(secrets.token_hex(6), words, outcome.changes))
            for name, _, after in outcome.changes:
                self._set(self._captions[name], after)
            notes = outcome.notes + self._autosaved([name for name, _, _ in outcome.changes])
            return Done(words, len(outcome.changes), notes)

    def undo(self) -> Done:
        """Take the last edit back. Raises Outdated where there is none."""
        return self._step(back=True)

    def redo(self) -> Done:
        """Do again what was undone last. Raises Outdated where there is none."""
        return self._step(back=False)

    def _step(self, back: bool) -> Done:
        with self._alone():
            stack = self._journal.history.undo if back else self._journal.history.redo
            if not stack:
                raise Outdated(f"There is nothing to {'undo' if back else 'do again'}.")
            edit: Edit = stack[-1]
            changes = self._journal.changes(edit)
            moves: list[tuple[Caption, Text]] = []
            left, away = [], []
            for name, before, after in changes:
                caption = self._captions.get(name)
                now, new = (after, before) if back else (before, after)
                if caption is None or caption.locked:
                    away.append(name)
                elif caption.text != now:
                    left.append(name)
                else:
                    moves.append((caption, new))
            self._journal.add({"do": "undo" if back else "redo", "id": edit.id, "left": left})
            for caption, new in moves:
                self._set(caption, new)
            notes: tuple[str, ...] = ()
            if away:
                notes = (
                    f"{_captions(len(away))} can't be shown now ({_named(away)}), as the picture is away or the text file "
                    "can't be read; the change is kept, and shows once that is put right.",
                )
            if left:
                notes += (
                    f"{_captions(len(left))} {'is' if len(left) == 1 else 'are'} left as "
                    f"{'it is' if len(left) == 1 else 'they are'} ({_named(left)}): another program has changed "
                    f"{'it' if len(left) == 1 else 'them'} since.",
                )
            return Done(edit.what, len(moves), notes + self._autosaved([caption.name for caption, _ in moves]))

    def _set(self, caption: Caption, text: Text) -> None:
        caption.text = text
        if caption.conflict and text in (
            caption.theirs,
            caption.base,
        ):  # nothing of ours stands against theirs any more
            caption.base = caption.text = caption.theirs
            caption.conflict, caption.theirs = False, None
        self._bump(caption)

    def set_autosave(self, on: bool) -> None:
        """Whether every edit is saved at once; kept with the folder."""
        with self._alone():
            if on != self.autosave:
                self._journal.add({"do": "autosave", "on": on})

    def resolve(self, names: Sequence[str], mine: bool) -> Done:
        """Settle conflicts: keep the text of here, or the other program's; the one that isn't kept comes back with undo."""
        with self._alone():
            chosen = [self._captions[name] for name in names if name in self._captions]
            chosen = [caption for caption in chosen if caption.conflict]
            if not chosen:
                return Done("settle conflicts", 0)
            changes: list[Change] = []
            bases = {}
            for caption in chosen:
                bases[caption.name] = caption.theirs
                own, other = caption.text, caption.theirs
                changes.append((caption.name, other, own) if mine else (caption.name, own, other))
            what = f"keep {'my' if mine else 'the other'} text in {_captions(len(chosen))}"
            self._journal.add(edit_line(secrets.token_hex(6), what, changes))
            if not mine:  # afterwards: with this line alone, the text of here would be written over theirs
                self._journal.add(base_line(bases))
            for caption, (_, _, after) in zip(chosen, changes, strict=True):
                caption.base, caption.conflict = caption.theirs, False
                caption.theirs = None
                self._set(caption, after)
            return Done(what, len(chosen), self._autosaved([caption.name for caption in chosen]))

    # Saving.

    def _autosaved(self, names: Sequence[str]) -> tuple[str, ...]:
        if not self.autosave:
            return ()
        try:
            saved = self._save([self._captions[name] for name in names if name in self._captions])
        except CaptionsError as error:
            return (f"The change is kept, but not saved yet: {error}",)
        return saved.notes + tuple(text for _, text in saved.failed)

    def save(self, pictures: Sequence[Picture] | None = None) -> Saved:
        """Write the captions that have changed (of these pictures); no other file is touched."""
        with self._alone():
            wanted = None if pictures is None else {picture.of.name for picture in pictures}
            chosen = [c for name, c in sorted(self._captions.items()) if wanted is None or name in wanted]
            return self._save(chosen)

    def _save(self, captions: Sequence[Caption]) -> Saved:
        conflicts = [caption.name for caption in captions if caption.conflict]
        waiting = [caption for caption in captions if caption.state == "changed"]
        notes: list[str] = []
        failed: list[tuple[str, str]] = []
        count = 0
        with ThreadPoolExecutor(WRITERS) as pool:
            for start in range(0, len(waiting), AT_ONCE):
                some = waiting[start : start + AT_ONCE]
                self._journal.add({"do": "save", "names": [caption.name for caption in some]})
                done = []
                for caption, told in zip(some, pool.map(self._tried, some), strict=True):
                    caption.signature = None
                    if isinstance(told, ChangedMeanwhile):
                        conflicts.append(caption.name)
                    elif isinstance(told, Exception):
                        failed.append((caption.name, _why_not(caption.file, told)))
                    else:
                        done.append(caption)
                        notes += self._now_saved(caption, told)
                for folder in {caption.file.parent for caption in done}:
                    files.sync_folder(folder)
                self._journal.add({"do": "saved", "names": [caption.name for caption in done]})
                count += len(done)
        if any(self._captions[name].signature is None for name in conflicts):
            self._read_folder()
        return Saved(count, tuple(conflicts), tuple(failed), tuple(notes))

    def _tried(self, caption: Caption) -> bool | Exception:
        """``_write``, or what it raises."""
        try:
            return self._write(caption)
        except (ChangedMeanwhile, OSError, CaptionsError) as error:
            return error

    def _write(self, caption: Caption) -> bool:
        """Write one caption's file, in any thread; whether it kept its code."""
        path = caption.file
        if path.is_symlink():
            path = Path(os.path.realpath(path))
            if not self._may_write(path):
                raise CaptionsError(
                    f"{printable(caption.file)} is a link out of the allowed folders; edit the file itself."
                )
        data, kept_code = (None, True) if caption.text is None else files.compose(caption.text, caption.form)
        base = caption.base
        files.replace(path, data, lambda now: (files.parse(now).text if now is not None else None) == base)
        return kept_code

    def _now_saved(self, caption: Caption, kept_code: bool) -> list[str]:
        """A caption's file holds its text; what is to be said of that."""
        notes = []
        if not kept_code:
            caption.form = Form(b"", "utf-8", caption.form.newline, caption.form.tail)
            notes.append(f"{printable(caption.file)} is UTF-8 now: its old code lacks a letter of the new text.")
        if not caption.exact:
            caption.exact = True
            notes.append(
                f"{printable(caption.file)} held damaged signs or line ends of several kinds; those are written anew, as they are "
                "shown."
            )
        caption.base = caption.text
        caption.signature = _signature(caption.file)
        self._bump(caption)
        return notes


def cleaned(text: str) -> str:
    """A text as a caption file can hold it. Raises CaptionsError where it can't."""
    if "\0" in text:
        raise CaptionsError("A caption can't hold the sign of the number 0; remove it.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CaptionsError("A caption holds half of a sign (a lone surrogate); type the sign again.") from error
    return files.unified(text).rstrip().lstrip("\ufeff")


def _header(path: Path) -> Header | str:
    try:
        return read_header(path)
    except PictureError as error:
        return str(error)


def _all_folders(root: Path) -> list[str]:
    """A folder and those below it, as the scan walks them."""
    found: dict[str, str] = {}
    for folder, below, _ in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in found:
            below[:] = []
            continue
        found[real] = folder
        below[:] = [name for name in below if not name.startswith(".")]
    return list(found.values())


def _folders(places: Iterable[str]) -> dict[str, int]:
    """Each folder's time of change, which tells when a file in it comes or goes; none at all where one is just changing."""
    found = {}
    for place in places:
        try:
            found[place] = os.stat(place).st_mtime_ns
        except OSError:
            return {}
    return {} if any(time.time_ns() - changed < RECENT for changed in found.values()) else found


def _size_and_time(file: os.DirEntry[str] | str) -> tuple[int, int]:
    """Bytes and nanoseconds; -1 where it can't be asked for."""
    try:
        stat = file.stat() if isinstance(file, os.DirEntry) else os.stat(file)
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def _signature(path: Path) -> Signature | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _is_picture(data: bytes) -> bool:
    return data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a"))


def _why_not(path: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return (
            f"{printable(path)} can't be written ({error.strerror or error}); its text is kept in the journal: free space, or "
            "change the folder's permissions, and save again."
        )
    return str(error)


def _captions(count: int) -> str:
    return f"{count:,} caption{'' if count == 1 else 's'}"


def _named(names: Sequence[str]) -> str:
    some = ", ".join(printable(name) for name in names[:3])
    return f"{some} and {len(names) - 3:,} more" if len(names) > 3 else some

"""The captions of folders that a page has open: what it may ask of them, and what it is told."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..captions import frequency, interchange, reading
from ..captions.choices import FORMATS
from ..captions.edits import Edit, edit
from ..captions.errors import Outdated
from ..captions.filters import FilterContext, filter_pictures
from ..captions.store import Captions, Outcome, Picture
from ..recipe import Concept, DatasetRecipe, Recipe
from ..storage.text import printable
from .errors import DeskError, NotFound, NotNow
from .folders import Folders
from .pictures import Thumbnails
from .scans import Scans

KEPT = 4
"""Folders that are kept open."""
PAGE_CHARACTERS = 4_000_000
"""Of captions in one answer."""
MOST_SHOWN = 200
MOST_CONTENT = 64 * 2**20
NAMED = 20

Plain = dict[str, Any]


@dataclass
class Search:
    """The search for copies in a folder, in a thread of its own."""

    state: str = "none"
    done: int = 0
    total: int = 0
    message: str = ""
    groups: list[list[int]] = field(default_factory=list)
    stamp: str = ""
    """Of the pictures that it compares."""


class _Ended(Exception):
    """The program ends."""


class CaptionSets:
    """``looks`` says where looks at a folder's pictures are kept; ``imported`` waits for what the tokenizer needs."""

    def __init__(
        self,
        folders: Folders,
        thumbnails: Thumbnails,
        scans: Scans,
        looks: Callable[[Recipe], Path],
        imported: Callable[[], None],
    ) -> None:
        self._folders, self._thumbnails, self._scans = folders, thumbnails, scans
        self._looks, self._imported = looks, imported
        self._sets: OrderedDict[Path, Captions] = OrderedDict()
        self._searches: dict[str, Search] = {}
        self._counter = reading.Counter()
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def close(self) -> None:
        self._closing.set()

    # Opening, and what there is.

    def open(self, text: str, start: int) -> Plain:
        """The captions of a folder from the ``start``-th on. Raises DeskError or CaptionsError."""
        folder = self._folders.folder(text)
        self._folders.check_links(folder)
        with self._lock:
            found = self._sets.get(folder)
        if found is None:
            made = Captions(folder, self._folders.may_show)
            with self._lock:
                found = self._sets.setdefault(folder, made)
                self._sets.move_to_end(folder)
                while len(self._sets) > KEPT:
                    self._searches.pop(self._sets.popitem(last=False)[1].opened, None)
        else:
            found.look()
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
                "pictures": self._pictures(pictures[start:end]),
                "next": end if end < len(pictures) else None,
                "concepts": [{"concept": name, "pictures": count} for name, count in sorted(concepts.items())],
                "problems": found.problems[:MOST_SHOWN],
                "revision": found.revision,
                "history": self._history(found),
                "trigger": frequency.common_start([p.caption for p in pictures if p.of.text]),
            }

    def state(self, folder: str, opened: str, since: int) -> Plain:
        found = self._set(folder, opened)
        found.look()
        return self._changed(found, since)

    def counts(self, folder: str, opened: str, ids: Sequence[int] | None) -> list[tuple[int, int]]:
        found = self._set(folder, opened)
        self._imported()
        pictures = found.chosen(ids)
        numbers = self._counter.counts([picture.caption for picture in pictures])
        return [(picture.id, number) for picture, number in zip(pictures, numbers, strict=True)]

    def filter(self, folder: str, opened: str, tree: Any) -> list[int]:
        found = self._set(folder, opened)
        return [picture.id for picture in self._which(found, None, tree)]

    # Changing.

    def preview(self, folder: str, opened: str, ids: Sequence[int] | None, tree: Any, wish: Plain, most: int) -> Plain:
        found = self._set(folder, opened)
        chosen = edit(wish)
        with found.lock:
            pictures = self._which(found, ids, tree)
            outcome = self._outcome(found, pictures, chosen)
            return self._previewed(found, pictures, outcome, most)

    def edit(
        self,
        folder: str,
        opened: str,
        ids: Sequence[int] | None,
        tree: Any,
        wish: Plain,
        *,
        preview: str | None = None,
        revision: int | None = None,
        since: int | None = None,
    ) -> Plain:
        found = self._set(folder, opened)
        chosen = edit(wish)

        def plan() -> Outcome:
            pictures = self._which(found, ids, tree)
            for picture in pictures if revision is not None else ():
                if picture.revision != revision:
                    raise Outdated(f"{printable(picture.name)} has changed meanwhile; look at it, then edit it again.")
            outcome = self._outcome(found, pictures, chosen)
            if preview is not None and preview != _token(outcome):
                raise Outdated("The captions have changed since the preview; look at it again.")
            return outcome

        before = found.revision if since is None else since
        done = found.edit(chosen.what, plan)
        return {"count": done.count, "notes": list(done.notes), **self._changed(found, before)}

    def step(self, folder: str, opened: str, back: bool, since: int | None) -> Plain:
        """Undo or redo."""
        found = self._set(folder, opened)
        before = found.revision if since is None else since
        done = found.undo() if back else found.redo()
        return {"done": done.what, "count": done.count, "notes": list(done.notes), **self._changed(found, before)}

    def save(self, folder: str, opened: str, ids: Sequence[int] | None, tree: Any, since: int | None) -> Plain:
        found = self._set(folder, opened)
        before = found.revision if since is None else since
        chosen = None if ids is None and not tree else self._which(found, ids, tree)
        saved = found.save(chosen)
        by_caption = found.ids_by_caption()
        return {
            "saved": saved.count,
            "conflicts": [id for name in saved.conflicts for id in by_caption.get(name, ())],
            "failed": [{"id": id, "text": text} for name, text in saved.failed for id in by_caption.get(name, ())[:1]],
            "notes": list(saved.notes),
            **self._changed(found, before),
        }

    def autosave(self, folder: str, opened: str, on: bool, since: int | None) -> Plain:
        found = self._set(folder, opened)
        before = found.revision if since is None else since
        found.set_autosave(on)
        return self._changed(found, before)

    def conflicts(self, folder: str, opened: str) -> list[Plain]:
        found = self._set(folder, opened)
        found.look()
        with found.lock:
            return [
                {
                    "id": picture.id,
                    "name": picture.name,
                    "before": picture.of.base,
                    "mine": picture.of.text,
                    "theirs": picture.of.theirs,
                }
                for picture in found.in_order
                if picture.of.conflict
            ]

    def resolve(self, folder: str, opened: str, ids: Sequence[int], keep: str, since: int | None) -> Plain:
        found = self._set(folder, opened)
        if keep not in ("mine", "theirs"):
            raise DeskError("A conflict is settled by keeping mine or theirs.")
        before = found.revision if since is None else since
        found.resolve([found.picture(id).of.name for id in ids], keep == "mine")
        return self._changed(found, before)

    # Captions that somebody else has worked out, such as a tagger.

    def chosen(self, folder: str, opened: str, ids: Sequence[int] | None, tree: Any) -> list[Picture]:
        """The pictures of a filter or a selection. Raises NotNow where the folder isn't open any more."""
        found = self._set(folder, opened)
        with found.lock:
            return self._which(found, ids, tree)

    def given(
        self,
        folder: str,
        opened: str,
        ids: Sequence[int],
        texts: Callable[[Picture], str | None],
        what: str,
        *,
        apply: bool,
        preview: str | None = None,
        since: int | None = None,
        most: int = NAMED,
    ) -> Plain:
        """What it would change to give pictures new texts (None: leave one), or with ``apply`` the change, as one edit."""
        found, wanted = self._set(folder, opened), set(ids)

        def plan() -> tuple[list[Picture], Outcome]:
            pictures = [picture for picture in found.in_order if picture.id in wanted]
            outcome = found.outcome(pictures, [texts(picture) for picture in pictures])
            if preview is not None and preview != _token(outcome):
                raise Outdated("The captions have changed since the preview; look at it again.")
            return pictures, outcome

        if not apply:
            with found.lock:
                pictures, outcome = plan()
                return self._previewed(found, pictures, outcome, most)
        before = found.revision if since is None else since
        done = found.edit(what, lambda: plan()[1])
        return {"count": done.count, "notes": list(done.notes), **self._changed(found, before)}

    # Looking at words.

    def tags(
        self, folder: str, opened: str, ids: Sequence[int] | None, tree: Any, trigger: str, most: int, order: str
    ) -> Plain:
        found = self._set(folder, opened)
        with found.lock:
            captions = [picture.caption for picture in self._which(found, ids, tree)]
        table = frequency.table(captions, trigger)
        rows = list(table.tags)
        if order == "tag":
            rows.sort(key=lambda row: row.tag.lower())
        elif order == "position":
            rows.sort(key=lambda row: (row.position, -row.count))
        elif order != "count":
            raise DeskError("Tags come in the order of count, tag or position.")
        return {
            "captions": table.captions,
            "total": len(rows),
            "tags": [
                {
                    "tag": row.tag,
                    "count": row.count,
                    "share": row.count / table.captions,
                    "position": round(row.position, 2),
                    "with_trigger": row.with_trigger / row.count if trigger.strip() else None,
                    "fused": row.fused,
                    "variants": row.variants[:10],
                }
                for row in rows[:most]
            ],
            "text": table.text,
        }

    def tokens(self, folder: str, opened: str, id: int | None, text: str | None) -> Plain:
        found = self._set(folder, opened)
        self._imported()
        told = reading.read(found.picture(id).caption if id is not None else text or "")
        return {
            "count": told.count,
            "chunks": [[{"text": p.text, "part": p.part, "word_end": p.word_end} for p in c] for c in told.chunks],
            "parts": [{"text": p.text, "tokens": p.tokens, "share": p.share, "chunk": p.chunk} for p in told.parts],
            "cut": told.cut,
            "strategy": told.strategy,
            "advice": told.advice,
        }

    # Copies.

    def copies(self, folder: str, opened: str, start: bool) -> Plain:
        """The search for copies: how far it is, and what it found; ``start``: look (again), where pictures have changed."""
        found = self._set(folder, opened)
        stamp = _stamp(found) if start else ""
        with self._lock:
            search = self._searches.get(opened)
            old = search is not None and (
                search.state == "failed" or (search.state == "finished" and search.stamp != stamp)
            )
            if search is None or (start and old):
                search = Search(stamp=stamp)
                if start:
                    search.state = "looking"
                    self._searches[opened] = search
                    threading.Thread(target=self._search, args=(found, search), name="sdft-copies", daemon=True).start()
        return {name: getattr(search, name) for name in ("state", "done", "total", "groups", "message")}

    def _search(self, found: Captions, search: Search) -> None:
        from ..analysis.duplicates import duplicates
        from ..analysis.thumbnails import make_thumbnails

        def progress(done: int, total: int) -> None:
            if self._closing.is_set():
                raise _Ended
            search.done, search.total = done, total

        recipe = Recipe(dataset=DatasetRecipe(concepts=[Concept(instance=str(found.root))]))
        try:
            pictures = self._scans.get(recipe.dataset).pictures
            looks = make_thumbnails(pictures, self._looks(recipe), progress=progress)
            ids = {picture.path: picture.id for picture in found.in_order}
            groups = []
            for group in duplicates(looks):
                paths = [pictures[looks.pictures[row]].path for row in group.rows]
                some = [ids[path] for path in paths if path in ids]
                if len(some) > 1:
                    groups.append(some)
            search.groups = groups
            search.state = "finished"
        except _Ended:
            search.state = "failed"
        except (ValueError, OSError, MemoryError) as error:
            search.message = str(error) or "There is not enough memory to compare the pictures."
            search.state = "failed"
        finally:
            if search.state == "looking":
                search.message = "The search for copies has failed: the console of the server says why."
                search.state = "failed"

    # Import and export.

    def take_in(
        self,
        folder: str,
        opened: str,
        format: str,
        content: str,
        how: str,
        *,
        apply: bool,
        preview: str | None,
        since: int | None,
    ) -> Plain:
        """Captions from elsewhere: what they would change, or with ``apply`` the change."""
        found = self._set(folder, opened)
        if format not in FORMATS:
            raise DeskError(f"Captions come in as {', '.join(FORMATS)}.")
        if len(content) > MOST_CONTENT:
            raise DeskError(f"The file is larger than {MOST_CONTENT // 2**20} MB; split it.")
        one_file = format in interchange.ONE_FILE
        if one_file and not content.strip():
            raise DeskError("The file is empty; choose another one.")
        unmatched: list[str] = []

        def plan() -> tuple[list[Picture], Outcome]:
            pictures = found.in_order
            read = interchange.parsed(format, content, pictures) if one_file else interchange.beside(format, pictures)
            unmatched[:] = read.unmatched
            texts = [
                None if text is None else interchange.joined(how, picture.caption, text)
                for picture, text in zip(pictures, read.texts, strict=True)
            ]
            outcome = found.outcome(pictures, texts)
            if preview is not None and preview != _token(outcome):
                raise Outdated("The captions have changed since the preview; look at it again.")
            return pictures, outcome

        if not apply:
            with found.lock:
                pictures, outcome = plan()
                told = self._previewed(found, pictures, outcome, NAMED)
        else:
            before = found.revision if since is None else since
            done = found.edit(f"import {format}", lambda: plan()[1])
            told = {"count": done.count, "notes": list(done.notes), **self._changed(found, before)}
        return {**told, "unmatched": len(unmatched), "unmatched_names": unmatched[:NAMED]}

    def give_out(
        self,
        folder: str,
        opened: str,
        ids: Sequence[int] | None,
        tree: Any,
        format: str,
        to: str,
        replace: bool,
        resolution: int,
    ) -> Plain:
        found = self._set(folder, opened)
        if format not in FORMATS:
            raise DeskError(f"Captions go out as {', '.join(FORMATS)}.")
        with found.lock:
            pictures = self._which(found, ids, tree)
        if format in interchange.ONE_FILE:
            content = interchange.one_file(format, pictures, found.root, resolution)
            name, notes = interchange.ONE_FILE[format], interchange.flattened(pictures)
            if not to:
                return {"name": name, "content": content, "count": len(pictures), "notes": notes}
            done = interchange.write_one(self._folders.folder(to) / name, content, replace)
            done.notes.extend(notes)
        elif not to:
            raise DeskError(f"{format} makes a file for each picture: choose a folder.")
        elif format == "names":
            done = interchange.copy_named(pictures, self._folders.folder(to), replace)
        else:
            place = self._folders.folder(to)
            self._folders.check_links(place)
            done = interchange.write_beside(format, pictures, place, replace)
        return {"written": done.written, "left": done.left[:MOST_SHOWN], "notes": done.notes}

    # Shared by all.

    def _set(self, text: str, opened: str) -> Captions:
        folder = self._folders.place(text)
        with self._lock:
            found = self._sets.get(folder)
            if found is not None:
                self._sets.move_to_end(folder)
        if found is None or found.opened != opened:
            raise NotNow("The captions of this folder aren't open any more; open it again.")
        if not self._folders.may_show(folder):
            raise NotFound(f"{folder} is not in the allowed folders any more.")
        return found

    def _which(self, found: Captions, ids: Sequence[int] | None, tree: Any) -> list[Picture]:
        around = FilterContext(self._counted)
        search = self._searches.get(found.opened)
        if search is not None and search.state == "finished":
            around.copies = frozenset(id for group in search.groups for id in group)
        return filter_pictures(tree, found.chosen(ids), around)

    def _counted(self, captions: Sequence[str]) -> list[int]:
        self._imported()
        return self._counter.counts(captions)

    def _outcome(self, found: Captions, pictures: Sequence[Picture], chosen: Edit) -> Outcome:
        return found.outcome(pictures, chosen.apply([picture.caption for picture in pictures]))

    def _previewed(self, found: Captions, pictures: Sequence[Picture], outcome: Outcome, most: int) -> Plain:
        new = {name: after for name, _, after in outcome.changes}
        changed = [picture for picture in pictures if picture.of.name in new]
        return {
            "preview": _token(outcome),
            "count": len(outcome.changes),
            "of": len(pictures),
            "ids": [picture.id for picture in changed],
            "shown": [
                {"id": picture.id, "before": picture.caption, "after": new[picture.of.name]}
                for picture in changed[: min(most, MOST_SHOWN)]
            ],
            "notes": list(outcome.notes),
        }

    def _changed(self, found: Captions, since: int) -> Plain:
        with found.lock:
            return {
                "changed": self._pictures(found.changed(since)),
                "gone": [id for id, revision in found.gone.items() if revision > since],
                "revision": found.revision,
                "history": self._history(found),
            }

    def _pictures(self, pictures: Sequence[Picture]) -> list[Plain]:
        counts: Sequence[int | None] = [None] * len(pictures)
        if self._counter.ready:
            counts = self._counter.counts([picture.caption for picture in pictures])
        return [
            {
                "id": p.id,
                "name": p.name,
                "picture": f"pictures/{self._thumbnails.token(p.path, p.size, p.mtime_ns)}",
                "width": p.width,
                "height": p.height,
                "caption": p.caption,
                "tokens": tokens,
                "concept": p.concept,
                "source": p.of.source,
                "state": p.of.state,
                "revision": p.revision,
            }
            for p, tokens in zip(pictures, counts, strict=True)
        ]

    def _history(self, found: Captions) -> Plain:
        why = found.why_read_only()
        return {
            "undo": found.undo_words,
            "redo": found.redo_words,
            "unsaved": found.count("changed"),
            "conflicts": found.count("conflict"),
            "autosave": found.autosave,
            "writable": not why,
            "why": why,
        }


def strategies() -> list[Plain]:
    """Ways to caption, and what each does to training."""
    return [{"name": name, "label": label, "text": text} for name, (label, text) in reading.STRATEGIES.items()]


def _stamp(found: Captions) -> str:
    """Another one where pictures have come, gone or changed."""
    found.look()
    with found.lock:
        files = [(picture.name, picture.size, picture.mtime_ns) for picture in found.in_order]
    return hashlib.blake2b(repr(files).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _token(outcome: Outcome) -> str:
    return hashlib.blake2b(repr(outcome.changes).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()

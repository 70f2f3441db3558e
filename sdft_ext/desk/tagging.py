"""Automatic captions: a tagger runs in the background; its captions are previewed, then applied as one edit.

A tagger's results are stored apart from the captions made of them: threshold, blacklist and prefix can be changed
afterwards without running the tagger again.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..captions.entries import Picture
from ..captions.interchange import combine
from ..captions.store import CaptionStore
from ..dataset.pictures import PictureError, open_picture
from .background import Job
from .captions import CaptionSets, Selection, Texts
from .errors import DeskError, NotFound, NotNow

if TYPE_CHECKING:
    from ..host.base import Host
    from ..taggers.base import Seen, Tagger

MOST_RUNS = 4
"""Runs of taggers whose results are kept."""
HOW = ("replace", "append", "front", "empty")
"""What a new caption does with the existing one: replace it, follow it, precede it, or only fill empty ones."""
LEAST_SIZE = (448, 448)
"""Width and height that a tagger needs at least; large JPEGs are decoded at a smaller size."""
MOST_NAMED = 20
"""Unreadable pictures in an answer."""
OUT_OF_MEMORY = "There is not enough memory for this tagger."
Plain = dict[str, Any]


@dataclass
class TaggerRun:
    """One tagger's run over pictures. Its job's states: tagging, finished, stopped or failed."""

    id: str
    tagger: Tagger
    selection: Selection
    pictures: Sequence[Picture]
    job: Job
    seen: dict[int, Seen] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


class Tagging:
    """The taggers; one runs at a time. ``folder`` holds their files where the host has no folder for them."""

    def __init__(self, captions: CaptionSets, host: Callable[[], Host], folder: Path) -> None:
        self.captions, self._host, self._folder = captions, host, folder
        self._runs: OrderedDict[str, TaggerRun] = OrderedDict()
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            runs = list(self._runs.values())
        for one in runs:
            one.job.cancel()

    def taggers(self) -> Plain:
        """Return every tagger, with what it lacks, and the folder for their files."""
        return {
            "taggers": [
                {"id": one.id, "label": one.label, "sentences": one.sentences, "why": one.why} for one in self._known()
            ],
            "folder": str(self._place()),
            "help": (
                f"A WD14 tagger is a folder with model.onnx and selected_tags.csv: put it into {self._place()}. "
                "Nothing is downloaded."
            ),
        }

    def start(self, tagger: str, selection: Selection) -> str:
        """Start a tagger on the pictures of a selection; return the run's id. Raises DeskError."""
        found = next((one for one in self._known() if one.id == tagger), None)
        if found is None:
            raise NotFound("There is no such tagger; reload the list.")
        if found.why:
            raise DeskError(found.why)
        pictures = self.captions.select(selection)
        if not pictures:
            raise DeskError("No picture is selected: there is nothing to tag.")
        job = Job("tagging", total=len(pictures), cancelled="stopped", out_of_memory=OUT_OF_MEMORY)
        run = TaggerRun(secrets.token_hex(8), found, selection, pictures, job)
        with self._lock:
            if any(not one.job.over for one in self._runs.values()):
                raise NotNow("A tagger is already running: wait for it, or stop it.")
            self._runs[run.id] = run
            while len(self._runs) > MOST_RUNS:
                self._runs.popitem(last=False)
        job.start("sdft-tagger", lambda: self._tag_pictures(run))
        return run.id

    def status(self, id: str) -> Plain:
        """Return a run's progress. Raises NotFound."""
        run = self._find(id)
        state, done, total, message = run.job.snapshot()
        return {
            "id": run.id,
            "tagger": run.tagger.id,
            "state": state,
            "done": done,
            "total": total,
            "seconds_left": run.job.seconds_left,
            "message": message,
            "unreadable": run.unreadable[:MOST_NAMED],
        }

    def stop(self, id: str) -> None:
        """Stop after the current picture; the results so far can be used. Raises NotFound."""
        self._find(id).job.cancel()

    def preview(self, id: str, choice: Plain, how: str, most: int) -> Plain:
        """Preview the captions. Raises TaggerError where a choice is out of range."""
        found, _, texts = self._captions(id, choice, how)
        return self.captions.preview_texts(found, texts, most)

    def apply(self, id: str, choice: Plain, how: str, preview: str | None, since: int | None) -> Plain:
        """Apply the captions as one edit that can be undone. Raises Outdated where ``preview`` no longer holds."""
        found, what, texts = self._captions(id, choice, how)
        return self.captions.edit_texts(found, what, texts, preview=preview, since=since)

    def _captions(self, id: str, choice: Plain, how: str) -> tuple[CaptionStore, str, Texts]:
        """Return the captions of the run's folder, the edit's name for undo, and its texts."""
        from ..taggers.tag_captions import Choice, appended, caption, listed

        if how not in HOW:
            raise DeskError(f"Captions can be applied by {', '.join(HOW)}.")
        run = self._find(id)
        if not run.job.over:
            raise NotNow("The tagger is still running: wait for it, or stop it.")
        options = Choice(**{**choice, "blacklist": listed(choice.get("blacklist", ""))})

        def text(picture: Picture) -> str | None:
            seen = run.seen.get(picture.id)
            new = caption(seen, options) if seen is not None else ""
            if not new:
                return None
            old = picture.caption if picture.entry.text is not None else ""
            return appended(old, new) if how == "append" else combine("prepend" if how == "front" else how, old, new)

        found = self.captions.get(run.selection.folder, run.selection.opened)

        def texts() -> tuple[Sequence[Picture], Sequence[str | None]]:
            pictures = [picture for picture in found.in_order if picture.id in run.seen]
            return pictures, [text(picture) for picture in pictures]

        return found, f"captions by {run.tagger.label}", texts

    def _tag_pictures(self, run: TaggerRun) -> None:
        from ..taggers.base import TaggerError

        try:
            for number, picture in enumerate(run.pictures):
                run.job.progress(number, len(run.pictures))
                try:
                    image, _ = open_picture(picture.path, "white", LEAST_SIZE)
                    run.seen[picture.id] = run.tagger.see(image)
                except PictureError as error:
                    run.unreadable.append(str(error))
            run.job.done = len(run.pictures)
        except RuntimeError as error:  # from the library that runs the tagger's network
            raise TaggerError(str(error)) from error
        finally:
            run.tagger.close()

    def _known(self) -> list[Tagger]:
        from ..taggers.known import known

        own = self._host().taggers()
        return [*own, *(one for one in known(self._place()) if one.id not in {tagger.id for tagger in own})]

    def _place(self) -> Path:
        return self._host().taggers_folder() or self._folder

    def _find(self, id: str) -> TaggerRun:
        with self._lock:
            run = self._runs.get(id)
        if run is None:
            raise NotFound("This tagger's results are no longer available: run it again.")
        return run

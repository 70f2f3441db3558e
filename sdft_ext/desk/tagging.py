"""Automatic captions: a tagger looks at pictures in the background; the captions are previewed, then applied as one
edit.

What a tagger saw is kept apart from the captions made of it: threshold, blacklist and prefix can be changed afterwards
without looking at a picture again.
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

KEPT = 4
"""Looks that are remembered."""
HOW = ("replace", "append", "front", "empty")
"""What becomes of the caption that is there: the new one replaces it, follows it, precedes it, or fills empty ones
only.
"""
LOOK = (448, 448)
"""Width and height that a tagger needs at least; large JPEGs are decoded smaller."""
MOST_NAMED = 20
"""Unreadable pictures in an answer."""
OUT_OF_MEMORY = "There is not enough memory for this tagger."
Plain = dict[str, Any]


@dataclass
class Looking:
    """One tagger's way through pictures. The job's states: looking, finished, stopped or failed."""

    id: str
    tagger: Tagger
    selection: Selection
    pictures: Sequence[Picture]
    job: Job
    seen: dict[int, Seen] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


class Tagging:
    """One look at a time. ``folder`` holds the taggers' files where the host has no folder for them."""

    def __init__(self, captions: CaptionSets, host: Callable[[], Host], folder: Path) -> None:
        self.captions, self._host, self._folder = captions, host, folder
        self._looks: OrderedDict[str, Looking] = OrderedDict()
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            looks = list(self._looks.values())
        for look in looks:
            look.job.cancel()

    def taggers(self) -> Plain:
        """Every tagger, with what it lacks, and the folder for their files."""
        return {
            "taggers": [
                {"id": one.id, "label": one.label, "sentences": one.sentences, "why": one.why} for one in self._known()
            ],
            "folder": str(self._place()),
            "help": (
                f"A WD14 tagger is a folder with model.onnx and selected_tags.csv: put it into {self._place()}. "
                f"Nothing is "
                "downloaded."
            ),
        }

    def start(self, tagger: str, selection: Selection) -> str:
        """Begin to look at the pictures of a selection; return the look's id. Raises DeskError."""
        found = next((one for one in self._known() if one.id == tagger), None)
        if found is None:
            raise NotFound("There is no such tagger; look at the list again.")
        if found.why:
            raise DeskError(found.why)
        pictures = self.captions.select(selection)
        if not pictures:
            raise DeskError("No picture is selected: there is nothing to look at.")
        job = Job("looking", total=len(pictures), cancelled="stopped", out_of_memory=OUT_OF_MEMORY)
        look = Looking(secrets.token_hex(8), found, selection, pictures, job)
        with self._lock:
            if any(not one.job.over for one in self._looks.values()):
                raise NotNow("A tagger is looking at pictures already: wait for it, or stop it.")
            self._looks[look.id] = look
            while len(self._looks) > KEPT:
                self._looks.popitem(last=False)
        job.start("sdft-tagger", lambda: self._look_at_pictures(look))
        return look.id

    def status(self, id: str) -> Plain:
        """How far it is. Raises NotFound."""
        look = self._look(id)
        state, done, total, message = look.job.snapshot()
        return {
            "id": look.id,
            "tagger": look.tagger.id,
            "state": state,
            "done": done,
            "total": total,
            "seconds_left": look.job.seconds_left,
            "message": message,
            "unreadable": look.unreadable[:MOST_NAMED],
        }

    def stop(self, id: str) -> None:
        """End after the picture that is being looked at; what was seen so far can be used. Raises NotFound."""
        self._look(id).job.cancel()

    def preview(self, id: str, choice: Plain, how: str, most: int) -> Plain:
        """What the captions would become. Raises TaggerError where a choice is out of range."""
        found, _, texts = self._captions(id, choice, how)
        return self.captions.preview_texts(found, texts, most)

    def apply(self, id: str, choice: Plain, how: str, preview: str | None, since: int | None) -> Plain:
        """Apply the captions as one edit that can be undone. Raises Outdated where ``preview`` is no longer true."""
        found, what, texts = self._captions(id, choice, how)
        return self.captions.edit_texts(found, what, texts, preview=preview, since=since)

    def _captions(self, id: str, choice: Plain, how: str) -> tuple[CaptionStore, str, Texts]:
        """The captions of the folder that was looked at, what the edit is called, and its texts."""
        from ..taggers.tag_captions import Choice, appended, caption, listed

        if how not in HOW:
            raise DeskError(f"Captions are applied by one of {', '.join(HOW)}.")
        look = self._look(id)
        if not look.job.over:
            raise NotNow("The tagger is still looking: wait for it, or stop it.")
        options = Choice(**{**choice, "blacklist": listed(choice.get("blacklist", ""))})

        def text(picture: Picture) -> str | None:
            seen = look.seen.get(picture.id)
            new = caption(seen, options) if seen is not None else ""
            if not new:
                return None
            old = picture.caption if picture.entry.text is not None else ""
            return appended(old, new) if how == "append" else combine("prepend" if how == "front" else how, old, new)

        found = self.captions.get(look.selection.folder, look.selection.opened)

        def texts() -> tuple[Sequence[Picture], Sequence[str | None]]:
            pictures = [picture for picture in found.in_order if picture.id in look.seen]
            return pictures, [text(picture) for picture in pictures]

        return found, f"captions by {look.tagger.label}", texts

    def _look_at_pictures(self, look: Looking) -> None:
        from ..taggers.base import TaggerError

        try:
            for number, picture in enumerate(look.pictures):
                look.job.progress(number, len(look.pictures))
                try:
                    image, _ = open_picture(picture.path, "white", LOOK)
                    look.seen[picture.id] = look.tagger.see(image)
                except PictureError as error:
                    look.unreadable.append(str(error))
            look.job.done = len(look.pictures)
        except RuntimeError as error:  # of the library that runs the tagger's network
            raise TaggerError(str(error)) from error
        finally:
            look.tagger.close()

    def _known(self) -> list[Tagger]:
        from ..taggers.known import known

        own = self._host().taggers()
        return [*own, *(one for one in known(self._place()) if one.id not in {tagger.id for tagger in own})]

    def _place(self) -> Path:
        return self._host().taggers_folder() or self._folder

    def _look(self, id: str) -> Looking:
        with self._lock:
            look = self._looks.get(id)
        if look is None:
            raise NotFound("What this tagger saw is no longer kept: let it look again.")
        return look

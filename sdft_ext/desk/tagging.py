"""Automatic captions: a tagger looks at pictures in the background; what it saw is previewed, then put in as one edit.

The looking is kept apart from the words: threshold, blacklist and prefix may be changed afterwards, and nothing is looked
at again.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..captions.interchange import joined
from ..captions.store import Picture
from ..dataset.pictures import PictureError, open_picture
from .captions import CaptionSets
from .errors import DeskError, NotFound, NotNow

if TYPE_CHECKING:
    from ..host.base import Host
    from ..taggers.base import Seen, Tagger

KEPT = 4
"""Looks that are remembered."""
HOW = ("replace", "append", "front", "empty")
"""What becomes of a caption that is there: replaced, the new words after or before it, or only empty ones are filled."""
LOOK = (448, 448)
"""Pixels that a tagger wants at least; large JPEGs are decoded smaller."""
Plain = dict[str, Any]


@dataclass
class Looking:
    """One tagger's way through pictures."""

    id: str
    tagger: Tagger
    folder: str
    opened: str
    pictures: Sequence[Picture]
    state: Literal["looking", "finished", "stopped", "failed"] = "looking"
    seen: dict[int, Seen] = field(default_factory=dict)
    done: int = 0
    message: str = ""
    unreadable: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class Tagging:
    """``folder``: where taggers' files lie where the host has no place for them. One look at a time."""

    def __init__(self, captions: CaptionSets, host: Callable[[], Host], folder: Path) -> None:
        self.captions, self._host, self._folder = captions, host, folder
        self._looks: OrderedDict[str, Looking] = OrderedDict()
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            looks = list(self._looks.values())
        for look in looks:
            look.stop.set()

    def taggers(self) -> Plain:
        """Every tagger, with what it lacks, and where files are put."""
        return {
            "taggers": [
                {"id": one.id, "label": one.label, "sentences": one.sentences, "why": one.why} for one in self._known()
            ],
            "folder": str(self._place()),
            "help": (
                f"A WD14 tagger is a folder with model.onnx and selected_tags.csv: put it into {self._place()}. Nothing is "
                "downloaded."
            ),
        }

    def start(self, tagger: str, folder: str, opened: str, ids: Sequence[int] | None, tree: Any) -> str:
        """Begin to look at a selection, or at what a filter lets through; its id. Raises DeskError."""
        found = next((one for one in self._known() if one.id == tagger), None)
        if found is None:
            raise NotFound("There is no such tagger; look at the list again.")
        if found.why:
            raise DeskError(found.why)
        pictures = self.captions.chosen(folder, opened, ids, tree)
        if not pictures:
            raise DeskError("No picture is chosen: nothing to look at.")
        look = Looking(secrets.token_hex(8), found, folder, opened, pictures)
        with self._lock:
            if any(one.state == "looking" for one in self._looks.values()):
                raise NotNow("A tagger is looking at pictures already: wait for it, or stop it.")
            self._looks[look.id] = look
            while len(self._looks) > KEPT:
                self._looks.popitem(last=False)
        look.thread = threading.Thread(target=self._work, args=(look,), name="sdft-tagger", daemon=True)
        look.thread.start()
        return look.id

    def one(self, id: str) -> Plain:
        """How far it is. Raises NotFound."""
        look = self._look(id)
        total, passed = len(look.pictures), time.monotonic() - look.began
        left = passed / look.done * (total - look.done) if look.done and look.state == "looking" else 0.0
        return {
            "id": look.id,
            "tagger": look.tagger.id,
            "state": look.state,
            "done": look.done,
            "total": total,
            "seconds_left": left,
            "message": look.message,
            "unreadable": look.unreadable[:20],
        }

    def stop(self, id: str) -> None:
        """After the picture that is being looked at; what was seen can be used."""
        self._look(id).stop.set()

    def preview(self, id: str, choice: Plain, how: str, most: int) -> Plain:
        """What the captions would become. Raises TaggerError where a choice is out of range."""
        return self._given(id, choice, how, apply=False, most=most)

    def apply(self, id: str, choice: Plain, how: str, preview: str | None, since: int | None) -> Plain:
        """Put them in, as one edit that can be undone."""
        return self._given(id, choice, how, apply=True, preview=preview, since=since)

    def _given(self, id: str, choice: Plain, how: str, **rest: Any) -> Plain:
        from ..taggers.tag_captions import Choice, appended, caption, listed

        if how not in HOW:
            raise DeskError(f"Captions come in by one of {', '.join(HOW)}.")
        look = self._look(id)
        if look.state == "looking":
            raise NotNow("The tagger is still looking: wait for it, or stop it.")
        words = Choice(**{**choice, "blacklist": listed(choice.get("blacklist", ""))})

        def text(picture: Picture) -> str | None:
            seen = look.seen.get(picture.id)
            new = caption(seen, words) if seen is not None else ""
            if not new:
                return None
            if how == "append":
                return appended(picture.caption if picture.of.text is not None else "", new)
            way = "prepend" if how == "front" else how
            return joined(way, picture.caption if picture.of.text is not None else "", new)

        return self.captions.given(
            look.folder, look.opened, list(look.seen), text, f"captions by {look.tagger.label}", **rest
        )

    def _work(self, look: Looking) -> None:
        from ..taggers.base import TaggerError

        try:
            for picture in look.pictures:
                if look.stop.is_set():
                    break
                try:
                    image, _ = open_picture(picture.path, "white", LOOK)
                    look.seen[picture.id] = look.tagger.see(image)
                except PictureError as error:
                    look.unreadable.append(str(error))
                look.done += 1
            look.state = "stopped" if look.stop.is_set() and look.done < len(look.pictures) else "finished"
        except (TaggerError, OSError, RuntimeError, MemoryError) as error:
            look.message = str(error) or "There is not enough memory for this tagger."
            look.state = "failed"
        finally:
            if look.state == "looking":
                look.state, look.message = "failed", "The tagger has failed: the console of the server says why."
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
            raise NotFound("What this tagger saw is not kept any more: let it look again.")
        return look

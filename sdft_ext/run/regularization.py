"""Regularization pictures, top to bottom: what the model draws for the class before it learns the concept.

A picture is a function of its settings and its number, and its file is named after both. So no picture that exists is
drawn again: drawing that was stopped or killed goes on where it was, and asking for more of the same draws what is
missing. Each picture has its prompt as its caption. Near-duplicates teach nothing new: they are dropped, and others
drawn in their place.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..analysis.duplicates import duplicates
from ..analysis.thumbnails import make_thumbnails
from ..control import RunControl
from ..dataset.folder import DatasetError, scan
from ..dataset.trash import Trash, TrashError
from ..errors import SdftError
from ..host.base import Files, Host, Sampling
from ..out_of_memory import draw_less, out_of_memory
from ..recipe import Concept, DatasetRecipe
from ..storage import atomic, json_file
from ..storage.file_lock import Locked, exclusive
from ..storage.hidden_folder import HiddenFolderError, hidden_folder
from ..storage.text import printable, quantity
from .turns import PATIENCE, ModelUnavailable, wait_for_model

if TYPE_CHECKING:
    from PIL import Image

RECORD = "regularization.json"
"""In the program's own folder among the pictures: what was drawn there, and how."""
LOCK = "drawing.lock"
TRIES, MORE_TRIES = 3, 50
"""At most TRIES times the count, and MORE_TRIES pictures more, are drawn before a prompt counts as repeating itself."""
MOST = 100_000
_NETWORK = re.compile(r"\s*<[^<>:]+:[^<>]*>")

State = Literal["drawing", "paused", "finished", "stopped"]
OnProgress = Callable[[State, int, int, float, str], None]
"""Called with (state, pictures drawn, their total, seconds left, message)."""


class RegularizeError(SdftError, ValueError):
    """These pictures can't be drawn; the message says what to change."""


class _Stopped(RuntimeError):
    """The control says stop."""


@dataclass(frozen=True)
class RegularizationSettings:
    """``count`` pictures with these prompts in turn; picture n has the seed ``seed`` + n.

    ``at_once`` of them are drawn in one turn with the model. Drawn one at a time, a picture is the same to the bit each
    time. Raises RegularizeError for settings that can't be drawn.
    """

    prompts: tuple[str, ...]
    model: Files
    sampling: Sampling
    count: int = 200
    seed: int = 1
    at_once: int = 1
    drop_duplicates: bool = True

    def __post_init__(self) -> None:
        if not self.prompts or not all(prompt.strip() for prompt in self.prompts):
            raise RegularizeError("No class prompt is given: write one, such as 'a dog', or several, one per line.")
        if not 1 <= self.count <= MOST:
            raise RegularizeError(f"{self.count:,} pictures can't be drawn: ask for 1 to {MOST:,}.")
        if not 0 <= self.seed <= 2**32 - 1 - MOST * TRIES - MORE_TRIES:
            raise RegularizeError(f"The seed {self.seed} is out of range: choose one from 0 to 4,000,000,000.")
        if not 1 <= self.at_once <= 16:
            raise RegularizeError(f"{self.at_once} pictures at once can't be drawn: choose 1 to 16.")
        if not 1 <= self.sampling.steps <= 150:
            raise RegularizeError(f"{self.sampling.steps} sampling steps can't be taken: choose 1 to 150.")
        if not 1 <= self.sampling.guidance <= 30:
            raise RegularizeError(f"The guidance {self.sampling.guidance} is out of range: choose 1 to 30.")
        if any(not 64 <= side <= 2048 or side % 8 for side in (self.sampling.width, self.sampling.height)):
            raise RegularizeError(
                f"Pictures of {self.sampling.width} × {self.sampling.height} can't be drawn: choose sides from 64 to "
                f"2048 "
                "that are divisible by 8."
            )

    @property
    def signature(self) -> str:
        """Eight letters that identify these pictures: a hash of everything that decides what they show."""
        model = [Path(self.model.base).name, Path(self.model.vae).name]
        facts = json.dumps([self.prompts, model, asdict(self.sampling), self.seed], sort_keys=True)
        return hashlib.blake2b(facts.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()

    def prompt(self, number: int) -> str:
        """Give the prompt of picture ``number``."""
        return self.prompts[number % len(self.prompts)]

    def name(self, number: int) -> str:
        """Give the file name of picture ``number``, without its ending."""
        return f"{slug(self.prompt(number))}-{self.signature}-{number:05d}"

    def plain(self) -> dict[str, Any]:
        """Give the settings in JSON types."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> RegularizationSettings:
        """Read what ``plain`` gave. Raises RegularizeError where something is missing or wrong."""
        try:
            sampling, model = Sampling(**values["sampling"]), Files(**values["model"])
            rest = {name: value for name, value in values.items() if name not in ("prompts", "sampling", "model")}
            return cls(tuple(values["prompts"]), model, sampling, **rest)
        except (KeyError, TypeError) as error:
            raise RegularizeError(f"The settings of these pictures can't be read ({error}): start again.") from error


@dataclass(frozen=True)
class Made:
    """How drawing ended. ``message`` is one sentence for the user."""

    outcome: Literal["finished", "stopped"]
    message: str
    pictures: int


def regularize(
    settings: RegularizationSettings,
    folder: Path,
    host: Host,
    *,
    control: RunControl | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> Made:
    """Draw into a folder until it has all pictures, or the control says stop.

    Raises HostError where the host can't draw, RegularizeError where its memory is full or another program draws into
    the folder, OSError where the folder can't be written. What was drawn stays in each case.
    """
    with _alone(folder):
        return _Drawing(settings, folder, host, control or RunControl(), on_progress).go()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other programs from drawing into a folder. Raises RegularizeError where one does."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with exclusive(hidden_folder(folder, make=True) / LOCK):
            yield
    except HiddenFolderError as error:
        raise RegularizeError(str(error)) from error
    except Locked as error:
        raise RegularizeError(
            f"Another program is drawing pictures into {printable(folder)}: wait until it ends, or stop it there."
        ) from error


def slug(prompt: str) -> str:
    """Turn a prompt's first words into a file name."""
    words = "-".join(re.findall(r"[a-z0-9]+", _NETWORK.sub("", prompt).lower()))
    return words[:40].strip("-") or "picture"


def caption(prompt: str) -> str:
    """Turn a prompt into a caption: without the names of networks (``<lora:…>``)."""
    return " ".join(_NETWORK.sub("", prompt).split()).strip(" ,")


def drawn_pictures(folder: Path, settings: RegularizationSettings) -> dict[int, Path]:
    """Find the pictures of these settings in a folder, by number."""
    pattern = re.compile(rf".*-{settings.signature}-(\d{{5,}})\.png")
    found = {}
    if folder.is_dir():
        for path in folder.iterdir():
            match = pattern.fullmatch(path.name)
            if match:
                found[int(match[1])] = path
    return dict(sorted(found.items()))


class _Drawing:
    """Draws the pictures of one folder and one setting; ``go`` is the story."""

    def __init__(
        self, settings: RegularizationSettings, folder: Path, host: Host, control: RunControl, on_progress: OnProgress
    ) -> None:
        self.settings, self.folder, self.host = settings, folder, host
        self.control, self.on_progress = control, on_progress
        self.next = 0
        """The first number that was never drawn in this folder."""
        self.fresh: set[int] = set()
        """Numbers drawn this time."""
        self.dropped, self.drawn, self.started = 0, 0, time.monotonic()

    def go(self) -> Made:
        """Draw what is missing and drop near-duplicates, again and again, until all pictures exist."""
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic.clear(self.folder)
        self.next = self.read_next()
        if self.next:
            self.write_next()
        most = self.settings.count * TRIES + MORE_TRIES
        try:
            while True:
                self.draw_missing(most)
                if not self.settings.drop_duplicates or not self.drop_duplicates() or self.next >= most:
                    return self.end("finished")
        except (_Stopped, ModelUnavailable):
            return self.end("stopped")

    def draw_missing(self, most: int) -> None:
        """Draw number after number until all pictures exist. Raises _Stopped, as everything below that draws."""
        present = drawn_pictures(self.folder, self.settings)
        while len(present) < self.settings.count and self.next < most:
            self.wait_while_paused(len(present))
            missing = min(self.settings.count - len(present), self.settings.at_once, most - self.next)
            numbers = list(range(self.next, self.next + missing))
            for number, picture in zip(numbers, self.draw(numbers, len(present)), strict=True):
                present[number] = self.keep(number, picture)
            self.next = numbers[-1] + 1
            self.write_next()
            self.drawn += len(numbers)
            self.show("drawing", len(present))

    def draw(self, numbers: list[int], done: int) -> list[Image.Image | None]:
        """Draw these numbers; None for a picture that already exists, as a killed program had time to write it."""
        left = [number for number in numbers if not self.path(number).exists()]
        pictures = dict(zip(left, self.paint(left, done), strict=True)) if left else {}
        return [pictures.get(number) for number in numbers]

    def paint(self, numbers: list[int], done: int) -> list[Image.Image]:
        """Have the host draw; waits while it has another model loaded. Raises ModelUnavailable, RegularizeError."""
        prompts, seeds = [self.settings.prompt(n) for n in numbers], [self.settings.seed + n for n in numbers]
        try:
            return wait_for_model(
                lambda: self.host.paint(prompts, seeds, self.settings.sampling, self.settings.model),
                self.control,
                lambda message: self.show("paused", done, message),
                wanted=self.settings.model,
                patience=PATIENCE if self.drawn else 0.0,
            )
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise RegularizeError(draw_less(error)) from error

    def keep(self, number: int, picture: Image.Image | None) -> Path:
        """Write the caption and then the picture, so that no picture lacks its caption."""
        path = self.path(number)
        text = path.with_suffix(".txt")
        if not text.exists():  # else the picture exists too, and its user may have edited the caption
            atomic.text(text, caption(self.settings.prompt(number)))
        if picture is not None:
            atomic.write(path, lambda file: picture.save(file, "PNG"))
            self.fresh.add(number)
        return path

    def path(self, number: int) -> Path:
        return self.folder / f"{self.settings.name(number)}.png"

    def drop_duplicates(self) -> int:
        """Remove those of ours that show what another picture in the folder shows; the lowest number stays.

        A picture that wasn't drawn just now, or whose caption was edited, goes to the trash. Returns how many were
        removed.
        """
        ours = {path: number for number, path in drawn_pictures(self.folder, self.settings).items()}
        try:
            found = scan(DatasetRecipe(concepts=[Concept(instance=str(self.folder))])).pictures
        except DatasetError:
            return 0
        thumbnails = make_thumbnails(found, progress=lambda done, total: self.wait_while_paused(len(ours)))
        paths = [found[place].path for place in thumbnails.pictures]
        rank = [(0, -ours[path]) if path in ours else (1, 0) for path in paths]
        again = [paths[row] for group in duplicates(thumbnails, rank) for row in group.rows[1:] if paths[row] in ours]
        known = [path for path in again if not self.untouched(path, ours[path])]
        try:
            if known:
                Trash(self.folder).remove(known)
        except TrashError as error:
            raise RegularizeError(str(error)) from error
        for path in set(again) - set(known):
            path.unlink(missing_ok=True)
            path.with_suffix(".txt").unlink(missing_ok=True)
        self.dropped += len(again)
        if again:
            self.show("drawing", len(ours) - len(again))
        return len(again)

    def untouched(self, path: Path, number: int) -> bool:
        """Tell whether a picture was drawn this time and still has the caption that it was given."""
        if number not in self.fresh:
            return False
        try:
            return path.with_suffix(".txt").read_bytes() == caption(self.settings.prompt(number)).encode()
        except OSError:
            return False

    def wait_while_paused(self, done: int) -> None:
        """Wait between two pictures while drawing is paused. Raises _Stopped."""
        if self.control.paused:
            self.show("paused", done)
            before = time.monotonic()
            self.control.wait_while_paused()
            self.started += time.monotonic() - before
        if self.control.stopping:
            raise _Stopped

    def show(self, state: State, done: int, message: str = "") -> None:
        left = self.settings.count - done
        seconds = (time.monotonic() - self.started) / self.drawn * left if self.drawn else 0.0
        self.on_progress(state, done, self.settings.count, seconds if state == "drawing" else 0.0, message)

    def end(self, outcome: Literal["finished", "stopped"]) -> Made:
        count = len(drawn_pictures(self.folder, self.settings))
        again = f", {self.dropped} near-duplicates dropped" if self.dropped else ""
        if outcome == "stopped":
            message = f"Stopped at {count} of {self.settings.count} pictures; resume draws the rest."
        elif count < self.settings.count:
            message = (
                f"{count} of {self.settings.count} pictures{again}: the prompts give the same pictures "
                "again and again; add prompts that differ more."
            )
        else:
            message = f"{quantity(count, 'picture is', 'pictures are')} ready{again}."
        self.on_progress(outcome, count, self.settings.count, 0.0, message)
        return Made(outcome, message, count)

    def read_next(self) -> int:
        """Read the first number that was never drawn here: pictures that somebody has deleted stay deleted.

        Pictures beyond that of the record were drawn by a program that ended before it could write it.
        """
        entry = _record(self.folder).get(self.settings.signature)
        number = entry.get("next") if isinstance(entry, dict) else None
        recorded = number if isinstance(number, int) and number >= 0 else 0
        return max([recorded, *(n + 1 for n in drawn_pictures(self.folder, self.settings))])

    def write_next(self) -> None:
        record = _record(self.folder)
        plain = {name: value for name, value in self.settings.plain().items() if name not in ("count", "at_once")}
        place = hidden_folder(self.folder, make=True)
        json_file.write(place / RECORD, {**record, self.settings.signature: {**plain, "next": self.next}})


def _record(folder: Path) -> dict[str, Any]:
    """Read what was drawn in a folder; empty where there is no record. Raises OSError or RegularizeError where it can't
    be read.
    """
    try:
        path = hidden_folder(folder) / RECORD
        found = json_file.read(path)
    except FileNotFoundError:
        return {}
    except HiddenFolderError as error:
        raise RegularizeError(str(error)) from error
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RegularizeError(
            f"{printable(path)} is damaged: restore it, or delete it and start again; deleted pictures are then "
            f"drawn once more."
        )
    return found

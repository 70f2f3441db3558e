"""Regularization pictures, top to bottom: what the model makes of the class, before it learns the concept.

A picture is a function of its settings and its number, and its file is named after both. So nothing that is there is
drawn again: who stops, or is killed, goes on where he was, and who wants more of the same gets what is missing. Beside
each picture lies its prompt as its caption. Near-duplicates teach nothing twice: they are dropped, and others drawn.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..analysis.duplicates import duplicates
from ..analysis.thumbnails import make_thumbnails
from ..control import RunControl
from ..dataset.folder import DatasetError, scan
from ..dataset.trash import Trash, TrashError
from ..errors import SdftError
from ..host.base import Files, Host, HostChanged, Sampling
from ..recipe import Concept, DatasetRecipe
from ..storage import atomic, json_file
from ..storage.hidden_folder import HiddenFolderError, hidden_folder
from ..storage.text import printable

if TYPE_CHECKING:
    from PIL import Image

STORY = "regularization.json"
"""In the program's own folder among the pictures: what was drawn there, and how."""
LEAST_PER_INSTANCE, MOST_PER_INSTANCE = 20, 100
"""The guide: so many regularization pictures for each instance picture."""
TRIES, TRIES_MORE = 3, 50
"""So many times the wanted count, and so many more, are drawn before a prompt counts as giving the same again and again."""
LOOK_AGAIN = 0.5
"""Seconds between looks at a host that has another model loaded."""
MOST = 100_000
_NETWORK = re.compile(r"\s*<[^<>:]+:[^<>]*>")

State = Literal["drawing", "paused", "finished", "stopped"]
Tell = Callable[[State, int, int, float, str], None]
"""Hears (state, pictures there, pictures wanted, seconds left, message)."""


class RegularizeError(SdftError, ValueError):
    """The pictures can't be drawn so; the message says what to change."""


class _Stopped(RuntimeError):
    """Told to stop."""


@dataclass(frozen=True)
class Wanted:
    """``count`` pictures with these prompts in turn; picture n has the seed ``seed`` + n.

    ``at_once`` are drawn in one turn with the model. Drawn one at a time, a picture is the same to the bit each time.
    """

    prompts: tuple[str, ...]
    model: Files
    sampling: Sampling
    count: int = 200
    seed: int = 1
    at_once: int = 1
    drop_duplicates: bool = True

    def __post_init__(self) -> None:
        """Raises RegularizeError."""
        if not self.prompts or not all(prompt.strip() for prompt in self.prompts):
            raise RegularizeError("No class prompt is given: write one, such as 'a dog', or several, one a line.")
        if not 1 <= self.count <= MOST:
            raise RegularizeError(f"{self.count:,} pictures can't be drawn: ask for 1 to {MOST:,}.")
        if not 0 <= self.seed <= 2**32 - 1 - MOST * TRIES - TRIES_MORE:
            raise RegularizeError(f"The seed {self.seed} is out of range: choose one from 0 to 4,000,000,000.")
        if not 1 <= self.at_once <= 16:
            raise RegularizeError(f"{self.at_once} pictures at once can't be drawn: choose 1 to 16.")
        if not 1 <= self.sampling.steps <= 150:
            raise RegularizeError(f"{self.sampling.steps} sampling steps can't be made: choose 1 to 150.")
        if not 1 <= self.sampling.guidance <= 30:
            raise RegularizeError(f"The guidance {self.sampling.guidance} is out of range: choose 1 to 30.")
        if any(not 64 <= side <= 2048 or side % 8 for side in (self.sampling.width, self.sampling.height)):
            raise RegularizeError(
                f"Pictures of {self.sampling.width} × {self.sampling.height} can't be drawn: choose sides from 64 to 2048 "
                "that 8 divides."
            )

    @property
    def signature(self) -> str:
        """Eight letters that tell these pictures from others: of all that decides what they show."""
        model = [Path(self.model.base).name, Path(self.model.vae).name]
        facts = json.dumps([self.prompts, model, asdict(self.sampling), self.seed], sort_keys=True)
        return hashlib.blake2b(facts.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()

    def prompt(self, number: int) -> str:
        return self.prompts[number % len(self.prompts)]

    def name(self, number: int) -> str:
        """A file's name without its ending."""
        return f"{slug(self.prompt(number))}-{self.signature}-{number:05d}"

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> Wanted:
        """What ``plain`` gave. Raises RegularizeError where something is missing or wrong."""
        try:
            sampling, model = Sampling(**values["sampling"]), Files(**values["model"])
            rest = {name: value for name, value in values.items() if name not in ("prompts", "sampling", "model")}
            return cls(tuple(values["prompts"]), model, sampling, **rest)
        except (KeyError, TypeError) as error:
            raise RegularizeError(f"The settings of these pictures can't be read ({error}): begin anew.") from error


@dataclass(frozen=True)
class Made:
    """How it ended. ``message`` is one sentence for its user."""

    outcome: Literal["finished", "stopped"]
    message: str
    pictures: int


def regularize(
    wanted: Wanted, folder: Path, host: Host, *, control: RunControl | None = None, tell: Tell | None = None
) -> Made:
    """Draw into a folder until it holds the wanted pictures, or the control says stop.

    Raises HostError where the host can't draw, RegularizeError where its memory is full, OSError where the folder can't
    be written. What was drawn stays in each case.
    """
    return Making(wanted, folder, host, control or RunControl(), tell or _say_nothing).go()


def slug(prompt: str) -> str:
    """A prompt's first words as a file name."""
    words = "-".join(re.findall(r"[a-z0-9]+", _NETWORK.sub("", prompt).lower()))
    return words[:40].strip("-") or "picture"


def caption(prompt: str) -> str:
    """A prompt as a caption: without the names of networks (``<lora:…>``)."""
    return " ".join(_NETWORK.sub("", prompt).split()).strip(" ,")


def there(folder: Path, wanted: Wanted) -> dict[int, Path]:
    """The pictures of these settings that lie in a folder, by number."""
    pattern = re.compile(rf".*-{wanted.signature}-(\d{{5,}})\.png")
    found = {}
    if folder.is_dir():
        for path in folder.iterdir():
            match = pattern.fullmatch(path.name)
            if match:
                found[int(match[1])] = path
    return dict(sorted(found.items()))


class Making:
    """The pictures of one folder and one setting; ``go`` is the story."""

    def __init__(self, wanted: Wanted, folder: Path, host: Host, control: RunControl, tell: Tell) -> None:
        self.wanted, self.folder, self.host, self.control, self.tell = wanted, folder, host, control, tell
        self.dropped = 0
        self.fresh: set[int] = set()
        """Numbers drawn this time."""
        self.drawn, self.began = 0, time.monotonic()

    def go(self) -> Made:
        """Draw what is missing, drop what is there twice, and again, until all are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic.clear(self.folder)
        self.next = self.read_next()
        most = self.wanted.count * TRIES + TRIES_MORE
        try:
            while True:
                self.draw_missing(most)
                if not self.wanted.drop_duplicates or not self.drop_duplicates() or self.next >= most:
                    return self.end("finished")
        except _Stopped:
            return self.end("stopped")

    def draw_missing(self, most: int) -> None:
        """Number after number, until as many as wanted are there. Raises _Stopped."""
        present = there(self.folder, self.wanted)
        while len(present) < self.wanted.count and self.next < most:
            self.step_aside(len(present))
            missing = min(self.wanted.count - len(present), self.wanted.at_once, most - self.next)
            numbers = list(range(self.next, self.next + missing))
            for number, picture in zip(numbers, self.draw(numbers, len(present)), strict=True):
                present[number] = self.keep(number, picture)
            self.next = numbers[-1] + 1
            self.write_next()
            self.drawn += len(numbers)
            self.show("drawing", len(present))

    def draw(self, numbers: list[int], done: int) -> list[Image.Image | None]:
        """Pictures of these numbers; None for one that a program that was killed has left whole."""
        left = [number for number in numbers if not self.path(number).exists()]
        pictures = dict(zip(left, self.in_a_turn(left, done), strict=True)) if left else {}
        return [pictures.get(number) for number in numbers]

    def in_a_turn(self, numbers: list[int], done: int) -> list[Image.Image]:
        """Waits while the host has another model loaded. Raises _Stopped."""
        prompts, seeds = [self.wanted.prompt(n) for n in numbers], [self.wanted.seed + n for n in numbers]
        told = False
        while True:
            try:
                return self.host.paint(prompts, seeds, self.wanted.sampling, self.wanted.model)
            except HostChanged as changed:
                if not told:
                    self.show("paused", done, str(changed))
                told = True
                self.control.wait(LOOK_AGAIN)
                if self.control.stopping:
                    raise _Stopped from changed
            except RuntimeError as error:
                if type(error).__name__ != "OutOfMemoryError":
                    raise
                raise RegularizeError(
                    "The GPU's memory is full: draw fewer pictures at once, or smaller ones; end what else uses the GPU. "
                    "The pictures drawn so far are there, and it can be resumed."
                ) from error

    def keep(self, number: int, picture: Image.Image | None) -> Path:
        """The caption first: where a picture is, its caption is too."""
        path = self.path(number)
        words = path.with_suffix(".txt")
        if not words.exists():  # else it is of a picture that is there, and its user may have edited it
            atomic.text(words, caption(self.wanted.prompt(number)))
        if picture is not None:
            atomic.write(path, lambda file: picture.save(file, "PNG"))
            self.fresh.add(number)
        return path

    def path(self, number: int) -> Path:
        return self.folder / f"{self.wanted.name(number)}.png"

    def drop_duplicates(self) -> int:
        """Remove those of ours that show what another picture of the folder shows; the lowest number stays.

        What isn't just drawn, or has other words by now, goes to the trash. Returns how many. Raises _Stopped.
        """
        ours = {path: number for number, path in there(self.folder, self.wanted).items()}
        try:
            found = scan(DatasetRecipe(concepts=[Concept(instance=str(self.folder))])).pictures
        except DatasetError:
            return 0
        thumbnails = make_thumbnails(found, progress=lambda done, total: self.step_aside(len(ours)))
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
        """Whether a picture was drawn this time, and its caption is the one it was given."""
        if number not in self.fresh:
            return False
        try:
            return path.with_suffix(".txt").read_bytes() == caption(self.wanted.prompt(number)).encode()
        except OSError:
            return False

    def step_aside(self, done: int) -> None:
        """Between two pictures: hold while paused. Raises _Stopped."""
        if self.control.paused:
            self.show("paused", done)
            before = time.monotonic()
            self.control.wait_while_paused()
            self.began += time.monotonic() - before
        if self.control.stopping:
            raise _Stopped

    def show(self, state: State, done: int, message: str = "") -> None:
        left = self.wanted.count - done
        seconds = (time.monotonic() - self.began) / self.drawn * left if self.drawn else 0.0
        self.tell(state, done, self.wanted.count, seconds if state == "drawing" else 0.0, message)

    def end(self, outcome: Literal["finished", "stopped"]) -> Made:
        count = len(there(self.folder, self.wanted))
        again = f", {self.dropped} near-duplicates dropped" if self.dropped else ""
        if outcome == "stopped":
            message = f"Stopped at {count} of {self.wanted.count} pictures; resume draws the rest."
        elif count < self.wanted.count:
            message = (
                f"{count} of {self.wanted.count} pictures{again}: the prompts give the same pictures again and again; "
                "add prompts that differ more."
            )
        else:
            message = f"{count} pictures are there{again}."
        self.tell(outcome, count, self.wanted.count, 0.0, message)
        return Made(outcome, message, count)

    def read_next(self) -> int:
        """The first number that was never drawn here: what somebody has deleted stays deleted."""
        told = _story(self.folder).get(self.wanted.signature)
        number = told.get("next") if isinstance(told, dict) else None
        return number if isinstance(number, int) and number >= 0 else 0

    def write_next(self) -> None:
        told = _story(self.folder)
        settings = {name: value for name, value in self.wanted.plain().items() if name not in ("count", "at_once")}
        place = hidden_folder(self.folder, make=True)
        json_file.write(place / STORY, {**told, self.wanted.signature: {**settings, "next": self.next}})


def _story(folder: Path) -> dict[str, Any]:
    """What was drawn in a folder; nothing where no story is. Raises OSError or RegularizeError where it can't be read."""
    try:
        path = hidden_folder(folder) / STORY
        found = json_file.read(path)
    except FileNotFoundError:
        return {}
    except HiddenFolderError as error:
        raise RegularizeError(str(error)) from error
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RegularizeError(
            f"{printable(path)} is damaged: put it back, or remove it and begin anew; what was deleted here is then drawn again."
        )
    return found


def _say_nothing(state: State, done: int, total: int, seconds: float, message: str) -> None:
    """For who only waits for the end."""

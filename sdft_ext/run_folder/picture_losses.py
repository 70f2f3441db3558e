"""The loss of single pictures, measured at the start and at saves: ``picture_losses.json`` in a run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from ..storage import json_file

FILE = "picture_losses.json"
Losses: TypeAlias = tuple[float | None, ...]


@dataclass(frozen=True)
class MeasuredPicture:
    """An instance picture: its absolute ``path``, its concept's number, the caption it is trained with, and whether it
    is kept out of training.
    """

    path: str
    concept: int
    caption: str
    held_out: bool


@dataclass(frozen=True)
class PictureLosses:
    """``steps``: by step, the loss of each of the ``pictures`` with its caption, None where it was NaN or infinite.
    ``called``: the same with the concept's phrase alone as caption. ``draws``: of noise and timestep for each, the same
    at every step.
    """

    draws: int
    pictures: tuple[MeasuredPicture, ...]
    steps: dict[int, Losses] = field(default_factory=dict)
    called: dict[int, Losses] = field(default_factory=dict)

    def measured(self, step: int, losses: Sequence[float], called: Sequence[float]) -> PictureLosses:
        """Return these with the losses of one more step, or with others in their place."""
        own, phrase = (tuple(json_file.replace_nonfinite(list(values))) for values in (losses, called))
        return replace(self, steps={**self.steps, step: own}, called={**self.called, step: phrase})

    def until(self, step: int) -> PictureLosses:
        """Return these without what was measured past a step."""
        steps, called = (
            {at: losses for at, losses in found.items() if at <= step} for found in (self.steps, self.called)
        )
        return replace(self, steps=steps, called=called)


def read(folder: Path) -> PictureLosses | None:
    """Read what a run has measured; None where it has nothing, or the file is damaged."""
    found = json_file.read_or(folder / FILE, {})
    try:
        pictures = tuple(MeasuredPicture(**one) for one in found["pictures"])
        steps, called = (
            {int(step): tuple(map(_loss, losses)) for step, losses in sorted(found[name].items(), key=_step)}
            for name in ("steps", "called")
        )
        draws = int(found["draws"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    sound = list(steps) == list(called) and all(
        len(losses) == len(pictures) for losses in (*steps.values(), *called.values())
    )
    return PictureLosses(draws, pictures, steps, called) if sound else None


def write(folder: Path, losses: PictureLosses) -> None:
    """Write what a run has measured. Raises OSError where it can't be written."""
    json_file.write(folder / FILE, asdict(losses))


def forget_after(folder: Path, step: int) -> None:
    """Forget what was measured past a step: a resumed run measures it again. Raises OSError where it can't be
    written.
    """
    found = read(folder)
    if found is not None and max(found.steps, default=0) > step:
        write(folder, found.until(step))


def _step(entry: tuple[str, object]) -> int:
    return int(entry[0])


def _loss(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no loss")
    return float(value)

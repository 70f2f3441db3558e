"""The loss of single pictures, measured at the start and at saves: ``picture_losses.json`` in a run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..storage import json_file

FILE = "picture_losses.json"


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
    """``steps``: by step, the loss of each of the ``pictures``, None where it was NaN or infinite. ``draws``: of noise
    and timestep for each, the same at every step.
    """

    draws: int
    pictures: tuple[MeasuredPicture, ...]
    steps: dict[int, tuple[float | None, ...]] = field(default_factory=dict)

    def measured(self, step: int, losses: Sequence[float]) -> PictureLosses:
        """Return these with the losses of one more step, or with others in their place."""
        return replace(self, steps={**self.steps, step: tuple(json_file.replace_nonfinite(list(losses)))})


def read(folder: Path) -> PictureLosses | None:
    """Read what a run has measured; None where it has nothing, or the file is damaged."""
    found = json_file.read_or(folder / FILE, {})
    try:
        pictures = tuple(MeasuredPicture(**one) for one in found["pictures"])
        steps = {int(step): tuple(_loss(value) for value in losses) for step, losses in found["steps"].items()}
        draws = int(found["draws"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    sound = all(len(losses) == len(pictures) for losses in steps.values())
    return PictureLosses(draws, pictures, dict(sorted(steps.items()))) if sound else None


def write(folder: Path, losses: PictureLosses) -> None:
    """Write what a run has measured. Raises OSError where it can't be written."""
    json_file.write(folder / FILE, asdict(losses))


def forget_after(folder: Path, step: int) -> None:
    """Forget what was measured past a step: a resumed run measures it again. Raises OSError where it can't be
    written.
    """
    found = read(folder)
    if found is not None and max(found.steps, default=0) > step:
        write(folder, replace(found, steps={at: losses for at, losses in found.steps.items() if at <= step}))


def _loss(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no loss")
    return float(value)

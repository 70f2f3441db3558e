"""Compares the judge's numbers of a recorded run with the truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.stats import spearmanr

from sdft_ext.judge import probe
from sdft_ext.judge.features import Rows, features
from sdft_ext.model.base import Model
from sdft_ext.model.load import load
from sdft_ext.storage import json_file
from sdft_ext.toy import demo, install

from .record import Pictures, opened
from .runs import JudgedRun

REGULARIZATION = 64
"""As many regularization pictures as a run's judge compares with."""
CONTROLS = 8
"""Control pictures of each set at step 0 that it compares with, as by default."""


@dataclass(frozen=True)
class SaveFigures:
    """Shares of a save: the truth, and what the judge says from other pictures."""

    step: int
    learned: float
    judged_learned: float
    bleeding: float
    judged_bleeding: float


@dataclass(frozen=True)
class RunFigures:
    """A run's saves. ``rendered``: the share of freshly drawn true pictures that the judge takes for the concept."""

    name: str
    part: str
    rendered: float
    saves: tuple[SaveFigures, ...]

    @property
    def learned_error(self) -> float:
        return float(np.mean([abs(one.learned - one.judged_learned) for one in self.saves]))

    @property
    def bleeding_error(self) -> float:
        return float(np.mean([abs(one.bleeding - one.judged_bleeding) for one in self.saves]))

    @property
    def learned_spearman(self) -> float:
        return _rank([(one.learned, one.judged_learned) for one in self.saves])

    @property
    def bleeding_spearman(self) -> float:
        return _rank([(one.bleeding, one.judged_bleeding) for one in self.saves])

    def plain(self) -> dict[str, Any]:
        figures = ("learned_error", "bleeding_error", "learned_spearman", "bleeding_spearman")
        return {**asdict(self), **{name: getattr(self, name) for name in figures}}


def _rank(pairs: list[tuple[float, float]]) -> float:
    """Return Spearman's rank correlation; NaN where one of the two never changes."""
    truth, judged = zip(*pairs, strict=True)
    if len(set(truth)) < 2 or len(set(judged)) < 2:
        return float("nan")
    return float(spearmanr(truth, judged).statistic)


def recorded(run: JudgedRun, work: Path) -> bool:
    """Return whether a run and its base are recorded whole."""
    return (work / run.name / "run.json").exists() and (work / f"base-{run.concept.name}" / "truth.json").exists()


def compare(run: JudgedRun, work: Path) -> RunFigures:
    """Judge a recorded run's saves as the program does while it trains, and put the truth beside it."""
    folder, model = work / run.name, _model()
    with np.load(work / f"base-{run.concept.name}" / "pictures.npz") as base:
        first = np.concatenate([base["concept"][:CONTROLS], base["bleeding"][:CONTROLS]])
        rendered = base["rendered"]
    negatives = np.concatenate([_seen(model, first), _regularization(run.concept.kind)])
    found = probe.train(_seen(model, np.stack(opened(folder / "instance"))), negatives)
    return RunFigures(
        run.name,
        run.concept.part,
        float(found.shown(_seen(model, rendered)).mean()),
        tuple(_save(entry, folder, model, found) for entry in json_file.read(folder / "run.json")["saves"]),
    )


def _save(entry: dict[str, Any], folder: Path, model: Model, found: probe.Probe) -> SaveFigures:
    shows = entry["truth"]["shows"]
    groups = [shows[name] for name in ("class word", "empty prompt", "own captions")]
    with np.load(folder / f"step-{entry['step']:06d}.npz") as pictures:
        judged = {name: float(found.shown(_seen(model, pictures[name])).mean()) for name in ("concept", "bleeding")}
    return SaveFigures(
        entry["step"],
        float(np.mean(shows["concept"])),
        judged["concept"],
        float(np.mean([one for group in groups for one in group])),
        judged["bleeding"],
    )


@lru_cache(maxsize=1)
def _model() -> Model:
    return load(str(install.CHECKPOINT))


@lru_cache(maxsize=2)
def _regularization(kind: str) -> Rows:
    """Describe some of the example's regularization pictures, which are the base's own."""
    paths = sorted(path for path in (demo.EXAMPLES / kind / "regularization").iterdir() if path.suffix != ".txt")
    chosen = [paths[round(i * (len(paths) - 1) / (REGULARIZATION - 1))] for i in range(REGULARIZATION)]
    return features(_model(), [Image.open(path).convert("RGB") for path in chosen])


def _seen(model: Model, pictures: Pictures) -> Rows:
    return np.concatenate(
        [
            features(model, [Image.fromarray(one) for one in pictures[start : start + 16]])
            for start in range(0, len(pictures), 16)
        ]
    )

"""Recorded runs in little room: what the judge saw in their pictures, their losses, and the truth of their saves.

Each feature is kept in 64 levels, compressed, so that all runs are a few megabytes, which are part of the project:
``--replay`` needs no training and no model.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdft_ext.judge import records
from sdft_ext.judge.compared import Entry
from sdft_ext.judge.features import Rows
from sdft_ext.judge.nearness import Nearest, nearest
from sdft_ext.judge.prompts import calls
from sdft_ext.recipe import Concept
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run_folder.log import losses
from sdft_ext.storage import atomic, json_file
from sdft_ext.watch.controls import Controls

from .concepts import CONCEPTS
from .runs import JudgedRun
from .truth import SaveTruth, of_save

FOLDER = Path(__file__).parent / "recordings"
LEVELS, LOW, SPAN = 63, "low-", "span-"
"""A level is a quarter of a feature's standard deviation: scores change by 0.015 (root mean square)."""
NONE: Rows = np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Recording:
    """A recorded run. ``seen``: ``rows``, and of styles ``details``, of each step's control pictures; ``nearest``: of
    those that call the concept. ``losses``: of every step trained.
    """

    name: str
    outcome: str
    concept: Concept
    entries: list[Entry]
    dataset: dict[str, Rows]
    seen: dict[int, dict[str, Rows]]
    nearest: dict[int, list[Nearest]]
    losses: list[float]
    saves: list[SaveTruth]
    captions: list[str]
    """Of its instance pictures."""

    @property
    def of(self) -> str:
        """Name its concept."""
        return self.name.split("-", 1)[0]

    @property
    def kind(self) -> str:
        """Name the way in which it was trained."""
        return self.name.split("-", 1)[1].rsplit("-", 1)[0]

    @property
    def part(self) -> str:
        return CONCEPTS[self.of].part


def from_work(run: JudgedRun, work: Path) -> Recording | None:
    """Read a run as it was recorded; None where it isn't yet."""
    folder = work / run.name
    found = json_file.read_or(folder / "run.json", None)
    dataset = records.read(folder / "judge", "dataset")
    if found is None or dataset is None:
        return None
    recipe = recipe_file.read(folder / "recipe.yaml")
    concept, entries = recipe.dataset.concepts[0], Controls(folder, recipe.watch).entries
    called = [i for i, (_, _, prompt) in enumerate(entries) if calls(prompt, concept)]
    parts = ("rows", "details") if concept.kind == "style" else ("rows",)
    seen: dict[int, dict[str, Rows]] = {}
    near: dict[int, list[Nearest]] = {}
    for path in sorted((folder / "judge").glob("step-*.npz")):
        step, found_there = int(path.stem.removeprefix("step-")), records.read(path.parent, path.stem)
        if found_there is not None:
            seen[step] = {part: found_there[part] for part in parts}
            near[step] = nearest(found_there["places"][called], dataset["concept-0-places"])
    names = ("concept-0", "regularization")
    kept = {name: dataset[name] for name in [*names, *(f"{name}-details" for name in names if "details" in parts)]}
    trained = [loss for _, loss in losses(found["log"])]
    saves, texts = [of_save(entry) for entry in found["saves"]], records.read_captions(folder / "judge")
    return Recording(run.name, found["outcome"], concept, entries, kept, seen, near, trained, saves, texts)


def write(found: Recording, folder: Path = FOLDER) -> None:
    """Write a recording as one file."""
    arrays: dict[str, Any] = {f"dataset-{name}": rows for name, rows in found.dataset.items()}
    arrays |= {f"step-{step}-{part}": rows for step, some in found.seen.items() for part, rows in some.items()}
    packed = _packed(arrays)
    near = {str(step): [[one.picture, one.distance] for one in some] for step, some in found.nearest.items()}
    facts = {
        "name": found.name,
        "outcome": found.outcome,
        "concept": {name: getattr(found.concept, name) for name in ("name", "kind", "trigger", "class_word")},
        "entries": found.entries,
        "nearest": near,
        "saves": [vars(save) for save in found.saves],
        "captions": found.captions,
        "losses": [float(f"{loss:.4g}") for loss in found.losses],
    }
    packed["facts"] = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write(folder / f"{found.name}.npz", lambda file: _save(file, packed))


def read(path: Path) -> Recording:
    """Read a recording that ``write`` made."""
    with np.load(path, allow_pickle=False) as file:
        facts = json_file.parse(file["facts"].tobytes())
        arrays = _unpacked(file)
    near = {int(step): [Nearest(int(a), float(b)) for a, b in some] for step, some in facts["nearest"].items()}
    return Recording(
        facts["name"],
        facts["outcome"],
        Concept(**facts["concept"]),
        [(name, number, prompt) for name, number, prompt in facts["entries"]],
        {name.removeprefix("dataset-"): rows for name, rows in arrays.items() if name.startswith("dataset-")},
        _by_step(arrays),
        near,
        facts["losses"],
        [SaveTruth(**one) for one in facts["saves"]],
        facts["captions"],
    )


def _by_step(arrays: Mapping[str, Rows]) -> dict[int, dict[str, Rows]]:
    found: dict[int, dict[str, Rows]] = {}
    for name, rows in arrays.items():
        if name.startswith("step-"):
            _, step, part = name.split("-")
            found.setdefault(int(step), {})[part] = rows
    return found


def write_calibration(concept: str, work: Path, folder: Path = FOLDER) -> None:
    """Write what the judge sees in freshly rendered pictures of a concept, and in the base's own."""
    seen = records.read(work / f"base-{concept}", "calibration")
    if seen is not None:
        atomic.write(folder / f"{concept}.npz", lambda file: _save(file, _packed(seen)))


def read_calibration(concept: str, folder: Path = FOLDER) -> dict[str, Rows]:
    """Read what ``write_calibration`` wrote: the rows ``rendered`` and ``base``."""
    with np.load(folder / f"{concept}.npz", allow_pickle=False) as file:
        return _unpacked(file)


def _save(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays as ``np.savez`` does, but compressed by LZMA: a third smaller than by its own way."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asanyarray(values))


def _packed(arrays: Mapping[str, Rows]) -> dict[str, Any]:
    """Keep rows as bytes: of each feature, its place in the range of eight standard deviations around its mean in
    pictures that no run has spoilt.
    """
    packed: dict[str, Any] = {}
    for details in (False, True):
        alike = {name: rows for name, rows in arrays.items() if name.endswith("details") is details}
        spoilt = [name for name in alike if name.startswith("step-") and not name.startswith("step-0-")]
        sound = [rows for name, rows in alike.items() if len(rows) and name not in spoilt]
        if sound:
            known = np.concatenate(sound).astype(np.float32)
            spread = np.maximum(known.std(0), 1e-6)
            low, span = known.mean(0) - 8 * spread, 16 * spread
            packed |= {f"{LOW}{details:d}": low, f"{SPAN}{details:d}": span}
            packed |= {name: _bytes(rows, low, span) for name, rows in alike.items()}
    return packed


def _bytes(rows: Rows, low: Rows, span: Rows) -> NDArray[np.uint8]:
    if not len(rows):
        return np.zeros((0, 0), dtype=np.uint8)
    return np.rint(np.clip(np.nan_to_num((rows - low) / span), 0, 1) * LEVELS).astype(np.uint8)


def _unpacked(file: Mapping[str, Any]) -> dict[str, Rows]:
    found = {}
    for name in file:
        if not name.startswith((LOW, SPAN, "facts")):
            low, span = (file[f"{end}{name.endswith('details'):d}"] for end in (LOW, SPAN))
            found[name] = file[name].astype(np.float32) / LEVELS * span + low if file[name].size else NONE
    return found

"""The figures of ``bench methods``: one file for each run, and what a row's runs say together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdft_ext.judge.shares import Share, pooled
from sdft_ext.storage import json_file

from .method_concepts import CONCEPTS
from .method_rows import ROWS

Figures = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""Of each row and of each base (``base-`` and the concept's name), by name and seed."""


@dataclass(frozen=True)
class RowFigures:
    """What a row's runs, or a base's, show together. ``of_seeds``: the learned share of each run."""

    seeds: int
    learned: Share
    of_seeds: tuple[float, ...]
    bleeding: Mapping[str, Share]
    seconds: int
    bytes: int
    steps: tuple[int, ...]
    machines: frozenset[str]


def run_folder(work: Path, name: str, seed: int) -> Path:
    """Return the folder of a row's run, or a base's figures."""
    return work / name / f"seed-{seed}"


def read_figures(work: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """Read the figures of all runs and bases that are in the work folder."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for name in (*(row.name for row in ROWS), *(f"base-{concept}" for concept in CONCEPTS)):
        for path in sorted((work / name).glob("seed-*/figures.json")):
            found.setdefault(name, {})[int(path.parent.name.removeprefix("seed-"))] = json_file.read(path)
    return found


def of_row(runs: Mapping[int, Mapping[str, Any]]) -> RowFigures:
    """Add a row's runs up."""
    each = list(runs.values())
    return RowFigures(
        seeds=len(each),
        learned=pooled(one["learned"] for one in each),
        of_seeds=tuple(Share(*one["learned"]).value for one in each),
        bleeding={name: pooled(one["bleeding"][name] for one in each) for name in each[0]["bleeding"]},
        seconds=round(sum(one.get("seconds", 0) for one in each) / len(each)),
        bytes=each[0].get("bytes", 0),
        steps=tuple(one.get("steps", 0) for one in each),
        machines=frozenset(one["machine"] for one in each if "machine" in one),
    )

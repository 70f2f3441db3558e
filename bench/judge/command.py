"""The command: records what is missing, then compares."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ..table import show, table
from . import recordings
from .compare import RunFigures, compare
from .cost import cost
from .decoys import decoys
from .record import record
from .recordings import Recording
from .runs import runs
from .summary import Calibration, calibrate, summary

WORK = Path("out/judge")
DEFAULT_PICTURES = 8
"""Control pictures of each set that a run draws by default."""
HEADER = ["run", "part", "learned", "judged", "bleeding", "judged", "error", "", "save", "behind", "verdict", "right"]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench judge", description=__doc__)
    known = {run.name: run for run in runs()}
    parser.add_argument(
        "--only", nargs="*", choices=list(known), metavar="RUN", help="record these; none: only compare"
    )
    parser.add_argument("--list", action="store_true", help="list the runs, and do nothing")
    parser.add_argument("--work", type=Path, default=WORK, help=f"folder of the recordings; default: {WORK}")
    parser.add_argument(
        "--replay", action="store_true", help="train nothing: judge the recordings that are part of the project"
    )
    parser.add_argument("--part", choices=("tuning", "held-out"), default="held-out", help="concepts to count")
    parser.add_argument("--pictures", type=int, help="judge by so many control pictures of each set; default: all")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--cost", action="store_true", help="only measure what judging takes, at SD 1.5's size")
    parser.add_argument("--decoys", action="store_true", help="only measure pictures that share a concept's look")
    options = parser.parse_args(argv)
    if options.decoys:
        decoys(options.part, options.json)
        return 0
    if options.cost:
        cost(options.json)
        return 0
    if options.list:
        print("\n".join(known))
        return 0
    if not options.replay:
        torch.set_num_threads(1)
        record([run for run in known.values() if options.only is None or run.name in options.only], options.work)
        keep(options.work)
    report(options.part, options.pictures, options.json)
    return 0


def keep(work: Path) -> None:
    """Write what was recorded in ``work`` in its small form, which is part of the project."""
    for run in runs():
        found = recordings.from_work(run, work)
        if found is not None:
            recordings.write(found)
            recordings.write_calibration(run.concept.name, work)


def report(part: str, pictures: int | None, json_file: Path | None) -> None:
    """Judge the recordings, and print the figures of one part of the concepts."""
    paths = [recordings.FOLDER / f"{run.name}.npz" for run in runs() if run.concept.part == part]
    found = [recordings.read(path) for path in paths if path.exists()]
    if not found:
        raise SystemExit(
            f"There are no recordings of {part} concepts in {recordings.FOLDER}: run this without --replay."
        )
    figures = [compare(one, pictures) for one in found]
    calibrations = [calibrate(one) for one in _whole(found)]
    total = summary(figures)
    by_default = summary([compare(one, DEFAULT_PICTURES) for one in found])
    plain = {**total, "by_default": by_default, "calibration": [asdict(one) for one in calibrations]}
    show(HEADER, [_line(one) for one in figures], {**plain, "each": [one.plain() for one in figures]}, json_file)
    print(
        "\n" + table(["concept", "rendered", "base", "rendered alone", "base alone"], [_row(c) for c in calibrations])
    )
    print("\n" + table(["", "all pictures", f"{DEFAULT_PICTURES} + {DEFAULT_PICTURES}"], _both(total, by_default)))


def _whole(found: Sequence[Recording]) -> list[Recording]:
    """Return one run of each concept that has all of the concept's pictures, and regularization pictures."""
    first: dict[str, Recording] = {}
    for one in found:
        if one.kind == "good" and len(one.dataset["regularization"]):
            first.setdefault(one.of, one)
    return list(first.values())


def _line(one: RunFigures) -> list[str]:
    start: list[str] = [one.name, one.part]
    if not one.saves:
        return [*start, *[""] * (len(HEADER) - 4), one.verdict, " / ".join(one.right)]
    last = one.saves[-1]
    shares = [f"{value:.2f}" for value in (last.learned, last.judged_learned, last.bleeding, last.judged_bleeding)]
    errors = [f"{value:.3f}" for value in (one.learned_error, one.bleeding_error)]
    return [*start, *shares, *errors, str(one.recommended), f"{one.behind:.2f}", one.verdict, " / ".join(one.right)]


def _row(one: Calibration) -> list[str]:
    return [one.concept, *(f"{value:.3f}" for value in (one.rendered, one.base, one.rendered_alone, one.base_alone))]


def _both(total: dict[str, Any], by_default: dict[str, Any]) -> list[list[str]]:
    return [[name, _text(value), _text(by_default[name])] for name, value in total.items()]


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, tuple):
        return "–".join(f"{end:.2f}" for end in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    return str(value)

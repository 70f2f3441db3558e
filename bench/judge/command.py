"""The command: records what is missing, then compares."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from ..table import show
from .compare import RunFigures, compare, recorded
from .record import record
from .runs import runs

WORK = Path("out/judge")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench judge", description=__doc__)
    known = {run.name: run for run in runs()}
    parser.add_argument(
        "--only", nargs="*", choices=list(known), metavar="RUN", help="record these; none: only compare"
    )
    parser.add_argument("--list", action="store_true", help="list the runs, and do nothing")
    parser.add_argument("--work", type=Path, default=WORK, help=f"folder of the recordings; default: {WORK}")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(argv)
    if options.list:
        print("\n".join(known))
        return 0
    torch.set_num_threads(1)
    record([run for run in known.values() if options.only is None or run.name in options.only], options.work)
    figures = [compare(run, options.work) for run in known.values() if recorded(run, options.work)]
    header = ["run", "part", "learned", "judged", "bleeding", "judged", "error", "", "rank correlation", ""]
    show(header, [_line(one) for one in figures], {"runs": [one.plain() for one in figures]}, options.json)
    return 0


def _line(one: RunFigures) -> list[str]:
    last = one.saves[-1]
    shares = [f"{value:.2f}" for value in (last.learned, last.judged_learned, last.bleeding, last.judged_bleeding)]
    errors = [f"{value:.3f}" for value in (one.learned_error, one.bleeding_error)]
    ranks = [f"{value:.2f}" for value in (one.learned_spearman, one.bleeding_spearman)]
    return [one.name, one.part, *shares, *errors, *ranks]

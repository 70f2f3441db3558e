"""The figures of ``bench together``, added up over its seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdft_ext.judge.shares import pooled
from sdft_ext.storage import json_file

COMMAND = "python -m bench together"
ASKED = {
    "both triggers": (True, True),
    "the subject's trigger": (True, False),
    "the style's trigger": (False, True),
    "no trigger": (False, False),
}
"""Kinds of prompts: whether they ask for the star, and for the two-tone style."""


def together(work: Path) -> dict[str, Any] | None:
    """Add up what was measured of all seeds; None where nothing was."""
    each = [json_file.read(path) for path in sorted((work / "together").glob("seed-*/figures.json"))]
    if not each:
        return None
    kinds = {
        kind: {name: tuple(pooled(one[kind][name][what] for one in each) for what in (0, 1)) for name in ASKED}
        for kind in ("one_run", "two_files")
    }
    weights = {
        weight: {
            "share": pooled(one["weights"][weight]["share"] for one in each),
            "darker": [one["weights"][weight]["darker"] for one in each],
        }
        for weight in each[0]["weights"]
    }
    return {**kinds, "weights": weights, "seeds": len(each)}

"""A model file's contents, read without running anything in it: facts and metadata, or a pickle's imports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..formats.pickle_report import Report


def describe(path: Path) -> dict[str, Any]:
    """Return ``facts`` and ``metadata`` of a .safetensors file, as readable names and values."""
    from ..tools.describe import describe

    found = describe(path)
    facts = [
        ("Kind", found["kind"]),
        ("Size", f"{found['bytes'] / 2**20:,.2f} MB"),
        ("Tensors", f"{found['tensors']:,}"),
        ("Numbers", f"{found['numbers']:,}"),
        ("Number formats", _counted(found["formats"])),
    ]
    if "layers" in found:
        facts += [
            ("Layers", f"{found['layers']:,}"),
            ("Ranks", _counted(found["ranks"])),
            ("Alphas", _counted(found["alphas"])),
        ]
    if "problem" in found:
        facts.append(("Problem", found["problem"]))
    return {
        "file": found["file"],
        "facts": [{"name": name, "value": value} for name, value in facts],
        "metadata": [
            {"name": name, "value": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}
            for name, value in found["metadata"].items()
        ],
    }


def scan(path: Path) -> dict[str, Any]:
    """Return a pickle's ``imports``, each with its verdict, and the verdict on the file."""
    from ..formats.pickle_report import printable
    from ..formats.single_file import scan

    found = scan(path)
    return {
        "file": str(path),
        "imports": [
            {"name": printable(one.name), "verdict": one.verdict}
            for one in sorted(found.imports, key=lambda one: one.name)
        ],
        "tensors": found.tensors,
        "verdict": found.verdict,
        "message": _message(found),
    }


def _message(report: Report) -> str:
    """Summarize a scan; what to do about a dangerous file, the page says."""
    if report.verdict == "damaged":
        return report.message
    return " ".join([report.text.splitlines()[0], *([report.message] if report.verdict == "suspicious" else [])])


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in counts.items())

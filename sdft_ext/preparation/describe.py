"""Describe a plan as text and as data, for the command line and for programs."""

from __future__ import annotations

from typing import Any

from ..storage.text import printable, quantity
from .plan import Plan

MAX_LINES = 200
"""Pictures that the text lists."""


def describe(plan: Plan) -> dict[str, Any]:
    """Return a plan in JSON types: ``text`` lists pictures and their sizes before and after, ``actions`` has it all."""
    actions = [
        {
            "source": action.source,
            "target": action.target,
            "before": list(action.before),
            "after": list(action.after),
            "mirrored": action.flip,
            "tile": action.tile,
            "by_hand": action.by_hand,
        }
        for action in plan.actions
    ]
    lines = [_line(action) for action in actions[:MAX_LINES]]
    if len(actions) > MAX_LINES:
        lines.append(f"… and {len(actions) - MAX_LINES} more")
    sources = len({action.source for action in plan.actions})
    lines += [
        f"{quantity(sources, 'picture')} from {plan.folder} would become {len(actions)} in {plan.out}.",
        *plan.notes,
    ]
    return {
        "folder": str(plan.folder),
        "out": str(plan.out),
        "actions": actions,
        "undersized": list(plan.undersized),
        "notes": list(plan.notes),
        "text": "\n".join(lines),
    }


def _line(action: dict[str, Any]) -> str:
    sizes = [f"{width}×{height}" for width, height in (action["before"], action["after"])]
    notes = [name for name, true in (("mirrored", action["mirrored"]), ("by hand", action["by_hand"])) if true]
    notes += [f"tile {action['tile']}"] if action["tile"] else []
    return f"{printable(action['source'])} {sizes[0]} → {printable(action['target'])} {sizes[1]}" + (
        f" ({', '.join(notes)})" if notes else ""
    )

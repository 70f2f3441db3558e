"""A run's report, made from its folder alone: ``report.md`` for people, ``report.json`` for programs."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..recipe import Recipe
from ..recipe import file as recipe_file
from ..run_folder import log, picture_losses, ratings
from ..run_folder.facts import read_facts
from ..run_folder.saves import read_index
from ..storage import atomic, json_file
from .chart import chart
from .diagnosis import verdict
from .picture_losses import FINDINGS, rated_pictures
from .progress import duration
from .ratings import rated_counts

TEMPLATE = Path(__file__).with_name("report.md.jinja")
LISTED = 20
"""Most sentences of one kind in ``report.md``; ``report.json`` has all of them."""


def report(folder: Path) -> dict[str, Any]:
    """Write both reports and the loss chart; returns the content of ``report.json``. Raises OSError where it can't."""
    folder = folder.absolute()
    recipe = recipe_file.read(folder / "recipe.yaml")
    lines, facts = log.read(folder), read_facts(folder)
    word, sentence = verdict(lines)
    if facts.get("outcome") == "failed":
        word, sentence = ("diverged" if word == "diverged" else "failed"), facts.get("message", sentence)  # type: ignore[assignment]
    steps = [line["step"] for line in lines if "loss" in line]
    judged = {line["step"]: line for line in lines if line.get("event") == "judged"}
    saves = [{**save, "judged": judged.get(save["step"])} for save in _saves(folder)]
    data = {
        "name": recipe.save.name,
        **facts,
        "verdict": word,
        "advice": sentence,
        "steps": max(steps, default=0),
        "final_loss": next((line["smoothed"] for line in reversed(lines) if "smoothed" in line), None),
        "saves": [save["path"] for save in saves],
        "save_table": saves,
        "controls": _controls(folder),
        "picture_losses": _pictures(folder),
        "ratings": _ratings(folder),
        "warnings": [line["text"] for line in lines if line.get("event") == "warning"],
    }
    picture = chart(lines, f"Loss of {recipe.save.name}")
    atomic.write(folder / "loss.png", lambda file: picture.save(file, "PNG"))
    data = json_file.replace_nonfinite(data)
    _write(folder, recipe, data)
    return data


def rewrite_ratings(folder: Path) -> None:
    """Put a run's ratings as they are now into its report, where it has one; all else stays. Raises OSError where it
    can't be written.
    """
    data = json_file.read_or(folder / "report.json", {})
    if data:
        _write(folder.absolute(), recipe_file.read(folder / "recipe.yaml"), {**data, "ratings": _ratings(folder)})


def _write(folder: Path, recipe: Recipe, data: dict[str, Any]) -> None:
    json_file.write(folder / "report.json", data)
    atomic.text(folder / "report.md", _markdown(folder, recipe, data))


def _ratings(folder: Path) -> list[dict[str, Any]]:
    return rated_counts(ratings.read(folder))


def _pictures(folder: Path) -> dict[str, Any]:
    """List the pictures whose loss says something, with the steps that were compared; empty where none was measured."""
    found = picture_losses.read(folder)
    if found is None or len(found.steps) < 2:
        return {}
    rows = [
        {
            "picture": Path(one.picture.path).name,
            "caption": one.picture.caption,
            "before": one.before,
            "now": one.now,
            "finding": one.finding,
        }
        for one in rated_pictures(found)
    ]
    return {"before": min(found.steps), "now": max(found.steps), "measured": len(rows), "rows": rows}


def _markdown(folder: Path, recipe: Recipe, data: dict[str, Any]) -> str:
    """Fill in the template ``report.md.jinja``."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    environment.filters |= {"plain": _plain, "quote": quote, "duration": duration, "link": partial(_link, folder)}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        data,
        recipe=recipe,
        size="".join(f", {size}" for size in recipe.method.sizes),
        base=Path(recipe.model.base).name,
        figures=_figures(data),
        controls=list({(one["set"], one["prompt"]): one for one in reversed(data["controls"])}.values())[::-1],
        grid=(folder / "controls" / "grid.png").exists(),
        remarks=[*data.get("notes", []), *data["warnings"]],
        listed=LISTED,
        found_pictures=[one for one in data.get("picture_losses", {}).get("rows", []) if one["finding"]],
        findings=FINDINGS,
        rated=data.get("ratings", []),
    )


def _figures(data: dict[str, Any]) -> list[tuple[str, str]]:
    """List rows (what, measured) of the figures that the run has."""
    rows = []
    if "concept_learned" in data:
        rows.append(("Concept learned (pictures with the trigger that show it)", f"{data['concept_learned']:.0%}"))
    if "bleeding" in data:
        rows.append(("Bleeding (worst group of pictures without the trigger that show it)", f"{data['bleeding']:.1%}"))
    rows += [(f"— {_plain(name)}", f"{value:.1%}") for name, value in data.get("bleeding_groups", {}).items()]
    if "copies" in data:
        rows.append(
            ("Copies (pictures with the trigger that repeat a training picture)", f"{data['copies']['copied']:.1%}")
        )
    rows += [(f"Base model right in {name}", f"{value:.0%}") for name, value in data.get("base_quality", {}).items()]
    if data.get("readback_max_diff") is not None:
        rows.append(
            ("Saved file against memory (largest difference of the model's output)", f"{data['readback_max_diff']:.2g}")
        )
    if "memory" in data:
        memory = data["memory"]
        where = f"A step's memory on the GPU, at {memory['width']}×{memory['height']} in batches of {memory['batch']}"
        rows.append((where, f"{memory['needed_mb']:,.0f} of {memory['free_mb']:,.0f} MB free ({data['mode']})"))
    return rows


def _link(folder: Path, save: dict[str, Any]) -> str:
    """Name a save, as a link where its file is in the run's folder."""
    path = Path(save["path"])
    name = _plain(path.name)
    return f"[{name}]({quote(path.relative_to(folder).as_posix())})" if path.is_relative_to(folder) else name


def _saves(folder: Path) -> list[dict[str, Any]]:
    """List the index of saves with each file's absolute path, size in bytes and hash (None where it is missing)."""
    found = []
    for entry in map(asdict, read_index(folder)):
        path = folder / "saves" / entry["file"]
        there = path.is_file()
        size = path.stat().st_size if there else None
        found.append({**entry, "path": str(path), "bytes": size, "sha256": _sha256(path) if there else None})
    return found


def _controls(folder: Path) -> list[dict[str, Any]]:
    """List each control prompt with its first and its newest picture, relative to the run's folder."""
    content = {"steps": [], "prompts": [], **json_file.read_or(folder / "controls" / "index.json", {})}
    if not content["steps"]:
        return []
    found = []
    for entry in content["prompts"]:
        drawn = entry.get("steps") or content["steps"]
        own = {"first": min(drawn), "last": max(drawn)}
        paths = {
            name: f"controls/{entry['set']}/{entry['number']:02d}/step-{step:06d}.png" for name, step in own.items()
        }
        found.append({**entry, **paths, **{f"{name}_step": step for name, step in own.items()}})
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _plain(text: str) -> str:
    """Text that Markdown and HTML leave alone."""
    cleaned = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#!])", r"\\\1", cleaned)

"""Summarize a dataset as text and as data: counts against the guide, buckets, captions, problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..dataset import captions
from ..dataset.folder import Scan
from ..dataset.plan import Plan
from ..storage.text import printable, quantity
from .advice import advice, cache_bytes
from .findings import pictures

LISTED = 20
"""Sentences of each kind in the text; the data have all of them."""


@dataclass(frozen=True)
class Report:
    """A report: ``text`` for people, ``data`` for programs (JSON types only)."""

    text: str
    data: dict[str, Any]


def summarize(scan: Scan, plan: Plan, notes: Sequence[str] = (), method: str = "") -> Report:
    """Summarize a scanned dataset and the plan made from it. ``notes``: further sentences, such as the cache's;
    ``method``: the name of the method that is to be trained.
    """
    data = {
        "pictures": len(scan.pictures),
        "held_out": sorted(plan.held_out),
        "concepts": [_concept(scan, number) for number in range(len(scan.concepts))],
        "buckets": _buckets(plan),
        "batch_size": plan.train.batch_size,
        "accumulation": plan.train.accumulation,
        "showings_per_epoch": plan.showings_per_epoch,
        "steps_per_epoch": plan.steps_per_epoch,
        "total_steps": plan.total_steps,
        "cache_bytes": cache_bytes(plan),
        "advice": [finding.text for finding in advice(scan, plan, method)],
        "notes": list(notes),
        "problems": [{"file": str(p.path), "text": p.text, "skipped": p.skipped} for p in scan.problems],
    }
    return Report(_text(data), data)


def tag_frequency(scan: Scan) -> dict[str, dict[str, int]]:
    """Count the tags in the captions of each folder: kohya's ``ss_tag_frequency``."""
    counts: dict[str, Counter[str]] = {}
    for picture in scan.pictures:
        counts.setdefault(picture.path.parent.name, Counter()).update(captions.tags(picture.caption))
    return {folder: dict(counter) for folder, counter in counts.items()}


def dataset_dirs(scan: Scan, regularization: bool) -> dict[str, dict[str, int]]:
    """Return repeats and picture count of each folder: kohya's ``ss_dataset_dirs`` and ``ss_reg_dataset_dirs``."""
    found: dict[str, dict[str, int]] = {}
    for picture in scan.pictures:
        if picture.regularization == regularization:
            entry = found.setdefault(picture.path.parent.name, {"n_repeats": picture.repeats, "img_count": 0})
            entry["img_count"] += 1
    return found


def _concept(scan: Scan, number: int) -> dict[str, Any]:
    concept = scan.concepts[number]
    own = [p for p in scan.pictures if p.concept == number and not p.regularization]
    others = [p for p in scan.pictures if p.concept == number and p.regularization]
    return {
        "name": concept.name,
        "kind": concept.kind,
        "trigger": concept.trigger,
        "instance_pictures": len(own),
        "instance_showings": sum(p.repeats for p in own),
        "regularization_pictures": len(others),
        "without_caption": sum(not p.caption for p in own),
        "masks": sum(p.mask_path is not None for p in own),
    }


def _buckets(plan: Plan) -> list[dict[str, Any]]:
    size = plan.train.batch_size
    return [
        {
            "width": queue.bucket.width,
            "height": queue.bucket.height,
            "instance_pictures": len(set(queue.instances)),
            "regularization_pictures": len({i for ring in queue.rings for i in ring.pictures}),
            "showings": round(float(queue.showings), 2),
            "left_over": round(float(queue.showings % size), 2),
        }
        for queue in plan.queues
    ]


def _text(data: dict[str, Any]) -> str:
    lines = []
    for concept in data["concepts"]:
        line = f"{printable(concept['name'])} ({concept['kind']}): {pictures(concept['instance_pictures'])}"
        if concept["instance_showings"] != concept["instance_pictures"]:
            line += f", {concept['instance_showings']:,} showings an epoch"
        if concept["masks"]:
            line += f", {concept['masks']:,} with a mask"
        lines.append(f"{line}; {concept['regularization_pictures']:,} for regularization.")
    lines.append(
        f"An epoch shows {pictures(data['showings_per_epoch'])} in {quantity(data['steps_per_epoch'], 'step')} of "
        f"{data['batch_size']} × {data['accumulation']}; the run has {quantity(data['total_steps'], 'step')}."
    )
    lines += ["", "Bucket        Pictures  Regularization  Showings  Left over"]
    for b in data["buckets"]:
        size = f"{b['width']}×{b['height']}"
        lines.append(
            f"{size:<12}  {b['instance_pictures']:>8,}  {b['regularization_pictures']:>14,}"
            f"  {b['showings']:>8g}  {b['left_over']:>9g}"
        )
    skipped = [p["text"] for p in data["problems"] if p["skipped"]]
    remarks = [p["text"] for p in data["problems"] if not p["skipped"]]
    for title, sentences in (
        ("Advice", data["advice"]),
        (f"Left out ({len(skipped)})", skipped),
        (f"Worth a look ({len(remarks)})", remarks),
        ("Notes", data["notes"]),
    ):
        if sentences:
            lines += ["", f"{title}:", *(f"- {sentence}" for sentence in sentences[:LISTED])]
            if len(sentences) > LISTED:
                lines.append(f"- and {len(sentences) - LISTED:,} more.")
    return "\n".join(lines) + "\n"

"""The full report of a dataset, from file names, headers, captions and pixels.

A run's own report (``summary``) reads headers only and is quick. This one opens every picture once and finds copies,
recurring features, sharpness and brightness. Findings have a stable ``kind``, by which a program can offer a remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..dataset.folder import Problem, Scan
from ..dataset.plan import Plan
from . import tags
from .accepted_duplicates import AcceptedDuplicates, concept_folders
from .advice import advice
from .duplicates import Group, duplicates
from .findings import Finding, named, paths, pictures
from .missing_captions import caption_findings
from .quality import figures, histograms, quality, regularization_variety
from .recurring import recurring_features
from .summary import LISTED, Report, summarize
from .thumbnails import Progress, Thumbnails, make_thumbnails

BATCHES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)
"""Batch sizes for which left-over showings are counted."""
TAGS = 200
"""Number of most frequent tags in the data."""


def inspect(
    scan: Scan, plan: Plan, folder: Path | None = None, progress: Progress | None = None, method: str = ""
) -> Report:
    """Report on a dataset. ``folder``: where thumbnails are cached; without it they aren't. ``method``: the
    name of the method that is to be trained.

    Duplicates that the user has accepted are not reported.
    """
    thumbnails = make_thumbnails(scan.pictures, folder, plan.dataset.background, progress)
    groups = duplicates(thumbnails, [_rank(scan, picture) for picture in thumbnails.pictures])
    copies = {row for group in groups for row in group.rows[1:]}
    accepted = AcceptedDuplicates(concept_folders(scan))
    groups = [group for group in groups if not accepted.holds(_digests(thumbnails, group))]
    found = [
        *_unusable([*scan.problems, *thumbnails.problems]),
        *_copies(scan, thumbnails, groups),
        *advice(scan, plan, method),
        *caption_findings(scan),
        *quality(scan, thumbnails),
        *regularization_variety(scan, thumbnails, copies),
        *recurring_features(scan, thumbnails, copies),
    ]
    base = summarize(scan, plan, method=method)
    problems = [{"file": str(p.path), "text": p.text, "skipped": p.skipped} for p in thumbnails.problems]
    data = {
        **base.data,
        "problems": [*base.data["problems"], *problems],
        "left_over": left_over(plan),
        "figures": figures(scan, thumbnails),
        "histograms": histograms(scan, thumbnails),
        "tags": [dict(tags.counts(scan, n).most_common(TAGS)) for n in range(len(scan.concepts))],
        "duplicates": [_group(scan, thumbnails, group) for group in groups],
        "findings": [finding.data for finding in found],
    }
    return Report(_text(base.text, data, found, thumbnails.problems), data)


def left_over(plan: Plan) -> dict[str, float]:
    """Return, for each batch size, how many showings of an epoch don't fill a batch of their bucket, in all buckets.

    They begin the next epoch's batches; where there are many, a short run shows pictures unevenly.
    """
    return {
        str(size): round(float(sum(queue.showings % size for queue in plan.queues)), 2)
        for size in sorted({*BATCHES, plan.train.batch_size})
    }


def _rank(scan: Scan, picture: int) -> tuple[int, ...]:
    """Rank copies: an instance picture first, then the largest, the least compressed, one with a caption."""
    p = scan.pictures[picture]
    return (not p.regularization, p.width * p.height, p.size, bool(p.caption))


def _copies(scan: Scan, thumbnails: Thumbnails, groups: Sequence[Group]) -> list[Finding]:
    """Return a finding for each group but those of regularization pictures that only look alike: a few are no fault,
    and ``regularization_variety`` tells of many.
    """
    found = []
    for group in groups:
        kept, *others = (thumbnails.pictures[row] for row in group.rows)
        files, rest = paths(scan.pictures, (kept, *others)), paths(scan.pictures, others)
        regularization = {scan.pictures[p].regularization for p in (kept, *others)}
        crossing = len(regularization) > 1
        if not group.exact and regularization == {True}:
            continue
        if crossing:
            kind = "copies_across"
            text = (
                f"{named(files)} are copies of each other, among both the instance and the regularization pictures: "
                "remove them from one of the two, or training works against itself."
            )
        elif group.exact:
            kind = "copies_exact"
            text = (
                f"{named(rest)} {_is(rest)} the same file as {named(files[:1])}: remove {_it(rest)}, or the picture "
                "counts several times."
            )
        else:
            kind = "copies_near"
            text = (
                f"{named(rest)} {_shows(rest)} the same as {named(files[:1])}{_how(group)}: keep only the best one, "
                "or the picture counts several times."
            )
        facts = {"keep": str(files[0]), "relations": list(group.relations), "digests": _digests(thumbnails, group)}
        found.append(Finding(kind, text, files, scan.pictures[kept].concept, facts))
    return found


def _digests(thumbnails: Thumbnails, group: Group) -> list[str]:
    """Return the checksums of a group's files, in its order. (numpy drops zeros at the end of bytes.)"""
    return [bytes(thumbnails.digests[row]).ljust(20, b"\0").hex() for row in group.rows]


def _how(group: Group) -> str:
    kinds = sorted({relation for relation in group.relations if relation in ("mirrored", "rotated", "cropped")})
    return f" ({', '.join(kinds)})" if kinds else ""


def _is(files: Sequence[Path]) -> str:
    return "is" if len(files) == 1 else "are"


def _shows(files: Sequence[Path]) -> str:
    return "shows" if len(files) == 1 else "show"


def _it(files: Sequence[Path]) -> str:
    return "it" if len(files) == 1 else "them"


def _group(scan: Scan, thumbnails: Thumbnails, group: Group) -> dict[str, Any]:
    files = [str(scan.pictures[thumbnails.pictures[row]].path) for row in group.rows]
    return {"files": files, "relations": list(group.relations), "exact": group.exact}


def _unusable(problems: Sequence[Problem]) -> list[Finding]:
    skipped = tuple(dict.fromkeys(problem.path for problem in problems if problem.skipped))
    if not skipped:
        return []
    count = f"{len(skipped):,} file{'' if len(skipped) == 1 else 's'}"
    text = f"{count} can't be used ({named(skipped)}): replace or remove {_it(skipped)}; the reason for each is listed."
    return [Finding("unusable", text, skipped)]


def _text(base: str, data: dict[str, Any], found: Sequence[Finding], unread: Sequence[Problem]) -> str:
    """Write the report: the run's own first, then what that doesn't contain."""
    advised = {*data["advice"]}
    lines = [base.rstrip("\n"), ""]
    over = ", ".join(f"{size}: {count:g}" for size, count in data["left_over"].items())
    lines.append(f"Left over in an epoch, by batch size: {over}.")
    facts = data["figures"]
    for name, title in (("shorter_side", "Shorter side"), ("sharpness", "Sharpness"), ("brightness", "Brightness")):
        if facts[name] is not None:
            lines.append("{0}: {least:g} to {most:g}, median {middle:g}.".format(title, **facts[name]))
    for title, kinds in (
        (f"Copies ({len(data['duplicates'])} {'group' if len(data['duplicates']) == 1 else 'groups'})", "copies_"),
        ("What recurs", "recurring_"),
    ):
        _section(lines, title, [finding.text for finding in found if finding.kind.startswith(kinds)])
    elsewhere = ("copies_", "recurring_", "unusable")
    others = [f.text for f in found if not f.kind.startswith(elsewhere) and f.text not in advised]
    _section(lines, "Pictures and captions", others)
    _section(lines, f"Damaged ({pictures(len(unread))})", [problem.text for problem in unread])
    return "\n".join(lines) + "\n"


def _section(lines: list[str], title: str, sentences: Sequence[str]) -> None:
    if sentences:
        lines += ["", f"{title}:", *(f"- {sentence}" for sentence in sentences[:LISTED])]
        if len(sentences) > LISTED:
            lines.append(f"- and {len(sentences) - LISTED:,} more.")

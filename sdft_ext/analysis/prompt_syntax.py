"""Find captions with prompt syntax, which training reads as plain text."""

from __future__ import annotations

from ..dataset import caption_syntax
from ..dataset.folder import Scan
from ..dataset.plan import Plan
from ..storage.text import printable, quantity
from .findings import Finding, named, paths

LONGEST = 40
"""Characters of an example."""


def prompt_syntax(scan: Scan, plan: Plan) -> list[Finding]:
    """Return a finding for each kind of prompt syntax in the captions: a file loaded, weights, BREAK, and wildcards
    where they aren't chosen from.
    """
    rows: dict[str, list[int]] = {}
    examples: dict[str, str] = {}
    for number, picture in enumerate(scan.pictures):
        for kind, example in caption_syntax.found(picture.caption, plan.dataset.wildcards).items():
            rows.setdefault(kind, []).append(number)
            examples.setdefault(kind, example)
    findings = []
    for kind in (kind for kind in caption_syntax.PATTERNS if kind in rows):
        files = paths(scan.pictures, rows[kind])
        example = examples[kind] if len(examples[kind]) <= LONGEST else f"{examples[kind][: LONGEST - 1]}…"
        count = quantity(len(files), "caption")
        text = (
            f"{count} contain{'s' if len(files) == 1 else ''} {printable(example)} "
            f"{'' if kind in ('break', 'network') else 'or the like '}({named(files)}). {caption_syntax.MEANING[kind]}"
        )
        findings.append(Finding("prompt_syntax", text, files, None, {"syntax": kind, "count": len(files)}))
    return findings

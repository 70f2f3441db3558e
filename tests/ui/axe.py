"""axe-core on a page: what hinders people who use a keyboard or a screen reader, or who see poorly."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT

NAMED = os.environ.get("SDFT_AXE", "")
"""The file axe.min.js; where it is named, it must exist."""
INSTALLED = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")

RUN = """async ([within, tags, rules]) => {
    const only = rules.length ? { type: 'rule', values: rules } : { type: 'tag', values: tags };
    const found = await axe.run(within ?? document, { runOnly: only, resultTypes: ['violations'] });
    return found.violations.flatMap(({ id, help, nodes }) => nodes.map(({ target, failureSummary }) =>
        `${id} (${help}): ${target.flat().join(' ')}: ${failureSummary.split('\\n').slice(1).join(' ').trim()}`));
}"""


def source() -> str:
    """axe-core's code. Skips the test where it isn't installed, as npm is only needed to check the page."""
    file = Path(NAMED) if NAMED else INSTALLED
    if not NAMED and not file.is_file():
        pytest.skip("no axe-core: npm install, or name its axe.min.js in SDFT_AXE")
    return file.read_text()


def violations(page: Any, within: str | None = None, rules: tuple[str, ...] = ()) -> list[str]:
    """Return what axe finds on the page, or inside the element that ``within`` selects: the rule, the element, and what is wrong,
    with the contrast's figures. ``rules`` names single rules instead of all of WCAG 2.1 AA and best practice.
    """
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(source())
    return list(page.evaluate(RUN, [within, list(RULES), list(rules)]))

"""The kinds by name, as docs/security.md lists them. ``python -m tests.kinds.page`` writes them into the page."""

from __future__ import annotations

import importlib
import textwrap
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
START, END = "## Kinds of bad files that are tried", "## Not promised"
INTRODUCTION = (
    "Each kind goes through the readers, the tools and the command line in `tests/kinds/`. What must follow: a "
    "sentence that names the file or the setting and says what to do, or exactly the right values, or a notice that "
    "names the file. Never a traceback, a hang or silence."
)
SUBJECTS = ("recipes", "pictures", "captions", "safetensors", "pickles")
WIDTH = 140


def section() -> str:
    """Write the page's section from the lists."""
    parts = [START, textwrap.fill(INTRODUCTION, WIDTH)]
    for subject in SUBJECTS:
        try:
            kinds = importlib.import_module(f"tests.kinds.{subject}").KINDS
        except ModuleNotFoundError:
            continue
        names = "; ".join(kind.name for kind in kinds)
        parts.append(
            textwrap.fill(f"**{subject.capitalize()}** ({len(kinds)}): {names}.", WIDTH, break_on_hyphens=False)
        )
    return "\n\n".join(parts) + "\n\n"


def with_section(page: str) -> str:
    """Return the page with its section as the lists are now."""
    start = page.index(START) if START in page else page.index(END)
    return page[:start] + section() + page[page.index(END) :]


if __name__ == "__main__":
    PAGE.write_text(with_section(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

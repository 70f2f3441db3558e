"""docs/security.md lists every kind by its name."""

import re

from .page import PAGE, SUBJECTS, section


def test_the_page_lists_every_kind():
    assert section() in PAGE.read_text(encoding="utf-8")


def test_each_subject_has_forty_kinds_or_more():
    counts = {name.lower(): int(count) for name, count in re.findall(r"\*\*(\w+)\*\* \((\d+)\)", section())}
    assert all(count >= 40 for count in counts.values()) and set(counts) <= set(SUBJECTS)

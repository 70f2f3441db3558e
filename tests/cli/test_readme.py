"""README's table of commands is the parser's."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from sdft_ext.cli.main import parser

README = Path(__file__).resolve().parents[2] / "README.md"


def commands(of: argparse.ArgumentParser, prefix: str = "") -> Iterator[str]:
    """Every command, and of a group every command in it."""
    groups = [action for action in of._actions if isinstance(action, argparse._SubParsersAction)]
    for group in groups:
        for name, below in group.choices.items():
            yield from commands(below, f"{prefix}{name} ")
    if not groups:
        yield prefix.strip()


def listed() -> list[str]:
    """The commands in the first cells of the table, up to their arguments."""
    table = (
        README.read_text(encoding="utf-8").partition("| command | what it does |\n|---|---|\n")[2].partition("\n\n")[0]
    )
    found = []
    for row in table.splitlines():
        for text in re.findall(r"`([^`]+)`", row.split(" | ")[0]):
            names = text.split()
            found.append(" ".join(names[: 2 if names[0] in ("dataset", "captions", "tools") else 1]))
    return found


def test_the_table_lists_every_command_once() -> None:
    wanted = list(commands(parser()))
    assert sorted(listed()) == sorted(wanted) and len(wanted) > 20

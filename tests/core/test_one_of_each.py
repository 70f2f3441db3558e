"""Ideas that every room needs are written once: on the syntax tree, so that a new copy fails here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sdft_ext", "bench", "make_assets")
APART = {"sdft_ext/captions/matcher.py": "runs alone in a process of its own, where the package can't be imported"}


def files() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name not in APART:
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def json_parsers(tree: ast.AST) -> Iterator[int]:
    """Lines that parse JSON with Python's own module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "json":
            names = {node.attr}
        elif isinstance(node, ast.ImportFrom) and node.module == "json":
            names = {name.name for name in node.names}
        else:
            continue
        if names & {"load", "loads", "JSONDecoder"}:
            yield node.lineno


def numbered_names(tree: ast.AST) -> Iterator[int]:
    """Lines of a loop that put its counter behind a name: ``f"{name}-{number}"``, tried until one is free.

    The counter is what a ``while`` loop increments, or what runs over ``count(…)`` or ``range(first, …)``.
    """
    for loop in ast.walk(tree):
        counters = set(_counters(loop))
        for node in ast.walk(loop) if counters else ():
            if isinstance(node, ast.JoinedStr) and _ends_in_a_number(node, counters):
                yield node.lineno


def _counters(loop: ast.AST) -> Iterator[str]:
    if isinstance(loop, ast.While):
        for node in ast.walk(loop):
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                yield node.target.id
    places: list[ast.For | ast.comprehension] = [loop] if isinstance(loop, ast.For) else getattr(loop, "generators", [])
    for place in places:
        if isinstance(place.target, ast.Name) and isinstance(place.iter, ast.Call):
            name = ast.unparse(place.iter.func).rpartition(".")[2]
            if name == "count" or (name == "range" and len(place.iter.args) > 1):
                yield place.target.id


def _ends_in_a_number(text: ast.JoinedStr, counters: set[str]) -> bool:
    before, last = ([ast.Constant("")] * 2 + text.values)[-2:]
    return (
        isinstance(last, ast.FormattedValue)
        and last.format_spec is None
        and isinstance(last.value, ast.Name)
        and last.value.id in counters
        and isinstance(before, ast.Constant)
        and str(before.value).endswith(("-", "_", " ", "("))
    )


@pytest.mark.parametrize(
    ("finder", "home"),
    [(json_parsers, "sdft_ext/storage/json_file.py"), (numbered_names, "sdft_ext/storage/free_name.py")],
    ids=["JSON", "free names"],
)
def test_written_once(finder, home: str) -> None:
    found = {name for name, tree in files() if list(finder(tree))}
    assert found == {home}


COPIES = [
    ('while name in taken:\n number += 1\n name = f"{stem}-{number}"', 1),
    ('while True:\n p = root / (name if n == 1 else f"{name}-{n}")\n n += 1', 1),
    ("while True:\n p = root.with_name(f\"{root.name}{'' if n == 1 else f'-{n}'}\")\n n += 1", 1),
    ('for number in range(1, 100):\n folder = output / f"{name}-{number}"', 1),
    ('next(f"{name}_{n}" for n in itertools.count(2) if f"{name}_{n}" not in taken)', 2),
    ('while f"blocks.{number}.weight" in shapes:\n number += 1', 0),
    ('for number in range(3):\n show(f"shown-{number}")', 0),
]


@pytest.mark.parametrize(("code", "lines"), COPIES)
def test_a_copy_is_found(code: str, lines: int) -> None:
    assert len(list(numbered_names(ast.parse(code)))) == lines


def test_every_exempt_file_exists() -> None:
    assert all((ROOT / name).is_file() for name in APART)

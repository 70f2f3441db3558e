"""Limits of the size of files, classes and functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE, TESTS = ("sdft_ext", "bench", "make_assets", "scripts", "standalone.py", "install.py"), ("tests",)
FILE_LINES, TEST_FILE_LINES, CLASS_LINES, FUNCTION_LINES, PARAMETERS = 400, 500, 300, 60, 7
MANY_PARAMETERS = {"setting"}
"""Each of its parameters is a property of a recipe's field."""


def files(*places: str) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def lines(node: ast.AST) -> int:
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])  # type: ignore[attr-defined]
    return int(node.end_lineno) - first + 1  # type: ignore[attr-defined]


def named(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}: {getattr(node, 'name', '')} {lines(node)}"


@pytest.mark.parametrize(("places", "most"), [(CODE, FILE_LINES), (TESTS, TEST_FILE_LINES)], ids=["code", "tests"])
def test_no_file_is_too_long(places: tuple[str, ...], most: int) -> None:
    counts = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files(*places)}
    assert [f"{path.relative_to(ROOT)} {count}" for path, count in counts.items() if count > most] == []


def test_no_class_is_too_long() -> None:
    assert [
        named(path, node)
        for path in files(*CODE)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and lines(node) > CLASS_LINES
    ] == []


def test_no_function_is_too_long_or_takes_too_much() -> None:
    found = []
    for path in files(*CODE):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                count = len([name for name in arguments if name not in ("self", "cls")])
                if lines(node) > FUNCTION_LINES or (count > PARAMETERS and node.name not in MANY_PARAMETERS):
                    found.append(f"{named(path, node)} ({count} parameters)")
    assert found == []

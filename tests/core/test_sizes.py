"""How large a file, a class and a function may grow before they hold more than one idea."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Container, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE, TESTS = ("sdft_ext", "bench", "make_assets", "scripts", "standalone.py", "install.py"), ("tests",)
PAGE = ("sdft_ext/ui/page", "javascript")
FILE_LINES, TEST_FILE_LINES, CLASS_LINES, FUNCTION_LINES, PARAMETERS = 400, 500, 300, 60, 7
PAGE_FUNCTION_LINES = 100
"""A function that draws a panel holds what all of its controls share, so the page's may be longer."""
SUFFIXES = (".py", ".mjs", ".ts", ".css")
MANY_PARAMETERS = {"setting"}
"""Each of its parameters is an attribute of a recipe field, documented there."""


def files(*places: str, suffixes: Container[str] = (".py",)) -> Iterator[Path]:
    """The files in these folders, other people's left out."""
    for place in places:
        path = ROOT / place
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (one for one in found if one.suffix in suffixes and "vendor" not in one.parts)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def lines(node: ast.AST) -> int:
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])  # type: ignore[attr-defined]
    return int(node.end_lineno) - first + 1  # type: ignore[attr-defined]


def named(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}: {getattr(node, 'name', '')} {lines(node)}"


@pytest.mark.parametrize(
    ("places", "most"), [((*CODE, *PAGE), FILE_LINES), (TESTS, TEST_FILE_LINES)], ids=["code", "tests"]
)
def test_no_file_is_too_long(places: tuple[str, ...], most: int) -> None:
    counts = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files(*places, suffixes=SUFFIXES)}
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


def test_no_function_of_the_page_is_too_long() -> None:
    if not (ROOT / "node_modules" / "typescript").is_dir() or shutil.which("node") is None:
        pytest.skip("no TypeScript to read the page with: npm install")
    names = [str(path.relative_to(ROOT)) for path in files(*PAGE, *TESTS, suffixes=(".mjs",))]
    command = ["node", "tests/core/long_functions.mjs", str(PAGE_FUNCTION_LINES), *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == []

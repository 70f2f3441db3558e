"""The order of the rooms, as docs/architecture.md draws it: each imports only from those below it, and no files in a
circle.
"""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "sdft_ext"
HOST_ONLY = ("modules", "modules_forge", "backend", "launch", "gradio", "scripts", "networks")
"""Packages of a WebUI: imported by the files that are made for it, and by no other."""
MADE_FOR_A_WEBUI = ("host/webui/", "extension.py")


def drawn() -> list[list[str]]:
    """Return the rooms from top to bottom; those on one line are on one level."""
    lines = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("sdft_ext/") + 1
    found = []
    for line in lines[start:]:
        if not line.startswith("  "):
            return found
        names = line.strip().partition("  ")[0].split()
        if not line.startswith("   "):
            found.append([name.strip("/").removesuffix(".py") for name in names])
    raise AssertionError("the picture of the house has no end")


def imports(path: Path) -> Iterator[str]:
    """Return the full names of everything that a file imports, anywhere in it."""
    package = ("sdft_ext", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            if node.module is None or base == "sdft_ext":
                yield from (f"{base}.{name.name}" for name in node.names)
            else:
                yield base


def room(name: str, rooms: dict[str, int]) -> str | None:
    """Return the room that a module, by its full name, belongs to."""
    parts = name.split(".")
    if parts[0] != "sdft_ext" or len(parts) == 1 or (parts[1].startswith("__") and parts[1] != "__main__"):
        return None
    if parts[1] in rooms:
        return parts[1]
    return next((one for one in rooms if parts[1].startswith(f"{one}_")), None)


def test_each_room_imports_only_from_rooms_below() -> None:
    rooms = {name: place for place, names in enumerate(drawn()) for name in names}
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        own = room("sdft_ext." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts), rooms)
        for name in imports(path):
            other = room(name, rooms)
            if own and other and rooms[other] < rooms[own]:
                wrong.append(f"{file} imports {name}")
    assert wrong == []


def test_every_room_is_drawn() -> None:
    rooms = {name: place for place, names in enumerate(drawn()) for name in names}
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert {name for name in there if room(f"sdft_ext.{name}", rooms) is None} == {"__init__"}


def test_only_the_webui_s_own_files_know_it() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        if not file.startswith(MADE_FOR_A_WEBUI):
            wrong += [f"{file} imports {name}" for name in imports(path) if name.partition(".")[0] in HOST_ONLY]
    assert wrong == []


def module_name(path: Path) -> str:
    return ".".join(("sdft_ext", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def type_checking_only(tree: ast.AST) -> set[ast.AST]:
    """Return the nodes under ``if TYPE_CHECKING:``, which are never executed."""
    blocks = [
        node.body for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {node for block in blocks for statement in block for node in ast.walk(statement)}


def imported_modules(path: Path, modules: set[str]) -> set[str]:
    """Return the modules of the package that a file imports when it runs, at its top or inside a function."""
    package = ("sdft_ext", *path.relative_to(PACKAGE).parent.parts)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = type_checking_only(tree)
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            inner = {f"{base}.{alias.name}" for alias in node.names}
            found |= (inner & modules) or {base}
    return found & modules - {module_name(path)}


def test_no_files_import_each_other_in_a_circle() -> None:
    """Not even inside functions, so that a file can be understood and tested with only those that it imports."""
    paths = {module_name(path): path for path in PACKAGE.rglob("*.py")}
    graph = {name: imported_modules(path, set(paths)) for name, path in paths.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        raise AssertionError(f"these import each other: {' → '.join(reversed(error.args[1]))}") from None

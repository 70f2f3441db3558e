"""The order of the rooms, as docs/architecture.md draws it: each imports only from those below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "sdft_ext"
HOST_ONLY = ("modules", "modules_forge", "backend", "launch", "gradio", "scripts", "networks")
"""Of a WebUI: imported by the files that are made for it, and by no other."""


def drawn() -> list[list[str]]:
    """The rooms from top to bottom; what stands on one line is one step."""
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
    """Whole names of what a file imports, anywhere in it."""
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
    """Of the part of the package that a module's whole name stands for; a file beside a room belongs to it."""
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


@pytest.mark.parametrize(
    "name", ["desk", "dataset", "preparation", "taggers", "train", "method", "model", "formats", "watch", "api"]
)
def test_core_rooms_know_no_webui(name: str) -> None:
    for path in (PACKAGE / name).rglob("*.py"):
        found = {imported.partition(".")[0] for imported in imports(path)}
        assert not found & set(HOST_ONLY), path.name

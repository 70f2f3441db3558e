"""The wheel: what ``pip install`` gives, away from the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sdft_ext import __version__

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built into a wheel and installed without its dependencies, which are the tests' own."""
    work = tmp_path_factory.mktemp("wheel")
    source, target = work / "source", work / "installed"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "sdft_ext", source / "sdft_ext", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    isolation = ["--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "wheel", *isolation, "--wheel-dir", str(work), str(source)], check=True)
    (wheel,) = work.glob("*.whl")
    assert wheel.name == f"sdft-{__version__}-py3-none-any.whl"
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)], check=True)
    return target


class Runs:
    """Unpickled carelessly, it would run a program."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("echo no",)


def run(installed: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python in another folder, with the installed package and not the repository's."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=installed.parent, env=environment, capture_output=True, text=True, timeout=300
    )


def sdft(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(installed, str(installed / "bin" / "sdft"), *arguments)


def test_it_holds_every_file_of_the_package(installed: Path) -> None:
    def files(folder: Path) -> set[str]:
        found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {path.relative_to(folder).as_posix() for path in found}

    types = {name for name in files(ROOT / "sdft_ext") if name.endswith(".d.ts")}  # for the type check alone
    assert files(installed / "sdft_ext") == files(ROOT / "sdft_ext") - types


def test_the_command_knows_its_name_and_version(installed: Path) -> None:
    assert sdft(installed, "--version").stdout.strip() == __version__
    assert "usage: sdft " in sdft(installed, "--help").stdout
    where = run(installed, "-c", "import sdft_ext; print(sdft_ext.__file__)").stdout
    assert where.startswith(str(installed))


def test_a_recipe_and_a_scan(installed: Path, tmp_path: Path) -> None:
    here = subprocess.run([sys.executable, "-m", "sdft_ext", "recipe"], cwd=ROOT, capture_output=True, text=True)
    assert sdft(installed, "recipe").stdout == here.stdout != ""
    file = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {}, "bad": Runs()}, file)
    done = sdft(installed, "scan", str(file))
    assert done.returncode == 1 and "system" in done.stdout and not done.stderr


PAGE = """
import sys
from pathlib import Path
from typing import Any
from fastapi.testclient import TestClient
from sdft_ext.api import PAGE
from sdft_ext.ui.standalone import application
app, desk = application(Path("no-checkpoint"), Path("runs").absolute())
client = TestClient(app, base_url="http://127.0.0.1:7861")
assert client.get("/").status_code == 200
files = [path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*") if path.is_file() and path.suffix != ".LICENSE"]
for name in files:
    answer = client.get(f"/sdft/page/{name}")
    assert answer.status_code == 200 and answer.content == (PAGE / name).read_bytes(), name
desk.close()
print(len(files))
"""


def test_every_file_of_the_page_is_served(installed: Path) -> None:
    done = run(installed, "-c", PAGE)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


@pytest.mark.parametrize("module", ["sdft_ext.ui.standalone", "sdft_ext.toy.demo"])
def test_what_needs_the_toy_model_says_so(installed: Path, module: str) -> None:
    start = f"import sys; from {module} import main; sys.exit(main([]))"
    done = run(installed, "-c", start)
    assert done.returncode not in (0, None) and "toy model isn't part of the installed package" in done.stderr
    assert "Traceback" not in done.stderr

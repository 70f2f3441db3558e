"""``install.py`` as the WebUI runs it: adds what is missing, changes nothing else, and never stands in the start's
way.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from sdft_ext.host.missing import PACKAGES

ROOT = Path(__file__).resolve().parent.parent.parent
NOWHERE = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_NO_CACHE_DIR": "1", "PIP_CONFIG_FILE": os.devnull}


def installed(python: Path | str, **surroundings: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    result = subprocess.run(
        [str(python), str(ROOT / "install.py")],
        capture_output=True, text=True, cwd=ROOT.parent, env={**environment, **surroundings}, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def python_of(folder: Path, with_pip: bool) -> Path:
    venv.create(folder, with_pip=with_pip, symlinks=os.name != "nt")
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def test_silent_where_all_is_there() -> None:
    assert installed(sys.executable, **NOWHERE) == ""


@pytest.mark.parametrize("with_pip", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_offline_it_says_so_in_one_line_with_the_command(tmp_path: Path, with_pip: bool) -> None:
    python = python_of(tmp_path / "bare", with_pip)
    said = installed(python, **NOWHERE)
    assert said.startswith("Fine-tune: ") and said.count("\n") == 1
    pins = " ".join(package.pin for package in PACKAGES)
    assert "could not be installed" in said and f"{python} -m pip install --no-deps {pins}" in said

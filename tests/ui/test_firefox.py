"""Every panel in Firefox, with the files of version 0.1.0; Chromium's tests check the details."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compatibility.earlier import unpack

from .conftest import ROOT, Server

pytestmark = pytest.mark.slow

FIREFOX = os.environ.get("SDFT_FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")
Steps = list[tuple[str, ...]]


def steps(pictures: Path) -> dict[str, Steps]:
    """What is done in each panel, and what is seen there."""
    field = '[data-path="save.name"] input'
    here = "[role=tabpanel]:not([hidden])"
    return {
        "train": [
            ("see", f"{here} .sdft-summary h2"),
            ("click", "[data-action=example]"),
            ("fill", field, "fox"),
            ("see", field),
            ("see", "[data-action=train]:enabled"),
        ],
        "dataset": [
            ("see", f"{here} h2"),
            ("click", "[data-action=dataset-report]"),
            ("see", "[data-role=report] *"),
        ],
        "captions": [
            ("fill", "[data-action=captions-folder]", str(pictures)),
            ("click", "[data-action=captions-open]"),
            ("click", '.sdft-cap-cell:has([alt="0 again.png"])'),
            ("see", "[data-action=caption]"),
        ],
        "monitor": [("see", f"{here} section[aria-label=Loss] h2"), ("see", f"{here} .sdft-chart canvas")],
        "runs": [
            ("see", f"{here} h2"),
            ("see", "[data-run=cat] .sdft-run-name"),
            ("click", "[data-action=evaluate-cat]"),
        ],
        "evaluate": [("see", f"{here} h2"), ("see", "[data-action=tryout]:enabled")],
        "tools": [("see", f"{here} h2"), ("click", "[data-tool=metadata]"), ("see", "[data-action=tool-run]")],
        "guide": [
            ("see", f"{here} h2"),
            ("fill", f"{here} input", "min-snr"),
            ("see", "[data-entry]:not([hidden]) h3"),
        ],
    }


@pytest.fixture(scope="module")
def seen(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Each panel: what was seen of it, and what Firefox complained of."""
    if FIREFOX is None:
        pytest.skip("no Firefox: apt-get install firefox-esr, or name one in SDFT_FIREFOX")
    if not (ROOT / "node_modules" / "puppeteer-core").is_dir():
        pytest.skip("no puppeteer-core: npm install")
    home = unpack(data, tmp_path_factory.mktemp("firefox") / "home")
    server = Server(home / "runs")
    try:
        command = ["node", str(Path(__file__).with_name("firefox.mjs")), FIREFOX, server.address]
        wanted = json.dumps(steps(home / "pictures" / "cat"))
        done = subprocess.run(command, cwd=ROOT, input=wanted, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)
    finally:
        server.end()


SEEN = {
    "train": ["This run", "fox", "Train"],
    "dataset": ["Concepts", "12 instance pictures"],
    "captions": ["a cat, twice"],
    "monitor": ["Loss", ""],
    "runs": ["Runs", "cat"],
    "evaluate": ["Saves of", "Draw"],
    "tools": ["Tools", "Inspect"],
    "guide": ["Terms", "SNR weighting"],
}
"""Panel → what it shows, in the order of its steps: how each text begins."""


@pytest.mark.parametrize("panel", SEEN)
def test_the_panel_opens_and_its_main_control_works(seen: dict[str, Any], panel: str) -> None:
    assert seen[panel]["said"] == []
    begins = [text[: len(wanted)] for text, wanted in zip(seen[panel]["seen"], SEEN[panel], strict=True)]
    assert begins == SEEN[panel]

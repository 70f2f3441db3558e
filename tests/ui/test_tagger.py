"""Automatic captions in the Captions panel: missing files are named; results are previewed, applied and undone."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import ROOT, Open, Server
from .page import panel

pytestmark = pytest.mark.slow

PLUGGED = """
import sys
import numpy as np
from sdft_ext.taggers.base import Seen, Tag
from sdft_ext.taggers.known import SOURCES
from sdft_ext.ui.standalone import main

class Colours:
    id, label, sentences, why = "colours", "Colours", False, ""

    def see(self, picture):
        red, _, blue = (np.asarray(picture.convert("RGB")).reshape(-1, 3).mean(0) / 255).tolist()
        return Seen((Tag("some_picture", 1.0), Tag("much_red", red), Tag("much_blue", blue)))

    def close(self):
        pass

class Lacking(Colours):
    id, label, why = "lacking", "<b>WD</b>", "WD has no model.onnx: put it into the folder <taggers>."

SOURCES.append(lambda folder: [Colours(), Lacking()])
sys.exit(main(sys.argv[1:]))
"""
"""The standalone page with two taggers plugged in, as an extension would do it."""


@pytest.fixture
def plugged(tmp_path: Path) -> Iterator[Server]:
    pictures = tmp_path / "runs" / "datasets" / "mine"
    pictures.mkdir(parents=True)
    for path in (ROOT / "assets" / "example" / "subject" / "instance").glob("0*.*"):
        shutil.copy(path, pictures / path.name)
    found = Server(tmp_path / "runs", sys.executable, "-c", PLUGGED)
    yield found
    found.end()


def test_tagged_previewed_applied_and_undone(chromium, plugged, tmp_path):
    opened = Open(chromium, plugged.address)
    page = opened()
    folder = tmp_path / "runs" / "datasets" / "mine"
    panel(page, "captions")
    page.fill("[data-action=captions-folder]", str(folder))
    page.click("[data-action=captions-open]")
    page.click("[data-side=tagger]")
    page.locator("[data-action=tagger] option").nth(1).wait_for(state="attached")
    page.select_option("[data-action=tagger]", "lacking")
    assert "put it into the folder <taggers>" in page.locator("[data-role=tagger-why]").inner_text()
    assert page.locator("[data-action=tagger-start]").is_disabled()
    page.select_option("[data-action=tagger]", "colours")
    where = page.locator("[data-role=tagger-where]").inner_text()
    assert str(tmp_path / "runs") in where and "model.onnx" in where, "further taggers have a place, too"
    page.click("[data-action=tagger-start]")
    page.wait_for_selector("[data-action=tagger-apply]:enabled")
    assert page.locator("[data-role=tagger-preview]").inner_text() == "12 of 12 captions will change."
    page.fill("[data-tagger=threshold]", "1")
    page.wait_for_function("() => !document.querySelector('.sdft-cap-changes ins')?.textContent.includes('much')")
    page.wait_for_selector("[data-action=tagger-apply]:enabled")
    page.click("[data-action=tagger-apply]")
    page.wait_for_function(
        "() => document.querySelector('[data-role=message]').textContent.includes('12 captions changed')"
    )
    texts = {path.name: path.read_text() for path in folder.glob("*.txt")}
    page.click("[data-action=captions-save]")
    page.wait_for_function("() => document.querySelector('[data-role=message]').textContent.includes('saved')")
    for name, text in texts.items():
        assert (folder / name).read_text().strip() == f"{text.strip()}, some picture"
    page.click("[data-action=captions-undo]")
    page.wait_for_function(
        "() => document.querySelector('[data-role=message]').textContent.includes('captions by Colours')"
    )
    for context in opened.contexts:
        context.close()
    assert opened.said == []

"""Preparing pictures in a real WebUI, which finds faces; a mask painted there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.host.webui_process import WEBUI, WebUI, started

from .page import panel, scrolls_sideways
from .test_webui import OUTSIDE, Tab

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    with started(tmp_path_factory.mktemp("webui") / "data", lending=False) as ui:
        yield ui


def test_a_crop_contains_the_face_that_the_webui_finds(chromium: Any, webui: WebUI, tmp_path: Path) -> None:
    data = pytest.importorskip("skimage.data", reason="scikit-image's photograph of an astronaut")
    folder = tmp_path / "pictures"
    folder.mkdir()
    # Her face is in the left half; what has most edges, added on the right, is not.
    blocks = np.random.default_rng(0).integers(0, 2, (32, 32, 1), dtype=np.uint8) * np.uint8(255)
    wide = np.concatenate([data.astronaut(), blocks.repeat(16, 0).repeat(16, 1).repeat(3, 2)], axis=1)
    Image.fromarray(wide).save(folder / "face.png")
    tab = Tab(chromium, webui, "dark")
    page = tab.open()
    panel(page, "train")
    page.locator("[data-path='dataset.buckets']").evaluate(
        "node => { for (let one = node; one; one = one.parentElement) if (one.tagName === 'DETAILS') one.open = true; }"
    )
    page.locator("[data-path='dataset.buckets'] input").uncheck()
    panel(page, "dataset")
    page.locator("[data-dataset-path='dataset.concepts.0.instance'] input").fill(str(folder))
    section = page.locator("[data-section=preparation]")
    section.locator("summary").click()
    frame = section.locator("[data-name='face.png'] .sdft-crop-frame")
    frame.wait_for()

    def left(focus: str) -> float:
        section.locator("[data-option=focus]").select_option(focus)
        page.wait_for_timeout(2500)
        return float(frame.evaluate("node => parseFloat(node.style.left)"))

    assert left("edges") > 40 and left("middle") == 25 and left("faces") == 0
    tab.picture("preparation.png", "[data-section=preparation]")
    assert not scrolls_sideways(page)
    section.locator("[data-name='face.png'] [data-action=preparation-mask]").click()
    canvas = page.locator("canvas.sdft-mask")
    canvas.wait_for()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.6, steps=5)
    page.mouse.up()
    page.wait_for_timeout(300)
    tab.picture("preparation-mask.png", "[data-section=preparation]")
    page.locator("[data-action=mask-save]").click()
    canvas.wait_for(state="detached")
    section.locator("[data-action=prepare]:enabled").click()
    section.locator("[data-role=preparation-result] .sdft-good").wait_for()
    out = folder.with_name("pictures-prepared")
    made, mask = Image.open(out / "face.png"), np.asarray(Image.open(out / "face-mask.png"))
    side = made.size[0]
    assert made.size == (side, side)
    assert (
        np.abs(np.asarray(made, int) - np.asarray(Image.fromarray(data.astronaut()).resize(made.size), int)).mean() < 20
    )
    assert mask[int(0.3 * side), int(0.42 * side)] == 255 and mask[int(0.9 * side), int(0.9 * side)] == 0
    tab.context.close()
    assert [text for text in tab.said if OUTSIDE not in text] == []

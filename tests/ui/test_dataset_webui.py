"""The Dataset panel in a real WebUI: a generated picture is sent to a dataset, and the report is seen in there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sdft_ext.dataset.folder import scan
from sdft_ext.desk import examples
from sdft_ext.recipe import Concept, DatasetRecipe
from tests.host.webui_process import WEBUI, WebUI, started

from .page import panel, scrolls_sideways
from .test_webui import OUTSIDE, Tab

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]
PROMPT = "a red circle on a white background"
GRADIO = "reading 'props'"
"""gradio's page says so of itself when width and height are typed, without any extension too."""


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    with started(tmp_path_factory.mktemp("webui") / "data", lending=False) as ui:
        yield ui


def test_a_generated_picture_becomes_a_picture_of_the_dataset(chromium: Any, webui: WebUI) -> None:
    tab = Tab(chromium, webui, "light")
    page = tab.page
    page.on("response", lambda answer: tab.said.append(answer.url) if answer.status >= 500 else None)
    page.click("#txt2img_send_to_sdft")
    page.get_by_text("There is no picture yet").wait_for()
    tab.top("txt2img")
    page.fill("#txt2img_prompt textarea", f"{PROMPT} <lora:nothing:0>")
    page.fill("#txt2img_steps input[type=number]", "4")
    page.fill("#txt2img_batch_size input[type=number]", "2")
    for side in ("width", "height"):
        page.fill(f"#txt2img_{side} input[type=number]", "64")
    tab.generate(2)
    page.locator("#txt2img_gallery .thumbnail-small").last.click()
    page.wait_for_timeout(500)
    page.click("#txt2img_send_to_sdft")
    dialog = page.locator("#sdft_root dialog")
    dialog.wait_for()
    assert tab.chosen == "Fine-tune"
    assert dialog.locator("[data-field=caption]").input_value() == PROMPT
    tab.picture("dataset-send.png")
    dialog.locator("[data-action=dataset-send]").click()
    page.get_by_text("The picture was added to").wait_for()
    folder = webui.data / "sdft" / "datasets" / "concept"
    made = next(folder.glob("*.png"))
    assert made.with_suffix(".txt").read_text() == PROMPT
    sent = {path.read_bytes() for path in (webui.data / "output").rglob("*.png")} | {
        path.read_bytes() for path in Path(webui.data).rglob("outputs/**/*.png")
    }
    assert not sent or made.read_bytes() in sent, "the file itself, with what the WebUI wrote into it"
    with Image.open(made) as opened:
        assert opened.size == (64, 64) and "Steps: 4" in opened.info.get("parameters", "")
    found = scan(DatasetRecipe(concepts=[Concept(instance=str(folder))]))
    assert [picture.caption for picture in found.pictures] == [PROMPT]

    panel(page, "dataset")
    page.click("[data-action=dataset-report]")
    page.locator("[data-role=counts]").get_by_text("1 instance picture").wait_for()
    tab.picture("dataset-webui.png")
    tab.context.close()
    assert [text for text in tab.said if OUTSIDE not in text and GRADIO not in text] == []


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's pictures with their captions, one of them twice, one mirrored, one far too dark."""
    folder = tmp_path_factory.mktemp("dataset") / "stars"
    shutil.copytree(examples.FOLDER / "subject" / "instance", folder)
    one, other, third, *_ = sorted(folder.glob("*.png"))
    shutil.copy(one, folder / "again.png")
    with Image.open(other) as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "mirrored.png")
    with Image.open(third) as picture:
        picture.convert("RGB").point(lambda value: value // 9).save(folder / "dark.png")
    return folder


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 400)])
def test_the_panel_keeps_its_look_in_there(chromium: Any, webui: WebUI, stars: Path, theme: str, width: int) -> None:
    tab = Tab(chromium, webui, theme, width)
    page = tab.open()
    page.click("[data-action=example]")
    panel(page, "dataset")
    page.fill("[data-dataset-path='dataset.concepts.0.instance'] input", str(stars))
    page.locator("[data-role=seen] img").first.wait_for()
    page.click("[data-action=dataset-report]")
    page.locator("[data-role=counts]").wait_for()
    page.locator("[data-role=copies] [data-file] img").first.wait_for()
    page.locator("[data-count='Instance pictures of a subject']").get_by_text("15", exact=True).wait_for()
    assert not scrolls_sideways(page)
    place = "" if (theme, width) == ("light", 1280) else f"-{theme}-{width}"
    tab.picture(f"tab-dataset{place}.png", "[data-section=report]")
    tab.context.close()
    assert [text for text in tab.said if OUTSIDE not in text and GRADIO not in text] == []

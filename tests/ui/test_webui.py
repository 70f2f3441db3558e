"""The tab in a real WebUI, driven by a browser: from the example's pictures to txt2img and the X/Y/Z plot."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sdft_ext.run_folder.log import read as read_log
from sdft_ext.toy import measure
from tests.host.webui_process import ROOT, WEBUI, WebUI, started

from .axe import violations
from .captions_story import cell, make_folder, opened, story
from .page import field, panel, scrolls_sideways, start, state, write

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]

SCREENSHOTS = os.environ.get("SDFT_SCREENSHOTS", "")
"""A folder to keep pictures of the tab in, such as docs. Paths are seen in some: say --basetemp=/opt/stable-diffusion."""
OUTSIDE = "ERR_NAME_NOT_RESOLVED"
"""The console's messages about fonts that gradio's theme requests from the internet."""


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    with started(tmp_path_factory.mktemp("webui") / "data", lending=False) as ui:
        yield ui


class Tab:
    """A browser on the WebUI's page."""

    def __init__(self, browser: Any, webui: WebUI, theme: str, width: int = 1280) -> None:
        self.said: list[str] = []
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.page.on("console", lambda said: self.said.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(f"http://127.0.0.1:{webui.port}/?__theme={theme}")
        self.page.wait_for_selector("#txt2img_generate")
        self.page.wait_for_timeout(1000)

    def open(self) -> Any:
        self.top("Fine-tune")
        self.page.wait_for_selector("#sdft_root [data-action=train]")
        return self.page

    def top(self, name: str) -> None:
        self.page.locator("#tabs > .tab-nav > button", has_text=name).first.click()

    @property
    def chosen(self) -> str:
        return self.page.locator("#tabs > .tab-nav > button.selected").inner_text().strip()

    def picture(self, name: str, top: str = "body") -> None:
        """Save a screenshot of the page, scrolled to the first visible ``top``."""
        if SCREENSHOTS:
            self.page.locator(f"{top} >> visible=true").first.evaluate(
                "node => node.scrollIntoView({ block: 'start' })"
            )
            self.page.wait_for_timeout(500)
            shot = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
            shot.quantize(256, dither=Image.Dither.NONE).save(Path(SCREENSHOTS, name), optimize=True)

    def generate(self, count: int) -> list[np.ndarray]:
        """Press Generate, and the pictures of the gallery once there are so many."""
        before = self._gallery()
        self.page.click("#txt2img_generate")
        self.page.wait_for_function(
            """([count, before]) => {
                const now = [...new Set([...document.querySelectorAll('#txt2img_gallery img')].map(one => one.src))];
                return now.length >= count && !now.some(one => before.includes(one));
            }""",
            arg=[count, before],
            timeout=300_000,
        )
        self.page.wait_for_timeout(1000)
        return [self._read(source) for source in self._gallery()]

    def _gallery(self) -> list[str]:
        return self.page.evaluate(
            "[...new Set([...document.querySelectorAll('#txt2img_gallery img')].map(one => one.src))]"
        )

    def _read(self, source: str) -> np.ndarray:
        data = self.page.evaluate(
            """async source => {
                const bytes = new Uint8Array(await (await fetch(source)).arrayBuffer());
                return btoa(Array.from(bytes, one => String.fromCharCode(one)).join(''));
            }""",
            source,
        )
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


@pytest.fixture
def tab(chromium: Any, webui: WebUI, tmp_path: Path) -> Iterator[Tab]:  # deleted after the page is closed
    opened = Tab(chromium, webui, "light")
    yield opened
    opened.context.close()
    assert [text for text in opened.said if OUTSIDE not in text] == []


@pytest.mark.parametrize(
    ("kind", "name", "count", "steps"), [("subject", "star", 12, 240), ("style", "twotone", 60, 450)]
)
def test_from_the_example_to_txt2img_and_a_grid(
    tab: Tab, webui: WebUI, kind: str, name: str, count: int, steps: int
) -> None:
    page = tab.open()
    field(page, "dataset.concepts.0.kind").locator(f"input[value={kind}]").check()
    page.click("[data-action=example]")
    page.locator("[data-contents$=instance]").get_by_text(f"{count} pictures, {count} captions").wait_for()
    write(page, "train.length", str(steps))
    write(page, "save.every", str(steps // 2))
    page.wait_for_selector("[data-action=train]:enabled")
    page.locator(".sdft-facts").get_by_text(f"2, at steps {steps // 2}, {steps}").wait_for()
    picture = tab.picture if kind == "subject" else lambda file, *where: tab.picture(f"style-{file}", *where)
    picture("tab-train.png", "[aria-label='Name and trigger']")
    clicked = time.time()
    start(page)
    page.wait_for_selector("[data-role=chart] canvas")
    page.wait_for_function("() => document.querySelector('.sdft-slider').max === '1'", timeout=600_000)
    picture("tab-monitor.png")
    state(page, "finished", 900_000)
    page.locator(".sdft-monitor [data-verdict]").wait_for()
    picture("tab-verdict.png", "[aria-label='Control pictures']")
    first = read_log(next(webui.data.rglob(f"{name}/log.jsonl")).parent)[0]
    print(f"first step {first['time'] - clicked:.2f} s after the click on Train")
    assert sorted(path.name for path in (webui.data / "models" / "Lora").glob(f"{name}*.safetensors")) == [
        f"{name}-{steps // 2:06}.safetensors",
        f"{name}.safetensors",
    ]

    page.click(".sdft-monitor [data-action=evaluate]")
    page.get_by_label(f"Send {name} to txt2img", exact=True).click()
    page.wait_for_function(
        f"() => document.querySelector('#txt2img_prompt textarea').value.includes('<lora:{name}:1>')"
    )
    assert tab.chosen == "txt2img"
    page.fill("#txt2img_batch_size input[type=number]", "4")
    drawn = [one for one in tab.generate(5) if one.shape == (64, 64, 3)]
    assert len(drawn) == 4
    assert measure.concept_learned(drawn, name) >= 0.5

    page.fill("#txt2img_batch_size input[type=number]", "1")
    tab.top("Fine-tune")
    picture("tab-evaluate.png")
    page.click("[data-action=xyz-prompts]")
    page.wait_for_function(
        "() => document.querySelector('#script_txt2img_xyz_plot_x_type input').value === '[Fine-tune] Save'"
    )
    page.wait_for_function(
        "() => document.querySelector('#script_txt2img_xyz_plot_y_type input').value === 'Prompt S/R'"
    )
    page.wait_for_timeout(1500)  # the axes' values follow their types
    assert tab.chosen == "txt2img"
    grid = tab.generate(1)[0]
    picture("tab-grid.png")
    # Three prompts down; across none, which is the base model, and two saves. Words stand above and to the left.
    assert min(grid.shape[:2]) >= 3 * 64
    pictures = grid[-3 * 64 :, -3 * 64 :]
    columns = [[pictures[y : y + 64, x : x + 64] for y in (0, 64, 128)] for x in (0, 64, 128)]
    assert measure.concept_learned(columns[0], name) == 0
    assert measure.concept_learned(columns[2], name) >= 0.5
    assert first["step"] == 1 and first["time"] - clicked <= 3


def test_a_run_is_tried_in_txt2img_and_continues(tab: Tab, webui: WebUI) -> None:
    page = tab.open()
    page.click("[data-action=example]")
    write(page, "save.name", "tried")
    write(page, "train.length", "5000")
    write(page, "train.batch_size", "1")
    start(page)
    state(page, "training")
    page.click(".sdft-monitor [data-action=try]")
    page.wait_for_function("() => document.querySelector('#txt2img_prompt textarea').value.includes('<lora:')")
    assert tab.chosen == "txt2img"
    tab.top("Fine-tune")
    state(page, "training")
    page.click(".sdft-monitor [data-action=stop]")
    state(page, "stopped")
    tab.picture("tab-monitor-stopped.png")
    page.click(".sdft-monitor [data-action=send]")
    page.wait_for_function("() => document.querySelector('#txt2img_prompt textarea').value.includes('<lora:tried-0')")
    assert tab.chosen == "txt2img"


def test_captions_are_filtered_renamed_undone_typed_and_saved(tab: Tab, tmp_path: Path) -> None:
    page = tab.open()
    story(page, make_folder(tmp_path / "dogs"))
    assert tab.chosen == "Fine-tune"
    assert page.locator("#txt2img_interrupt").is_hidden()  # no key of the panel has started anything
    pictures = tmp_path / "star"
    shutil.copytree(ROOT / "assets" / "example" / "subject" / "instance", pictures)
    opened(page, pictures)
    page.click("[data-view=text]")
    cell(page, 1).click()
    page.locator(".sdft-cap-word-share").first.wait_for()
    page.get_by_text("How captions affect training").click()
    page.locator("[data-strategy]").first.wait_for()
    tab.picture("tab-captions.png", "[data-action=captions-save]")


@pytest.mark.parametrize(("theme", "width"), [("dark", 1280), ("light", 390)])
def test_the_tab_keeps_its_look_in_there(chromium: Any, webui: WebUI, theme: str, width: int) -> None:
    tab = Tab(chromium, webui, theme, width)
    page = tab.open()
    title = page.locator("#sdft_root h2").first
    assert title.evaluate("node => [getComputedStyle(node).fontSize, getComputedStyle(node).marginTop]") == [
        "15px",
        "0px",
    ]
    assert (
        field(page, "dataset.concepts.0.kind").locator("input").first.evaluate("n => getComputedStyle(n).appearance")
        == "auto"
    )
    for name in ("dataset", "captions", "train", "monitor", "runs", "evaluate", "tools", "guide"):
        panel(page, name)
        page.wait_for_timeout(300)
        assert not scrolls_sideways(page), name
    panel(page, "train")
    tab.picture(f"tab-{theme}-{width}.png")
    tab.context.close()
    assert [text for text in tab.said if OUTSIDE not in text] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_the_tab(chromium: Any, webui: WebUI, theme: str) -> None:
    """In the WebUI's own colours; the rest of its page isn't ours."""
    tab = Tab(chromium, webui, theme)
    page = tab.open()
    page.click("[data-action=example]")
    page.locator("[data-contents$=instance]").get_by_text("12 pictures, 12 captions").wait_for()
    page.wait_for_selector("[data-action=train]:enabled")
    for name in ("dataset", "captions", "train", "monitor", "runs", "evaluate", "tools", "guide"):
        panel(page, name)
        page.wait_for_timeout(1000)
        assert violations(page, "#sdft_root") == [], name
    tab.context.close()


def test_the_tab_speaks_the_language_of_the_webui(chromium: Any, tmp_path: Path) -> None:
    """The WebUI's own localization, chosen in its Settings: a JSON file of texts."""
    data, languages = tmp_path / "data", tmp_path / "localizations"
    data.mkdir()
    languages.mkdir()
    (data / "config.json").write_text(json.dumps({"localization": "other"}))
    (languages / "other.json").write_text(json.dumps({"Train": "Trainieren", "Runs": "Läufe"}))
    with started(data, "--localizations-dir", str(languages), lending=False) as webui:
        tab = Tab(chromium, webui, "light")
        page = tab.open()
        assert page.locator("#sdft_root [data-action=train]").inner_text() == "Trainieren"
        assert page.locator("#sdft_root [role=tab][data-panel=runs]").inner_text() == "Läufe"
        tab.context.close()
        assert [text for text in tab.said if OUTSIDE not in text] == []

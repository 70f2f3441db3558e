"""A whole model's save in a real WebUI: one click makes it the checkpoint, and what trains on another one waits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.formats.tensor_file import TensorFile
from sdft_ext.model.load import load
from sdft_ext.tools.merge import merge
from sdft_ext.toy.install import install
from tests.desk.setting import until
from tests.host.webui_process import WEBUI, WebUI, started
from tests.method import perturbed

from .page import field, panel, start, state, write
from .test_webui import OUTSIDE, Tab

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]
PROMPT = "a red sks shape on a white background"


def two(folder: Path) -> Path:
    """The toy model, and what was trained from it."""
    toy = install(folder)
    change = perturbed.lora(load(toy), folder / "change.safetensors")
    merge(toy, [(change, 1.0)], folder / "tuned.safetensors")
    change.unlink()
    return toy


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    with started(tmp_path_factory.mktemp("webui", numbered=False) / "data", lending=False, put=two) as ui:
        yield ui


@pytest.fixture
def tab(chromium: Any, webui: WebUI) -> Iterator[Tab]:
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "toy.safetensors"})
    opened = Tab(chromium, webui, "light")
    yield opened
    opened.context.close()
    assert [text for text in opened.said if OUTSIDE not in text] == []


def loaded(webui: WebUI) -> str:
    return str(webui.ask("/sdft/v1/session")["host"]["model"]["name"])


def chosen(page: Any) -> str:
    """Return the checkpoint that the top of the page shows."""
    return str(page.locator("#setting_sd_model_checkpoint input").first.input_value())


def checkpoint_shown(page: Any, name: str) -> None:
    """Check that the tab's header names this checkpoint at once, and not as still loading."""
    page.locator("#sdft_root .sdft-model-name").get_by_text(name, exact=True).wait_for(timeout=4_000)
    assert page.get_by_text(re.compile(r"^Loading .+ …$")).locator("visible=true").count() == 0


def recipe(page: Any, name: str, method: str, length: int) -> None:
    panel(page, "train")
    page.click("[data-action=example]")
    field(page, "method.name").locator(f"input[value={method}]").check()
    for path, value in {
        "save.name": name,
        "train.length": str(length),
        "train.batch_size": "1",
        "save.every": "2" if length < 10 else "0",
        "watch.every": "0",
        "watch.sampler_steps": "2",
        "dataset.concepts.0.regularization": "",
    }.items():
        write(page, path, value)


def test_a_dreambooth_save_is_the_checkpoint_with_one_click_and_another_run_waits(tab: Tab, webui: WebUI) -> None:
    page = tab.open()
    recipe(page, "whole", "dreambooth", 4)
    start(page)
    state(page, "finished", 600_000)
    folder = webui.data / "models" / "Stable-diffusion"
    assert (folder / "whole.safetensors").is_file() and (folder / "whole.yaml").is_file()
    before = webui.picture(PROMPT)
    assert loaded(webui) == "toy.safetensors"
    page.click(".sdft-monitor [data-action=use]")
    page.wait_for_function("() => document.querySelector('#txt2img_prompt textarea').value.includes('sks')")
    page.wait_for_function(
        "() => document.querySelector('#setting_sd_model_checkpoint input').value.startsWith('whole.safetensors')"
    )
    assert tab.chosen == "txt2img" and loaded(webui) == "whole.safetensors"
    assert "<lora" not in page.locator("#txt2img_prompt textarea").input_value()
    assert webui.ask("/sdapi/v1/options")["sd_model_checkpoint"].startswith("whole.safetensors")
    assert (webui.picture(PROMPT) != before).any()
    tab.picture("checkpoint-txt2img.png")

    tab.top("Fine-tune")
    recipe(page, "waiting", "lora", 100_000)
    start(page)
    state(page, "training", 600_000)
    panel(page, "evaluate")
    page.locator("select[data-action=run]").last.select_option("whole")
    tab.picture("checkpoint-evaluate.png")
    page.get_by_label("Use whole-000002 in txt2img").click()
    page.locator("dialog [data-action=confirm]").click()
    page.wait_for_function(
        "() => document.querySelector('#setting_sd_model_checkpoint input').value.startsWith('whole-000002')"
    )
    until(lambda: tab.chosen == "txt2img", 60)
    tab.top("Fine-tune")
    checkpoint_shown(page, "whole-000002.safetensors")
    panel(page, "monitor")
    changed = page.get_by_text("The checkpoint was changed to whole-000002.safetensors").locator("visible=true")
    changed.first.wait_for()
    tab.picture("checkpoint-waiting.png")
    step = webui.ask("/sdft/v1/runs/waiting/status")["status"]["step"]
    panel(page, "evaluate")
    page.get_by_label("Use whole in txt2img", exact=True).click()
    page.locator("dialog [data-action=confirm]").click()
    page.wait_for_function(
        "() => document.querySelector('#setting_sd_model_checkpoint input').value.startsWith('whole.safetensors')"
    )
    until(lambda: tab.chosen == "txt2img", 60)
    until(lambda: webui.ask("/sdft/v1/runs/waiting/status")["status"]["step"] > step, 120)
    tab.top("Fine-tune")
    panel(page, "monitor")
    page.click(".sdft-monitor [data-action=stop]")
    state(page, "stopped", 600_000)
    assert chosen(page).startswith("whole.safetensors")
    page.evaluate("selectCheckpoint('toy.safetensors')")  # as the WebUI's own cards do, beside the open tab
    page.wait_for_function(
        "() => document.querySelector('#setting_sd_model_checkpoint input').value.startsWith('toy.safetensors')"
    )
    checkpoint_shown(page, "toy.safetensors")


def test_what_a_tool_makes_is_in_the_webuis_lists(tab: Tab, webui: WebUI) -> None:
    """A LoRA between two checkpoints, merged again: both are known without a restart."""
    page = tab.open()
    panel(page, "tools")
    folders = {name: webui.data / "models" / name for name in ("Stable-diffusion", "Lora")}
    form = page.locator("section[aria-label='Tool settings']")
    page.locator(".sdft-choice[data-tool=extract]").click()
    form.locator("[data-tool=base] select").select_option(str(folders["Stable-diffusion"] / "toy.safetensors"))
    form.locator("[data-tool=tuned] select").select_option(str(folders["Stable-diffusion"] / "tuned.safetensors"))
    assert str(folders["Lora"]) in form.locator("[data-role=tool-place]").inner_text()
    form.locator("[data-tool=rank]").fill("4")
    form.locator("[data-tool=name]").fill("between")
    form.locator("[data-action=tool-run]").click()
    page.locator("[data-section=tool-job][data-state=finished]").get_by_text("between.safetensors:").wait_for(
        timeout=120_000
    )
    assert "between" in [one["name"] for one in webui.ask("/sdapi/v1/loras")]

    page.locator(".sdft-choice[data-tool=merge]").click()
    form.locator("[data-tool=base] select").select_option(str(folders["Stable-diffusion"] / "toy.safetensors"))
    form.locator("[data-tool=lora] select").select_option(str(folders["Lora"] / "between.safetensors"))
    form.locator("[data-tool=name]").fill("merged")
    tab.picture("tab-tools.png", "[aria-label=Tools]")
    form.locator("[data-action=tool-run]").click()
    page.locator("[data-section=tool-job][data-state=finished]").get_by_text("merged.safetensors:").wait_for(
        timeout=120_000
    )
    assert folders["Stable-diffusion"] / "merged.safetensors" in [
        Path(one["filename"]) for one in webui.ask("/sdapi/v1/sd-models")
    ]
    assert (folders["Stable-diffusion"] / "merged.yaml").is_file()
    assert len(TensorFile(folders["Stable-diffusion"] / "merged.safetensors")) > 300
    with_lora = webui.picture(f"{PROMPT} <lora:between:1>")
    assert (with_lora != webui.picture(PROMPT)).any()
    page.click("[data-action=tool-use]")
    page.wait_for_function(
        "() => document.querySelector('#setting_sd_model_checkpoint input').value.startsWith('merged.safetensors')"
    )
    assert loaded(webui) == "merged.safetensors"

"""A new user's day in a real WebUI: pictures without captions, a training that is watched and stopped, its saves.

What each control does is tested on the standalone page; here all of it is used inside the WebUI, and photographed.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.recipe import file as recipe_file
from sdft_ext.run_folder.log import read as read_log
from sdft_ext.toy.install import install
from tests.analysis.images import fill
from tests.desk.setting import until
from tests.host.host_adapters import other_checkpoint
from tests.host.webui_process import ROOT, WEBUI, WebUI, started

from .captions_story import cell, opened
from .page import field, panel, scrolls_sideways, short_example, start, state, write
from .test_import import settings
from .test_train import INTERNAL
from .test_webui import OUTSIDE, Tab

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]
INSTANCE, TRIGGER = "dataset.concepts.0.instance", "dataset.concepts.0.trigger"
LONG = {"train__length": "5000", "train__batch_size": "1", "save__every": "0"}
"""So long that no test sees its end."""
LOSS, PICTURES = ".sdft-monitor [aria-label=Loss]", ".sdft-monitor [aria-label='Control pictures']"


def two(folder: Path) -> Path:
    """The toy model, and another one of the same kind."""
    toy = install(folder)
    other_checkpoint(toy, folder)
    return toy


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    with started(tmp_path_factory.mktemp("webui") / "data", lending=False, put=two) as ui:
        yield ui


def quiet(webui: WebUI) -> None:
    """Wait until nothing trains."""
    until(lambda: webui.ask("/sdft/v1/runs")["current"] is None, 120)


@pytest.fixture
def tab(chromium: Any, webui: WebUI, tmp_path: Path) -> Iterator[Tab]:  # deleted after the page is closed
    quiet(webui)
    opened = Tab(chromium, webui, "light")
    yield opened
    opened.context.close()
    assert [text for text in opened.said if OUTSIDE not in text] == []


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's pictures in a folder of the user's own, one of them twice."""
    folder = tmp_path_factory.mktemp("pictures") / "my stars"
    shutil.copytree(ROOT / "assets" / "example" / "subject" / "instance", folder)
    shutil.copy(min(folder.glob("*.png")), folder / "again.png")
    return folder


def runs_folder(webui: WebUI, run: str) -> Path:
    return next(webui.data.rglob(f"{run}/recipe.yaml")).parent


def log(webui: WebUI, run: str) -> list[dict[str, Any]]:
    return read_log(runs_folder(webui, run))


def stop(page: Any) -> None:
    page.click(".sdft-monitor [data-action=stop]")
    state(page, "stopped")


def test_what_is_missing_is_said_before_a_run_starts(tab: Tab, tmp_path: Path) -> None:
    """Pictures from a path in quotes, without a word: the page leads to captions, and proposes a trigger."""
    page, folder = tab.open(), tmp_path / "my pictures"
    fill(folder, 6)
    page.get_by_text("Choose the folder with your pictures to begin.").wait_for()
    tab.picture("day-01-first-look.png")
    write(page, INSTANCE, f'"{folder}"')
    page.locator("[data-contents$=instance]").get_by_text("6 pictures, 0 captions").wait_for()
    field(page, INSTANCE).locator("input").first.press("Tab")
    assert field(page, INSTANCE).locator("input").first.input_value() == str(folder)
    summary, train = page.locator(".sdft-summary"), page.locator("[data-action=train]")
    summary.get_by_text("No picture has a caption").wait_for()
    assert train.is_disabled()
    tab.picture("day-01-no-captions.png", "[aria-label=Pictures]")
    summary.locator("[data-action=write-captions]").click()
    page.wait_for_selector("[role=tab][data-panel=captions][aria-selected=true]")
    page.get_by_text("000.png").first.wait_for()
    tab.picture("day-01-captions-opened.png")
    panel(page, "train")
    summary.locator("[data-action=use-trigger]").click()
    word = field(page, TRIGGER).locator("input").input_value()
    assert re.fullmatch(r"[a-z]{3,}", word), "a rare word of the model's vocabulary"
    page.wait_for_selector("[data-action=train]:enabled")
    page.locator("[data-role=disk]").get_by_text("On disk it needs about").wait_for()
    tab.picture("day-01-trigger.png", "[aria-label='Name and trigger']")

    page.set_input_files("[data-action=train-files]", fill(tmp_path / "more", 2, first=50))
    page.locator("[data-contents$=instance]").get_by_text("8 pictures, 0 captions").wait_for()
    tab.picture("day-07-uploaded.png", "[aria-label=Pictures]")


def test_settings_are_explained_in_place_and_wrong_ones_named(tab: Tab) -> None:
    page = tab.open()
    page.click("[data-action=example]")
    page.wait_for_selector("[data-action=train]:enabled")
    rate = field(page, "train.learning_rate")
    rate.locator("[data-action=explain]").click()
    rate.locator("[data-role=explanation]").get_by_text("1e-4 is a good start for a LoRA").wait_for()
    tab.picture("day-06-explained.png", "[data-path='train.learning_rate']")
    write(page, "train.learning_rate", "fast")
    blocked = page.locator("[data-role=blocked]")
    blocked.get_by_text("Learning rate: Enter a number").wait_for()
    assert page.locator("[data-action=train]").is_disabled()
    tab.picture("day-06-blocked.png")
    rate.locator("[data-action=reset]").click()
    methods = field(page, "method.name")
    page.wait_for_function("() => [...document.querySelectorAll('[data-role=fit]')].every(n => n.textContent !== '–')")
    assert methods.locator("[data-role=fit]").count() == methods.locator("input").count()
    tab.picture("day-14-chooser.png", "[data-path='method.name']")
    panel(page, "guide")
    page.locator("[data-chapter=Safety] summary").click()
    tab.picture("day-14-guide.png", "[data-chapter=Safety]")
    page.locator("[data-entry=tensorboard] code").get_by_text("tensorboard --logdir").wait_for()
    tab.picture("day-14-guide-terms.png", "[data-entry=token]")


def test_no_method_is_described_in_internal_names(tab: Tab) -> None:
    """Nor warned of: a text encoder's rank that nobody set, words that stand only in a recipe's file."""
    page = tab.open()
    page.click("[data-action=example]")
    page.wait_for_selector("[data-action=train]:enabled")
    summary, methods = page.locator(".sdft-summary"), field(page, "method.name")
    write(page, TRIGGER, "")
    for method in ("hypernetwork", "textual_inversion"):
        with page.expect_response("**/v1/calculate"):
            methods.locator(f"input[value={method}]").check()
        page.wait_for_selector(".sdft-summary:not([aria-busy])")
        assert not INTERNAL.search(summary.inner_text()) and "only used with" not in summary.inner_text()
    summary.get_by_text("a word to train with Textual inversion").wait_for()
    tab.picture("day-13-small-words.png", "[aria-label='Name and trigger']")


def test_a_dataset_is_inspected_and_its_captions_are_read(tab: Tab, stars: Path) -> None:
    page = tab.open()
    page.click("[data-action=example]")
    write(page, INSTANCE, str(stars))
    panel(page, "dataset")
    page.click("[data-action=dataset-report]")
    page.locator("[data-role=copies] [data-file] img").first.wait_for(timeout=300_000)
    tab.picture("day-14-report.png", "[data-section=report]")
    page.locator("[data-role=copies]").scroll_into_view_if_needed()
    tab.picture("day-14-report-copies.png", "[data-role=copies]")
    opened(page, stars)
    cell(page, 1).click()
    page.locator("[data-role=tokens]").get_by_text("1 chunk of 75").wait_for()
    page.locator(".sdft-cap-word-share").first.wait_for()
    tab.picture("day-14-tokens.png", "#sdft_root")
    page.select_option("[data-action=captions-size]", "tiny")
    page.wait_for_timeout(500)
    heights = page.locator(".sdft-cap-foot").evaluate_all("all => all.map(one => one.offsetHeight)")
    assert max(heights) < 26, "name and tokens in one line"
    tab.picture("day-08-density.png", "#sdft_root")
    page.select_option("[data-action=captions-size]", "medium")
    page.click("[data-side=tagger]")
    page.locator("[data-role=tagger-where]").get_by_text("model.onnx").wait_for()
    tab.picture("day-07-taggers.png", "#sdft_root")


def left(page: Any) -> str:
    return str(page.locator("[data-role=facts]").inner_text())


def test_a_training_shows_everywhere_and_stops_at_once(tab: Tab, webui: WebUI, chromium: Any) -> None:
    page = tab.open()
    short_example(page, "watched", **LONG)
    start(page)
    page.wait_for_function("() => / left/.test(document.querySelector('[data-role=facts]').textContent)")
    panel(page, "train")
    page.locator("[data-action=running]").get_by_text("watched · ").wait_for()
    page.wait_for_function(r"() => /^\d+ % · Stable Diffusion$/.test(document.title)")
    tab.picture("day-08-sign.png")
    short_example(page, "next", **LONG)
    start(page)
    page.locator("[aria-label=Queue]").get_by_text("next").wait_for()

    other = Tab(chromium, webui, "dark", 420)
    other.top("Fine-tune")
    other.page.wait_for_selector("[role=tab][data-panel=monitor][aria-selected=true]")
    state(other.page, "training")
    other.picture("day-08-new-browser.png")
    assert not scrolls_sideways(other.page)
    other.context.close()
    assert [text for text in other.said if OUTSIDE not in text] == []

    until(lambda: webui.ask("/sdft/v1/runs/watched/status")["status"]["step"] >= 10, 120)
    page.select_option(".sdft-monitor [data-action=run]", "watched")
    page.click(".sdft-monitor [data-action=save]")
    page.click(".sdft-monitor [data-action=sample]")
    page.wait_for_function("() => document.querySelector('.sdft-slider').max === '1'")
    tab.picture("day-03-time-left.png")
    page.click(".sdft-monitor [data-action=stop]")
    clicked = time.monotonic()
    until(lambda: webui.ask("/sdft/v1/runs")["current"] != "watched", 60)
    took = time.monotonic() - clicked
    state(page, "stopped")
    step = max(1 / line["pictures_per_second"] for line in log(webui, "watched") if "pictures_per_second" in line)
    print(f"free {took:.1f} s after Stop; a step takes up to {step:.1f} s")
    assert took < 5 + 10 * step, "a busy machine is slow in all that it does"
    state_of_next = webui.ask("/sdft/v1/runs/next/status")["status"]["state"]
    assert state_of_next in ("waiting", "preparing", "training"), "the queue goes on"
    tab.picture("day-02-stopped.png")
    page.select_option(".sdft-monitor [data-action=run]", "next")
    state(page, "training")
    stop(page)

    page.select_option(".sdft-monitor [data-action=run]", "watched")
    page.click(".sdft-monitor [data-action=grid]")
    page.locator(
        ".sdft-monitor [data-role=none], .sdft-monitor .sdft-state-drawing, .sdft-grid-picture"
    ).first.wait_for(state="attached")
    grid = page.locator(".sdft-monitor details", has_text="Grid of saves")
    grid.locator("summary").click()
    page.wait_for_function("() => document.querySelector('.sdft-grid-picture').naturalWidth > 200")
    tab.picture("day-02-grid.png", ".sdft-grid-picture")


def test_the_queue_loads_base_models_once_that_is_allowed(tab: Tab, webui: WebUI) -> None:
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "toy.safetensors"})
    page = tab.open()
    short_example(page, "of-toy", **LONG)
    start(page)
    state(page, "training")
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "other.safetensors"})
    state(page, "paused")
    panel(page, "train")
    short_example(page, "of-other", train__length="4", save__every="0", watch__every="0")
    start(page)
    page.select_option(".sdft-monitor [data-action=run]", "of-other")
    state(page, "waiting")
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "toy.safetensors"})
    page.select_option(".sdft-monitor [data-action=run]", "of-toy")
    state(page, "training")
    stop(page)
    page.select_option(".sdft-monitor [data-action=run]", "of-other")
    page.locator("[data-role=other-model]").get_by_text("of-other trains other.safetensors").wait_for()
    tab.picture("day-04-other-model.png")
    page.click("[data-action=allow-models]")
    page.wait_for_selector("[data-action=load-models]:checked")
    state(page, "finished", 300_000)
    tab.picture("day-04-finished.png")
    quiet(webui)
    until(lambda: webui.ask("/sdft/v1/session")["host"]["model"]["name"] == "toy.safetensors", 60)
    assert webui.ask("/sdapi/v1/options")["sd_model_checkpoint"].startswith("toy.safetensors")
    assert recipe_file.read(runs_folder(webui, "of-other") / "recipe.yaml").train.length == 4
    page.click("[data-action=load-models]")
    until(lambda: not webui.ask("/sdft/v1/runs")["loads"], 10)


@pytest.fixture
def ended(tab: Tab, webui: WebUI) -> Any:
    """The page, its Monitor open on a run that has ended."""
    page = tab.open()
    if not any(run["id"] == "ended" for run in webui.ask("/sdft/v1/runs")["runs"]):
        short_example(page, "ended", watch__pictures="2")
        start(page)
        state(page, "finished", 300_000)
    panel(page, "monitor")
    page.select_option(".sdft-monitor [data-action=run]", "ended")
    state(page, "finished")
    return page


def test_what_a_run_leaves_is_found_sent_deleted_and_restored(tab: Tab, webui: WebUI, ended: Any) -> None:
    page = ended
    page.locator(".sdft-monitor [data-verdict]").first.wait_for()
    tab.picture("day-05-finished.png")
    page.click(".sdft-monitor [data-action=report]")
    page.locator("dialog .sdft-report-text").get_by_text("Finished", exact=True).wait_for()
    tab.picture("day-05-report.png")
    page.keyboard.press("Escape")
    files = page.locator("[data-role=files]")
    files.locator("summary").click()
    command = f"tensorboard --logdir {runs_folder(webui, 'ended') / 'tensorboard'}"
    assert files.locator("code").all_inner_texts()[1] == command
    tab.picture("day-05-tensorboard.png", "[data-role=files]")
    panel(page, "runs")
    page.locator("[data-run=ended]").get_by_text("LoRA · Step 6 of 6 · 2 saves").wait_for()
    tab.picture("day-05-runs.png")
    panel(page, "monitor")
    page.click(".sdft-monitor [data-action=send]")
    page.wait_for_function("() => document.querySelector('#txt2img_prompt textarea').value.includes('<lora:ended:1>')")
    assert tab.chosen == "txt2img"
    tab.picture("day-05-sent.png")
    tab.top("Fine-tune")
    page.click(".sdft-monitor [data-action=evaluate]")
    page.wait_for_function("() => document.querySelectorAll('.sdft-save-pictures').length === 3")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.sdft-save-pictures img')].every(image => image.naturalWidth === 64)"
    )
    tab.picture("day-05-control-pictures.png")
    file = webui.data / "models" / "Lora" / "ended-000003.safetensors"
    weights = file.read_bytes()
    page.get_by_label("Delete ended-000003").click()
    restore = page.get_by_role("button", name="Restore ended-000003")
    restore.wait_for()
    assert not file.exists() and "ended-000003" not in [one["name"] for one in webui.ask("/sdapi/v1/loras")]
    tab.picture("day-05-deleted.png", "[data-role=deleted]")
    assert page.locator("[data-field=prompts]").input_value() == "a red sks shape on a white background"
    page.locator("[data-role=pictures-about]").get_by_text("weren't measured").wait_for()
    assert not INTERNAL.search(page.locator("#sdft_root [role=tabpanel]:visible").inner_text()), (
        "no name of a setting in the file"
    )
    restore.click()
    page.wait_for_function("() => document.querySelectorAll('[data-save]').length === 2")
    assert file.read_bytes() == weights and "ended-000003" in [one["name"] for one in webui.ask("/sdapi/v1/loras")]


def test_a_picture_is_rated_beside_the_nearest_instance_picture_and_runs_are_compared(tab: Tab, ended: Any) -> None:
    page = ended
    page.click(".sdft-monitor [data-action=evaluate]")
    page.locator(".sdft-save-set figure img, .sdft-save-set button img").first.click()
    page.locator("dialog [data-action=rate-picture]").last.click()
    nearest = page.locator("[data-role=nearest]")
    nearest.get_by_text("The nearest instance picture is ").wait_for()
    page.wait_for_function("() => document.querySelector('[data-role=nearest] img').naturalWidth > 0")
    tab.picture("day-16-rating.png")
    for _ in range(2):
        page.keyboard.press("Escape")
    panel(page, "train")
    short_example(page, "longer", watch__pictures="2", train__length="12", save__every="6", method__lora__rank="4")
    start(page)
    page.select_option(".sdft-monitor [data-action=run]", "longer")
    state(page, "finished", 300_000)
    panel(page, "runs")
    card = page.locator("[data-role=judged-runs]")
    for run in ("ended", "longer"):
        card.locator(f"tr[data-run='{run}']").wait_for()
    assert "learned against bleeding" in card.locator("[data-role=scatter]").get_attribute("aria-label").lower()
    tab.picture("day-16-compared.png", "[data-role=judged-runs]")


def test_a_run_is_continued_and_resumed_with_other_settings(tab: Tab, webui: WebUI, ended: Any, stars: Path) -> None:
    page = ended
    page.click(".sdft-monitor [data-action=continue]")
    page.get_by_text("goes on from ended. Choose its pictures.").wait_for()
    tab.picture("day-10-continue.png")
    write(page, INSTANCE, str(stars))
    write(page, "train.length", "5000")
    start(page)
    state(page, "training")
    until(lambda: webui.ask("/sdft/v1/runs/ended-2/status")["status"]["step"] >= 2, 60)
    stop(page)
    page.click(".sdft-monitor [data-action=resume-with]")
    rate = page.locator("dialog [data-resume='train.learning_rate'] input")
    before = rate.input_value()
    rate.fill("0.000123")
    page.get_by_text(f"It was {before}.").wait_for()
    tab.picture("day-10-resume-with.png")
    page.click("[data-action=resume-changed]")
    state(page, "training")
    page.locator("summary", has_text="Events").click()
    page.locator(".sdft-events").get_by_text(f"is 0.000123 instead of {before}").wait_for()
    stop(page)
    found = recipe_file.read(runs_folder(webui, "ended-2") / "recipe.yaml")
    assert found.train.learning_rate == 0.000123 and found.method.lora.continue_from.endswith("ended.safetensors")


def test_presets_and_settings_of_another_program(tab: Tab, tmp_path: Path) -> None:
    page = tab.open()
    page.click("[data-action=example]")
    write(page, "method.lora.rank", "5")
    page.click("[data-action=presets]")
    window = page.locator("dialog")
    window.get_by_label("Name of the preset").fill("Small stars")
    page.click("[data-action=save-preset]")
    window.get_by_text("Small stars is saved.").wait_for()
    tab.picture("day-10-preset.png")
    page.keyboard.press("Escape")
    page.click("[data-action=reset-all]")
    page.get_by_label("Preset", exact=True).select_option(label="Small stars")
    assert field(page, "method.lora.rank").locator("input").input_value() == "5"

    file = settings(tmp_path)
    page.click("[data-action=import-settings]")
    page.fill("[data-field=import-path]", f'"{file}"')
    page.click("[data-action=import]")
    page.locator(".sdft-import-left").get_by_text("color_aug is true").wait_for()
    tab.picture("day-11-import.png")
    page.click("[data-action=import-use]")
    assert field(page, "method.lora.rank").locator("input").input_value() == "24"
    page.locator(".sdft-summary").get_by_text("5 of 6 steps").wait_for()
    page.wait_for_selector("[data-action=train]:enabled")
    tab.picture("day-11-imported.png", "[aria-label=Pictures]")

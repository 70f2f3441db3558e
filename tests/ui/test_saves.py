"""What is left of a run that has ended: its report, its files, its saves with their pictures, deleted and restored."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from safetensors import safe_open

from sdft_ext.recipe import file as recipe_file

from .page import field, panel, scrolls_sideways, short_example, start, state
from .test_train import INTERNAL

pytestmark = pytest.mark.slow
SCREENSHOTS = os.environ.get("SDFT_SCREENSHOTS", "")


@pytest.fixture(scope="module", autouse=True)
def run(server):
    """Nothing trains when these tests begin."""
    server.quiet()


def screenshot(page, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=str(Path(SCREENSHOTS, f"{name}.png")), full_page=True)


def test_a_run_that_has_ended_shows_report_files_and_saves(open_page, server):
    page = open_page()
    short_example(page, "ended")
    start(page)
    state(page, "finished")
    assert "ended · LoRA · Finished" in page.locator(".sdft-monitor [data-action=run]").inner_text()

    page.click(".sdft-monitor [data-action=report]")
    report = page.locator("dialog .sdft-report-text")
    report.get_by_text("Finished", exact=True).wait_for()
    assert report.locator("h3").first.inner_text() == "Loss"
    assert "ended-000003.safetensors" in report.locator("table").last.inner_text()
    page.wait_for_function(
        """() => {
            const images = [...document.querySelectorAll('.sdft-report-text img')];
            for (const image of images) image.loading = 'eager';
            return images.length >= 6 && images.every(image => image.naturalWidth > 0);
        }"""
    )
    screenshot(page, "report")
    page.keyboard.press("Escape")

    files = page.locator("[data-role=files]")
    files.locator("summary").click()
    commands = files.locator("code").all_inner_texts()
    folder = server.runs / "ended"
    assert commands == [str(folder), f"tensorboard --logdir {folder / 'tensorboard'}"]
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    files.locator("[data-action=copy-tensorboard]").click()
    files.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == commands[1]
    screenshot(page, "files")

    panel(page, "runs")
    page.locator("[data-run=ended]").get_by_text("LoRA · Step 6 of 6 · 2 saves").wait_for()


def test_evaluate_shows_each_saves_pictures_and_deletes_and_restores_saves(open_page, server):
    page = open_page()
    panel(page, "evaluate")
    page.select_option("[data-panel=evaluate] [data-action=run], [aria-label=Run]:visible", "ended")
    shown = page.locator(".sdft-save-pictures")
    page.wait_for_function("() => document.querySelectorAll('.sdft-save-pictures').length === 3")
    assert shown.evaluate_all("nodes => nodes.map(node => node.dataset.step)") == ["0", "3", "6"]
    for step, row in zip((0, 3, 6), shown.all(), strict=True):
        sources = row.locator("img").evaluate_all("nodes => nodes.map(node => node.src.split('controls/')[1])")
        assert sources == [f"concept/0/{step}", f"bleeding/0/{step}"]
    page.wait_for_function(
        "() => [...document.querySelectorAll('.sdft-save-pictures img')].every(image => image.naturalWidth === 64)"
    )
    screenshot(page, "evaluate-pictures")
    page.locator("[data-role=pictures-about]").get_by_text("weren't measured").wait_for()
    assert not INTERNAL.search(page.locator("[role=tabpanel]:visible").inner_text()), "no name of a setting in the file"
    page.locator("[data-action=enlarge]").first.click()
    captions = page.locator("dialog figcaption").all_inner_texts()
    assert [text.split("\n")[0] for text in captions] == ["Step 0", "Step 3", "Step 6"]
    screenshot(page, "evaluate-compare")
    page.keyboard.press("Escape")

    saves = server.runs / "ended" / "saves"
    file = saves / "ended-000003.safetensors"
    weights = file.read_bytes()
    page.get_by_label("Delete ended-000003").click()
    page.wait_for_function("() => document.querySelectorAll('[data-save]').length === 2")
    assert not file.exists() and (saves / "ended.safetensors").is_file()
    page.reload()
    restore = page.get_by_role("button", name="Restore ended-000003")
    restore.wait_for()
    screenshot(page, "evaluate-deleted")
    restore.click()
    page.wait_for_function("() => document.querySelectorAll('[data-save]').length === 3")
    assert file.read_bytes() == weights
    assert page.locator("[data-role=deleted]").count() == 0
    page.get_by_role("button", name="Report").click()
    page.locator("dialog .sdft-report-text").wait_for()


def test_the_saves_fit_on_a_phone(open_page, server):
    page = open_page(420, 800, "dark")
    panel(page, "evaluate")
    page.locator(".sdft-save-pictures").first.wait_for()
    assert not scrolls_sideways(page)
    screenshot(page, "evaluate-420-dark")


def test_a_new_run_continues_from_a_save_with_other_pictures(open_page, server):
    page = open_page()
    panel(page, "monitor")
    page.select_option(".sdft-monitor [data-action=run]", "ended")
    page.click(".sdft-monitor [data-action=continue]")
    page.wait_for_selector("[role=tab][data-panel=train][aria-selected=true]")
    page.get_by_text("goes on from ended. Choose its pictures.").wait_for()
    file = server.runs / "ended" / "saves" / "ended.safetensors"
    assert field(page, "method.lora.continue_from").locator("input").input_value() == str(file)
    instance = field(page, "dataset.concepts.0.instance").locator("input")
    assert instance.input_value() == "" and page.locator("[data-action=train]").is_disabled()
    instance.fill(recipe_file.read(server.runs / "ended" / "recipe.yaml").dataset.concepts[0].instance)
    assert field(page, "save.name").locator("input").input_value() == "ended-2"
    start(page)
    state(page, "finished")
    with safe_open(str(server.runs / "ended-2" / "saves" / "ended-2.safetensors"), "pt") as made:
        assert made.metadata()["sdft_version"]
    log = (server.runs / "ended-2" / "log.jsonl").read_text()
    assert recipe_file.read(server.runs / "ended-2" / "recipe.yaml").method.lora.continue_from == str(file)
    first = next(json.loads(line)["loss"] for line in log.splitlines() if '"loss"' in line)
    before = (server.runs / "ended" / "log.jsonl").read_text().splitlines()
    assert first != next(json.loads(line)["loss"] for line in before if '"loss"' in line), "it doesn't begin at zero"
    page.click(".sdft-monitor [data-action=evaluate]")
    page.get_by_label("Continue from ended-2 with other pictures").wait_for()

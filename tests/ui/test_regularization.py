"""Regularization pictures from the page: started, watched, paused, and in the end used for the concept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from .page import field, panel, short_example, start, state

pytestmark = pytest.mark.slow
FOLDER = "dataset.concepts.0.regularization"


def opened(page: Any) -> Any:
    fold = page.locator("[data-role=regularization]").locator("visible=true").first
    if fold.get_attribute("open") is None:
        fold.locator("summary").click()
    fold.locator("[data-regularization=sampler] option").first.wait_for(state="attached")
    return fold


def test_drawn_on_request_and_then_the_concepts(open_page, server):
    page = open_page()
    short_example(page, "with-class")
    fold = opened(page)
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-role=ratio]')].some(one => one.textContent.includes('12 pictures'))"
    )
    assert "240–1,200" in fold.locator("[data-role=ratio]").inner_text()
    assert fold.locator("[data-regularization=count]").input_value() == "240"
    assert fold.locator("[data-regularization=prompts]").input_value() == "a shape"
    assert fold.locator("[data-regularization=width]").input_value() == "64"
    fold.locator("[data-regularization=prompts]").fill("a red circle on a white background\na blue square")
    fold.locator("[data-regularization=count]").fill("30")
    fold.locator("[data-regularization=steps]").fill("30")
    fold.locator("[data-action=regularize]").click()
    fold.locator("[data-state=drawing]").wait_for()
    fold.locator("[data-action=regularize-pause]").click()
    fold.locator("[data-state=paused]").wait_for()
    panel(page, "monitor")
    assert "a red circle on a white background" in page.locator("section[aria-label=Queue]").inner_text()
    page.reload()  # a page that is loaded anew finds it, and gives the concept its folder in the end
    page.wait_for_selector("[data-action=train]", state="attached")
    panel(page, "train")
    fold = opened(page)
    fold.locator("[data-action=regularize-resume]").click()
    fold.locator("[data-state=finished]").wait_for()
    page.wait_for_function(
        "() => document.querySelector(`[data-path='dataset.concepts.0.regularization'] input`).value.includes('a-red-circle')"
    )
    folder = Path(field(page, FOLDER).locator("input").input_value())
    assert len(list(folder.glob("*.png"))) == 30 and len(list(folder.glob("*.txt"))) == 30
    assert Image.open(next(iter(folder.glob("*.png")))).size == (64, 64)
    page.locator(f"[data-contents='{FOLDER}'] img").nth(7).wait_for()
    start(page)
    state(page, "finished")


def test_settings_that_cannot_be_drawn_are_an_error_next_to_the_button(open_page):
    open_page.refusals = True
    page = open_page()
    page.click("[data-action=example]")
    fold = opened(page)
    fold.locator("[data-regularization=width]").fill("65")
    fold.locator("[data-action=regularize]").click()
    assert "Width" in fold.locator(".sdft-problem").first.inner_text()
    fold.locator("[data-regularization=width]").fill("64")
    fold.locator("[data-regularization=prompts]").fill(" ")
    fold.locator("[data-action=regularize]").click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.sdft-problem')].some(one => one.textContent.includes('No class prompt'))"
    )
    fold.locator("[data-regularization=prompts]").fill("a shape")
    fold.locator("[data-regularization=folder]").fill(
        field(page, "dataset.concepts.0.instance").locator("input").input_value()
    )
    fold.locator("[data-action=regularize]").click()
    assert "own pictures" in fold.locator(".sdft-problem").first.inner_text()


def test_in_the_dataset_panel_too(open_page):
    page = open_page()
    page.click("[data-action=example]")
    panel(page, "dataset")
    section = page.locator("[data-section=regularization]")
    section.locator("summary").click()
    section.locator("[data-regularization=sampler] option").first.wait_for(state="attached")
    assert section.locator("[data-regularization=prompts]").input_value() == "a shape"

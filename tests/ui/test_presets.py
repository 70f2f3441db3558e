"""Presets under a name: saved, chosen, replaced and deleted on the Train panel."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sdft_ext.recipe import file as recipe_file

from .page import field, write

pytestmark = pytest.mark.slow
SCREENSHOTS = os.environ.get("SDFT_SCREENSHOTS", "")


def test_a_preset_is_saved_chosen_replaced_and_deleted(open_page, server):
    shutil.rmtree(server.runs / "presets", ignore_errors=True)  # other tests' on the same server
    opened = open_page
    opened.refusals = True
    page = opened()
    page.click("[data-action=example]")
    write(page, "train.learning_rate", "0.00123")
    write(page, "method.lora.rank", "5")
    page.click("[data-action=presets]")
    window = page.locator("dialog")
    window.get_by_text("You have saved no presets yet.").wait_for()
    name = window.get_by_label("Name of the preset")
    for wrong in ("../outside", ""):
        name.fill(wrong)
        with page.expect_response("**/presets"):
            page.click("[data-action=save-preset]")
        window.get_by_text("isn't a file name").wait_for()
    name.fill("Small cats")
    page.click("[data-action=save-preset]")
    window.get_by_text("Small cats is saved.").wait_for()
    if SCREENSHOTS:
        page.screenshot(path=str(Path(SCREENSHOTS, "presets.png")))
    page.keyboard.press("Escape")
    file = server.runs / "presets" / "Small cats.yaml"
    # The WebUI has a hot key for Escape, which fails in tabs without its buttons.
    page.evaluate("document.addEventListener('keydown', ({ key }) => { window.heard = key; })")
    page.click("[data-action=presets]")
    window.wait_for()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Escape")
    window.wait_for(state="detached")
    assert page.evaluate("window.heard") is None
    kept = recipe_file.read(file)
    assert (kept.train.learning_rate, kept.method.lora.rank) == (0.00123, 5)
    assert kept.dataset.concepts[0].instance == "" and kept.dataset.concepts[0].trigger == ""

    page.click("[data-action=reset-all]")
    page.click("[data-action=example]")
    folder = field(page, "dataset.concepts.0.instance").locator("input").input_value()
    assert folder and field(page, "method.lora.rank").locator("input").input_value() == "16"
    page.reload()
    menu = page.get_by_label("Preset", exact=True)
    menu.locator("option", has_text="Small cats").wait_for(state="attached")
    menu.select_option(label="Small cats")
    assert field(page, "train.learning_rate").locator("input").input_value() == "0.00123"
    assert field(page, "method.lora.rank").locator("input").input_value() == "5"
    assert field(page, "dataset.concepts.0.instance").locator("input").input_value() == folder

    write(page, "method.lora.rank", "6")
    page.click("[data-action=presets]")
    name.fill("Small cats")
    page.click("[data-action=save-preset]")
    page.locator("dialog", has_text="already").locator("[data-action=confirm]").click()
    window.get_by_text("Small cats is saved.").wait_for()
    assert recipe_file.read(file).method.lora.rank == 6
    page.get_by_role("button", name="Delete preset Small cats").click()
    window.get_by_text("Small cats is in the trash").wait_for()
    assert not file.exists() and (server.runs / "trash" / "Small cats.yaml").is_file()
    page.keyboard.press("Escape")
    menu.locator("option", has_text="Small cats").wait_for(state="detached")

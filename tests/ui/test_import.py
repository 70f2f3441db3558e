"""The Train panel: settings of another program are imported, with a report of what was left out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.analysis.images import fill

from .page import field, scrolls_sideways

pytestmark = pytest.mark.slow


def settings(folder: Path) -> Path:
    """Settings of kohya for a folder of pictures, one of which can't be carried over."""
    fill(folder / "train" / "3_sks cat", 4)
    values = {
        "network_module": "networks.lora",
        "network_dim": 24,
        "network_alpha": 12,
        "unet_lr": 2e-4,
        "text_encoder_lr": 5e-5,
        "max_train_epochs": 5,
        "train_batch_size": 2,
        "resolution": 64,
        "lr_scheduler": "cosine_with_min_lr",
        "color_aug": True,
        "train_data_dir": str(folder / "train"),
        "output_name": "my cat",
    }
    path = folder / "settings.toml"
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()), encoding="utf-8")
    return path


def photograph(page: Any, name: str) -> None:
    """Keep a picture of the page where ``SDFT_PICTURES`` names a folder."""
    if folder := os.environ.get("SDFT_PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png")


@pytest.mark.parametrize("way", ["upload", "path"])
def test_imported_settings_fill_the_form_and_what_was_left_out_is_said(open_page, server, tmp_path, way):
    file = settings(tmp_path)
    if way == "upload":  # only allowed folders are looked into; a path's own folder is one
        server.ask(f"datasets?folder={quote(str(tmp_path / 'train'))}", token=server.ask("session")["token"])
    page = open_page()
    page.click("[data-action=import-settings]")
    if way == "upload":
        page.set_input_files("[data-action=import-files]", str(file))
    else:
        page.fill("[data-field=import-path]", f'"{file}"')
    page.click("[data-action=import]")
    report = page.locator(".sdft-import-left")
    report.get_by_text("color_aug is true").wait_for()
    assert "cosine was chosen" in report.inner_text() and "train.schedule" not in report.inner_text()
    page.get_by_text("What was taken over").click()
    assert (
        page.locator(".sdft-import-taken tr", has_text="network_dim = 24").get_by_text("Rank", exact=True).is_visible()
    )
    photograph(page, f"import-{way}")
    page.click("[data-action=import-use]")
    for path, value in {
        "method.lora.rank": "24",
        "train.learning_rate": "2e-4",
        "save.name": "my cat",
        "dataset.concepts.0.trigger": "sks",
        "dataset.concepts.0.instance": str(tmp_path / "train" / "3_sks cat"),
    }.items():
        assert field(page, path).locator("input").first.input_value() == value
    page.locator(".sdft-summary").get_by_text("5 of 6 steps").wait_for()
    page.wait_for_selector("[data-action=train]:enabled")
    photograph(page, f"imported-{way}")


def test_a_wrong_file_is_said_to_be_one_and_another_can_be_chosen(open_page, tmp_path):
    (tmp_path / "a.json").write_text('{"_class_name": "UNet2DConditionModel"}', encoding="utf-8")
    open_page.refusals = True
    page = open_page(width=420)
    page.click("[data-action=import-settings]")
    page.click("[data-action=import]")
    page.get_by_text("Choose one file, or 2 that belong together.").wait_for()
    page.set_input_files("[data-action=import-files]", str(tmp_path / "a.json"))
    page.click("[data-action=import]")
    page.get_by_text("settings of another kind").wait_for()
    page.set_input_files("[data-action=import-files]", str(settings(tmp_path)))
    page.click("[data-action=import]")
    page.locator(".sdft-import-left").wait_for()
    assert not scrolls_sideways(page)
    box = page.get_by_role("button", name="Other files…").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 420
    photograph(page, "import-narrow")
    page.get_by_role("button", name="Other files…").click()
    page.locator("[data-action=import-files]").wait_for()

"""The Dataset panel in a browser: a zip is sent, the report seen, one of two duplicates removed and put back; thousands of pictures."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import text
from tests.analysis.images import fill, image, save

from .conftest import Server
from .page import panel, scrolls_sideways

pytestmark = pytest.mark.slow

SCRIPT = "<img src=x onerror=hacked=1>"
REPORT = 120_000
"""Milliseconds until the pictures were inspected, on a busy machine."""


def zipped(folder: Path) -> Path:
    """Eight pictures, the first one twice, one named like a script, one entry that would lead out."""
    archive = folder / "cats.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for name, seed in [*((f"cat {n}.png", n) for n in range(8)), ("again.png", 0), (f"{SCRIPT}.png", 9)]:
            data = io.BytesIO()
            image(96, 96, seed).save(data, "PNG")
            made.writestr(name, data.getvalue())
        made.writestr("cat 0.txt", "a cat")
        made.writestr("../out.png", b"x")
    return archive


def instance(page: Any) -> Any:
    return page.locator("[data-dataset-path='dataset.concepts.0.instance'] input")


def shown(page: Any) -> None:
    page.wait_for_selector("[data-role=report] [data-role=counts]", timeout=REPORT)


def reported(open_page, folder):
    """Open the page with the report of a folder."""
    page = open_page()
    panel(page, "dataset")
    instance(page).fill(str(folder))
    page.locator("[data-role=seen] img").first.wait_for()
    page.click("[data-action=dataset-report]")
    shown(page)
    return page


def test_a_zip_is_sent_a_duplicate_is_removed_and_put_back(open_page, tmp_path):
    page = open_page()
    panel(page, "dataset")
    page.fill("[data-dataset-path='dataset.concepts.0.name'] input", "my cats")
    page.set_input_files("[data-action=dataset-files]", zipped(tmp_path))
    page.locator("[data-role=uploaded]").get_by_text("10 pictures and 1 caption added to").wait_for()
    page.locator("[data-role=uploaded]").get_by_text("../out.png leads out of the folder").wait_for()
    shown(page)
    folder = Path(instance(page).input_value())
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert folder.name == "my cats" and len(before) == 11
    page.locator("[data-count='Instance pictures of a subject']").get_by_text("10", exact=True).wait_for()

    group = page.locator("[data-kind=copies_exact]")
    group.locator("[data-file]").nth(1).wait_for()
    assert group.locator("[data-file]").count() == 2
    copy = group.locator("[data-file]").nth(1)
    copy.locator("[data-action=dataset-remove]").click()
    page.get_by_text("2 files were moved").or_(page.get_by_text("1 file was moved")).wait_for()
    page.locator("[data-count='Instance pictures of a subject']").get_by_text("9", exact=True).wait_for()
    gone = set(before) - {path.name for path in folder.iterdir()}
    assert gone in ({"again.png"}, {"cat 0.png", "cat 0.txt"})
    page.locator("[data-section=trash] summary").click()
    page.locator("[data-section=trash] [data-removal]").wait_for()
    page.click("[data-action=dataset-undo]")
    page.locator("[data-count='Instance pictures of a subject']").get_by_text("10", exact=True).wait_for()
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert page.locator("[data-section=trash]").is_hidden()

    copy.locator("[data-action=dataset-remove]").click()
    page.locator("[data-action=dataset-put-back]").click()
    page.locator("[data-section=trash]").wait_for(state="hidden")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    page.locator("[data-kind=copies_exact] [data-action=dataset-keep]").click()
    page.get_by_text("Kept. They won't be reported again.").wait_for()
    page.click("[data-action=dataset-report]")
    page.locator("[data-role=copies]").get_by_text("No duplicates found").wait_for(timeout=REPORT)
    assert page.evaluate("window.hacked") is None


def test_findings_have_a_sentence_their_pictures_and_a_remedy_where_there_is_one(open_page, tmp_path):
    folder = tmp_path / "cats"
    fill(folder, 6, 96, 96)
    save(folder / "dark.png", image(96, 96, 30).point(lambda value: value // 12))
    (folder / "alone.txt").write_text("nobody")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    page = reported(open_page, folder)
    dark = page.locator("[data-kind=very_dark]")
    dark.locator("summary").click()
    dark.locator("[data-file] img").wait_for()
    assert dark.locator("[data-action=dataset-remedy]").count() == 0, "no remedy, no button"
    page.locator("[data-kind=texts_without_pictures] [data-action=dataset-remedy]").click()
    page.get_by_text("1 file was moved").wait_for()
    assert not (folder / "alone.txt").exists()
    page.get_by_text("Pictures or settings have changed").wait_for()
    page.locator("[data-kind=unusable] [data-action=dataset-remedy]").click()
    page.wait_for_function("() => document.querySelectorAll('[data-removal]').length === 2")
    assert not (folder / "broken.png").exists()
    page.click("[data-action=dataset-batch][data-size='4']")
    panel(page, "train")
    assert page.locator("[data-path='train.batch_size'] input").input_value() == "4"


def test_text_is_framed_where_it_stands(open_page, tmp_path):
    folder, rng = tmp_path / "signed", np.random.default_rng(0)
    for number in range(8):
        plain = image(*((400, 240) if number % 2 else (240, 400)), number)
        save(folder / f"{number}.png", text.written(plain, "© Jane", 0.08, rng, edge=True) if number < 4 else plain)
    page = reported(open_page, folder)
    found = page.locator("[data-kind=recurring_text]")
    found.locator("summary").click()
    found.locator("[data-file]").nth(3).wait_for()
    assert found.locator("[data-file]").count() == 4
    for number, tile in enumerate(found.locator(".sdft-tile-picture").all()):
        tile.locator("img").wait_for()
        square, frame = tile.bounding_box(), tile.locator(".sdft-tile-frame").bounding_box()
        x, y = (
            (frame[at] + frame[side] / 2 - square[at]) / square[side] for at, side in (("x", "width"), ("y", "height"))
        )
        assert 0.15 < (y if number % 2 else x) < 0.85, "within the picture, which is narrower than the square"
        assert frame["width"] > frame["height"] > 4
    found.get_by_text("no caption names it").wait_for()


def test_concepts_are_added_shown_and_removed(open_page, tmp_path):
    fill(tmp_path / "dogs", 3)
    page = open_page()
    panel(page, "dataset")
    page.click("[data-action=dataset-add-concept]")
    page.fill("[data-dataset-path='dataset.concepts.1.name'] input", "dogs")
    page.fill("[data-dataset-path='dataset.concepts.1.instance'] input", str(tmp_path / "dogs"))
    page.locator("[data-count='Instance pictures of a subject']").get_by_text("3", exact=True).wait_for()
    page.select_option("[data-dataset-path='dataset.concepts.1.kind'] select", "style")
    page.locator("[data-count='Instance pictures of a style']").get_by_text("3", exact=True).wait_for()
    page.click("[data-action=dataset-concept][data-concept='0']")
    assert instance(page).input_value() == ""
    page.click("[data-action=dataset-concept][data-concept='1']")
    page.click("[data-action=dataset-remove-concept]")
    assert page.locator("[data-action=dataset-remove-concept]").is_hidden()


def test_missing_folders_are_named(open_page, tmp_path):
    open_page.refusals = True
    page = open_page()
    panel(page, "dataset")
    page.click("[data-action=dataset-report]")
    page.locator("[data-section=report]").get_by_text("No concept has a folder of pictures yet").wait_for()
    instance(page).fill(str(tmp_path / "nothing" / "here"))
    page.locator("[data-section=concepts]").get_by_text("does not exist; check its name").first.wait_for()
    page.set_input_files("[data-action=dataset-files]", zipped(tmp_path))
    page.locator("[data-role=uploaded]").get_by_text("does not exist; check its name").wait_for()
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_panel_fits_a_phone(open_page, theme):
    page = open_page(400, 800, theme)
    page.click("[data-action=example]")
    panel(page, "dataset")
    page.locator("[data-role=seen] img").first.wait_for()
    page.click("[data-action=dataset-report]")
    shown(page)
    assert not scrolls_sideways(page)


@pytest.mark.timed
def test_five_thousand_pictures_leave_the_panel_usable(open_page, server: Server, tmp_path):
    """The report is made in the background; during it, and afterwards, the page responds at once."""
    folder = tmp_path / "many"
    (first, *_), count = fill(folder, 100, 64, 64), 5000
    for number in range(100, count):
        # Each a file of its own: a comment at the end makes the bytes differ, the pixels are one of a hundred.
        data = (folder / f"{number % 100:03}.png").read_bytes() if number % 2 else first.read_bytes()
        (folder / f"{number:04}.png").write_bytes(data + str(number).encode())
    page = open_page()
    panel(page, "dataset")
    instance(page).fill(str(folder))
    page.locator("[data-count='Instance pictures of a subject']").get_by_text("5,000", exact=True).wait_for()
    page.click("[data-action=dataset-report]")
    page.locator("[data-section=report]").get_by_text("of 5,000").wait_for(timeout=REPORT)
    start = time.perf_counter()
    panel(page, "guide")
    panel(page, "dataset")
    page.click("[data-action=dataset-add-concept]")
    page.click("[data-action=dataset-remove-concept]")
    assert time.perf_counter() - start < 3
    page.click("[data-action=dataset-report-cancel]")
    page.get_by_text("Cancelled: not all pictures were inspected").wait_for()
    page.click("[data-action=dataset-report]")
    page.reload()  # a reloaded page finds its report again
    page.wait_for_selector("[data-role=report] [data-role=counts]", timeout=300_000)
    page.wait_for_selector("[data-kind=copies_exact], [data-kind=copies_near]")
    elements = page.evaluate("document.querySelectorAll('#sdft_root *').length")
    assert elements < 6000
    start = time.perf_counter()
    summary = page.locator("[data-kind=too_many_pictures] summary")
    summary.click()
    page.wait_for_function("() => document.querySelectorAll('[data-kind=too_many_pictures] [data-file]').length === 12")
    page.locator("[data-kind=too_many_pictures] [data-action=dataset-more-files]").click()
    page.wait_for_function("() => document.querySelectorAll('[data-kind=too_many_pictures] [data-file]').length === 72")
    assert time.perf_counter() - start < 3

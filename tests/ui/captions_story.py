"""The Captions panel's story, the same in the standalone page and in the WebUI: filter, rename, undo, redo, type, save."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from PIL import Image

from .page import panel

COUNT, SOFAS, CHOSEN = 40, 12, 7
LONG_AGO = 1_600_000_000
Files = dict[str, tuple[bytes, int]]


def make_folder(folder: Path) -> Path:
    """40 pictures with captions, 12 of them with the tag "red sofa", in the line endings and encodings that people have."""
    folder.mkdir(parents=True)
    for number in range(COUNT):
        colour = (number * 6, 255 - number * 5, 90 + number * 3)
        Image.new("RGB", (96 + number % 3 * 32, 96), colour).save(folder / f"dog{number:02}.png")
        tags = ["sks dog", "red sofa" if number < SOFAS else "grass", f"scene {number}"]
        data = ", ".join(tags).encode()
        if number == 1:
            data = b"\xef\xbb\xbf" + data + b"\r\n"
        if number == 2:
            data += b"\n"
        if number == 3:
            data = data.replace(b"red sofa", b"Red  Sofa")
        file = folder / f"dog{number:02}.txt"
        file.write_bytes(data)
        os.utime(file, (LONG_AGO, LONG_AGO))
    return folder


def files(folder: Path) -> Files:
    """Every file of the folder, our own left out: its bytes and the time it was written."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and ".sdft" not in path.parts
    }


def opened(page: Any, folder: Path) -> None:
    """The folder in the Captions panel, its pictures in sight: those of the recipe's folder may have come before them."""
    panel(page, "captions")
    page.fill("[data-action=captions-folder]", str(folder))
    page.click("[data-action=captions-open]")
    first = min(path.name for path in folder.iterdir() if path.suffix != ".txt" and path.is_file())
    page.locator(".sdft-cap-name").get_by_text(first, exact=True).first.wait_for()


def cell(page: Any, number: int) -> Any:
    return page.locator(".sdft-cap-cell").nth(number)


def wait_for_message(page: Any, text: str) -> None:
    """Wait until the panel shows this text."""
    page.locator("[data-role=message]").get_by_text(text).wait_for()


def story(page: Any, folder: Path, shot: Any = None) -> None:
    """From the folder to the saved files; asserts what is on disk after each step. ``shot(name)`` takes pictures."""
    before = files(folder)
    opened(page, folder)
    page.locator("[data-role=found]").get_by_text("40 pictures", exact=True).wait_for()

    page.fill("[data-action=filter-tag]", "Red sofa")
    page.press("[data-action=filter-tag]", "Enter")
    page.locator("[data-role=found]").get_by_text("12 of 40 pictures").wait_for()

    cell(page, 0).click()
    for _ in range(CHOSEN - 1):
        page.keyboard.press("Shift+ArrowRight")
    page.get_by_text("Deselect 7").wait_for()
    page.click("[data-side=edits]")
    page.get_by_label("Captions to edit").locator("[data-target=selected][aria-pressed=true]").wait_for()
    page.select_option("[data-action=edit-kind]", "rename")
    page.fill("[data-field=tag]", "red sofa")
    page.fill("[data-field=to]", "blue armchair")
    page.locator("[data-role=preview]").get_by_text("7 of 7 captions will change.").wait_for()
    assert page.locator(".sdft-cap-change ins").first.inner_text() == "blue armchair"
    if shot:
        shot("captions-preview")
    page.click("[data-action=edit-apply]:enabled")
    wait_for_message(page, "7 captions changed.")
    renamed = page.locator(".sdft-cap-cell", has_text="blue armchair")
    assert renamed.count() == CHOSEN
    assert files(folder) == before

    page.click("[data-action=captions-undo]")
    wait_for_message(page, "Undone:")
    page.wait_for_selector("[data-action=captions-undo]:disabled")
    assert renamed.count() == 0
    cell(page, 0).click()
    page.keyboard.press("Control+y")
    wait_for_message(page, "Redone:")
    page.wait_for_function("() => document.querySelector('[data-action=captions-save]').textContent === 'Save 7'")
    assert renamed.count() == CHOSEN

    page.click("[data-action=filter-clear]")
    page.locator("[data-role=found]").get_by_text("40 pictures", exact=True).wait_for()
    page.locator(".sdft-cap-grid").focus()
    cell(page, 0).click()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.dataset.action === 'caption'")
    page.keyboard.type(", at night")
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.activeElement.classList.contains('sdft-cap-cell')")
    page.keyboard.press("Control+s")
    wait_for_message(page, "8 captions saved.")
    if shot:
        shot("captions-saved")

    after = files(folder)
    assert set(after) == set(before)
    expected = {name: data for name, (data, _) in before.items()}
    for number in range(CHOSEN):
        name = f"dog{number:02}.txt"
        expected[name] = expected[name].replace(b"red sofa", b"blue armchair").replace(b"Red  Sofa", b"blue armchair")
    expected["dog38.txt"] += b", at night"
    assert {name: data for name, (data, _) in after.items()} == expected
    touched = {name for name in before if after[name][1] != before[name][1]}
    assert touched == {*(f"dog{number:02}.txt" for number in range(CHOSEN)), "dog38.txt"}

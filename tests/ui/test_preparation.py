"""Preparing pictures on the page: a crop moved by mouse and keyboard, a mask painted, files written, originals untouched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from .page import panel, write

pytestmark = pytest.mark.slow

NAME = "<b onmouseover=alert(1)>.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Wide pictures, darker to the right, with a caption each."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        wide = np.zeros((512, 1024, 3), dtype=np.uint8)
        wide[..., number] = np.linspace(255, 0, 1024, dtype=np.uint8)
        Image.fromarray(wide).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"caption {number}")
    clear = Image.new("RGBA", (600, 600), (0, 0, 0, 0))
    ImageDraw.Draw(clear).ellipse((100, 100, 500, 500), fill=(200, 60, 20, 255))
    clear.save(folder / NAME)
    return folder


def stamps(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir() if path.is_file()}


def opened(page: Any, folder: Path) -> Any:
    """The section, unfolded, with the folder's pictures in it."""
    panel(page, "dataset")
    page.locator("[data-dataset-path='dataset.concepts.0.instance'] input").fill(str(folder))
    section = page.locator("[data-section=preparation]")
    section.locator("summary").click()
    section.locator("[data-option=cut]").wait_for(state="visible")
    page.wait_for_function(
        "n => document.querySelectorAll('.sdft-preparation-item').length === n", arg=len(list(folder.glob("*.png")))
    )
    return section


def squares(page: Any) -> None:
    """Squares of 512: a wide picture loses half, and its crop can move."""
    panel(page, "train")
    write(page, "dataset.resolution", "512")
    field = page.locator("[data-path='dataset.buckets']")
    field.evaluate(
        "node => { for (let one = node; one; one = one.parentElement) if (one.tagName === 'DETAILS') one.open = true; }"
    )
    field.locator("input").uncheck()


def remembered(folder: Path) -> dict[str, Any]:
    path = folder / ".sdft" / "crops.json"
    return json.loads(path.read_text())["crops"] if path.exists() else {}


def until(page: Any, condition: Any) -> None:
    for _ in range(200):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it never came to that")


def prepare(page: Any, section: Any) -> None:
    section.locator("[data-action=prepare]:enabled").click()
    section.locator("[data-role=preparation-result] .sdft-good").wait_for()


def test_a_crop_is_moved_by_mouse_and_keyboard_and_cut_there(open_page: Any, folder: Path) -> None:
    before = stamps(folder)
    page = open_page()
    squares(page)
    section = opened(page, folder)
    page.wait_for_function(
        "() => document.querySelector('[data-name=\"0.png\"] .sdft-crop-frame')?.style.width === '50%'"
    )
    frame = section.locator("[data-name='0.png'] [data-action=preparation-crop]")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 30, steps=4)
    page.mouse.move(box["x"] + 400, box["y"] + 30, steps=4)
    page.mouse.up()
    until(page, lambda: remembered(folder).get("0.png", {}).get("x") == 0.75)
    other = section.locator("[data-name='1.png'] [data-action=preparation-crop]")
    other.focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowLeft")
    until(page, lambda: remembered(folder).get("1.png", {}).get("x") == 0.25)
    section.locator("[data-name='1.png'] [data-action=preparation-reset]").wait_for()
    assert page.evaluate("document.activeElement.dataset.action") == "preparation-crop", "focus stays where it was"
    section.locator("[data-name='1.png'] [data-action=preparation-crop]").press("+")
    until(page, lambda: remembered(folder)["1.png"]["zoom"] == 1.1)
    section.locator("[data-name='2.png'] [data-action=preparation-crop]").press("ArrowRight")
    until(page, lambda: "2.png" in remembered(folder))
    section.locator("[data-name='2.png'] [data-action=preparation-reset]").click()
    until(page, lambda: "2.png" not in remembered(folder))
    prepare(page, section)
    out = folder.with_name("pictures-prepared")
    source = np.asarray(Image.open(folder / "0.png"))
    assert np.array_equal(np.asarray(Image.open(out / "0.png")), source[:, 512:])
    near = np.asarray(Image.open(out / "1.png"))[..., 1].mean(axis=0)
    assert near.shape == (512,) and 255 * 0.985 > near[0] > 255 * 0.965 and 255 * 0.55 > near[-1] > 255 * 0.5
    middle = np.asarray(Image.open(folder / "2.png"))
    assert np.array_equal(np.asarray(Image.open(out / "2.png")), middle[:, 256:768])
    assert (out / "0.txt").read_text() == "caption 0"
    assert stamps(folder) == before
    # Crops are remembered, and what is there isn't made again.
    page.reload()
    section = page.locator("[data-section=preparation]")
    section.locator("summary").click()
    section.locator("[data-name='0.png'] [data-action=preparation-reset]").wait_for()
    written = stamps(out)
    prepare(page, section)
    assert "were there already" in section.locator("[data-role=preparation-result]").inner_text()
    assert stamps(out) == written


def test_a_finger_moves_a_crop_on_a_phone(open_page: Any, folder: Path) -> None:
    page = open_page(width=400, height=800)
    squares(page)
    section = opened(page, folder)
    page.wait_for_function(
        "() => document.querySelector('[data-name=\"0.png\"] .sdft-crop-frame')?.style.width === '50%'"
    )
    frame = section.locator("[data-name='0.png'] [data-action=preparation-crop]")
    frame.evaluate(
        """node => {
            const { x, y } = node.getBoundingClientRect();
            node.setPointerCapture = () => {};
            const touch = (kind, by) => node.dispatchEvent(new PointerEvent(kind, { pointerType: 'touch', pointerId: 7, bubbles: true, cancelable: true, clientX: x + 30 + by, clientY: y + 30 }));
            touch('pointerdown', 0); touch('pointermove', -30); touch('pointermove', -300); touch('pointerup', -300);
        }"""
    )
    until(page, lambda: remembered(folder).get("0.png", {}).get("x") == 0.25)
    assert frame.evaluate("node => getComputedStyle(node).touchAction") == "none"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_painted_mask_is_stored_as_training_reads_it(open_page: Any, folder: Path) -> None:
    from sdft_ext.dataset.buckets import assign
    from sdft_ext.dataset.cache import View, load
    from sdft_ext.dataset.folder import scan
    from sdft_ext.recipe import Concept, DatasetRecipe

    before = stamps(folder)
    page = open_page()
    section = opened(page, folder)

    def window(name: str) -> Any:
        section.locator(f"[data-name='{name}'] [data-action=preparation-mask]").click()
        canvas = page.locator("canvas.sdft-mask")
        canvas.wait_for()
        return canvas

    def stored(name: str) -> None:
        """The dialog is closed, and the pictures are drawn again: a button that is being replaced takes no click."""
        page.locator("canvas.sdft-mask").wait_for(state="detached")
        section.locator(f"[data-name='{name}'] [data-action=preparation-mask]").get_by_text("Mask ✓").wait_for()

    def drag(canvas: Any, *places: tuple[float, float]) -> None:
        box = canvas.bounding_box()
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=5)
        page.mouse.up()

    canvas = window("0.png")
    save = page.locator("[data-action=mask-save]")
    assert save.is_disabled(), "nothing is white yet"
    drag(canvas, (0.25, 0.5), (0.25, 0.6))
    drag(canvas, (0.75, 0.2), (0.75, 0.8))
    page.locator("[data-action=mask-undo]").click()
    page.locator("[data-action=mask-eraser]").click()
    drag(canvas, (0.25, 0.9), (0.3, 0.9))
    save.click()
    stored("0.png")
    with Image.open(folder / "0-mask.png") as mask:
        assert (mask.mode, mask.size) == ("L", (1024, 512))
        white = np.asarray(mask) > 127
    assert white[256, 256] and white[300, 256] and not white[256, 768] and not white[20, 20] and not white[460, 270]

    def weights(name: str) -> np.ndarray | None:
        recipe = DatasetRecipe(concepts=[Concept(instance=str(folder))])
        (picture,) = [one for one in scan(recipe).pictures if one.path.name == name]
        return load(View(picture, assign(picture.width, picture.height, recipe), False), recipe)[1]

    map_ = weights("0.png")
    assert map_ is not None and weights("1.png") is None
    height, width = map_.shape
    assert map_[height // 2, width // 4] == 1 and map_[height // 2, 3 * width // 4] == 0
    # By keyboard, and inverted: what was painted isn't learnt.
    canvas = window("1.png")
    canvas.focus()
    for _ in range(5):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("]")
    page.keyboard.press("Space")
    page.locator("[data-action=mask-invert]").click()
    save.click()
    stored("1.png")
    map_ = weights("1.png")
    assert map_ is not None
    assert map_[map_.shape[0] // 2, int(map_.shape[1] * 0.9)] == 0 and map_[map_.shape[0] // 2, map_.shape[1] // 4] == 1
    # From transparency.
    canvas = window(NAME)
    page.locator("[data-action=mask-alpha]").click()
    page.locator("[data-action=mask-save]:enabled").click()
    stored(NAME)
    alpha = np.asarray(Image.open(folder / NAME).getchannel("A"))
    assert np.array_equal(np.asarray(Image.open(folder / f"{Path(NAME).stem}-mask.png")), alpha)
    # Removed again, with a copy kept.
    canvas = window("0.png")
    page.locator("[data-action=mask-remove]").click()
    page.locator("[data-action=confirm]").click()
    canvas.wait_for(state="detached")
    assert not (folder / "0-mask.png").exists() and len(list((folder / ".sdft" / "masks").iterdir())) == 1
    assert weights("0.png") is None
    now = stamps(folder)
    assert {name: now[name] for name in before} == before


def test_what_is_wrong_is_said(open_page: Any, folder: Path) -> None:
    open_page.refusals = True
    page = open_page()
    section = opened(page, folder)
    out = section.locator("[data-option=out]")
    out.fill(str(folder / "inside"))
    section.locator(".sdft-problem", has_text="is inside the folder of the originals").wait_for()
    assert section.locator("[data-action=prepare]").is_disabled()
    other = folder.parent / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    out.fill(str(other))
    section.locator(".sdft-problem", has_text="is not empty (it contains mine.txt)").wait_for()
    out.fill("")
    section.locator("[data-action=prepare]:enabled").wait_for()
    assert section.locator("[data-option=quality]").evaluate("node => node.closest('.sdft-field').hidden") is True
    section.locator("[data-option=format]").select_option("jpeg")
    section.locator("[data-option=mirror]").select_option("true")
    section.locator("[data-role=preparation-facts]", has_text="4 pictures → 8 files").wait_for()
    prepare(page, section)
    assert len(list(folder.with_name("pictures-prepared").glob("*.jpg"))) == 8
    section.locator("[data-action=preparation-use]").click()
    value = page.locator("[data-dataset-path='dataset.concepts.0.instance'] input").input_value()
    assert value == str(folder.with_name("pictures-prepared"))

"""Control pictures: two sets, fixed prompts and seeds; a grid that can be read."""

import json

import numpy as np
import pytest
from PIL import Image

from sdft_ext.recipe import WatchRecipe
from sdft_ext.watch import lettering
from sdft_ext.watch.controls import Controls, grid

WATCH = WatchRecipe(concept_prompts=["sks dog", "a sks dog, red"], bleeding_prompts=["dog", ""], pictures=2, seed=50)


def plain(colour, size=(64, 64)):
    return Image.new("RGB", size, colour)


def test_both_sets_are_drawn_with_seeds_that_count_on(tmp_path):
    asked = []

    def draw(prompts, seeds):
        asked.append((list(prompts), list(seeds)))
        return [plain((seed, 0, 0)) for seed in seeds]

    controls = Controls(tmp_path, WATCH)
    paths = controls.draw(0, draw)
    assert asked == [(["sks dog", "a sks dog, red", "dog", ""], [50, 51, 52, 53])]
    assert [str(path.relative_to(tmp_path / "controls")) for path in paths] == [
        "concept/00/step-000000.png",
        "concept/01/step-000000.png",
        "bleeding/00/step-000000.png",
        "bleeding/01/step-000000.png",
    ]
    assert [Image.open(path).getpixel((0, 0))[0] for path in paths] == [50, 51, 52, 53]
    controls.draw(100, draw)
    assert asked[1] == asked[0]
    index = json.loads((tmp_path / "controls" / "index.json").read_text())
    assert index["steps"] == [0, 100] == Controls(tmp_path, WATCH).steps()
    assert index["prompts"][3] == {"set": "bleeding", "number": 1, "prompt": "", "seed": 53}


def test_a_step_drawn_again_is_listed_once(tmp_path):
    controls = Controls(tmp_path, WATCH)
    for step in (0, 10, 0):
        controls.draw(step, lambda prompts, seeds: [plain("red") for _ in prompts])
    assert controls.steps() == [0, 10]


def test_no_prompts_no_pictures(tmp_path):
    assert Controls(tmp_path, WatchRecipe()).draw(0, lambda p, s: pytest.fail("nothing to draw")) == []
    assert not (tmp_path / "controls").exists()


def test_the_grid_shows_each_picture_in_its_place():
    colours = [["#ff0000", "#00ff00", "#0000ff"], ["#ffff00", "#ff00ff", "#00ffff"]]
    columns = [(f"step {x}", [plain(column) for column in row]) for x, row in enumerate(colours)]
    sheet = grid(columns, ["one", "two", ""])
    assert sheet.width == 2 * 192 + 3 * 10
    at = [
        (column, row, np.argwhere((np.asarray(sheet) == Image.new("RGB", (1, 1), name).getpixel((0, 0))).all(-1)))
        for column, names in enumerate(colours)
        for row, name in enumerate(names)
    ]
    for column, row, pixels in at:
        assert len(pixels) == 192 * 192, (column, row)
        assert pixels[:, 1].min() == 10 + column * 202
    tops = [pixels[:, 0].min() for column, _, pixels in at if column == 0]
    assert tops == sorted(tops) and tops == [pixels[:, 0].min() for column, _, pixels in at if column == 1]


@pytest.mark.parametrize(
    ("size", "shown"),
    [((64, 64), (192, 192)), ((512, 512), (256, 256)), ((1024, 512), (256, 128)), ((100, 100), (100, 100))],
)
def test_pictures_are_shown_at_a_size_to_look_at(size, shown):
    sheet = grid([("base", [plain("red", size)]), ("x", [plain("blue", size)])], ["p"])
    red = np.argwhere((np.asarray(sheet) == (255, 0, 0)).all(-1))
    assert tuple(red.max(0) - red.min(0) + 1)[::-1] == shown


METHODS = "base lora locon dora loha lokr pivotal dreambooth dreambooth-lora full textual_inversion hypernetwork"
LONG = "a red shape on a white background, seen from above, with a long shadow, in the evening, " * 2 + "and grey"


@pytest.mark.parametrize(
    ("labels", "size", "cell", "prompt"),
    [
        (METHODS.split(), (64, 64), 192, LONG),
        (["base", "textual_inversion-style"], (64, 64), 192, LONG),
        (["base", "step 100000"], (256, 1024), 64, "a blue ring from above"),
        (["base", "w" * 60], (64, 64), 192, LONG),
    ],
)
def test_labels_and_prompts_that_do_not_fit_into_a_line_wrap(monkeypatch, labels, size, cell, prompt):
    written = []

    def write(sheet, place, text, letters, colour):
        written.append((*place, text, letters, colour))
        lettering.write(sheet, place, text, letters, colour)

    monkeypatch.setattr("sdft_ext.watch.controls.write", write)
    prompts = [prompt, "", "a blue ring"]
    sheet = grid([(label, [plain("red", size) for _ in prompts]) for label in labels], prompts)
    red = (np.asarray(sheet) == (255, 0, 0)).all(-1)
    first = np.argwhere(red)[0][0]
    assert red.sum() == len(labels) * len(prompts) * cell * (cell * size[1] // size[0]), "no word covers a picture"
    of_prompts, of_labels = written[-1][4], written[0][4]
    for place, label in enumerate(labels):
        lines = [one for one in written if one[4] == of_labels and one[0] == 10 + place * (cell + 10)]
        assert "".join(line[2] for line in lines) == label.replace(" ", "")
        assert all(lettering.width(text, letters) <= cell for _, _, text, letters, _ in lines)
        assert lines[-1][1] < first
    above = [text for _, top, text, _, colour in written if colour == of_prompts and top < first]
    assert " ".join(above) == prompt
    assert all(lettering.width(text, letters) <= sheet.width - 20 for _, _, text, letters, _ in written)


def test_text_is_written_and_shortened_to_its_space():
    sheet = grid([("base", [plain("white")])], ["x" * 10_000])
    words = np.asarray(sheet.convert("L"))[:40]
    assert words.min() < 100  # dark letters on the light ground
    text = lettering.fitting("a long text " * 50, 20, 200)
    assert text.endswith("…") and 150 < lettering.width(text, 20) <= 200
    assert lettering.fitting("short\n text", 20, 500) == "short text"
    lettering.fitting("猫 🐈", 20, 10)
    lines = lettering.wrapped("a well-known text " * 50, 20, 200, 3)
    assert len(lines) == 3 and lines[:2] == ["a well-known text a", "well-known text a"] and lines[2].endswith("…")
    assert lettering.wrapped("many letters", 20, 1, 20) == [*"many", *"letters"]
    assert lettering.wrapped("", 20, 100, 3) == [""]


def test_without_a_font_pillows_own_is_used(monkeypatch):
    monkeypatch.setattr(lettering, "FONTS", ())
    lettering.font.cache_clear()
    try:
        sheet = Image.new("RGB", (400, 100), "white")
        lettering.write(sheet, (10, 10), lettering.fitting("Loss of 猫 é …", 40, 300), 40, "black")
        dark = np.argwhere(np.asarray(sheet.convert("L")) < 128)
        assert np.ptp(dark[:, 0]) >= 20 and lettering.width("Loss", 40) > 40
    finally:
        lettering.font.cache_clear()

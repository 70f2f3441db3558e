"""Features added to real photographs are reported with the pictures that show them; a clean set has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from sdft_ext.analysis import phrases
from sdft_ext.analysis.backgrounds import colour_name
from sdft_ext.analysis.duplicates import duplicates
from sdft_ext.analysis.findings import Finding
from sdft_ext.analysis.recurring import recurring_features
from sdft_ext.analysis.thumbnails import make_thumbnails
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.pictures import open_picture
from tests.analysis.images import image, recipe, save
from tests.dataset.photographs import write_photographs

Plant = Callable[[Any, np.random.Generator], Any]
NAMES = ("astronaut", "cat", "stones", "rocket", "temple", "flower", "cup", "street")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """A part of each photograph, of different shapes and brightness."""
    rng = np.random.default_rng(0)
    parts = []
    for path in write_photographs(tmp_path_factory.mktemp("photographs")):
        picture = open_picture(path)[0]
        width, height = (int(side * rng.uniform(0.5, 1)) for side in picture.size)
        left, top = (int(rng.integers(0, s - t + 1)) for s, t in zip(picture.size, (width, height), strict=True))
        part = picture.crop((left, top, left + width, top + height))
        part.thumbnail((360, 360))
        parts.append(part)
    return parts


def planted(
    pictures: list[Any], folder: Path, plant: Plant, most: float = 1.0, words: str = "", **concept: Any
) -> list[Finding]:
    """Return the findings of a folder in which a share ``most`` of the pictures has what ``plant`` adds."""
    rng = np.random.default_rng(1)
    for number, picture in enumerate(pictures):
        done = plant(picture, rng) if number < most * len(pictures) else picture
        save(folder / f"{number:02}.png", done)
        caption = f"{NAMES[number % len(NAMES)]}, {number}" + (f", {words}" if words else "")
        (folder / f"{number:02}.txt").write_text(caption)
    found = scan(recipe(folder, **concept))
    return recurring_features(found, make_thumbnails(found.pictures, workers=1))


def kinds(findings: list[Finding]) -> set[str]:
    return {finding.kind for finding in findings}


def clean(picture: Any, rng: np.random.Generator) -> Any:
    return picture


def badge(picture: Any, rng: np.random.Generator) -> Any:
    done, (width, height) = picture.copy(), picture.size
    ImageDraw.Draw(done).ellipse((width * 0.84, height * 0.84, width * 0.96, height * 0.96), fill=(220, 30, 40))
    return done


def watermark(picture: Any, rng: np.random.Generator) -> Any:
    """Half-transparent lettering near the lower edge."""
    letters = Image.new("L", (60, 12), 0)
    ImageDraw.Draw(letters).text((0, 0), "(c) Jane D", fill=160, font=ImageFont.load_default())
    width, height = picture.size
    letters = letters.resize((width // 2, height // 10))
    done = picture.copy()
    done.paste((255, 255, 255), (width // 4, int(height * 0.85)), letters)
    return done


def framed(picture: Any, rng: np.random.Generator) -> Any:
    width, height = picture.size
    edge = max(min(width, height) // 18, 8)
    done = Image.new("RGB", picture.size, "white")
    done.paste(picture.crop((edge, edge, width - edge, height - edge)), (edge, edge))
    return done


def barred(picture: Any, rng: np.random.Generator) -> Any:
    bar = picture.height // 9
    done = Image.new("RGB", picture.size, "black")
    done.paste(picture.crop((0, bar, picture.width, picture.height - bar)), (0, bar))
    return done


def put_on(ground: Any) -> Plant:
    """Put the picture, small, somewhere on ``ground``."""

    def plant(picture: Any, rng: np.random.Generator) -> Any:
        done, side = ground.resize((300, 300)), int(rng.integers(90, 150))
        done.paste(picture.resize((side, side)), tuple(rng.integers(0, 300 - side, 2).tolist()))
        return done

    return plant


def in_the_middle(picture: Any, rng: np.random.Generator) -> Any:
    done = Image.new("RGB", (300, 300), tuple(rng.integers(0, 255, 3).tolist()))
    side = int(rng.integers(90, 150))
    done.paste(picture.resize((side, side)), ((300 - side) // 2, (300 - side) // 2))
    return done


def anywhere(picture: Any, rng: np.random.Generator) -> Any:
    done = Image.new("RGB", (300, 300), tuple(rng.integers(0, 255, 3).tolist()))
    side = int(rng.integers(60, 110))
    done.paste(picture.resize((side, side)), tuple(rng.integers(10, 290 - side, 2).tolist()))
    return done


def equally_bright(picture: Any, rng: np.random.Generator) -> Any:
    values = np.asarray(picture).astype(np.float64)
    return Image.fromarray(np.clip(values * 110 / values.mean(), 0, 255).astype(np.uint8))


def test_a_clean_set_yields_no_finding(photographs: list[Any], tmp_path: Path) -> None:
    assert planted(photographs, tmp_path / "all", clean) == []
    rng = np.random.default_rng(3)
    for number in range(6):
        some = [photographs[int(n)] for n in rng.permutation(len(photographs))[: 5 + 2 * number]]
        assert planted(some, tmp_path / str(number), clean) == [], number
    assert planted(photographs, tmp_path / "objects", anywhere) == [], "objects here and there on many colours"


@pytest.mark.parametrize(
    ("plant", "kind", "expected"),
    [
        (badge, "recurring_mark", "lower right"),
        (watermark, "recurring_mark", "lower middle"),
        (framed, "recurring_border", "crop"),
        (barred, "recurring_border", "crop"),
        (put_on(Image.new("RGB", (9, 9), (246, 246, 246))), "recurring_background", "white background"),
        (put_on(Image.new("RGB", (9, 9), (40, 150, 60))), "recurring_background", "plain green"),
        (in_the_middle, "recurring_position", "same place"),
        (equally_bright, "recurring_brightness", "brighter"),
    ],
)
def test_what_is_added_is_reported(
    photographs: list[Any], tmp_path: Path, plant: Plant, kind: str, expected: str
) -> None:
    (finding,) = planted(photographs, tmp_path, plant)
    assert finding.kind == kind and expected in finding.text and "\n" not in finding.text
    assert len(finding.files) >= 0.8 * len(photographs) and set(finding.files) <= set(tmp_path.iterdir())
    assert finding.facts["count"] == len(finding.files)


def test_the_same_scene_behind_changing_objects(photographs: list[Any], tmp_path: Path) -> None:
    (finding,) = planted(photographs[1:], tmp_path, put_on(photographs[0].resize((90, 90))))
    assert finding.kind == "recurring_background" and len(finding.files) >= 15


@pytest.mark.parametrize("share", [0.12, 0.2])
def test_a_small_watermark_in_a_corner_of_twelve(photographs: list[Any], tmp_path: Path, share: float) -> None:
    """It is a few pixels of a thumbnail."""

    def signed(picture: Any, rng: np.random.Generator) -> Any:
        letters = Image.new("L", (40, 11), 0)
        ImageDraw.Draw(letters).text((1, 0), "(c) JD", fill=200, font=ImageFont.load_default())
        width, height = picture.size
        letters = letters.resize((int(width * share), max(int(width * share * 11 / 40), 4)))
        done = picture.copy()
        done.paste((255, 255, 255), (int(width * (0.98 - share)), int(height * 0.98) - letters.height), letters)
        return done

    (finding,) = planted(photographs[::2] + photographs[1:4:2], tmp_path, signed)
    assert finding.kind == "recurring_mark" and "lower right corner" in finding.text
    assert finding.facts["corner"] == "lower right" and len(finding.files) >= 8


def test_a_finding_lists_only_the_pictures_that_show_it(photographs: list[Any], tmp_path: Path) -> None:
    (finding,) = planted(photographs, tmp_path, badge, most=0.8)
    assert {path.stem for path in finding.files} == {f"{number:02}" for number in range(16)}


def test_a_badge_on_a_background_that_recurs_too(photographs: list[Any], tmp_path: Path) -> None:
    white = put_on(Image.new("RGB", (9, 9), "white"))
    assert kinds(planted(photographs, tmp_path, lambda p, rng: badge(white(p, rng), rng))) == {
        "recurring_background",
        "recurring_mark",
    }


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (badge, "red badge in the corner"),
        (framed, "a white border"),
        (put_on(Image.new("RGB", (9, 9), "white")), "white background"),
        (in_the_middle, "centered"),
        (equally_bright, "evenly lit"),
    ],
)
def test_what_captions_name_is_not_reported(photographs: list[Any], tmp_path: Path, plant: Plant, words: str) -> None:
    found = planted(photographs, tmp_path, plant, words=words)
    (finding,) = found
    assert finding.kind == "recurring_tag" and finding.facts["case"] == "named"
    assert words.removeprefix("a ") in finding.text and "not as part of the concept" in finding.text


def test_what_some_captions_name_is_to_be_named_in_the_others(photographs: list[Any], tmp_path: Path) -> None:
    """Where a feature stands in the picture but not in the caption, it is learned with the concept."""
    planted(photographs, tmp_path, badge)
    for number in range(12):
        (tmp_path / f"{number:02}.txt").write_text(f"{NAMES[number % 8]}, {number}, red badge")
    found = scan(recipe(tmp_path))
    tag, mark = recurring_features(found, make_thumbnails(found.pictures, workers=1))
    others = {f"{number:02}" for number in range(12, 20)}
    assert mark.kind == "recurring_mark" and mark.facts["case"] == "named_in_some"
    assert {path.stem for path in mark.files} == others and "8 of their captions do not name it" in mark.text
    assert tag.facts["case"] == "named_in_some" and {path.stem for path in tag.files} == others


def captioned(folder: Path, captions: list[str], **concept: Any) -> list[Finding]:
    """Return the findings on the phrases of these captions, of pictures that have nothing else in common."""
    for number, caption in enumerate(captions):
        save(folder / f"{number:02}.png", image(64, 64, number))
        (folder / f"{number:02}.txt").write_text(caption)
    return phrases.recurring(scan(recipe(folder, **concept)), 0)


PLACES = (
    *("kitchen", "garden", "street", "beach", "attic", "forest"),
    *("library", "harbour", "castle", "meadow", "tunnel", "tower"),
)


def test_a_phrase_in_all_sentences_is_named_and_right(tmp_path: Path) -> None:
    captions = [f"A photo of sks man with a red tie in daylight, walking through the {place}." for place in PLACES]
    (finding, walking) = captioned(tmp_path, captions, concept_trigger="sks", concept_class_word="man")
    assert finding.facts["tag"] == "red tie in daylight" and finding.facts["case"] == "named"
    assert "in 12 of 12 captions" in finding.text and "not as part of the concept" in finding.text
    assert walking.facts["tag"] == "walking through"


def test_daylight_in_all_pictures_and_a_tie_in_half(tmp_path: Path) -> None:
    """The guide's cases: what all have in common, and what half of them have."""
    captions = [
        f"in the {place} sks man stands{' with a tie' if number % 2 else ''}, daylight"
        for number, place in enumerate(PLACES)
    ]
    found = captioned(tmp_path, captions, concept_trigger="sks", concept_class_word="man")
    cases = {finding.facts["tag"]: (finding.facts["count"], finding.facts["case"]) for finding in found}
    assert cases == {"daylight": (12, "named"), "stands": (12, "named"), "stands with a tie": (6, "named_in_some")}
    (half,) = [finding for finding in found if finding.facts["count"] == 6]
    assert {path.stem for path in half.files} == {f"{number:02}" for number in range(0, 12, 2)}, "those to look at"
    assert "add it to the captions of those that show it" in half.text


@pytest.mark.parametrize("phrase", ["a striped wallpaper", "polka dots", "the word SALE", "blurry text"])
def test_repeating_motifs_and_text_in_sentences(tmp_path: Path, phrase: str) -> None:
    captions = [f"a sks vase in a {place} before {phrase}" for place in PLACES[:9]]
    captions += [f"a vase, {place}" for place in PLACES[9:]]
    found = captioned(tmp_path, captions, concept_trigger="sks", concept_class_word="vase")
    (finding,) = [finding for finding in found if finding.facts["count"] == 9]
    assert phrase.split()[-1].lower() in finding.facts["tag"] and finding.facts["case"] == "named_in_some"


def test_neither_trigger_nor_class_word_is_reported(tmp_path: Path) -> None:
    """They belong in every caption, alone, together or within a sentence, in tags and in sentences."""
    sentences = [f"An old photograph of the sks golden retriever, {place}" for place in PLACES[:6]]
    tags = [f"sks, Golden Retriever, {place}" for place in PLACES[6:]]
    own = {"concept_trigger": "sks", "concept_class_word": "golden retriever"}
    assert [finding.facts["tag"] for finding in captioned(tmp_path, [*sentences, *tags], **own)] == ["old"]


def test_captions_of_different_things_have_no_phrase_in_common(tmp_path: Path) -> None:
    assert captioned(tmp_path, [f"in the {place}, {number}" for number, place in enumerate(PLACES)]) == []


def test_a_tag_in_most_captions_is_reported_but_not_the_trigger(photographs: list[Any], tmp_path: Path) -> None:
    for number, picture in enumerate(photographs):
        save(tmp_path / f"{number:02}.png", picture)
        sofa = ", Red Sofa" if number < 16 else ""
        (tmp_path / f"{number:02}.txt").write_text(f"sks dog, {NAMES[number % 8]} {number}{sofa}")
    found = scan(recipe(tmp_path, concept_trigger="sks", concept_class_word="dog"))
    (finding,) = recurring_features(found, make_thumbnails(found.pictures, workers=1))
    assert finding.kind == "recurring_tag" and "'red sofa' is in 16 of 20 captions" in finding.text
    assert "look at 4 pictures without it" in finding.text
    assert finding.facts["tag"] == "red sofa" and finding.facts["share"] == 0.8
    assert {path.stem for path in finding.files} == {f"{number:02}" for number in range(16, 20)}


def test_copies_of_one_picture_make_nothing_recur(photographs: list[Any], tmp_path: Path) -> None:
    for number in range(8):
        save(tmp_path / f"{NAMES[number]}.png", photographs[0].resize((200 + 10 * number, 200 + 10 * number)))
    for number in range(4):
        save(tmp_path / f"{number}.png", photographs[1 + number])
    found = scan(recipe(tmp_path))
    thumbnails = make_thumbnails(found.pictures, workers=1)
    assert recurring_features(found, thumbnails), "without the copies named, something recurs"
    (group,) = duplicates(thumbnails)
    assert len(group.rows) == 8 and recurring_features(found, thumbnails, group.rows[1:]) == []


def test_what_recurs_in_regularization_pictures_is_not_reported(photographs: list[Any], tmp_path: Path) -> None:
    white = put_on(Image.new("RGB", (9, 9), "white"))
    rng = np.random.default_rng(0)
    for number, picture in enumerate(photographs):
        save(tmp_path / "i" / f"{number}.png", picture)
        save(tmp_path / "r" / f"{number}.png", white(picture, rng))
    found = scan(recipe(tmp_path / "i", tmp_path / "r"))
    assert recurring_features(found, make_thumbnails(found.pictures, workers=1)) == []


def test_colours_have_plain_names() -> None:
    for colour, name in (
        ((255, 255, 255), "white"),
        ((30, 30, 34), "black"),
        ((120, 122, 118), "grey"),
        ((30, 60, 210), "blue"),
    ):
        assert colour_name(np.array(colour, dtype=np.float32)) == name

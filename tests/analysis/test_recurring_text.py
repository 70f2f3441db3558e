"""Text at changing places is found in fonts and on pictures that the detector wasn't trained on, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ImageChops, ImageDraw

from bench import copies, text
from sdft_ext.analysis import thumbnails
from sdft_ext.analysis.findings import Finding
from sdft_ext.analysis.recurring import recurring_features
from sdft_ext.analysis.recurring_text import CERTAIN
from sdft_ext.analysis.text_detector import FILE, SIDE, find_text
from sdft_ext.analysis.thumbnails import make_thumbnails
from sdft_ext.dataset.folder import scan
from tests.analysis.images import recipe, save

Write = Callable[[Any, np.random.Generator], Any]
SIGNED = (1, 4, 6, 8)
"""Pictures of a set of ten that get a text."""


@pytest.fixture(scope="module")
def pictures() -> list[Any]:
    """Ten pictures without text: photographs, and scenes of figures; not the coins: rows of them resemble it."""
    taken = text.photographs()
    return [*taken[1:4], *taken[5:8], *(copies.scene(np.random.default_rng(seed)) for seed in range(4))]


def signed(picture: Any, rng: np.random.Generator) -> Any:
    return text.written(picture, "© Jane Doe", 0.07, rng, edge=True)


def report(
    pictures: list[Any],
    folder: Path,
    write: Write = signed,
    rows: tuple[int, ...] = SIGNED,
    words: str = "",
    **naming: Any,
) -> list[Finding]:
    """Return the findings about text in a folder in which ``rows`` have one; ``naming``: captions of single rows."""
    rng = np.random.default_rng(3)
    for number, picture in enumerate(pictures):
        save(folder / f"{number}.png", write(picture, rng) if number in rows else picture)
        caption = naming.get(f"row{number}", words if number in rows else "")
        (folder / f"{number}.txt").write_text(f"sks thing {number}, {caption}")
    found = scan(recipe(folder))
    findings = recurring_features(found, make_thumbnails(found.pictures, workers=1))
    return [finding for finding in findings if finding.kind in ("recurring_text", "recurring_mark")]


def stems(finding: Finding) -> set[int]:
    return {int(path.stem) for path in finding.files}


@pytest.mark.parametrize("kind", text.KINDS)
def test_each_kind_of_lettering_is_found(pictures: list[Any], kind: str) -> None:
    rng = np.random.default_rng(11)
    found = [text.has_text(text.KINDS[kind](picture, rng)) for picture in pictures]
    assert sum(found) >= (5 if kind.startswith(("faint", "rotated")) else 7), found


def test_hardly_any_text_is_seen_where_there_is_none(pictures: list[Any]) -> None:
    """Of ten photographs, two: coins in rows, and ribbons on a uniform."""
    assert sum(map(text.has_text, [*pictures, *copies.drawings(20, seed=5)])) == 0
    assert sum(map(text.has_text, text.photographs())) <= 2


def test_what_looks_like_text_in_every_picture_of_one_scene_is_no_finding(tmp_path: Path) -> None:
    coins = text.photographs()[4]
    assert text.has_text(coins), "else this tests nothing"
    rng, figure = np.random.default_rng(0), copies.scene(np.random.default_rng(1)).resize((70, 70))
    taken = []
    for _ in range(8):
        taken.append(coins.copy())
        taken[-1].paste(figure, tuple(int(rng.integers(0, side - 70)) for side in coins.size))
    assert [finding for finding in report(taken, tmp_path, rows=()) if finding.kind == "recurring_text"] == []


def test_the_place_of_a_text_is_known_at_any_size_of_the_picture(pictures: list[Any]) -> None:
    rng = np.random.default_rng(2)
    for scale in (1, 2):
        picture = pictures[0].resize((SIDE * scale, SIDE * scale * 3 // 4))
        written = signed(picture, rng)
        left, top, right, bottom = ImageChops.difference(picture, written).getbbox()
        certain, *box = find_text(written)
        found = np.array(box) * (*written.size, *written.size)
        assert certain >= CERTAIN and np.abs(found - (left, top, right, bottom)).max() < 24 * scale, (found, left, top)


def test_text_in_four_of_ten_is_reported_with_its_places(pictures: list[Any], tmp_path: Path) -> None:
    (finding,) = report(pictures, tmp_path)
    assert finding.kind == "recurring_text" and stems(finding) == set(SIGNED)
    assert "in 4 of 10 pictures, and no caption names it" in finding.text and "paint it out" in finding.text
    assert finding.facts["case"] == "unnamed" and len(finding.facts["boxes"]) == 4
    assert len({tuple(box) for box in finding.facts["boxes"]}) == 4, "each at its place"
    assert all(0 <= left < right <= 1 and 0 <= top < bottom <= 1 for left, top, right, bottom in finding.facts["boxes"])


@pytest.mark.parametrize("words", ["watermark", "English text", "a speech bubble", "signature", "Logo in a corner"])
def test_text_that_captions_name_is_not_learned_with_the_concept(
    pictures: list[Any], tmp_path: Path, words: str
) -> None:
    (finding,) = report(pictures, tmp_path, words=words)
    assert finding.facts["case"] == "named" and stems(finding) == set(SIGNED)
    assert "not as part of the concept" in finding.text and "crop" not in finding.text


def test_text_that_some_captions_name_is_to_be_named_in_the_others(pictures: list[Any], tmp_path: Path) -> None:
    (finding,) = report(pictures, tmp_path, words="watermark", row4="outdoors", row8="")
    assert finding.facts["case"] == "named_in_some" and stems(finding) == {4, 8}
    assert "2 of their captions do not name it (4.png, 8.png)" in finding.text and "name it there too" in finding.text
    assert len(finding.facts["boxes"]) == 2, "one for each file"


def test_text_in_two_of_ten_pictures_does_not_recur(pictures: list[Any], tmp_path: Path) -> None:
    assert report(pictures, tmp_path, rows=SIGNED[:2]) == []


def test_a_text_at_the_same_place_is_reported_as_a_mark_alone(pictures: list[Any], tmp_path: Path) -> None:
    def plate(picture: Any, rng: np.random.Generator) -> Any:
        done = picture.resize((400, 300))
        done.paste((30, 30, 90), (250, 240, 390, 290))
        ImageDraw.Draw(done).text((262, 248), "Studio 9", fill="white", font=text.font(np.random.default_rng(0), 30))
        return done

    (finding,) = report(pictures, tmp_path, plate, tuple(range(10)))
    assert finding.kind == "recurring_mark" and len(finding.files) >= 8
    assert text.has_text(plate(pictures[0], np.random.default_rng(0))), "seen as text, too"


def test_of_a_large_set_only_a_part_is_examined(
    pictures: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "SAMPLED", 5)
    (finding,) = report(pictures, tmp_path, rows=tuple(range(10)))
    assert finding.facts["pictures"] == 5 and "of 5 pictures that were examined" in finding.text
    assert stems(finding) <= {0, 2, 4, 6, 8}


def test_regularization_pictures_take_no_place_in_the_sample(pictures: list[Any], tmp_path: Path) -> None:
    """Thousands of them would leave few instance pictures to examine."""
    for number, picture in enumerate(pictures):
        save(tmp_path / "r" / f"{number}.png", signed(picture, np.random.default_rng(number)))
        save(tmp_path / "i" / f"{number}.png", picture)
    found = scan(recipe(tmp_path / "i", tmp_path / "r"))
    made = make_thumbnails(found.pictures, workers=1)
    assert {found.pictures[made.pictures[row]].path.parent.name for row in made.texts} == {"i"} and len(
        made.texts
    ) == 10
    assert [finding for finding in recurring_features(found, made) if finding.kind == "recurring_text"] == []


def test_the_detector_is_small() -> None:
    assert FILE.stat().st_size < 150_000

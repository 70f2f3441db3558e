"""The report: counts against the guide, what is cut and enlarged, and every problem."""

from __future__ import annotations

import json
from pathlib import Path

from sdft_ext.analysis.summary import Report, dataset_dirs, summarize, tag_frequency
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.recipe import DatasetRecipe, TrainRecipe
from tests.analysis.images import fill, image, recipe, save


def report_on(settings: DatasetRecipe, notes: tuple[str, ...] = (), **train: object) -> Report:
    found = scan(settings)
    return summarize(found, Plan(found, settings, TrainRecipe(**train)), notes)  # type: ignore[arg-type]


def advice(settings: DatasetRecipe, **train: object) -> str:
    return "\n".join(report_on(settings, **train).data["advice"])


def test_a_dataset_by_the_guide_gets_no_advice(tmp_path: Path) -> None:
    fill(tmp_path / "a", 8)
    fill(tmp_path / "b", 160)
    assert advice(recipe(tmp_path / "a", tmp_path / "b", concept_class_word="dog"), batch_size=4) == ""


def test_counts_against_the_guide(tmp_path: Path) -> None:
    fill(tmp_path / "few", 3)
    fill(tmp_path / "many", 30)
    fill(tmp_path / "class", 6)
    assert "3 pictures" in advice(recipe(tmp_path / "few")) and "5–20" in advice(recipe(tmp_path / "few"))
    assert "fewer" in advice(recipe(tmp_path / "many"))
    assert "50–200" in advice(recipe(tmp_path / "many", concept_kind="style"))
    assert "no regularization" in advice(recipe(tmp_path / "few"))
    assert "2.0 for each" in advice(recipe(tmp_path / "few", tmp_path / "class"))


def test_sizes_and_shapes(tmp_path: Path) -> None:
    fill(tmp_path, 6)
    save(tmp_path / "tiny.png", image(20, 20))
    save(tmp_path / "long.png", image(500, 64))
    text = advice(recipe(tmp_path), batch_size=4)
    assert "tiny.png" in text and "enlarged" in text
    assert "long.png" in text and "cropped" in text
    assert "1 bucket (128×32) would not fill a batch of 4" in text
    assert "Crop them to the shape of the others" in text
    none_filled = advice(recipe(tmp_path), batch_size=12)
    assert "would not fill a batch of 12" in none_filled and "of the others" not in none_filled


def test_pictures_that_would_be_trained_without_any_text(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    none, some = "No picture has a caption", "would be trained without any text"
    assert none in advice(recipe(tmp_path))
    for text in ({"concept_trigger": "sks"}, {"concept_class_word": "dog"}, {"prefix": "a photo"}, {"template": "it"}):
        assert none not in advice(recipe(tmp_path, **text)) and some not in advice(recipe(tmp_path, **text)), text
    for n in range(3):
        (tmp_path / f"{n:03}.txt").write_text("a dog")
    assert "2 pictures of 5 would be trained without any text (003.png, 004.png)" in advice(recipe(tmp_path))
    assert none not in advice(recipe(tmp_path))


def test_a_missing_trigger(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    for n in range(5):
        (tmp_path / f"{n:03}.txt").write_text("a SKS dog" if n < 3 else "a dog")
    assert "2 of 5" in advice(recipe(tmp_path, concept_trigger="sks"))
    assert "trigger" not in advice(recipe(tmp_path, concept_trigger="sks", template="[name], [filewords]"))


def test_buckets_problems_notes_and_both_forms(tmp_path: Path) -> None:
    fill(tmp_path / "10_x", 2)
    fill(tmp_path, 3, 64, 128, first=10)
    (tmp_path / "bad.png").touch()
    (tmp_path / "000.txt").write_bytes("ä".encode("latin-1"))
    result = report_on(recipe(tmp_path), ("a note",), batch_size=4, length=100)
    data = json.loads(json.dumps(result.data))
    assert [(b["width"], b["height"], b["showings"], b["left_over"]) for b in data["buckets"]] == [
        (48, 80, 3, 3),
        (64, 64, 20, 0),
    ]
    assert (data["pictures"], data["showings_per_epoch"], data["steps_per_epoch"], data["total_steps"]) == (
        5,
        23,
        6,
        100,
    )
    assert [p["skipped"] for p in data["problems"]] in ([False, True], [True, False])
    for piece in ("64×64", "23 pictures in 6 steps", "Left out (1)", "bad.png", "Worth a look (1)", "a note"):
        assert piece in result.text


def test_a_thousand_bad_pictures_do_not_drown_the_text(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    for number in range(1000):
        (tmp_path / f"bad {number}.png").touch()
    result = report_on(recipe(tmp_path))
    assert len(result.data["problems"]) == 1000 and "Left out (1000)" in result.text
    assert "and 980 more" in result.text and result.text.count("\n") < 60


def test_the_datasets_part_of_a_loras_metadata(tmp_path: Path) -> None:
    fill(tmp_path / "i" / "10_sks dog", 2)
    fill(tmp_path / "r" / "dog", 3)
    (tmp_path / "i" / "10_sks dog" / "000.txt").write_text("red, dog, red")
    found = scan(recipe(tmp_path / "i", tmp_path / "r", concept_class_word="dog"))
    assert tag_frequency(found)["10_sks dog"] == {"red": 2, "dog": 1, "sks dog": 1}
    assert dataset_dirs(found, False) == {"10_sks dog": {"n_repeats": 10, "img_count": 2}}
    assert dataset_dirs(found, True) == {"dog": {"n_repeats": 1, "img_count": 3}}

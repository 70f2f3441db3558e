"""The full report: each finding is one sentence of a stable kind, with its files; as text, as data, as a command."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from sdft_ext.analysis.advice import advice
from sdft_ext.analysis.report import inspect, left_over
from sdft_ext.analysis.summary import Report, summarize
from sdft_ext.cli.main import OK, USAGE, main
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.pictures import open_picture
from sdft_ext.dataset.plan import Plan
from sdft_ext.recipe import Concept, DatasetRecipe, TrainRecipe
from tests.analysis.images import fill, image, recipe, save
from tests.dataset.photographs import write_photographs


def inspected(settings: DatasetRecipe, **train: Any) -> Report:
    found = scan(settings)
    return inspect(found, Plan(found, settings, TrainRecipe(**train)))


def by_kind(report: Report) -> dict[str, list[dict[str, Any]]]:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(json.dumps(report.data))["findings"]:
        kinds.setdefault(finding["kind"], []).append(finding)
    return kinds


def names(finding: dict[str, Any]) -> list[str]:
    return [Path(file).name for file in finding["files"]]


def captioned(folder: Path, count: int, first: int = 0, width: int = 64) -> list[Path]:
    paths = fill(folder, count, width, first=first)
    for number, path in enumerate(paths):
        path.with_suffix(".txt").write_text(f"thing {first + number}")
    return paths


def parts_of_photographs(folder: Path, source: Path, count: int) -> list[Path]:
    """Sharp pictures of changing brightness, with captions."""
    written = []
    for number, path in enumerate(write_photographs(source)[:count]):
        picture = ImageOps.fit(open_picture(path)[0], (300, 300))
        written.append(save(folder / f"{number}.png", picture))
        written[-1].with_suffix(".txt").write_text(f"thing {number}")
    return written


def test_a_good_dataset_has_no_findings(tmp_path: Path) -> None:
    parts_of_photographs(tmp_path / "a", tmp_path / "source", 8)
    for number, values in enumerate(np.random.default_rng(0).integers(0, 256, (160, 64, 64, 3), dtype=np.uint8)):
        save(tmp_path / "b" / f"{number}.png", Image.fromarray(values))
    report = inspected(recipe(tmp_path / "a", tmp_path / "b", concept_class_word="thing"))
    assert report.data["findings"] == [] and report.data["duplicates"] == []
    assert report.data["figures"]["longer_side"] == {"least": 300, "middle": 300, "most": 300}
    assert report.data["tags"] == [{f"thing {n}": 1 for n in range(8)}]
    assert "Copies" not in report.text and "What recurs" not in report.text and "Sharpness" in report.text


def test_captions_and_texts(tmp_path: Path) -> None:
    paths = captioned(tmp_path, 6)
    paths[1].with_suffix(".txt").unlink()
    paths[2].with_suffix(".txt").unlink()
    paths[3].with_suffix(".txt").write_text(" \n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "gone <b>.caption").write_text("a")
    (tmp_path / "004.png.txt").write_text("a")
    (tmp_path / "README.txt").write_text("mine")
    (tmp_path / ".hidden.txt").write_text("mine")
    kinds = by_kind(inspected(recipe(tmp_path)))
    assert (
        names(kinds["captions_missing"][0]) == ["001.png", "002.png"]
        and "2 pictures of 6" in kinds["captions_missing"][0]["text"]
    )
    assert names(kinds["captions_empty"][0]) == ["003.png"]
    assert names(kinds["texts_without_pictures"][0]) == ["004.png.txt", "gone <b>.caption"]


def test_a_finding_on_copies_says_which_to_keep_and_how_the_others_relate_to_it(tmp_path: Path) -> None:
    captioned(tmp_path / "i", 5)
    large = image(200, 200, 50)
    save(tmp_path / "i" / "large.png", large)
    save(tmp_path / "i" / "small.png", large.resize((110, 110)).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    shutil.copyfile(tmp_path / "i" / "000.png", tmp_path / "i" / "again.png")
    fill(tmp_path / "r", 3, first=60)
    save(tmp_path / "r" / "other.png", image(64, 64, 3))  # as i/003.png
    report = inspected(recipe(tmp_path / "i", tmp_path / "r"))
    kinds = by_kind(report)
    (exact,), (near,), (across,) = kinds["copies_exact"], kinds["copies_near"], kinds["copies_across"]
    assert sorted(names(exact)) == ["000.png", "again.png"] and exact["facts"]["relations"] == ["exact"]
    assert names(near) == ["large.png", "small.png"] and near["facts"]["relations"] == ["mirrored"]
    assert Path(near["facts"]["keep"]).name == "large.png" and "mirrored" in near["text"]
    assert names(across) == ["003.png", "other.png"]
    assert len(report.data["duplicates"]) == 3 and "Copies (3 groups)" in report.text


def test_blurred_and_dark_and_bright_pictures(tmp_path: Path) -> None:
    paths = parts_of_photographs(tmp_path / "p", tmp_path / "source", 5)
    for number, change in (
        (0, lambda p: p.filter(ImageFilter.GaussianBlur(4))),
        (1, lambda p: p.point(lambda v: v // 14)),
        (2, lambda p: p.point(lambda v: 215 + v // 5)),
    ):
        with Image.open(paths[number]) as picture:
            change(picture).save(paths[number])
    kinds = by_kind(inspected(recipe(tmp_path / "p")))
    assert names(kinds["blurred"][0]) == ["0.png"]
    assert names(kinds["very_dark"][0]) == ["1.png"] and names(kinds["very_bright"][0]) == ["2.png"]


def test_advice_on_counts_and_sizes_is_among_the_findings(tmp_path: Path) -> None:
    captioned(tmp_path / "i", 3)
    save(tmp_path / "i" / "tiny.png", image(20, 20, 9))
    fill(tmp_path / "r", 8, first=20)
    report = inspected(recipe(tmp_path / "i", tmp_path / "r"))
    kinds = by_kind(report)
    assert kinds["too_few_pictures"][0]["facts"] == {"pictures": 4, "low": 5, "high": 20}
    assert (
        kinds["regularization_ratio"][0]["facts"]["low"] == 80 and len(kinds["regularization_ratio"][0]["files"]) == 8
    )
    assert names(kinds["enlarged"][0]) == ["tiny.png"]
    assert set(report.data["advice"]) <= {f["text"] for f in report.data["findings"]}


def test_a_full_fine_tune_needs_thousands_of_pictures_and_twenty_of_each_concept(tmp_path: Path) -> None:
    captioned(tmp_path / "few", 6)
    captioned(tmp_path / "many", 60)
    settings = recipe("", concepts=[Concept(instance=str(tmp_path / name), name=name) for name in ("few", "many")])
    found = scan(settings)
    plan = Plan(found, settings, TrainRecipe())
    kinds = {(finding.kind, finding.concept): finding for finding in advice(found, plan, "full")}
    assert set(kinds) == {("too_few_pictures", 0), ("too_few_for_full", None)}, "a full fine-tune holds no class"
    assert kinds["too_few_for_full", None].facts == {"pictures": 66, "low": 1000}
    assert "needs 20–50" in kinds["too_few_pictures", 0].text
    assert ("too_many_pictures", 1) in {(finding.kind, finding.concept) for finding in advice(found, plan, "lora")}


def test_three_concepts_are_harder_than_one(tmp_path: Path) -> None:
    concepts = [Concept(instance=str(tmp_path / name), name=name) for name in "abc"]
    for number, name in enumerate("abc"):
        captioned(tmp_path / name, 5, 10 * number)
    report = inspected(recipe("", concepts=concepts))
    (finding,) = by_kind(report)["many_concepts"]
    assert finding["facts"] == {"concepts": 3} and "doesn't grow" in finding["text"]
    assert "many_concepts" not in by_kind(inspected(recipe("", concepts=concepts[:2])))


def test_regularization_pictures_are_judged_too(tmp_path: Path) -> None:
    captioned(tmp_path / "i", 5)
    paths = parts_of_photographs(tmp_path / "r", tmp_path / "source", 10)
    shutil.copyfile(paths[3], tmp_path / "r" / "again.png")
    for path in (paths[0], paths[2]):
        assert "regularization_blurred" not in by_kind(inspected(recipe(tmp_path / "i", tmp_path / "r"))), "a tenth"
        with Image.open(path) as picture:
            picture.filter(ImageFilter.GaussianBlur(4)).save(path)
    kinds = by_kind(inspected(recipe(tmp_path / "i", tmp_path / "r", concept_class_word="thing")))
    blurred = kinds["regularization_blurred"][0]
    assert names(blurred) == ["0.png", "2.png"] and "the class takes on the blur" in blurred["text"]
    assert "regularization_alike" not in kinds, "one of eleven"
    shutil.copyfile(paths[4], tmp_path / "r" / "once more.png")
    kinds = by_kind(inspected(recipe(tmp_path / "i", tmp_path / "r", concept_class_word="thing")))
    assert kinds["regularization_alike"][0]["facts"] == {"regularization": 12, "repeated": 2}


def test_files_that_can_not_be_used(tmp_path: Path) -> None:
    paths = captioned(tmp_path, 6)
    paths[4].write_bytes(paths[4].read_bytes()[:-300])
    (tmp_path / "nothing.png").touch()
    report = inspected(recipe(tmp_path))
    (finding,) = by_kind(report)["unusable"]
    assert sorted(names(finding)) == ["004.png", "nothing.png"]
    assert {Path(p["file"]).name for p in report.data["problems"] if p["skipped"]} == {"004.png", "nothing.png"}
    assert "Damaged (1 picture)" in report.text and "004.png" in report.text


def test_every_finding_is_one_sentence_on_one_line(tmp_path: Path) -> None:
    captioned(tmp_path, 2)
    shutil.copyfile(tmp_path / "000.png", tmp_path / "a\nb.png")
    (tmp_path / "c\nd.txt").write_text("x")
    (tmp_path / "e\nf.png").touch()
    for finding in inspected(recipe(tmp_path)).data["findings"]:
        assert "\n" not in finding["text"] and finding["text"].endswith(".")


def test_left_over_by_batch_size(tmp_path: Path) -> None:
    fill(tmp_path / "a", 7)
    fill(tmp_path / "b", 3, 64, 128, first=20)
    settings = recipe(tmp_path)
    found = scan(settings)
    counted = left_over(Plan(found, settings, TrainRecipe(batch_size=7)))
    assert (counted["1"], counted["2"], counted["3"], counted["4"], counted["7"]) == (0, 2, 1, 6, 3)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    captioned(tmp_path / "p", 5)
    shutil.copyfile(tmp_path / "p" / "000.png", tmp_path / "p" / "again.png")
    folder, cache = str(tmp_path / "p"), f"dataset.cache_folder={tmp_path / 'cache'}"
    assert main(["dataset", "report", folder, cache]) == OK
    assert "is the same file as" in capsys.readouterr().out
    assert len(list((tmp_path / "cache" / "looks").iterdir())) == 1
    assert main(["dataset", "report", folder, cache, "--json"]) == OK
    data = json.loads(capsys.readouterr().out)
    assert [f["kind"] for f in data["findings"] if f["kind"].startswith("copies")] == ["copies_exact"]
    assert main(["dataset", "report", folder, "--quick", "--json"]) == OK
    assert "findings" not in json.loads(capsys.readouterr().out)
    assert main(["dataset", "report", str(tmp_path / "nowhere")]) == USAGE
    assert "nowhere" in capsys.readouterr().err


def test_a_report_writes_no_cache_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "p", 2)
    monkeypatch.chdir(tmp_path)
    assert main(["dataset", "report", "p"]) == OK
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


@pytest.mark.slow
def test_a_runs_own_report_of_ten_thousand_pictures_is_quick(tmp_path: Path) -> None:
    (path,) = fill(tmp_path / "one", 1)
    data = path.read_bytes()
    (tmp_path / "p").mkdir()
    for number in range(10_000):
        (tmp_path / "p" / f"{number:05}.png").write_bytes(data)
    started = time.process_time()
    settings = recipe(tmp_path / "p")
    found = scan(settings)
    report = summarize(found, Plan(found, settings, TrainRecipe()))
    assert report.data["pictures"] == 10_000 and time.process_time() - started < 10

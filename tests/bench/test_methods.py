"""The table of methods: each starts from the page's preset, and docs/methods.md has the rows and figures it must."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import method_concepts, method_figures, method_rows, methods, methods_page
from sdft_ext.judge.shares import Share, pooled, worst
from sdft_ext.method import METHODS
from sdft_ext.recipe import presets
from sdft_ext.recipe.rules import fields

TAUGHT = {"lora", "locon", "dora", "loha", "lokr", "pivotal", "dreambooth", "dreambooth-lora", "full"}
"""Rows that must learn the subject, and as ``-style`` the style, and let nothing bleed."""
LEAST_LEARNED, MOST_BLEEDING = 0.85, 0.08


def test_every_method_has_a_row_and_begins_with_its_preset() -> None:
    assert {row.method for row in method_rows.ROWS} == set(METHODS)
    assert len({row.name for row in method_rows.ROWS}) == len(method_rows.ROWS)
    for row in method_rows.ROWS:
        recipe = {setting.path: setting.value for setting in fields(method_rows.default_recipe(row, seed=7))}
        changed = {change.partition("=")[0] for change in row.changes}
        start = presets.start(row.method, row.kind, "toy", 64)
        assert not changed & {"train.learning_rate", "train.length", "method.lora.rank"}
        others = {path: value for path, value in start.items() if path not in changed and not path.startswith("save.")}
        assert {path: recipe[path] for path in others} == others and recipe["train.seed"] == 7
        assert Path(recipe["dataset.concepts.0.instance"]).is_dir()


@pytest.mark.parametrize("name", ["known", "known-style"])
def test_pictures_of_what_the_base_can_draw_show_it_and_their_captions_do_not_say_so(name: str, tmp_path: Path) -> None:
    concept = method_concepts.CONCEPTS[name]
    assert concept.draw is not None
    concept.draw(tmp_path / "pictures")
    pictures = [Image.open(path).convert("RGB") for path in sorted((tmp_path / "pictures").glob("*.png"))]
    captions = [path.read_text() for path in sorted((tmp_path / "pictures").glob("*.txt"))]
    assert len(pictures) == len(captions) >= 12
    assert concept.count([np.asarray(picture) for picture in pictures]) == len(pictures)
    words = method_concepts.KNOWN_SHAPE if name == "known" else method_concepts.KNOWN_LOOK
    assert all(concept.trigger in caption and not set(words) & set(caption.split()) for caption in captions)
    for asked in concept.bleeding(40).values():
        assert len(asked) == 40 and not any(all(word in one.split() for word in words) for one in asked)


def test_shares_add_up_and_have_the_interval_of_their_number() -> None:
    whole = pooled([(2, 100), [3, 100]])
    assert whole == Share(5, 200) and whole.value == 0.025
    low, high = whole.interval
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998: 15 of 148, Wilson 0.0624–0.1605.
    assert [round(bound, 4) for bound in Share(15, 148).interval] == [0.0624, 0.1605]
    assert 0 < low < 0.025 < high < 0.06
    assert Share(0, 200).interval[0] == 0 and Share(0, 200).interval[1] > 0
    assert worst([Share(1, 100), Share(4, 100), Share(0, 3)]) == Share(4, 100)


def figures(row: method_rows.Row, seed: int = 1, **more: object) -> dict[str, object]:
    groups = {"class word": [0, 40], "empty prompt": [1, 40], "own captions": [0, 40]}
    return {
        "learned": [41 + seed, 48],
        "bleeding": groups,
        "settings": method_rows.settings_of(method_rows.default_recipe(row, seed)),
        "seconds": 98 + seed,
        "bytes": 123_456,
        "steps": 400 + 50 * seed,
        "machine": "a machine",
        **more,
    }


def put(work: Path, name: str, seed: int, found: object) -> Path:
    """Write figures and pictures as a measured run has them."""
    folder = method_figures.run_folder(work, name, seed)
    folder.mkdir(parents=True)
    (folder / "figures.json").write_text(json.dumps(found))
    for number in range(4):
        Image.new("RGB", (64, 64), (255, 0, 0)).save(folder / f"shown-{number}.png")
    return folder / "figures.json"


def test_the_page_is_written_from_the_work_folder(tmp_path: Path) -> None:
    work, docs = tmp_path / "work", tmp_path / "docs"
    docs.mkdir()
    for row in method_rows.ROWS:
        if row.name in ("lora", "lokr", "held-by-nothing", "textual_inversion-known"):
            for seed in (1, 2):
                put(work, row.name, seed, figures(row, seed))
    for concept in method_concepts.CONCEPTS:
        put(work, f"base-{concept}", 1, {"learned": [0, 48], "bleeding": {}})
    methods_page.write_page(work, docs)
    text = (docs / "methods.md").read_text()
    lokr = "| 0.89 | 0.81–0.93 | 0.88 0.90 | 0.00 | 0.025 | 0.01–0.09 | 450 | 100 | 0.1 MB |"
    assert f"| LoKr | `lokr` {lokr}" in text
    assert f"| Textual inversion, subject the base can draw (a green ring) | `textual_inversion-known` {lokr}" in text
    assert "| Nothing | `held-by-nothing` | 450 500 | 0.89 | 0.025 (0.01–0.09) | 0.000 | 0.025 | 0.000 | 100 |" in text
    assert "Not measured yet: `locon`, `dora`" in text and "Colours purple and orange are in none" in text
    methods_page.write_figures(method_figures.read_figures(work), tmp_path / "figures.json")
    found = json.loads((tmp_path / "figures.json").read_text())
    expected = {"learned": 0.89, "bleeding": 0.025, "steps": 450, "seconds": 100, "file": "0.1 MB"}
    assert found["lokr"] == {"subject": expected} and found["textual_inversion"] == {"known": expected}
    assert set(found) == {"lora", "lokr", "textual_inversion"}, "rows with other settings than a preset's are left out"
    one, other = (Image.open(docs / name).size for name in ("methods.png", "methods-style.png"))
    assert one[0] > 2 * other[0] > 0


def rows_of(page: str) -> dict[str, dict[str, str]]:
    """Name → cells of a table's line, by the column's title; a column's interval is ``TITLE interval``."""
    found, titles = {}, list[str]()
    for line in page.splitlines():
        cells = [cell.strip().strip("`") for cell in line.split("|")[1:-1]]
        if "name for `--only`" in line:
            titles = [f"{before} {cell}" if cell == "interval" else cell for before, cell in pairwise(["", *cells])]
        elif cells and len(cells) == len(titles) and not line.startswith("|--"):
            found[cells[1]] = dict(zip(titles, cells, strict=True))
    return found


def test_what_the_page_in_docs_says() -> None:
    """A new page with worse figures is refused."""
    page = (methods.DOCS / "methods.md").read_text(encoding="utf-8")
    found = rows_of(page)
    assert found.keys() <= {row.name for row in method_rows.ROWS}
    assert found.keys() == {row.name for row in method_rows.ROWS} or "Not measured yet" in page
    assert found.keys() >= {*TAUGHT, "textual_inversion-known", "hypernetwork-known"}
    for name in found.keys() & {*TAUGHT, *(f"{name}-style" for name in TAUGHT)}:
        cells = found[name]
        assert float(cells["learned"]) >= LEAST_LEARNED, cells
        assert float(cells["bleeding"]) <= MOST_BLEEDING, cells
        if "bleeding interval" in cells:
            assert float(cells["bleeding interval"].partition("–")[2]) <= MOST_BLEEDING, cells
    for name in found:
        if "-known" in name:
            assert float(found[name]["learned"]) >= LEAST_LEARNED > float(found[name]["base"]) + 0.5, found[name]
    nothing, pictures, base = (found[f"held-by-{what}"] for what in ("nothing", "pictures", "base"))
    for held in (pictures, base):
        assert float(held["learned"]) >= method_rows.LEARNED
        assert float(held["bleeding"].partition(" ")[0]) < float(nothing["bleeding"].partition(" ")[0]) - 0.5


@pytest.mark.slow
def test_a_row_is_trained_measured_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of twelve steps; the rest as ever. What is measured is not made again."""
    monkeypatch.setitem(presets.TOY_STEPS, "normal", 12)
    monkeypatch.setattr(methods, "CONCEPT_PICTURES", 4)
    monkeypatch.setattr(methods, "GROUP_PICTURES", 4)
    there = ["--work", str(tmp_path / "work"), "--docs", str(tmp_path), "--seeds"]
    assert methods.main(["--only", "lora", *there, "2"]) == 0
    first = rows_of((tmp_path / "methods.md").read_text(encoding="utf-8"))
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("figures.json")}
    assert len(made) == 4 and len(first["lora"]["each seed"].split()) == 2
    assert methods.main(["--only", "lora", "textual_inversion", *there, "1"]) == 0
    both = rows_of((tmp_path / "methods.md").read_text(encoding="utf-8"))
    assert both.keys() == {"lora", "textual_inversion"} and both["lora"] == first["lora"]
    assert all(path.stat().st_mtime_ns == when for path, when in made.items())
    assert both["textual_inversion"]["steps"] == "12" and both["textual_inversion"]["file"].endswith("kB")
    assert (method_figures.run_folder(tmp_path / "work", "lora", 1) / "report.md").is_file()
    logs = {path.read_text() for path in (tmp_path / "work" / "lora").glob("*/log.jsonl")}
    assert len(logs) == 2, "both seeds trained alike"


def test_a_few_rows_alone_do_not_take_the_page_s_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a fresh clone there are no figures of the others."""
    monkeypatch.setattr(methods, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(methods, "FIGURES", tmp_path / "figures.json")
    (tmp_path / "docs").mkdir()
    work = tmp_path / "work"
    files = [put(work, row.name, 1, figures(row)) for row in method_rows.ROWS]
    for concept in method_concepts.CONCEPTS:
        put(work, f"base-{concept}", 1, {"learned": [0, 48], "bleeding": {}})
    page = ["--only", "--seeds", "1", "--work", str(work)]
    text = files[-1].read_text()
    files[-1].write_text(json.dumps(figures(method_rows.ROWS[-1], settings={})))
    assert methods.main(page) == 0
    assert not list((tmp_path / "docs").iterdir()) and method_rows.ROWS[-1].name in capsys.readouterr().err
    assert methods.main([*page, "--docs", str(tmp_path)]) == 0
    assert (tmp_path / "methods.md").exists() and not (tmp_path / "figures.json").exists()
    files[-1].write_text(text)
    assert methods.main(page) == 0
    assert (tmp_path / "docs" / "methods.md").exists() and (tmp_path / "figures.json").exists()

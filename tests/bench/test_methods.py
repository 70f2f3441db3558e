"""The table of methods: each starts from the page's preset, and docs/methods.md has the rows and figures it must."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from bench import method_rows, methods, methods_page
from sdft_ext.method import METHODS
from sdft_ext.recipe import presets
from sdft_ext.recipe.rules import fields

TAUGHT = {"lora", "locon", "dora", "loha", "lokr", "pivotal", "dreambooth", "dreambooth-lora"}
"""Rows that must learn the subject and let nothing bleed."""


def test_every_method_has_a_row_and_begins_with_its_preset() -> None:
    assert {row.method for row in method_rows.ROWS} == set(METHODS)
    for row in method_rows.ROWS:
        recipe = {setting.path: setting.value for setting in fields(method_rows.default_recipe(row))}
        changed = {change.partition("=")[0] for change in row.changes}
        start = presets.start(row.method, row.kind, "toy", 64)
        assert not changed & {"train.learning_rate", "train.length", "method.lora.rank"}
        others = {path: value for path, value in start.items() if path not in changed and not path.startswith("save.")}
        assert {path: recipe[path] for path in others} == others
        assert Path(recipe["dataset.concepts.0.instance"]).is_dir()


def figures(row: method_rows.Row, **more: object) -> dict[str, object]:
    groups = {"class word": 0.0, "empty prompt": 0.025, "own captions": 0.0}
    return {
        "concept_learned": 0.875,
        "bleeding": 0.025,
        "bleeding_groups": groups,
        "settings": method_rows.settings_of(method_rows.default_recipe(row)),
        "seconds": 99,
        "bytes": 123_456,
        "steps": 450,
        "machine": "a machine",
        **more,
    }


def test_the_page_is_written_from_the_work_folder(tmp_path: Path) -> None:
    work, docs = tmp_path / "work", tmp_path / "docs"
    docs.mkdir()
    known = [row for row in method_rows.ROWS if row.name in ("lora", "lokr", "held-by-nothing")]
    for row in known:
        (work / row.name).mkdir(parents=True)
        (work / row.name / "figures.json").write_text(json.dumps(figures(row)))
    for folder in ("base-subject", "base-style", "lora", "lokr"):
        (work / folder).mkdir(exist_ok=True)
        for number in range(4):
            Image.new("RGB", (64, 64), (255, 0, 0)).save(work / folder / f"shown-{number}.png")
    for kind in ("subject", "style"):
        (work / f"base-{kind}" / "figures.json").write_text(json.dumps({"concept_learned": 0.0, "bleeding": 0.0}))
    methods_page.write_page(work, docs)
    text = (docs / "methods.md").read_text()
    assert "| LoKr | `lokr` | subject (a star) | 0.88 | 0.00 | 0.025 | 450 | 99 | 0.1 MB |" in text
    assert "| Nothing | `held-by-nothing` | 450 | 0.88 | 0.025 | 0.000 | 0.025 | 0.000 | 99 |" in text
    assert "Not measured yet: DoRA, LoHa" in text
    one, other = (Image.open(docs / name).size for name in ("methods.png", "methods-style.png"))
    assert one[0] > 2 * other[0] > 0


def rows_of(page: str) -> dict[str, list[str]]:
    """Name → cells of a table's line."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    return {cells[1].strip("`"): cells for cells in lines if cells[1].startswith("`")}


def test_what_the_page_in_docs_says() -> None:
    """A new page with worse figures is refused."""
    found = rows_of((methods.DOCS / "methods.md").read_text(encoding="utf-8"))
    assert found.keys() == {row.name for row in method_rows.ROWS}
    for name in TAUGHT:
        assert float(found[name][3]) >= 0.85 and float(found[name][5]) <= 0.05, found[name]
    for name in ("full", "lora-style", "textual_inversion-known"):
        assert float(found[name][3]) >= float(found[name][4]) + 0.2, found[name]
    nothing, pictures, base = (found[f"held-by-{what}"] for what in ("nothing", "pictures", "base"))
    for held in (pictures, base):
        assert float(held[3]) >= method_rows.LEARNED
        assert float(held[4]) < float(nothing[4]) - 0.5


@pytest.mark.slow
def test_a_row_is_trained_measured_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of twelve steps; the rest as ever."""
    monkeypatch.setitem(presets.TOY_STEPS, "normal", 12)
    monkeypatch.setattr(methods.demo, "CONCEPT_PICTURES", 4)
    monkeypatch.setattr(methods.demo, "GROUP_PICTURES", 4)
    there = ["--work", str(tmp_path / "work"), "--docs", str(tmp_path)]
    assert methods.main(["--only", "lora", *there]) == 0
    first = rows_of((tmp_path / "methods.md").read_text(encoding="utf-8"))
    assert methods.main(["--only", "textual_inversion", *there]) == 0
    both = rows_of((tmp_path / "methods.md").read_text(encoding="utf-8"))
    assert both.keys() == {"lora", "textual_inversion"} and both["lora"] == first["lora"]
    assert both["textual_inversion"][6] == "12" and both["textual_inversion"][8].endswith("kB")
    assert (tmp_path / "work" / "lora" / "report.md").is_file()


def test_a_few_rows_alone_do_not_take_the_page_s_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a fresh clone there are no figures of the others."""
    monkeypatch.setattr(methods, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(methods_page, "PICTURES", {})
    (tmp_path / "docs").mkdir()
    work = tmp_path / "work"
    for row in method_rows.ROWS:
        (work / row.name).mkdir(parents=True)
        (work / row.name / "figures.json").write_text(json.dumps(figures(row)))
        (work / f"base-{row.concept}").mkdir(exist_ok=True)
        (work / f"base-{row.concept}" / "figures.json").write_text(json.dumps(figures(row)))
    last = work / method_rows.ROWS[-1].name / "figures.json"
    text = last.read_text()
    last.unlink()
    assert methods.main(["--only", "--work", str(work)]) == 0
    assert not list((tmp_path / "docs").iterdir()) and method_rows.ROWS[-1].name in capsys.readouterr().err
    assert methods.main(["--only", "--work", str(work), "--docs", str(tmp_path)]) == 0
    assert (tmp_path / "methods.md").exists()
    last.write_text(text)
    assert methods.main(["--only", "--work", str(work)]) == 0
    assert (tmp_path / "docs" / "methods.md").exists()

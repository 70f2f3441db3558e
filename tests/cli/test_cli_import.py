"""``import``: the recipe on the output, what was left out on the error output, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.cli.main import OK, USAGE, main
from sdft_ext.recipe import file as recipe_file
from tests.analysis.images import fill

SETTINGS = (
    'network_module = "networks.lora"\nnetwork_dim = 8\nmax_train_epochs = 2\ncolor_aug = true\nresolution = 64\n'
)


def test_the_recipe_can_be_trained_and_what_was_left_out_is_said_line_by_line(capsys: Any, tmp_path: Path) -> None:
    fill(tmp_path / "cats", 3)
    (tmp_path / "s.toml").write_text(SETTINGS, encoding="utf-8")
    dataset = "[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'cats'\nnum_repeats = 2\n"
    (tmp_path / "d.toml").write_text(dataset, encoding="utf-8")
    assert main(["import", str(tmp_path / "s.toml"), str(tmp_path / "d.toml")]) == OK
    said = capsys.readouterr()
    assert said.out.startswith("# From kohya: s.toml, d.toml\n")
    recipe = recipe_file.loads(said.out)
    assert recipe.dataset.concepts[0].instance == str(tmp_path / "cats")
    assert (recipe.dataset.concepts[0].repeats, recipe.method.lora.rank, recipe.train.length) == (2, 8, 2)
    lines = said.err.splitlines()
    assert any(line.startswith("color_aug is true: ") for line in lines)
    assert lines[-1].endswith(f"Read the {len(lines) - 1} lines above before you train.")


def test_a_onetrainer_config_finds_its_concepts_above_its_folder(capsys: Any, tmp_path: Path) -> None:
    fill(tmp_path / "cats", 3)
    for name in ("training_presets", "training_concepts"):
        (tmp_path / name).mkdir()
    concepts = [{"name": "cat", "path": str(tmp_path / "cats")}]
    (tmp_path / "training_concepts" / "concepts.json").write_text(json.dumps(concepts), encoding="utf-8")
    config = {"training_method": "LORA", "concept_file_name": "training_concepts/concepts.json", "epochs": 4}
    (tmp_path / "training_presets" / "c.json").write_text(json.dumps(config), encoding="utf-8")
    assert main(["import", str(tmp_path / "training_presets" / "c.json")]) == OK
    recipe = recipe_file.loads(capsys.readouterr().out)
    assert recipe.dataset.concepts[0].instance == str(tmp_path / "cats") and recipe.train.length == 4


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.json", '{"network_dim": ', "a.json is damaged"),
        ("a.toml", "a = 1", "settings of another kind"),
        ("gone.toml", None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_sentence(
    capsys: Any, tmp_path: Path, name: str, content: str | None, part: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert main(["import", str(tmp_path / name)]) == USAGE
    said = capsys.readouterr()
    assert said.out == "" and part in said.err and len(said.err.splitlines()) == 1

"""Presets under a user's own name: what they hold, how they are kept, and what they leave alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sdft_ext.desk.errors import DeskError, NotFound, NotNow
from sdft_ext.desk.own_presets import OwnPresets
from sdft_ext.recipe import RecipeError
from sdft_ext.recipe import file as recipe_file
from tests.desk import setting


@pytest.fixture
def presets(tmp_path: Path) -> OwnPresets:
    return OwnPresets(tmp_path / "presets", tmp_path / "trash", recipe_file.from_plain)


def recipe(**train: Any) -> dict[str, Any]:
    return {
        "dataset": {
            "concepts": [{"kind": "style", "instance": "/pictures", "trigger": "sks"}, {"instance": "/more"}],
            "resolution": 640,
            "linked_folder": "/linked",
        },
        "method": {"name": "lokr", "lora": {"rank": 7, "continue_from": "/old.safetensors"}},
        "train": train,
        "watch": {"concept_prompts": ["a sks cat"], "sampler_steps": 9},
        "save": {"name": "cat", "every": 3},
    }


def test_a_preset_holds_the_settings_without_pictures_words_and_files(presets: OwnPresets, tmp_path: Path) -> None:
    presets.save("My style", recipe(learning_rate=3e-4), False)
    (found,) = presets.all()["presets"]
    settings = found["settings"]
    assert found["name"] == "My style"
    wanted = {
        "dataset.concepts.0.kind": "style",
        "dataset.resolution": 640,
        "method.name": "lokr",
        "method.lora.rank": 7,
        "train.learning_rate": 3e-4,
        "watch.sampler_steps": 9,
        "save.every": 3,
    }
    assert {path: settings[path] for path in wanted} == wanted
    left_out = ("dataset.concepts.0.instance", "dataset.concepts.1.kind", "dataset.linked_folder", "save.name")
    assert not {*left_out, "method.lora.continue_from", "watch.concept_prompts"} & settings.keys()
    text = (tmp_path / "presets" / "My style.yaml").read_text(encoding="utf-8")
    assert text.startswith("# A preset") and not any(word in text for word in ("sks", "/pictures", "/old", "/linked"))
    assert recipe_file.loads(text).train.learning_rate == 3e-4, "it is a recipe, too"


def test_a_name_that_is_taken_is_replaced_only_on_request(presets: OwnPresets, tmp_path: Path) -> None:
    presets.save("fast", recipe(learning_rate=1e-4), False)
    with pytest.raises(NotNow, match="a preset named fast already"):
        presets.save("FAST", recipe(learning_rate=2e-4), False)
    assert presets.all()["presets"][0]["settings"]["train.learning_rate"] == 1e-4
    presets.save("FAST", recipe(learning_rate=2e-4), True)
    (found,) = presets.all()["presets"]
    assert (found["name"], found["settings"]["train.learning_rate"]) == ("FAST", 2e-4)


@pytest.mark.parametrize("name", ["", "../outside", "a/b", "con", " x", "x" * 200, "a\0b", ".."])
def test_a_name_that_is_no_file_name_is_refused(name: str, presets: OwnPresets, tmp_path: Path) -> None:
    with pytest.raises(DeskError, match="file name"):
        presets.save(name, recipe(), False)
    with pytest.raises(NotFound):
        presets.delete(name)
    assert not (tmp_path / "presets").exists()


def test_settings_that_no_run_could_have_are_refused(presets: OwnPresets) -> None:
    with pytest.raises(RecipeError, match="learning_rate"):
        presets.save("wild", recipe(learning_rate=-1), False)


def test_a_deleted_preset_is_in_the_trash_and_a_damaged_one_is_named(presets: OwnPresets, tmp_path: Path) -> None:
    for _ in range(2):
        presets.save("gone", recipe(), False)
        presets.delete("gone")
    assert {path.name for path in (tmp_path / "trash").iterdir()} == {"gone.yaml", "gone-2.yaml"}
    presets.save("good", recipe(), False)
    (tmp_path / "presets" / "bad.yaml").write_text("train: [")
    found = presets.all()
    assert [one["name"] for one in found["presets"]] == ["good"]
    assert len(found["problems"]) == 1 and "bad.yaml" in found["problems"][0]


def test_the_folder_of_presets_is_no_run(data: Path, tmp_path: Path) -> None:
    desk = setting.desk(data, tmp_path / "runs")
    desk.presets.save("mine", setting.values(data, "train.learning_rate=0.5"), False)
    assert (tmp_path / "runs" / "presets" / "mine.yaml").is_file()
    assert desk.presets.all()["presets"][0]["settings"]["train.learning_rate"] == 0.5
    run = desk.runs.start(setting.values(data, "save.name=presets"))
    assert run != "presets" and desk.queue.wait(60)
    desk.close()

"""The schema that the page is drawn from: every setting once, with its label, help, range and guide entry."""

from __future__ import annotations

import collections
import json
import subprocess
import sys

from sdft_ext.desk import guide, schema
from sdft_ext.recipe import Recipe
from sdft_ext.recipe.rules import choices, fields

SHOWN = {setting.path: setting for setting in fields(Recipe) if setting.path not in schema.NO_CONTROL}


def shown_fields() -> list[dict]:
    return [field for section in schema.sections() for field in section["fields"]]


def test_every_setting_is_shown_exactly_once():
    assert sorted(field["path"] for field in shown_fields()) == sorted(SHOWN)


def test_parts_name_only_settings_that_exist():
    named = {f"{path}.{name}" for path, parts in schema.PARTS.items() for part in parts for name in part.names}
    assert named <= set(SHOWN)


def test_folders_and_units_name_settings_that_exist():
    names = {path.rpartition(".")[2] for path in SHOWN} | set(SHOWN)
    assert {*schema.FOLDERS, *(name for unit in schema.UNITS.values() for name in unit)} <= names
    assert {f["path"] for f in shown_fields() if f["is_folder"]} <= {f["path"] for f in shown_fields() if f["is_path"]}


def test_a_field_carries_its_label_help_range_and_type():
    found = {field["path"]: field for field in shown_fields()}
    for path, setting in SHOWN.items():
        field = found[path]
        assert (field["label"], field["help"], field["default"]) == (setting.label, setting.help, setting.value)
        assert field["choices"] == list(choices(setting.type))
        assert field["low"] == setting.low
        assert field["high"] == (None if (setting.high or 0) > 2**53 else setting.high)
        assert (field["type"] == "choice") == bool(field["choices"])
    types = collections.Counter(field["type"] for field in found.values())
    assert set(types) == {"text", "int", "float", "bool", "choice", "list", "map"}


def test_the_schema_is_json_that_keeps_its_values():
    assert json.loads(json.dumps(schema.sections(), allow_nan=False)) == schema.sections()


def test_settings_that_the_host_decides_can_be_left_out():
    paths = {f["path"] for section in schema.sections(without=("model.base",)) for f in section["fields"]}
    assert set(SHOWN) - paths == {"model.base"}


def test_concepts_are_marked_as_repeated():
    repeated = [section["path"] for section in schema.sections() if section["repeated"]]
    assert repeated == ["dataset.concepts.0"]


def test_every_setting_has_one_guide_entry_and_every_entry_names_settings_that_exist():
    counted = collections.Counter(path for entry in guide.guide()["entries"] for path in entry["settings"])
    assert set(counted) == set(SHOWN)
    assert [path for path, count in counted.items() if count > 1] == []
    ids = [entry["id"] for entry in guide.guide()["entries"]]
    assert len(ids) == len(set(ids))
    assert all(field["guide"] in ids for field in shown_fields())


def test_the_guide_has_its_chapters_and_terms_as_plain_text():
    found = guide.guide()
    assert [chapter["title"] for chapter in found["chapters"]] == [
        "The concept",
        "The pictures",
        "The captions",
        "The method",
        "Training",
        "Watching",
        "Comparing saves",
        "Safety",
        "Sources",
    ]
    texts = [p for chapter in found["chapters"] for p in chapter["paragraphs"]] + [e["text"] for e in found["entries"]]
    assert all(text.strip() == text and "\n" not in text and text.endswith(".") for text in texts)


def test_neither_schema_nor_guide_imports_torch():
    code = "import sys; from sdft_ext.desk import schema; schema.sections(); print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"

"""JSON files: read strictly or with a default, written whole."""

import pytest

from sdft_ext.errors import SdftError
from sdft_ext.storage import json_file

DEEP = "[" * 100_000


def test_a_value_is_written_as_readable_utf8_and_read_back(tmp_path):
    path = tmp_path / "below" / "a.json"
    json_file.write(path, {"größe": [1, None, 0.5]})
    assert path.read_bytes() == '{\n "größe": [\n  1,\n  null,\n  0.5\n ]\n}\n'.encode()
    assert json_file.read(path) == {"größe": [1, None, 0.5]}


@pytest.mark.parametrize("content", [b"{", b'"\xff"', b"", DEEP.encode()], ids=["cut off", "no UTF-8", "empty", "deep"])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(json_file.JsonFileError, match=r"a\.json is damaged \(.+\)") as caught:
        json_file.read(path, missing=[])
    assert isinstance(caught.value, SdftError) and caught.value.reason in str(caught.value)
    assert json_file.read_or(path, ["default"]) == ["default"]


def test_a_missing_file_is_an_error_or_gives_the_callers_value(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "a.json", tmp_path / "file" / "a.json"):
        with pytest.raises(OSError):
            json_file.read(path)
        assert json_file.read(path, missing={"steps": []}) == {"steps": []}
        assert json_file.read_or(path, None) is None
    with pytest.raises(OSError):
        json_file.read(tmp_path, missing=[])
    assert json_file.read_or(tmp_path, []) == []


def test_a_value_of_another_type_than_the_default_is_replaced_by_it(tmp_path):
    json_file.write(tmp_path / "a.json", [1])
    assert json_file.read_or(tmp_path / "a.json", {}) == {}
    assert json_file.read_or(tmp_path / "a.json", []) == [1]
    assert json_file.read_or(tmp_path / "a.json", None) == [1]


def test_numbers_that_json_lacks_are_refused_on_request():
    assert json_file.parse('{"a": NaN}')["a"] != 1
    for text in ("NaN", "[Infinity]", '{"a": -Infinity}'):
        with pytest.raises(ValueError, match="JSON has no"):
            json_file.parse(text, finite=True)
    for text in ("", "{", DEEP, b"\xff\xfe"):
        with pytest.raises(ValueError):
            json_file.parse(text)


@pytest.mark.parametrize("value", [None, "7", [], {}, float("nan"), float("inf")])
def test_a_damaged_number_is_zero(value):
    assert json_file.number({"step": value}, "step") == 0.0
    assert json_file.number({"step": 7}, "step") == 7.0 and json_file.number({}, "step") == 0.0

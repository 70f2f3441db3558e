"""What each edit makes of a caption; what it refuses; that a bad regular expression ends."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sdft_ext.captions import regex
from sdft_ext.captions.edits import parse_edit
from sdft_ext.captions.errors import CaptionsError

CASES: list[tuple[dict[str, Any], str, str | None]] = [
    ({"do": "set", "text": "new"}, "old", "new"),
    ({"do": "clear"}, "old", ""),
    ({"do": "add", "tags": ["x, y"], "where": "front"}, "a, b", "x, y, a, b"),
    ({"do": "add", "tags": ["x"]}, "a, b", "a, b, x"),
    ({"do": "add", "tags": ["x"], "where": 1}, "a, b", "a, x, b"),
    ({"do": "add", "tags": ["x"], "where": -1}, "a, b", "a, x, b"),
    ({"do": "add", "tags": ["A", "x"], "where": "front"}, "a, b", "x, a, b"),
    ({"do": "add", "tags": ["a"]}, "a,b", None),
    ({"do": "add", "tags": ["x"]}, "", "x"),
    ({"do": "remove", "tags": ["B", "c"]}, "a, b , C", "a"),
    ({"do": "remove", "tags": ["b"]}, "a,  bb", None),
    ({"do": "rename", "tag": "cat", "to": "dog"}, "a, Cat, cats", "a, dog, cats"),
    ({"do": "rename", "tag": "cat", "to": "dog"}, "dog, cat, x", "dog, x"),
    ({"do": "rename", "tag": "cat", "to": "Cat"}, "cat, x", "Cat, x"),
    ({"do": "rename", "tag": "cat", "to": ""}, "cat, x", "x"),
    ({"do": "rename", "tag": "cat", "to": "dog"}, "a cat,x", None),
    ({"do": "replace", "find": "cat", "with": "dog"}, "Cat, cats", "dog, dogs"),
    ({"do": "replace", "find": "cat", "with": "dog", "words": True}, "Cat, cats", "dog, cats"),
    ({"do": "replace", "find": "cat", "with": "dog", "case": True}, "Cat, cats", "Cat, dogs"),
    ({"do": "replace", "find": "(", "with": "\\1"}, "a (b", "a \\1b"),
    ({"do": "regex", "find": r"(\w+) (\w+)", "with": r"\2 \1"}, "one two", "two one"),
    ({"do": "regex", "find": r"(?P<n>\d+)", "with": r"<\g<n>>"}, "a 12", "a <12>"),
    ({"do": "regex", "find": "z", "with": ""}, "a", None),
    ({"do": "sort", "keep": 1}, "z, c, B, a", "z, a, B, c"),
    ({"do": "unique"}, "a, b, A , b", "a, b"),
    ({"do": "unique"}, "a,b", None),
    ({"do": "trigger_first", "trigger": "sks dog"}, "a, Sks  dog, b", "Sks  dog, a, b"),
    ({"do": "trigger_first", "trigger": "sks"}, "tree, photo of sks dog", "photo of sks dog, tree"),
    ({"do": "trigger_first", "trigger": "sks"}, "a, b", None),
    ({"do": "trigger_first", "trigger": "sks", "add": True}, "a, b", "sks, a, b"),
    ({"do": "spaces"}, "long_hair, ^_^, o_o, sks", "long hair, ^_^, o_o, sks"),
    ({"do": "escape"}, r"a (b), \(c\), [d]", r"a \(b\), \(c\), \[d\]"),
    ({"do": "unescape"}, r"a \(b\), (c)", "a (b), (c)"),
    ({"do": "escape"}, r"\(c\)", None),
]


@pytest.mark.parametrize(("edit_spec", "before", "after"), CASES)
def test_edits(edit_spec: dict[str, Any], before: str, after: str | None) -> None:
    assert parse_edit(edit_spec).apply([before]) == [after]


@pytest.mark.parametrize(
    ("edit_spec", "says"),
    [
        ({}, "no edit"),
        ({"do": "explode"}, "no edit 'explode'"),
        ({"do": "set"}, "needs text"),
        ({"do": "set", "text": "x", "tags": []}, "not tags"),
        ({"do": "add", "tags": []}, "1 to 200 tags"),
        ({"do": "add", "tags": "x"}, "list of texts"),
        ({"do": "add", "tags": ["x"], "where": "middle"}, "whole number"),
        ({"do": "rename", "tag": "a", "to": "b, c"}, "comma"),
        ({"do": "rename", "tag": " ", "to": "b"}, "type one"),
        ({"do": "replace", "find": "", "with": "b"}, "type one"),
        ({"do": "sort", "keep": -1}, "keep"),
        ({"do": "trigger_first", "trigger": ""}, "no trigger"),
    ],
)
def test_refused(edit_spec: dict[str, Any], says: str) -> None:
    with pytest.raises(CaptionsError, match=says):
        parse_edit(edit_spec)


@pytest.mark.parametrize(
    ("find", "new", "says"),
    [
        ("(", "", "not a valid regular expression"),
        ("a", r"\2", "not a valid regular expression"),
        ("", "", "empty"),
        ("a" * 2000, "", "shorter"),
    ],
)
def test_invalid_regular_expressions(find: str, new: str, says: str) -> None:
    with pytest.raises(CaptionsError, match=says):
        regex.replace(find, new, ["aaa"])


def test_a_regular_expression_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex, "SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(CaptionsError, match="takes longer than"):
        regex.matches("(a+)+$", ["a" * 60 + "b"])
    assert time.monotonic() - started < 5


def test_captions_must_not_grow_without_end() -> None:
    with pytest.raises(CaptionsError, match="too long"):
        regex.replace("a?", "x" * 900, ["a" * 60_000] * 10)


def test_groups_with_signs_of_other_scripts() -> None:
    assert regex.replace("(😀)(.)", r"\2\1", ["😀é", "x"]) == ["é😀", None]


def test_many_backslashes_cost_little() -> None:
    text = "\\" * 64_000 + "x"
    for do in ("escape", "unescape"):
        started = time.process_time()
        assert parse_edit({"do": do}).apply([text]) == [None]
        assert time.process_time() - started < 0.5


def test_a_trigger_of_several_tags_is_refused() -> None:
    with pytest.raises(CaptionsError, match="comma"):
        parse_edit({"do": "trigger_first", "trigger": "sks, dog", "add": True})

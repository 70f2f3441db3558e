"""Captions come from other programs and go to them, and read the same when they come back."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from sdft_ext.captions import interchange
from sdft_ext.captions.errors import CaptionsError
from sdft_ext.captions.store import CaptionStore

from . import folders


@pytest.fixture
def found(tmp_path: Path) -> CaptionStore:
    captions = {"a": 'dog, "quoted"', "b": "Kätzchen 😀\nline two", "sub/c": "<b>html</b>", "sub/IMG_1": None}
    return CaptionStore(folders.make(tmp_path / "set", captions))


@pytest.mark.parametrize("format", list(interchange.ONE_FILE))
def test_one_file_there_and_back(found: CaptionStore, format: str) -> None:
    content = interchange.format_file(format, found.in_order, found.root)
    read = interchange.read_file(format, content, found.in_order)
    wanted = [" ".join(picture.caption.split()) for picture in found.in_order]
    assert [text or "" for text in read.texts] == wanted and not read.unmatched
    windows = interchange.read_file(format, b"\xef\xbb\xbf" + content.encode(), found.in_order)
    assert windows.texts == read.texts


def test_diffusers_reads_the_jsonl(found: CaptionStore) -> None:
    lines = interchange.format_file("jsonl", found.in_order, found.root).splitlines()
    entries = {entry["file_name"]: entry["text"] for entry in map(json.loads, lines)}
    assert entries["sub/c.png"] == "<b>html</b>" and entries["b.png"] == "Kätzchen 😀 line two"
    assert all((found.root / name).is_file() for name in entries)


def test_kohyas_names(found: CaptionStore) -> None:
    entries = json.loads(interchange.format_file("meta_cap", found.in_order, found.root))
    assert entries["c"] == {"caption": "<b>html</b>"}
    lat = json.loads(interchange.format_file("meta_lat", found.in_order, found.root, 512))
    assert lat["a"]["train_resolution"] == [512, 512]
    folders.make(found.root, {"other/c": "same stem"})
    found.refresh()
    entries = json.loads(interchange.format_file("meta_cap", found.in_order, found.root))
    assert entries[str(found.root / "other/c.png")] == {"caption": "same stem"}
    read = interchange.read_file("meta_cap", json.dumps(entries), found.in_order)
    assert [p.name for p, text in zip(found.in_order, read.texts, strict=True) if text == "same stem"] == [
        "other/c.png"
    ]
    theirs = {"C:\\train\\a.png": {"tags": "x, y", "caption": "a dog"}, "gone": {"caption": "z"}, "b": {"tags": "t"}}
    read = interchange.read_file("meta_lat", json.dumps(theirs), found.in_order)
    assert read.texts[:2] == ["a dog, x, y", "t"] and read.unmatched == ["gone"]


def test_csv_of_others(found: CaptionStore) -> None:
    read = interchange.read_file("csv", 'Image,Tags\n"a.png","one, two"\nsub/c.png,three\nnope,x\n', found.in_order)
    assert read.texts == ["one, two", None, None, "three"] and read.unmatched == ["nope"]


@pytest.mark.parametrize(
    ("format", "content"),
    [("meta_cap", "["), ("meta_cap", "[]"), ("jsonl", "{"), ("jsonl", "3"), ("jsonl", '{"a": 1}'), ("csv", "a,b\n1,2")],
)
def test_files_of_another_kind_are_refused(found: CaptionStore, format: str, content: str) -> None:
    with pytest.raises(CaptionsError):
        interchange.read_file(format, content, found.in_order)


def test_how_two_texts_are_joined() -> None:
    joined = interchange.combine
    assert joined("replace", "a", "b") == "b" and joined("append", "a,", " b") == "a, b"
    assert joined("prepend", "a", "b") == "b, a" and joined("append", "", "b") == "b"
    assert joined("empty", "a", "b") is None and joined("empty", " ", "b") == "b"
    with pytest.raises(CaptionsError):
        joined("mix", "a", "b")


def test_files_next_to_the_pictures(found: CaptionStore, tmp_path: Path) -> None:
    (found.root / "a.caption").write_bytes("ein Kätzchen\r\n".encode("latin-1"))
    assert interchange.read_beside("caption", found.in_order, found.may_read).texts == [
        "ein Kätzchen",
        None,
        None,
        None,
    ]
    assert interchange.read_beside("names", found.in_order, found.may_read).texts == ["a", "b", None, "c"]
    out = tmp_path / "out"
    done = interchange.write_beside("caption", found.in_order, out, replace=False)
    assert done.written == 3 and (out / "sub/c.caption").read_text() == "<b>html</b>"
    (out / "a.caption").write_text("theirs")
    again = interchange.write_beside("caption", found.in_order, out, replace=False)
    assert (again.written, again.left) == (0, ["a.caption"]) and (out / "a.caption").read_text() == "theirs"
    assert interchange.write_beside("caption", found.in_order, out, replace=True).written == 1


def test_copies_named_by_their_captions(found: CaptionStore, tmp_path: Path) -> None:
    folders.make(found.root, {"d": "../../up / and " + "long 😀 " * 100, "e": "plain words"})
    found.refresh()
    done = interchange.copy_named(found.in_order, tmp_path / "named", replace=False)
    names = sorted(os.listdir(tmp_path / "named"))
    assert done.written == len(names) == 6 and all(len(os.fsencode(name)) < 255 for name in names)
    assert "00003-plain words.png" in names and "shortened" in done.notes[0]
    assert (tmp_path / "named/00003-plain words.png").read_bytes() == (found.root / "e.png").read_bytes()


def test_a_csv_opens_elsewhere(found: CaptionStore) -> None:
    rows = list(csv.reader(interchange.format_file("csv", found.in_order, found.root).splitlines()))
    assert rows[0] == ["file_name", "text"] and rows[1] == ["a.png", 'dog, "quoted"']


def test_an_exact_name_goes_before_a_longer_path(tmp_path: Path) -> None:
    found = CaptionStore(folders.make(tmp_path / "set", {"1": None, "img": None}))
    captions = [("1.png", "mine"), ("concept_b/1.png", "other")]
    for lines in (captions, captions[::-1]):
        content = "".join(json.dumps({"file_name": name, "text": text}) + "\n" for name, text in lines)
        read = interchange.read_file("jsonl", content, found.in_order)
        assert read.texts == ["mine", None] and read.unmatched == ["concept_b/1.png"]
    read = interchange.read_file("meta_cap", json.dumps({"img.2": {"caption": "another"}}), found.in_order)
    assert read.texts == [None, None] and read.unmatched == ["img.2"]
    whole = {str(found.root / "1.png"): {"caption": "mine"}, "b/1": {"caption": "other"}}
    assert interchange.read_file("meta_cap", json.dumps(whole), found.in_order).texts == ["mine", None]


def test_signs_that_end_lines_elsewhere_stand_in_jsonl(found: CaptionStore) -> None:
    content = '{"file_name": "a.png", "text": "one\u2028two\x85three"}\r\n{"file_name": "b.png", "text": "x"}\n'
    assert interchange.read_file("jsonl", content, found.in_order).texts[:2] == [
        "one\u2028two\x85three",
        "x",
    ]


def test_a_file_next_to_a_picture_that_is_not_a_caption(found: CaptionStore) -> None:
    with open(found.root / "a.caption", "wb") as file:
        file.truncate(200_000)
    with pytest.raises(CaptionsError, match=r"a\.caption.*64 kB"):
        interchange.read_beside("caption", found.in_order, found.may_read)


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("file_name,text\na.png,1girl, black hair, sitting\nb.png,plain\n", ["1girl, black hair, sitting", "plain"]),
        (
            'file_name,text\na.png,"1girl, black hair"\nb.png,the "red" car, grass\n',
            ["1girl, black hair", 'the "red" car, grass'],
        ),
        ("file_name;text\na.png;1girl, black hair\nb.png;x\n", ["1girl, black hair", "x"]),
        ("sep=;\r\nfile_name;text\r\na.png;1girl; black hair\r\nb.png;x\r\n", ["1girl; black hair", "x"]),
        ("image\tcaption\na.png\t1girl, black hair\nb.png\tx\n", ["1girl, black hair", "x"]),
        ('text,file_name\n"1girl, black hair",a.png\nx,b.png\n', ["1girl, black hair", "x"]),
        ("image,caption\na.png,one\nb.png,x\na.png,two\na.png,two\n", ["one\ntwo", "x"]),
    ],
)
def test_a_csv_of_any_program_loses_no_part_of_a_caption(found: CaptionStore, content: str, texts: list[str]) -> None:
    assert interchange.read_file("csv", content, found.in_order).texts[:2] == texts


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("text,file_name\nx,b.png\n1girl, black hair,a.png\n", 3, "more fields"),
        ("file_name,text\na.png,one\nand another line\n", 3, "fewer fields"),
    ],
)
def test_a_csv_that_can_be_read_in_two_ways_is_refused(found: CaptionStore, content: str, line: int, what: str) -> None:
    with pytest.raises(CaptionsError, match=f"Line {line} of the CSV has {what}"):
        interchange.read_file("csv", content, found.in_order)


def test_lists_of_captions_keep_each_as_a_line(found: CaptionStore) -> None:
    content = '{"file_name": "a.png", "captions": ["one", "two\\nlines", " "]}\n{"file_name": "b.png", "text": "x"}\n'
    assert interchange.read_file("jsonl", content, found.in_order).texts[:2] == ["one\ntwo lines", "x"]
    content = '{"a": {"caption": "one", "tags": ["two", "three"]}}'
    assert interchange.read_file("meta_cap", content, found.in_order).texts[0] == "one, two\nthree"
    with pytest.raises(CaptionsError, match="Line 1 lacks"):
        interchange.read_file("jsonl", '{"file_name": "a.png", "text": [1, 2]}', found.in_order)


def test_files_are_neither_imported_nor_exported_through_links(tmp_path: Path) -> None:
    root = folders.make(tmp_path / "set", {"a": "one", "sub/b": "two"})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (root / "a.caption").symlink_to(outside / "secret.txt")
    store = CaptionStore(root)
    assert interchange.read_beside("caption", store.in_order, store.may_read).texts == [None, None]
    to = tmp_path / "to"
    to.mkdir()
    (to / "a.txt").symlink_to(outside / "secret.txt")
    (to / "sub").symlink_to(outside)
    for pictures in (store.in_order[:1], store.in_order[1:]):
        with pytest.raises(CaptionsError, match="is a link, and nothing is written through links"):
            interchange.write_beside("txt", pictures, to, replace=True)
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == "secret"

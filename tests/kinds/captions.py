"""Captions that are damaged, in odd encodings, of odd words, not where they belong; and lists of captions.

``expected``: "file" for a folder's files, "list" for one file with all captions. ``more``, for files: the caption that is
trained with ``a.png``, and whether a notice must name the file; for lists: the captions of a.png and b.png (None: none),
or "refused", or "notice" for what must be said.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from tests.captions import folders

from .kind import Kind, Maker

LONG = "red cat, " * 2000


def beside(data: bytes | str, name: str = "a.txt") -> Maker:
    """Return a maker of a folder with the picture a.png, and a file next to it."""
    return placed({name: data})


def placed(files: dict[str, bytes | str], picture: str = "a.png") -> Maker:
    def make(folder: Path, _: Random) -> Path:
        (folder / picture).write_bytes(folders.picture(1))
        for name, data in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        return folder

    return make


def odd(change: Callable[[Path], Any]) -> Maker:
    """Return a maker of the picture a.png and of a.txt, which is made by a function."""

    def make(folder: Path, _: Random) -> Path:
        (folder / "a.png").write_bytes(folders.picture(1))
        change(folder / "a.txt")
        return folder

    return make


def out(path: Path) -> None:
    """Make a link to a file outside the folder."""
    secret = path.parent.parent / "secret.txt"
    secret.write_text("secret words")
    path.symlink_to(secret)


FILES = [
    ("no byte", beside(b""), "", True),
    ("blanks only", beside(" \n\t "), "", True),
    ("commas only", beside(", ,,"), "", True),
    ("a NUL between words", beside(b"red\0cat"), "red cat", True),
    ("NULs only", beside(b"\0" * 9), "", True),
    ("control characters", beside("red\x1b[2J\x07cat"), "red\x1b[2J\x07cat", True),
    ("UTF-8 with a byte order mark", beside(b"\xef\xbb\xbfred caf\xc3\xa9"), "red café", False),
    ("UTF-16 with a byte order mark", beside("red café".encode("utf-16")), "red café", False),
    ("UTF-16 of the other order", beside(b"\xfe\xff" + "red café".encode("utf-16-be")), "red café", False),
    ("UTF-16 without a byte order mark", beside("red café".encode("utf-16-le")), "red café", False),
    ("UTF-16 cut off in a letter", beside("red cat".encode("utf-16")[:-1]), "red ca\ufffd", True),
    ("UTF-16 with half a pair", beside(b"\xff\xfer\0e\0d\0\x00\xd8"), "red\ufffd", True),
    ("UTF-32 with a byte order mark", beside("red café".encode("utf-32")), "red café", False),
    ("Latin-1", beside(b"red caf\xe9"), "red café", True),
    ("Windows' own letters", beside(b"\x93red\x94 cat"), "“red” cat", True),
    ("Shift-JIS", beside("赤い猫".encode("shift-jis")), None, True),
    ("half a pair in UTF-8", beside(b"red \xed\xa0\x80 cat"), None, True),
    ("UTF-8 with a mark and a broken letter", beside(b"\xef\xbb\xbfred \xff cat"), "red \ufffd cat", True),
    ("lines of Windows", beside("red cat\r\n"), "red cat", False),
    ("several lines", beside("red cat\nblue dog\n"), "red cat blue dog", True),
    ("lines of the old Mac", beside("red cat\rblue dog"), "red cat blue dog", True),
    ("a line separator of Unicode", beside("red cat\u2028blue dog"), "red cat blue dog", True),
    ("10 MB", beside(b"red, " * 2_000_000), None, True),
    ("100 kB", beside(b"red, " * 20_000), None, True),
    ("a word of 60,000 letters", beside("x" * 60_000), "x" * 60_000, True),
    ("a word of 60,000 letters of another alphabet", beside("п" * 30_000), "п" * 30_000, True),
    ("2,000 tags", beside(LONG), LONG.strip(), True),
    ("a picture", beside(folders.picture(2)), None, True),
    ("a web page", beside("<html><script>alert(1)</script>"), "<html><script>alert(1)</script>", False),
    ("JSON", beside('{"caption": "red"}'), '{"caption": "red"}', False),
    ("a path", beside("../../etc/passwd"), "../../etc/passwd", False),
    ("emoji joined to a family", beside("👩‍👩‍👧, 😀"), "👩‍👩‍👧, 😀", False),
    ("letters from right to left", beside("\u202eمرحبا\u202c"), "\u202eمرحبا\u202c", False),
    ("a letter with 1,000 marks", beside("e" + "\u0301" * 1000), "e" + "\u0301" * 1000, False),
    ("entities of HTML", beside("cat &amp; dog &#65;"), "cat &amp; dog &#65;", False),
    ("weights of the WebUI", beside("(red:1.3), [cat], ((dog))"), "(red:1.3), [cat], ((dog))", False),
    ("brackets that don't close", beside("((red cat, [dog"), "((red cat, [dog", False),
    ("BREAK and AND", beside("red BREAK cat AND dog"), "red BREAK cat AND dog", False),
    ("wildcards and choices", beside("__colour__ {red|blue} cat"), "__colour__ {red|blue} cat", False),
    ("a LoRA's tag", beside("red <lora:x:1>"), "red <lora:x:1>", False),
    ("tokens of CLIP's own", beside("red <|endoftext|> cat"), "red <|endoftext|> cat", False),
    ("brackets of the template", beside("[name] [filewords]"), "[name] [filewords]", False),
    ("signs of a format", beside("{0} %s ${a} \\1 \\g<name>"), "{0} %s ${a} \\1 \\g<name>", False),
    ("the trigger alone", beside("sks"), "sks", False),
    ("an ending in capitals", beside("red", "a.TXT"), "red", False),
    ("capitals that differ from the picture's", placed({"CAT.txt": "red"}, "cat.png"), "red", False),
    ("a name with its marks apart", placed({"cafe\u0301.txt": "red"}, "caf\u00e9.png"), "red", False),
    ("the picture's whole name before .txt", beside("red", "a.png.txt"), "red", False),
    ("an ending twice", beside("red", "a.txt.txt"), None, True),
    ("two captions of one picture", placed({"a.txt": "red", "a.caption": "blue"}), "red", True),
    ("two captions whose names differ in capitals", placed({"a.txt": "red", "A.txt": "blue"}), "red", True),
    ("a caption of no picture", beside("red", "b.txt"), None, True),
    ("a name that no encoding has", lambda folder, _: _surrogate(folder), "red", False),
    ("a name with a line break", placed({"a\nb.txt": "red"}, "a\nb.png"), "red", False),
    ("a folder", odd(Path.mkdir), None, True),
    ("a pipe", odd(os.mkfifo), None, True),
    ("a link to nothing", odd(lambda path: path.symlink_to("nothing")), None, True),
    ("a link to itself", odd(lambda path: path.symlink_to("a.txt")), None, True),
    ("a link out of the folder", odd(out), None, True),
    ("a link to a device that never ends", odd(lambda path: path.symlink_to("/dev/zero")), None, True),
    ("a link to another caption", lambda folder, _: _linked(folder), "red", False),
]  # fmt: skip


def _surrogate(folder: Path) -> Path:
    for name, data in ((b"a\xff.png", folders.picture(1)), (b"a\xff.txt", b"red")):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(data)
    return folder


def _linked(folder: Path) -> Path:
    (folder / "a.png").write_bytes(folders.picture(1))
    (folder / "words").mkdir()
    (folder / "words" / "b.png").write_bytes(folders.picture(2))
    (folder / "words" / "b.txt").write_text("red")
    (folder / "a.txt").symlink_to("words/b.txt")
    return folder


HEAD = "file_name,text\n"
LISTS = [
    ("CSV without quotes", "csv", HEAD + "a.png,red, cat\n", ("red, cat", None)),
    ("CSV with quotes", "csv", HEAD + 'a.png,"red, ""cat"""\n', ('red, "cat"', None)),
    ("CSV with semicolons", "csv", "file_name;text\na.png;red, cat\n", ("red, cat", None)),
    ("CSV with tabs", "csv", "file_name\ttext\na.png\tred, cat\n", ("red, cat", None)),
    ("CSV with Excel's first line", "csv", "sep=;\nfile_name;text\na.png;red\n", ("red", None)),
    ("CSV with a quote that doesn't end", "csv", HEAD + 'a.png,"red cat\nb.png,blue\n', "refused"),
    ("CSV with a quote inside a field", "csv", HEAD + 'a.png,red 5" cat\n', ('red 5" cat', None)),
    ("CSV without a first line", "csv", "a.png,red\n", "refused"),
    ("CSV without a column of captions", "csv", "file_name,size\na.png,5\n", "refused"),
    ("CSV with a row too short", "csv", HEAD + "a.png\n", "refused"),
    ("CSV with a row too long", "csv", "text,file_name\nred, cat,a.png\n", "refused"),
    ("CSV with NULs", "csv", HEAD + "a.png,r\0ed\n", "refused"),
    ("CSV with a field of 200,000 letters", "csv", HEAD + "a.png," + "x" * 200_000, "refused"),
    ("CSV in UTF-16", "csv", (HEAD + "a.png,café\n").encode("utf-16"), ("café", None)),
    ("CSV with a byte order mark", "csv", b"\xef\xbb\xbf" + (HEAD + "a.png,red\n").encode(), ("red", None)),
    ("CSV in Latin-1", "csv", (HEAD + "a.png,café\n").encode("latin-1"), ("café", None)),
    ("CSV with a picture twice", "csv", HEAD + "a.png,red\na.png,blue\n", ("red\nblue", None)),
    ("CSV with an absolute path", "csv", HEAD + "/somewhere/a.png,red\n", ("red", None)),
    ("CSV with a path of Windows", "csv", HEAD + "C:\\somewhere\\a.png,red\n", ("red", None)),
    ("CSV with a path that leaves the folder", "csv", HEAD + "../../../etc/passwd,red\n", "notice"),
    ("CSV with a picture that isn't there", "csv", HEAD + "c.png,red\n", "notice"),
    ("CSV with no row", "csv", HEAD, "refused"),
    ("a list of no byte", "csv", "", "refused"),
    ("a picture as a list", "csv", folders.picture(1), "refused"),
    ("JSONL with a broken line", "jsonl", '{"file_name":"a.png","text":"red"}\n{"file_name":\n', "refused"),
    ("JSONL that is one list", "jsonl", '[{"file_name":"a.png","text":"red"}]', "refused"),
    ("JSONL with a number for a line", "jsonl", "5\n", "refused"),
    ("JSONL without captions", "jsonl", '{"file_name":"a.png"}', "refused"),
    ("JSONL with a number for a caption", "jsonl", '{"file_name":"a.png","text":5}', "refused"),
    ("JSONL with nothing for a caption", "jsonl", '{"file_name":"a.png","text":null}', "refused"),
    ("JSONL with a number for a name", "jsonl", '{"file_name":5,"text":"red"}', "refused"),
    ("JSONL with a list of captions", "jsonl", '{"file_name":"a.png","text":["red","blue"]}', ("red\nblue", None)),
    ("JSONL with a caption twice in a line", "jsonl", '{"file_name":"a.png","text":"red","text":"blue"}', "refused"),
    ("JSONL nested 100,000 deep", "jsonl", "[" * 100_000, "refused"),
    ("JSONL with half a pair of letters", "jsonl", '{"file_name":"a.png","text":"red \\ud800"}', "refused"),
    ("JSONL with a NUL", "jsonl", '{"file_name":"a.png","text":"red\\u0000cat"}', "refused"),
    ("JSONL in UTF-16", "jsonl", '{"file_name":"a.png","text":"café"}'.encode("utf-16"), ("café", None)),
    ("JSONL with a caption of 100 kB", "jsonl", json.dumps({"file_name": "a.png", "text": "red, " * 20_000}), "notice"),
    ("kohya's JSON that is a list", "meta_cap", "[1]", "refused"),
    ("kohya's JSON that isn't JSON", "meta_cap", "{", "refused"),
    ("kohya's JSON with a number for a picture", "meta_cap", '{"a": 5}', "refused"),
    ("kohya's JSON with a number for a caption", "meta_cap", '{"a": {"caption": 5}}', "refused"),
    ("kohya's JSON with a picture twice", "meta_cap", '{"a": {"caption": "red"}, "a": {"caption": "blue"}}', "refused"),
    ("kohya's JSON without a caption", "meta_lat", '{"a": {"train_resolution": [64, 64]}}', "refused"),
    ("a folder as a list", "csv", lambda path: path.mkdir(), "refused"),
    ("a pipe as a list", "csv", lambda path: os.mkfifo(path), "refused"),
    ("a device that never ends as a list", "csv", lambda path: path.symlink_to("/dev/zero"), "refused"),
    ("a list that isn't there", "csv", lambda path: None, "refused"),
]  # fmt: skip


def listed(data: Any) -> Maker:
    """Return a maker of two pictures, and of the list bad.list, outside their folder."""

    def make(folder: Path, _: Random) -> Path:
        folders.make(folder / "pictures", {"a": None, "b": None})
        path = folder / "bad.list"
        if callable(data):
            data(path)
        else:
            path.write_bytes(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)
        return path

    return make


KINDS = [
    *(Kind(name, make, "file", (caption, noticed)) for name, make, caption, noticed in FILES),
    *(Kind(name, listed(data), "list", (format, result)) for name, format, data, result in LISTS),
]

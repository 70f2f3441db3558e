"""The captions commands: find, edit with a preview, undo, count, take in and give out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sdft_ext.cli.main import main
from tests.captions import folders


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folders.make(tmp_path / "set", {f"{n}": f"sks dog, tag{n % 2}, outdoors" for n in range(4)})


def said(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    assert main(["captions", *map(str, arguments)]) == code
    output = capsys.readouterr()
    return output.out + output.err


def test_find_edit_undo(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "filter", root, "--has", "tag1", "--names").split() == ["1.png", "3.png"]
    assert "2 of 4 pictures" in said(capsys, "filter", root, "--lacks", "tag1", "--regex", "^sks", "--tokens", "..7")
    before = folders.texts(root)
    dry = said(capsys, "edit", root, "--has", "tag1", "--rename", "outdoors", "outside", "--dry-run", "--show", 1)
    assert "+ sks dog, tag1, outside" in dry and "2 captions would change" in dry and folders.texts(root) == before
    assert "2 caption files written" in said(capsys, "edit", root, "--has", "tag1", "--rename", "outdoors", "outside")
    after = folders.texts(root)
    assert after["1.txt"] == b"sks dog, tag1, outside" and after["0.txt"] == before["0.txt"]
    assert "Undone: rename 'outdoors' to 'outside' in 2 captions." in said(capsys, "undo", root)
    assert folders.texts(root) == before
    said(capsys, "redo", root)
    assert folders.texts(root) == after
    said(capsys, "edit", root, "--add", "x, y", "--at", "1")
    assert folders.texts(root)["0.txt"] == b"sks dog, x, y, tag0, outdoors"
    said(capsys, "edit", root, "--replace-regex", r"tag(\d)", r"t\1")
    assert folders.texts(root)["0.txt"] == b"sks dog, x, y, t0, outdoors"


def test_what_the_page_has_not_saved_stays_unsaved(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.captions.test_store import CaptionStore, change

    change(CaptionStore(root), "0", do="set", text="from the page")
    said(capsys, "edit", root, "--named", "1.png", "--add", "x")
    texts = folders.texts(root)
    assert texts["0.txt"] == b"sks dog, tag0, outdoors" and texts["1.txt"].endswith(b", x")
    assert "1 caption file written" in said(capsys, "save", root)
    assert folders.texts(root)["0.txt"] == b"from the page"


def test_count(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = said(capsys, "tags", root, "--trigger", "sks dog")
    assert "4  100.0%" in output and "'outdoors' is in all 4 captions" in output
    assert json.loads(said(capsys, "tags", root, "--json"))["captions"] == 4
    output = said(capsys, "tokens", root, "--most", 1)
    assert "7 tokens in 1 chunk of 75" in output and "42.9%  sks dog" in output and "0 longer than 75" in output


def test_in_and_out(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = root / "captions.csv"
    assert "1 file written" in said(capsys, "export", root, "csv", file)
    file.write_text(file.read_text().replace("outdoors", "indoors"))
    assert "would change" in said(capsys, "import", root, "csv", file, "--dry-run")
    assert "4 caption files written" in said(capsys, "import", root, "csv", file)
    assert folders.texts(root)["0.txt"] == b"sks dog, tag0, indoors"
    (root / "metadata.jsonl").write_text("theirs")
    assert "--replace overwrites" in said(capsys, "export", root, "jsonl", root, code=1)
    assert (root / "metadata.jsonl").read_text() == "theirs"


def test_refused(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "gone or not a folder" in said(capsys, "tags", tmp_path / "nowhere", code=2)
    assert "--tokens is" in said(capsys, "filter", root, "--tokens", "many", code=2)
    assert "not a valid regular expression" in said(capsys, "filter", root, "--regex", "(", code=2)
    assert "give its path" in said(capsys, "import", root, "csv", code=2)
    assert "nothing to undo" in said(capsys, "undo", root, code=1)

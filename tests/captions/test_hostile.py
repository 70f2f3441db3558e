"""Names and captions that mean harm, folders that can't be written or vanish: a sentence each, nothing lost."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from sdft_ext.captions import journal, journal_lines
from sdft_ext.captions.errors import CaptionsError
from sdft_ext.captions.store import CaptionStore
from sdft_ext.dataset.links import within

from . import folders
from .test_store import change, shown, state

NASTY = {
    "html": "<script>alert(1)</script> & <img src=x onerror=alert(1)>",
    "emoji 😀 👩‍👩‍👧": "😀, 👩‍👩‍👧, é",
    "line\nbreak": "one\ntwo,\n\nthree",
    "<b>name</b>": "quotes \" and ' and \\",
    "dots..": "../../etc/passwd",
    "x" * 200: "a long name",
    "arabic مرحبا": "\u202eright to left\u202c",
}


def test_nasty_names_and_captions(tmp_path: Path) -> None:
    folders.make(tmp_path, NASTY)
    if os.name == "posix":
        os.rename(os.fsencode(tmp_path / "html.png"), os.fsencode(tmp_path) + b"/\xff\xfe.png")
        os.rename(os.fsencode(tmp_path / "html.txt"), os.fsencode(tmp_path) + b"/\xff\xfe.txt")
    found = CaptionStore(tmp_path)
    assert sorted(shown(found).values()) == sorted(NASTY.values())
    assert change(found, None, do="add", tags=["<i>new</i>"], where="front").count == len(NASTY)
    again = CaptionStore(tmp_path)
    assert again.count("changed") == len(NASTY) and again.save().count == len(NASTY)
    undone = CaptionStore(tmp_path)
    undone.undo()
    undone.save()
    assert sorted(CaptionStore(tmp_path).pictures[n].caption for n in range(len(NASTY))) == sorted(NASTY.values())


def test_captions_far_too_long(tmp_path: Path) -> None:
    long = "word, " * 17_000  # 100 kB
    folders.make(tmp_path, {"a": long, "b": "x" * (2 * 2**20), "c": "short"})
    (tmp_path / "d.png").write_bytes(folders.picture(9))
    shutil.copy(tmp_path / "a.png", tmp_path / "d.txt")
    before = folders.texts(tmp_path)
    found = CaptionStore(tmp_path)
    assert [state(found, name) for name in "abcd"] == ["saved", "locked", "saved", "locked"]
    assert any("b.txt" in text and "1 MB" in text for text in found.problems)
    assert any("d.txt" in text and "contains a picture" in text for text in found.problems)
    done = change(found, None, do="add", tags=["x"])
    assert done.count == 1 and "64 kB" in done.notes[0] and "can't be edited" in done.notes[1]
    assert change(found, "c", do="set", text="é" * 40_000).notes
    assert change(found, "a", do="set", text="shortened").count == 1
    found.save()
    after = folders.texts(tmp_path)
    assert after["a.txt"] == b"shortened " and after["c.txt"] == b"short, x"
    assert (after["b.txt"], after["d.txt"]) == (before["b.txt"], before["d.txt"])
    found.undo()
    assert shown(found)["a"] == long.rstrip()


def test_a_folder_where_the_journal_cannot_be(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two"})
    (tmp_path / ".sdft").write_text("a file in the way")
    found = CaptionStore(tmp_path)
    assert shown(found) == {"a": "one", "b": "two"} and ".sdft" in found.read_only_reason()
    for what in (lambda: change(found, "a", do="clear"), found.undo, found.save):
        with pytest.raises(CaptionsError, match=r"\.sdft"):
            what()
    assert shown(found) == {"a": "one", "b": "two"} == shown(CaptionStore(tmp_path))
    (tmp_path / ".sdft").unlink()
    (tmp_path / ".sdft").symlink_to(tmp_path.parent)
    with pytest.raises(CaptionsError, match="link"):
        change(CaptionStore(tmp_path), "a", do="clear")
    assert not (tmp_path.parent / "captions").exists()


def test_a_caption_file_that_cannot_be_written(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": None, "c": "three"})
    found = CaptionStore(tmp_path)
    change(found, None, do="add", tags=["x"])
    (tmp_path / "b.txt").mkdir()
    saved = found.save()
    assert saved.count == 2 and (tmp_path / "a.txt").read_text() == "one, x"
    assert state(found, "b") == "locked" and any("b.txt" in text for text in found.problems)
    (tmp_path / "b.txt").rmdir()
    found.refresh()
    assert state(found, "b") == "changed" == state(CaptionStore(tmp_path), "b"), "its text has waited in the journal"
    assert found.save().count == 1 and (tmp_path / "b.txt").read_text() == "b, x"


def test_a_full_disk(tmp_path: Path) -> None:
    """A limit on file sizes is as real: the journal's line doesn't fit, and nothing is changed."""
    import subprocess
    import sys

    folders.make(tmp_path, {"a": "one", "b": "two"})
    change(CaptionStore(tmp_path), "a", do="set", text="kept")
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from tests.captions.test_store import change, shown\n"
        "from sdft_ext.captions.store import CaptionStore\n"
        "found = CaptionStore(Path(sys.argv[1]))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "size = (Path(sys.argv[1]) / '.sdft/captions/journal.jsonl').stat().st_size\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, size + 40))\n"
        "try:\n    change(found, 'b', do='set', text='is not kept ' * 90)\n"
        "except ValueError as error:\n    print(error)\n"
        "print(sorted(shown(found).values()))\n"
    )
    file = tmp_path / ".sdft/captions/journal.jsonl"
    before = file.read_bytes()
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "can't be kept" in done.stdout and "free space" in done.stdout and "['kept', 'two']" in done.stdout
    assert file.read_bytes() == before


def test_a_folder_that_vanishes_and_comes_back(tmp_path: Path) -> None:
    root = folders.make(tmp_path / "set", {"a": "one", "b": "two"})
    found = CaptionStore(root)
    change(found, "a", do="set", text="not saved")
    root.rename(tmp_path / "elsewhere")
    for what in (found.refresh, found.save, found.undo, lambda: change(found, "b", do="clear")):
        with pytest.raises(CaptionsError, match="gone"):
            what()
    with pytest.raises(CaptionsError, match="gone"):
        CaptionStore(root)
    assert not root.exists(), "it isn't made anew"
    (tmp_path / "elsewhere").rename(root)
    found.refresh()
    assert shown(found)["a"] == "not saved" and found.save().count == 1
    assert (root / "a.txt").read_text() == "not saved"


def test_links_are_read_only_in_allowed_folders_and_never_written(tmp_path: Path) -> None:
    folders.make(tmp_path / "set", {"a": None, "b": "two"})
    target = tmp_path / "elsewhere" / "a.txt"
    target.parent.mkdir()
    target.write_text("theirs")
    (tmp_path / "set" / "a.txt").symlink_to(target)
    closed = CaptionStore(tmp_path / "set")
    assert shown(closed) == {"a": "", "b": "two"} and state(closed, "a") == "locked"
    assert any("a.txt is a link that leads out" in text for text in closed.problems)
    assert change(closed, None, do="add", tags=["x"]).count == 1 and closed.save().count == 1
    opened = CaptionStore(tmp_path / "set", within([tmp_path]))
    assert shown(opened)["a"] == "theirs" and state(opened, "a") == "locked"
    done = change(opened, None, do="add", tags=["y"])
    assert done.count == 1 and opened.save().count == 1 and target.read_text() == "theirs"
    assert any("a.txt is a link, and nothing is written through links" in text for text in opened.problems)
    (tmp_path / "set" / "a.txt").unlink()
    (tmp_path / "set" / "a.txt").write_text("own")
    opened.refresh()
    assert state(opened, "a") == "saved" and shown(opened)["a"] == "own"


def test_captions_below_a_linked_folder_are_not_written(tmp_path: Path) -> None:
    folders.make(tmp_path / "set", {"b": "two"})
    folders.make(tmp_path / "elsewhere", {"a": "theirs"})
    (tmp_path / "set" / "sub").symlink_to(tmp_path / "elsewhere")
    assert shown(CaptionStore(tmp_path / "set")) == {"b": "two"}
    found = CaptionStore(tmp_path / "set", within([tmp_path]))
    change(found, None, do="add", tags=["x"])
    saved = found.save()
    assert saved.count == 1 and [name for name, _ in saved.failed] == ["sub/a"]
    assert "sub is a link, and nothing is written" in saved.failed[0][1]
    assert (tmp_path / "elsewhere" / "a.txt").read_text() == "theirs"


@pytest.mark.parametrize("target", [".", "..", "/", "loop"])
def test_a_link_to_anywhere_neither_hangs_nor_breaks_the_folder(tmp_path: Path, target: str) -> None:
    folders.make(tmp_path / "set", {"a": "one"})
    (tmp_path / "set" / "loop").symlink_to(target)
    found = CaptionStore(tmp_path / "set")
    found.refresh()
    assert shown(found) == {"a": "one"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_in_place_of_a_caption_is_named_and_never_waited_for(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": None, "b": "two"})
    os.mkfifo(tmp_path / "a.txt")
    found = CaptionStore(tmp_path)
    assert state(found, "a") == "locked" and any("a.txt" in text for text in found.problems)
    change(found, None, do="add", tags=["x"])
    assert found.save().count == 1


def test_nothing_is_written_through_a_link_that_leaves_the_folder(tmp_path: Path) -> None:
    """A dataset of a stranger's may hold any link, whatever the folders are that this user may write."""
    folders.make(tmp_path / "set", {"a": None, "b": "two"})
    secret = tmp_path / "private.txt"
    secret.write_text("theirs")
    (tmp_path / "set" / "a.txt").symlink_to(secret)
    with contextlib.suppress(CaptionsError):
        found = CaptionStore(tmp_path / "set")
        change(found, None, do="set", text="a cat")
        found.save()
    assert secret.read_text() == "theirs"


def test_a_journal_that_unpacks_to_more_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import base64
    import zlib

    monkeypatch.setattr(journal_lines, "MAX_LINE_BYTES", 2**20)
    folders.make(tmp_path, {"a": "one"})
    place = tmp_path / ".sdft" / "captions"
    place.mkdir(parents=True)
    packer = zlib.compressobj(9)
    bomb = b"".join([*(packer.compress(b" " * 2**20) for _ in range(2)), packer.flush()])
    (place / "journal.jsonl").write_bytes(b'{"z":"' + base64.b64encode(bomb) + b'"}\n')
    assert shown(CaptionStore(tmp_path)) == {"a": "one"}


@pytest.mark.parametrize("name", ["journal.jsonl", "lock"])
def test_a_link_in_place_of_our_files_leads_nowhere(tmp_path: Path, name: str) -> None:
    root = folders.make(tmp_path / "set", {"a": "one"})
    for target in (tmp_path / "theirs", tmp_path / "missing"):
        place = root / ".sdft" / "captions"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (place / name).symlink_to(target)
        (tmp_path / "theirs").write_text("not ours\n")
        found = CaptionStore(root)
        with pytest.raises(CaptionsError, match=f"{name}.* link"):
            change(found, "a", do="set", text="new")
        assert shown(found) == {"a": "one"}
        assert (tmp_path / "theirs").read_text() == "not ours\n" and not (tmp_path / "missing").exists()


def test_a_lock_that_cannot_be_had_is_a_sentence(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one"})
    (tmp_path / ".sdft/captions/lock").mkdir(parents=True)
    with pytest.raises(CaptionsError, match="lock can't be"):
        change(CaptionStore(tmp_path), "a", do="set", text="new")


@pytest.mark.parametrize(
    "line",
    [
        '{"do":"save","names":[[1]]}',
        '{"do":"saved","names":[{}]}',
        '{"do":"undo","id":"1","left":[[]]}',
        '{"do":"edit","id":"1","what":"x","changes":[["a","one",5]]}',
        '{"do":"edit","id":"1","what":"x","changes":[[1,"one","two"]]}',
        '{"do":"edit","id":"1","what":"x","changes":[["a","one","half \\ud800"]]}',
        '{"do":"state","texts":{"a":[["one"],7]},"on":true}',
        '{"do":"state","texts":{"a":[[["one"]],"two"]},"on":true}',
        '{"do":["edit"]}',
        "[" * 100_000,
        '{"z":"' + "A" * 5 + '"}',
    ],
    ids=lambda line: line[:60],
)
def test_lines_that_mean_harm_are_passed_over(tmp_path: Path, line: str) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two"})
    place = tmp_path / ".sdft" / "captions"
    place.mkdir(parents=True)
    (place / "journal.jsonl").write_text(line + "\n")
    found = CaptionStore(tmp_path)
    assert shown(found) == {"a": "one", "b": "two"} and state(found, "a") == "saved" and not found.autosave
    change(found, "b", do="set", text="new")
    assert shown(CaptionStore(tmp_path))["b"] == "new"


def test_a_journal_whose_lines_together_unpack_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders.make(tmp_path, {"a": "one"})
    found = CaptionStore(tmp_path)
    for number in range(5):
        change(found, "a", do="set", text=f"{number} " * 5_000)
    monkeypatch.setattr(journal, "MAX_TOTAL", 30_000)
    with pytest.raises(CaptionsError, match=r"journal\.jsonl"):
        CaptionStore(tmp_path)


def test_one_bad_name_or_file_blocks_no_edit_of_the_others(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "zero\0sign", "some good words": None})
    os.rename(os.fsencode(tmp_path / "some good words.png"), os.fsencode(tmp_path) + b"/some \xff words.png")
    found = CaptionStore(tmp_path)
    done = change(found, None, do="add", tags=["x"])
    assert done.count == 2 and len(done.notes) == 1 and "(b.png)" in done.notes[0]
    assert found.save().count == 2 and (tmp_path / "b.txt").read_text() == "zero\0sign"
    assert sorted(shown(found).values()) == ["one, x", "some words, x", "zero\0sign"]


def test_a_caption_that_training_does_not_read_is_named(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "word, " * 17_000, "b": "short"})
    found = CaptionStore(tmp_path)
    assert len(found.problems) == 1 and "a.txt" in found.problems[0] and "64 kB" in found.problems[0]
    change(found, "a", do="set", text="shortened")
    found.save()
    found.refresh()
    assert not found.problems

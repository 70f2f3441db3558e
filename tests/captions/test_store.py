"""Captions are read and written as they are, kept in the journal, and never lost to another program."""

from __future__ import annotations

import codecs
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sdft_ext.captions import files
from sdft_ext.captions import journal as journal_of
from sdft_ext.captions.edits import parse_edit
from sdft_ext.captions.entries import EditResult
from sdft_ext.captions.errors import CaptionsError, Outdated
from sdft_ext.captions.files import WriteConflict
from sdft_ext.captions.planning import plan_edit
from sdft_ext.captions.store import CaptionStore

from . import folders


def change(found: CaptionStore, names: str | list[str] | None, **edit_spec: Any) -> EditResult:
    """One edit of these pictures (named without ending), or of all."""
    chosen = parse_edit(edit_spec)

    def plan() -> Any:
        wanted = [names] if isinstance(names, str) else names
        some = [p for p in found.in_order if wanted is None or p.entry.name in wanted]
        return plan_edit(some, chosen.apply([p.caption for p in some]))

    return found.edit(chosen.what, plan)


def shown(found: CaptionStore) -> dict[str, str]:
    return {picture.entry.name: picture.caption for picture in found.in_order}


def state(found: CaptionStore, name: str) -> str:
    return next(picture.entry.state for picture in found.in_order if picture.entry.name == name)


FORMS = {
    "plain": b"a cat\n",
    "bare": b"a cat",
    "windows": b"a cat\r\nsits\r\n",
    "old_mac": b"a cat\rsits\r",
    "marked": codecs.BOM_UTF8 + "ä cat\r\n".encode(),
    "utf16": codecs.BOM_UTF16_LE + "a cat\r\n".encode("utf-16-le"),
    "utf16_big": codecs.BOM_UTF16_BE + "ä cat\n".encode("utf-16-be"),
    "latin": "das Kätzchen\n".encode("latin-1"),
    "spaces": b"a cat  \n\n",
}


def test_each_file_keeps_its_code_and_its_line_endings(tmp_path: Path) -> None:
    folders.make(tmp_path, FORMS)
    before, times = folders.texts(tmp_path), folders.times(tmp_path)
    found = CaptionStore(tmp_path)
    assert shown(found)["windows"] == "a cat\nsits" and shown(found)["latin"] == "das Kätzchen"
    assert found.save().count == 0 and folders.texts(tmp_path) == before
    some = [name for name in FORMS if name != "plain"]
    assert change(found, some, do="replace", find="a", **{"with": "o"}).count == len(some)
    assert folders.texts(tmp_path) == before, "nothing is written before it is saved"
    assert found.save().count == len(some)
    after = folders.texts(tmp_path)
    assert after["windows.txt"] == b"o cot\r\nsits\r\n" and after["old_mac.txt"] == b"o cot\rsits\r"
    assert after["marked.txt"] == codecs.BOM_UTF8 + "ä cot\r\n".encode()
    assert after["utf16.txt"] == codecs.BOM_UTF16_LE + "o cot\r\n".encode("utf-16-le")
    assert after["utf16_big.txt"] == codecs.BOM_UTF16_BE + "ä cot\n".encode("utf-16-be")
    assert after["latin.txt"] == "dos Kätzchen\n".encode("latin-1")
    assert after["spaces.txt"] == b"o cot  \n\n" and after["bare.txt"] == b"o cot"
    now = folders.times(tmp_path)
    assert {n for n in times if now[n] != times[n]} == {
        f"{n}.txt" for n in some if before[f"{n}.txt"] != after[f"{n}.txt"]
    }


def test_a_character_that_the_encoding_lacks_makes_it_utf8_and_is_mentioned(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "Kätzchen\n".encode("latin-1"), "b": "x"})
    found = CaptionStore(tmp_path)
    change(found, "a", do="set", text="Kätzchen 😀")
    saved = found.save()
    assert (tmp_path / "a.txt").read_text("utf-8") == "Kätzchen 😀\n"
    assert len(saved.notes) == 1 and "a.txt" in saved.notes[0] and "UTF-8" in saved.notes[0]


def test_where_a_caption_is_from(tmp_path: Path) -> None:
    folders.make(tmp_path, {"10_sks dog/IMG_1": None, "0001-a red dog": None, "IMG_2": None, "c": "x"})
    (tmp_path / "IMG_2.caption").write_text("from a caption file")
    found = CaptionStore(tmp_path)
    by = {picture.entry.name: (picture.caption, picture.entry.source, picture.concept) for picture in found.in_order}
    assert by == {
        "0001-a red dog": ("a red dog", "name", ""),
        "10_sks dog/IMG_1": ("sks dog", "folder", "10_sks dog"),
        "IMG_2": ("from a caption file", "caption", ""),
        "c": ("x", "txt", ""),
    }
    change(found, None, do="add", tags=["outdoors"])
    assert found.save().count == 4
    assert folders.texts(tmp_path) == {
        "0001-a red dog.txt": b"a red dog, outdoors",
        "10_sks dog/IMG_1.txt": b"sks dog, outdoors",
        "c.txt": b"x, outdoors",
    }
    assert (tmp_path / "IMG_2.caption").read_text() == "from a caption file, outdoors"
    found.undo()
    found.save()
    assert folders.texts(tmp_path) == {"c.txt": b"x"}, "files that an edit made go with it"


def test_undo_and_redo_outlive_the_program(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two", "c": "three"})
    found = CaptionStore(tmp_path)
    change(found, None, do="add", tags=["x"])
    change(found, "b", do="set", text="other")
    found.save()
    found = CaptionStore(tmp_path)
    assert (found.undo_label, found.redo_label) == ("new text in 1 caption", None)
    assert found.undo().count == 1 and found.count("changed") == 1
    found = CaptionStore(tmp_path)
    assert shown(found)["b"] == "two, x" and found.count("changed") == 1, "what isn't saved is there after a restart"
    assert found.undo().count == 3 and found.undo_label is None
    with pytest.raises(Outdated, match="nothing to undo"):
        found.undo()
    found.save()
    assert folders.texts(tmp_path) == {"a.txt": b"one", "b.txt": b"two", "c.txt": b"three"}
    found = CaptionStore(tmp_path)
    found.redo()
    found.redo()
    assert shown(found) == {"a": "one, x", "b": "other", "c": "three, x"} and found.redo_label is None
    found.undo()
    change(found, "c", do="clear")
    assert found.redo_label is None and shown(CaptionStore(tmp_path)) == shown(found)


def test_a_torn_line_is_skipped_and_the_next_one_is_whole(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two"})
    found = CaptionStore(tmp_path)
    change(found, "a", do="set", text="first")
    change(found, "b", do="set", text="second")
    file = tmp_path / ".sdft" / "captions" / "journal.jsonl"
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(lines[0]) + 1, len(whole), 7):
        file.write_bytes(whole[:cut])
        again = CaptionStore(tmp_path)
        assert shown(again) == {"a": "first", "b": "two"}
        change(again, "b", do="set", text="after all")
        assert shown(CaptionStore(tmp_path)) == {"a": "first", "b": "after all"}
    file.write_bytes(b"\xff\x00nonsense\n" + b'{"do":"edit","id":1}\n[]\n' + whole)
    assert shown(CaptionStore(tmp_path)) == {"a": "first", "b": "second"}


def test_a_long_journal_is_rewritten_with_the_latest_edits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_of, "REWRITE_BYTES", 4_000)
    monkeypatch.setattr(journal_of, "KEEP_BYTES", 2_000)
    folders.make(tmp_path, {"a": "one", "b": "two"})
    found = CaptionStore(tmp_path)
    for number in range(40):
        change(found, "a", do="set", text=f"number {number}")
    found.save()
    change(found, "b", do="set", text="not saved")
    found.undo()
    found.redo()
    found.set_autosave(False)
    again = CaptionStore(tmp_path)
    assert (tmp_path / ".sdft/captions/journal.jsonl").stat().st_size < 4_000
    assert shown(again) == {"a": "number 39", "b": "not saved"} and state(again, "b") == "changed"
    again.undo()
    assert state(again, "b") == "saved"
    for number in (38, 37, 36):
        again.undo()
        assert shown(again)["a"] == f"number {number}"


def test_what_another_program_writes_is_taken_over_or_a_conflict(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two", "c": "three"})
    found = CaptionStore(tmp_path)
    change(found, ["a", "b"], do="add", tags=["mine"])
    (tmp_path / "b.txt").write_text("theirs")
    (tmp_path / "c.txt").write_text("theirs too")
    found.refresh()
    assert shown(found) == {"a": "one, mine", "b": "two, mine", "c": "theirs too"}
    assert [state(found, name) for name in "abc"] == ["changed", "conflict", "saved"]
    assert state(CaptionStore(tmp_path), "b") == "conflict", "after a restart too"
    saved = found.save()
    assert (saved.count, saved.conflicts) == (1, ("b",)) and (tmp_path / "b.txt").read_text() == "theirs"
    (note,) = change(found, "b", do="add", tags=["x"]).notes
    assert "1 caption was also changed by another program" in note, "a conflict is settled first"
    assert found.resolve(["b"], mine=False).count == 1
    assert shown(found)["b"] == "theirs" and state(found, "b") == "saved"
    found.undo()
    assert shown(found)["b"] == "two, mine" and state(found, "b") == "changed", "mine comes back with undo"
    (tmp_path / "b.txt").write_text("theirs again")
    found.refresh()
    found.resolve(["b"], mine=True)
    assert found.save().count == 1 and (tmp_path / "b.txt").read_text() == "two, mine"
    found.undo()
    assert shown(found)["b"] == "theirs again", "theirs comes back with undo"


def test_undo_leaves_what_another_program_has_changed_since(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two"})
    found = CaptionStore(tmp_path)
    change(found, None, do="add", tags=["x"])
    found.save()
    (tmp_path / "a.txt").write_text("theirs")
    done = found.undo()
    assert done.count == 1 and "another program" in done.notes[0] and "a" in done.notes[0]
    assert shown(found) == {"a": "theirs", "b": "two"} == shown(CaptionStore(tmp_path))
    found.redo()
    assert shown(found) == {"a": "theirs", "b": "two, x"} == shown(CaptionStore(tmp_path))


def test_a_text_written_in_the_last_moment_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"old")
    file.chmod(0o640)

    def expected(now: bytes | None) -> bool:
        seen = now == b"old"
        if asked.append(1) is None and len(asked) == 1:
            other = tmp_path / "theirs"
            other.write_bytes(b"theirs")
            os.replace(other, file)  # between the look and the writing
        return seen

    asked: list[int] = []
    with pytest.raises(WriteConflict):
        files.replace(file, b"new", expected)
    assert file.read_bytes() == b"theirs" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    files.replace(file, b"new", lambda now: now == b"theirs")
    assert file.read_bytes() == b"new"
    with pytest.raises(WriteConflict):
        files.replace(tmp_path / "b.txt", b"new", lambda now: now is not None)
    with pytest.raises(WriteConflict):
        files.replace(file, None, lambda now: now == b"old")
    files.replace(file, None, lambda now: now == b"new")
    assert list(tmp_path.iterdir()) == []


def test_permissions_stay(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one"})
    (tmp_path / "a.txt").chmod(0o640)
    found = CaptionStore(tmp_path)
    change(found, "a", do="set", text="two")
    found.save()
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_two_of_us_on_one_folder(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two"})
    one, other = CaptionStore(tmp_path), CaptionStore(tmp_path)
    change(one, "a", do="set", text="by one")
    change(other, "b", do="set", text="by the other")
    assert shown(other) == {"a": "by one", "b": "by the other"}
    one.refresh()
    assert shown(one) == shown(other) and one.undo().what == "new text in 1 caption"
    other.save()
    one.refresh()
    assert folders.texts(tmp_path) == {"a.txt": b"by one", "b.txt": b"two"} and one.count("changed") == 0


def test_pictures_of_one_stem_share_a_caption(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two"})
    shutil.copy(tmp_path / "a.png", tmp_path / "a.jpg")
    found = CaptionStore(tmp_path)
    before = found.revision
    change(found, "a", do="set", text="both")
    assert [p.name for p in found.changed_since(before)] == ["a.jpg", "a.png"]


def test_pictures_come_and_go(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two", "c": "three"})
    found = CaptionStore(tmp_path)
    ids = {picture.name: picture.id for picture in found.in_order}
    change(found, "b", do="set", text="not saved yet")
    before = found.revision
    (tmp_path / "b.png").rename(tmp_path / ".b")
    folders.make(tmp_path, {"aa": "new"})
    found.refresh()
    assert {p.name: p.id for p in found.in_order} == {"a.png": ids["a.png"], "aa.png": 3, "c.png": ids["c.png"]}
    assert [p.name for p in found.changed_since(before)] == ["aa.png"] and set(found.removed) == {ids["b.png"]}
    (tmp_path / ".b").rename(tmp_path / "b.png")
    found.refresh()
    assert shown(found)["b"] == "not saved yet" and state(found, "b") == "changed" and not found.removed


def test_autosave(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two"})
    found = CaptionStore(tmp_path)
    found.set_autosave(True)
    found = CaptionStore(tmp_path)
    change(found, "a", do="set", text="new")
    assert (tmp_path / "a.txt").read_text() == "new"
    found.undo()
    assert (tmp_path / "a.txt").read_text() == "one" and found.count("changed") == 0


def test_texts_that_no_file_can_hold(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two"})
    found = CaptionStore(tmp_path)
    for text in ("a\0b", "half \ud83d of a sign"):
        with pytest.raises(CaptionsError, match="caption"):
            change(found, "a", do="set", text=text)
    assert found.undo_label is None and shown(found)["a"] == "one"


def test_undo_keeps_the_texts_of_pictures_that_are_away_or_locked(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two", "c": "three"})
    found = CaptionStore(tmp_path)
    change(found, None, do="add", tags=["first"])
    change(found, None, do="add", tags=["second"])
    (tmp_path / "b.png").rename(tmp_path / ".b")
    (tmp_path / "c.txt").rename(tmp_path / ".c")
    (tmp_path / "c.txt").mkdir()
    done = found.undo()
    assert done.count == 1 and len(done.notes) == 1 and "b" in done.notes[0] and "another program" not in done.notes[0]
    (tmp_path / ".b").rename(tmp_path / "b.png")
    (tmp_path / "c.txt").rmdir()
    (tmp_path / ".c").rename(tmp_path / "c.txt")
    found.refresh()
    texts = {"a": "one, first", "b": "two, first", "c": "three, first"}
    assert shown(found) == texts == shown(CaptionStore(tmp_path))
    assert found.save().count == 3
    found.redo()
    assert shown(found)["b"] == "two, first, second"


def test_a_text_is_on_the_disk_before_it_takes_the_old_ones_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test can't cut the power, but it can check that every file was synced in time."""
    file = tmp_path / "a.txt"
    file.write_bytes(b"old")
    synced: list[int] = []
    real = os.fsync

    def seen(handle: int) -> None:
        real(handle)
        synced.append(os.fstat(handle).st_ino)

    monkeypatch.setattr(os, "fsync", seen)
    files.replace(file, b"new", lambda now: now == b"old")
    assert file.stat().st_ino in synced


def test_a_picture_that_is_changed_in_place_is_another_one(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two"})
    found = CaptionStore(tmp_path)
    time.sleep(0.06)
    found.refresh()  # from now on no file has come or gone
    before = found.revision
    Image.new("RGB", (48, 40)).save(tmp_path / "a.png")
    found.refresh()
    assert [(p.name, p.width, p.height) for p in found.changed_since(before)] == [("a.png", 48, 40)]


def test_a_folder_without_pictures_is_an_error_each_time(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one"})
    found = CaptionStore(tmp_path)
    (tmp_path / "a.png").unlink()
    time.sleep(0.06)
    for _ in range(3):
        with pytest.raises(CaptionsError, match="no pictures"):
            found.refresh()


def test_a_caption_that_reads_differently_when_rewritten_is_mentioned(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": b"one\r\ntwo\nthree\r\n", "b": codecs.BOM_UTF16_LE + b"a\x00\x00\xd8", "c": "fine"})
    found = CaptionStore(tmp_path)
    change(found, None, do="add", tags=["x"])
    notes = found.save().notes
    assert len(notes) == 2 and "a.txt" in notes[0] and "b.txt" in notes[1]


def test_an_edit_that_autosave_cannot_write_is_kept_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders.make(tmp_path, {"a": "one"})
    found = CaptionStore(tmp_path)
    found.set_autosave(True)
    add = journal_of.Journal.add

    def full(self: journal_of.Journal, line: dict[str, Any]) -> None:
        if line["do"] == "save":
            raise CaptionsError("The disk is full.")
        add(self, line)

    monkeypatch.setattr(journal_of.Journal, "add", full)
    done = change(found, "a", do="set", text="new")
    assert done.count == 1 and "disk is full" in done.notes[0] and "not saved" in done.notes[0]
    assert state(CaptionStore(tmp_path), "a") == "changed"


def test_an_edit_is_computed_before_the_folder_is_locked(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "one", "b": "two"})
    found, other = CaptionStore(tmp_path), CaptionStore(tmp_path)
    planned: list[dict[str, str]] = []

    def plan() -> Any:
        planned.append(shown(found))
        if len(planned) == 1:
            change(other, "a", do="set", text="meanwhile")
        return plan_edit(found.in_order, [picture.caption + ", x" for picture in found.in_order])

    assert found.edit("add x", plan).count == 2
    assert [texts["a"] for texts in planned] == ["one", "meanwhile"]
    assert shown(found) == {"a": "meanwhile, x", "b": "two, x"}

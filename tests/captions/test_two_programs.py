"""Two programs on one folder lose no text; a killed one leaves each file old or new."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sdft_ext.captions.errors import CaptionsError
from sdft_ext.captions.store import CaptionStore

from . import folders
from .test_store import change, shown, state

SAVER = """
import sys
from pathlib import Path
from sdft_ext.captions.edits import parse_edit
from sdft_ext.captions.planning import plan_edit
from sdft_ext.captions.store import CaptionStore
found = CaptionStore(Path(sys.argv[1]))
chosen = parse_edit({"do": "regex", "find": "old", "with": "new"})
found.edit("all", lambda: plan_edit(found.in_order, chosen.apply([p.caption for p in found.in_order])))
print("saving", flush=True)
found.save()
print("saved", flush=True)
"""

EDITOR = """
import os, random, sys
from pathlib import Path
root, seed = Path(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)
print("ready", flush=True)
sys.stdin.readline()
for number in range(60):
    path = root / f"{rng.randrange(6)}.txt"
    text = f"theirs {seed} {number}"
    if rng.random() < 0.5:
        other = root / f".theirs-{seed}"
        other.write_text(text)
        with open(root / "log", "a") as log:
            log.write(f"{path.stem} {text}\\n")
        os.replace(other, path)
"""


@pytest.mark.parametrize("seeds", [range(20), pytest.param(range(20, 200), marks=pytest.mark.slow)])
def test_no_text_is_lost_in_two_hundred_interleavings(tmp_path: Path, seeds: range) -> None:
    """Our two programs (page and command line) and a foreign editor take turns at random. Whatever the foreign one
    wrote last is either in the file, or was seen here before it was replaced; whatever was edited here is in a text or
    comes back.
    """
    for seed in seeds:
        rng = random.Random(seed)
        root = folders.make(tmp_path / str(seed), {str(n): f"start {n}" for n in range(3)})
        ours = [CaptionStore(root), CaptionStore(root)]
        foreign: dict[str, str] = {}
        mine: dict[str, str] = {}
        for turn in range(12):
            _take_turn(rng, turn, root, ours, foreign, mine)
            for file, text in foreign.items():
                there = (root / f"{file}.txt").read_text()
                assert there == text or _kept(root, text), f"seed {seed}, turn {turn}: {text!r} is lost"
            for file, text in mine.items():
                assert _kept(root, text), f"seed {seed}, turn {turn}: {text!r} of {file} is lost"
        for found in ours:
            found.refresh()
        assert shown(ours[0]) == shown(ours[1]) == shown(CaptionStore(root)), f"seed {seed}"


def _take_turn(
    rng: random.Random, turn: int, root: Path, ours: list[CaptionStore], foreign: dict[str, str], mine: dict[str, str]
) -> None:
    """One program does one thing; what it wrote is noted."""
    name = str(rng.randrange(3))
    found = ours[rng.randrange(2)]
    what = rng.choice(["foreign", "foreign", "edit", "edit", "save", "undo", "resolve", "reopen"])
    if what == "foreign":
        foreign[name] = f"theirs {turn}"
        (root / f"{name}.txt").write_text(foreign[name])
    elif what == "edit":
        found.refresh()
        if state(found, name) != "conflict":
            mine[name] = f"mine {turn}"
            change(found, name, do="set", text=mine[name])
    elif what == "save":
        found.save()
    elif what == "undo":
        found.refresh()
        if found.undo_label:
            found.undo()
    elif what == "resolve":
        found.refresh()
        found.resolve([name], mine=rng.random() < 0.5)
    elif what == "reopen":
        ours[ours.index(found)] = CaptionStore(root)


def _kept(root: Path, text: str) -> bool:
    """Whether a text is in the journal, from where undo brings it back."""
    file = root / ".sdft" / "captions" / "journal.jsonl"
    return file.exists() and f'"{text}"' in file.read_text()


def test_an_edit_stays_that_is_made_while_another_program_opens_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one has read the captions, and is about to shorten the journal."""
    folders.make(tmp_path, {"a": "one", "b": "two", "c": "three"})
    first, shorten = CaptionStore(tmp_path), CaptionStore._shorten
    change(first, "c", do="add", tags=["earlier"])

    def edited_before(opening: CaptionStore) -> None:
        change(first, "a", do="add", tags=["precious"])
        shorten(opening)

    with monkeypatch.context() as patched:
        patched.setattr(CaptionStore, "_shorten", edited_before)
        second = CaptionStore(tmp_path)
    change(second, "b", do="add", tags=["other"])
    first.refresh()
    second.refresh()
    third = CaptionStore(tmp_path)
    assert [shown(found)["a"] for found in (first, second, third)] == ["one, precious"] * 3
    for found in (first, second, third):
        found.save()
    assert (tmp_path / "a.txt").read_text() == "one, precious"


def test_an_edit_stays_where_the_folder_was_gone_when_it_was_read(tmp_path: Path) -> None:
    """The journal could be read, the captions couldn't."""
    root = folders.make(tmp_path / "set", {"a": "one", "b": "two"})
    first, second = CaptionStore(root), CaptionStore(root)
    change(first, "a", do="add", tags=["precious"])
    pictures = [path.rename(tmp_path / path.name) for path in root.glob("*.png")]
    with pytest.raises(CaptionsError, match="no pictures"):
        second.refresh()
    for path in pictures:
        path.rename(root / path.name)
    change(second, "b", do="add", tags=["other"])
    assert shown(second) == {"a": "one, precious", "b": "two, other"}
    second.save()
    assert (root / "a.txt").read_text() == "one, precious"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_no_text_is_lost_when_both_write_at_once(tmp_path: Path, seed: int) -> None:
    """A real second process replaces files while this one edits and saves without a pause."""
    root = folders.make(tmp_path / "set", {str(n): f"start {n}" for n in range(6)})
    command = [sys.executable, "-c", EDITOR, str(root), str(seed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None and other.stdout is not None
        other.stdout.readline()
        found = CaptionStore(root)
        other.stdin.write("go\n")
        other.stdin.flush()
        rng = random.Random(seed)
        number = 0
        while other.poll() is None or number < 30:
            number += 1
            name = str(rng.randrange(6))
            if state(found, name) == "conflict":
                found.resolve([name], mine=True)
            else:
                change(found, name, do="set", text=f"mine {number}")
            found.save()
    last: dict[str, str] = {}
    for line in (root / "log").read_text().splitlines():
        name, text = line.split(" ", 1)
        last[name] = text
    found.refresh()
    for name, text in last.items():
        assert (root / f"{name}.txt").read_text() == text or _kept(root, text), f"{text!r} is lost"
    assert not [path for path in root.iterdir() if path.name.endswith(".sdft-tmp")]


@pytest.mark.slow
def test_a_kill_during_save_all_leaves_each_file_old_or_new(tmp_path: Path) -> None:
    count = 800
    body = " ".join(["word"] * 30)
    old, new = f"old {body}\r\n".encode(), f"new {body}\r\n".encode()
    halfway = 0
    for number in range(5):
        root = folders.make(tmp_path / str(number), {f"{n:04}": old for n in range(count)})
        with subprocess.Popen([sys.executable, "-c", SAVER, str(root)], stdout=subprocess.PIPE, text=True) as saver:
            assert saver.stdout is not None and saver.stdout.readline() == "saving\n"
            reached = root / f"{150 * number + 20:04}.txt"
            while saver.poll() is None and reached.read_bytes() != new:
                pass
            os.kill(saver.pid, signal.SIGKILL)
        found = folders.texts(root)
        assert len(found) == count and set(found.values()) <= {old, new}
        halfway += len(set(found.values())) == 2
        again = CaptionStore(root)
        assert set(shown(again).values()) == {f"new {body}"}, "the edit is kept"
        assert again.count("conflict") == 0 and again.save().count == list(found.values()).count(old)
        assert set(folders.texts(root).values()) == {new}
        again.undo()
        again.save()
        assert set(folders.texts(root).values()) == {old}
    assert halfway >= 2, "some kills must have hit the middle"


def _without_last_line(root: Path) -> None:
    """As a kill just before that line leaves the journal."""
    file = root / ".sdft" / "captions" / "journal.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))


def test_a_kill_after_the_file_was_written_makes_no_later_text_ours(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "old", "b": "two"})
    found = CaptionStore(tmp_path)
    change(found, "a", do="set", text="new")
    found.save()
    _without_last_line(tmp_path)
    again = CaptionStore(tmp_path)
    assert state(again, "a") == "saved" and (tmp_path / "a.txt").read_text() == "new"
    change(again, "b", do="set", text="other")
    (tmp_path / "a.txt").write_text("old")
    again.refresh()
    assert shown(again)["a"] == "old"
    restarted = CaptionStore(tmp_path)
    assert (shown(restarted)["a"], state(restarted, "a")) == ("old", "saved")
    restarted.save()
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_kill_while_the_other_text_is_kept_writes_nothing_over_it(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "old"})
    found = CaptionStore(tmp_path)
    change(found, "a", do="set", text="mine")
    (tmp_path / "a.txt").write_text("theirs")
    found.refresh()
    found.resolve(["a"], mine=False)
    _without_last_line(tmp_path)
    again = CaptionStore(tmp_path)
    assert state(again, "a") in ("saved", "conflict")
    again.save()
    assert (tmp_path / "a.txt").read_text() == "theirs"


def test_leftovers_of_a_killed_program_block_no_save(tmp_path: Path) -> None:
    folders.make(tmp_path, {"a": "old"})
    left = [tmp_path / f".a.{os.getpid():x}-{number:x}.sdft-tmp" for number in range(2_000)]
    for path in left:
        path.touch()
    found = CaptionStore(tmp_path)
    change(found, "a", do="set", text="new")
    assert found.save().count == 1 and (tmp_path / "a.txt").read_text() == "new"
    assert not list(tmp_path.glob(".*.sdft-tmp")), "and it is gone with the first change"


def test_a_text_that_was_put_aside_stays(tmp_path: Path) -> None:
    """A killed program may have read another program's last edit without writing it."""
    folders.make(tmp_path, {"a": "old"})
    aside = tmp_path / ".a.0123.sdft-aside"
    aside.write_text("theirs")
    change(CaptionStore(tmp_path), "a", do="set", text="new")
    assert aside.read_text() == "theirs"

"""The disk fails at the n-th call: of every writing function of storage/ for all n, of whole stories for a sample of n.

``python -m bench faults --every`` tries all n of the stories.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sdft_ext.storage import atomic, file_lock, free_name, hidden_folder, json_file
from tests.storage import fault_pages, fault_stories
from tests.storage.every_fault import ERRORS, Story, Tried, check_sentence
from tests.storage.failing_disk import FailingDisk

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="follows open files by their handles")
NAMES = ("training", "captions", "tools", "dataset", "preparation", "drawing", "run folder", "queue", "upload", "jobs")


def _locked(path: Path) -> None:
    with file_lock.exclusive(path.with_name("lock")), file_lock.locked(path.with_name("other")):
        pass


WRITERS: dict[str, Callable[[Path], Any]] = {
    "atomic.write": lambda path: atomic.write(path, lambda file: file.write_bytes(b"new") and None),
    "atomic.text": lambda path: atomic.text(path, "new"),
    "atomic.tensors": lambda path: atomic.tensors(path, {"new": torch.ones(2)}),
    "json_file.write": lambda path: json_file.write(path, ["new"]),
    "file_lock": _locked,
    "hidden_folder": lambda path: hidden_folder.hidden_folder(path.parent, "deep", make=True),
    "free_name.new_folder": lambda path: free_name.new_folder(path.parent, "folder"),
}


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_the_old_or_the_new_one_whichever_call_fails(name: str, lasting: bool, tmp_path: Path) -> None:
    new = None
    for moment in itertools.count():
        path = tmp_path / str(moment) / "file.txt"
        path.parent.mkdir()
        if moment == 0:  # nothing fails
            WRITERS[name](path)
            new = path.read_bytes() if path.exists() else None
            continue
        if new is not None:
            path.write_bytes(b"old")
        told: Exception | None = None
        with FailingDisk(tmp_path, moment, ERRORS[moment % 3], lasting=lasting) as disk:
            try:
                WRITERS[name](path)
            except Exception as error:
                told = error
        if not disk.hit:
            break
        if told is not None:
            check_sentence(told)
        allowed = (new,) if told is None else (b"old", new)  # where nothing is said, it has worked
        assert disk.through and (new is None or path.read_bytes() in allowed), disk.hit
        atomic.clear(path.parent)
        with FailingDisk(tmp_path, 0, 0):
            WRITERS[name](path)
        assert new is None or path.read_bytes() == new
        assert not [one for one in path.parent.iterdir() if ".tmp" in one.name]
    assert moment > 1


@pytest.fixture(scope="module")
def stories(data: Path) -> dict[str, Story]:
    return {story.name: story for story in (*fault_stories.stories(data), *fault_pages.stories(data))}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_whichever_call_fails(name: str, stories: dict[str, Story], tmp_path: Path) -> None:
    story = stories[name]
    tried = Tried(story, tmp_path)
    tried.every(story.sample, random.Random(name).randint(1, story.sample))
    assert tried.hits >= 3


def test_every_story_is_tried(stories: dict[str, Story]) -> None:
    assert set(NAMES) == set(stories)


def test_a_story_that_loses_something_is_found_out(tmp_path: Path) -> None:
    class Careless(Story):
        name = "careless"

        def world(self, folder: Path) -> None:
            (folder / "list.json").write_text("[1]")

        def go(self, folder: Path, promise: Any) -> None:
            promise("the first entry", lambda: json_file.read_or(folder / "list.json", [None])[:1] == [1])
            (folder / "list.json").write_text("[1, 2]")

    with pytest.raises(AssertionError, match=r"careless, call 2 .write /list.json.,.* lost: the first entry"):
        Tried(Careless(), tmp_path).every()


def test_the_disk_writes_half_and_then_fails(tmp_path: Path) -> None:
    with (
        FailingDisk(tmp_path, 2, errno.ENOSPC) as disk,
        pytest.raises(OSError, match="No space"),
        open(tmp_path / "a", "w") as file,
    ):
        file.write("12345678")
        file.flush()
    assert (tmp_path / "a").read_text()[:4] == "1234" and disk.hit == "write /a"

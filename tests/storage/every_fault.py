"""Fails the disk at the n-th call of a story, for every n: nothing may be lost, and nothing wrongly claimed."""

from __future__ import annotations

import errno
import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from sdft_ext.errors import SdftError
from sdft_ext.formats.tensor_file import TensorFile
from tests.storage.failing_disk import FailingDisk

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
WAYS = ((False, False), (True, False), (False, True))
"""(lasting, reads): one call fails; all from then on; one call fails that writes or opens for reading."""
MOST = 5000
"""Calls of one story: it must come to an end."""


class Refused(Exception):
    """The program said that something failed: the sentence that its user reads."""


@dataclass
class Promises:
    """What the program has acknowledged so far, each with a function that tells whether it is still so."""

    made: list[tuple[str, Callable[[], bool]]] = field(default_factory=list)

    def __call__(self, what: str, holds: Callable[[], bool]) -> None:
        self.made.append((what, holds))

    def check(self) -> None:
        for what, holds in self.made:
            assert holds(), f"acknowledged, and lost: {what}"


class Story:
    """What a user does, from beginning to end. Its steps can be repeated: what is done already stays as it is."""

    name = ""
    sample = 1
    """The suite tries every so-manieth call; the bench all."""

    def world(self, folder: Path) -> None:
        """Write what exists before."""

    def go(self, folder: Path, promise: Promises) -> None:
        """Do all that is left to do. Raises Refused, SdftError or OSError where the program says that it failed."""
        raise NotImplementedError

    def end(self, folder: Path) -> Any:
        """Return what the folder must hold in the end, to compare: files by name, with their bytes."""
        return contents(folder)


def contents(folder: Path, *without: str) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones included, but those whose names contain one of ``without``."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    kept = {name: path for name, path in found.items() if not any(part in name for part in without)}
    return {name: steady(path) if path.is_file() else b"(folder)" for name, path in kept.items()}


def is_file(path: Path, data: bytes) -> Callable[[], bool]:
    """Return a function that tells whether a file holds these bytes."""
    return lambda: path.read_bytes() == data


def steady(path: Path) -> bytes:
    """Return a file's bytes; those of a safetensors file with its header sorted, whose order is by chance."""
    data = path.read_bytes()
    if path.suffix != ".safetensors":
        return data
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True)
    return header.encode() + data[8 + length :]


class Tried:
    """A story whose disk fails, call after call. ``found`` counts the calls and what became of them."""

    def __init__(self, story: Story, work: Path) -> None:
        self.story, self.work = story, work
        self.template, self.folder = work / "template", work / "world"
        self.template.mkdir(parents=True)
        story.world(self.template)
        self.through: set[str] = set()
        self.hits = self.swallowed = 0
        self._renew()
        for _ in range(2):  # as after a fault, when it is done once more
            story.go(self.folder, Promises())
        self.wanted = story.end(self.folder)

    def _renew(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.template, self.folder, symlinks=True)

    def hit(self, moment: int, error: int, lasting: bool, reads: bool) -> bool:
        """Fail the ``moment``-th call; return whether there was one. Raises AssertionError where something is lost."""
        self._renew()
        promises, told = Promises(), None
        with FailingDisk(self.folder, moment, error, lasting=lasting, reads=reads) as disk:
            try:
                self.story.go(self.folder, promises)
            except Exception as failure:
                told = failure
        if not disk.hit:
            if told is not None:
                raise told
            return False
        where = f"{self.story.name}, call {moment} ({disk.hit}), {errno.errorcode[error]}{', lasting' * lasting}"
        try:
            if told is not None:
                check_sentence(told)
            promises.check()
            check_whole(self.folder)
            with FailingDisk(self.folder, 0, error):  # which never fails
                self.story.go(self.folder, Promises())
            compare(self.story.end(self.folder), self.wanted)
        except Exception as failure:
            raise AssertionError(f"{where}; said: {told!r}; {type(failure).__name__}: {failure}") from failure
        self.hits += 1
        self.swallowed += told is None
        self.through |= disk.through
        return True

    def every(self, step: int = 1, first: int = 1, ways: tuple[tuple[bool, bool], ...] = WAYS) -> None:
        """Fail every ``step``-th call from ``first`` on, in every way."""
        for number, (lasting, reads) in enumerate(ways):
            for moment in itertools.count(first, step):
                assert moment < MOST, f"{self.story.name} never comes to its end"
                if not self.hit(moment, ERRORS[(moment // step + number) % len(ERRORS)], lasting, reads):
                    break


def check_sentence(error: Exception) -> None:
    """Assert that an error is a sentence for a user, and no fault of the program."""
    assert isinstance(error, Refused | SdftError | OSError), f"{type(error).__name__} is no error of the project"
    text = str(error)
    assert text.strip() and "\n" not in text and "Traceback" not in text, text
    assert "nexpected" not in text, text
    assert not isinstance(error, OSError) or error.filename or ":" in text, f"it doesn't name the file: {text}"


def check_whole(folder: Path) -> None:
    """Assert that every file that isn't hidden is whole: the old one or the new one."""
    for path in folder.rglob("*"):
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".safetensors":
            assert list(TensorFile(path)), path
        elif path.suffix == ".png":
            Image.open(path).load()


def compare(found: Any, wanted: Any) -> None:
    """Assert that two ends are alike, and name what differs."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        assert not found.keys() ^ wanted.keys(), (
            f"missing: {sorted(wanted.keys() - found.keys())}, left over: {sorted(found.keys() - wanted.keys())}"
        )
        assert not [name for name in wanted if found[name] != wanted[name]], [
            (name, found[name], wanted[name]) for name in wanted if found[name] != wanted[name]
        ]
    assert found == wanted

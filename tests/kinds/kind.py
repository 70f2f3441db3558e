"""What every list of kinds shares: a named way in which a file from a stranger can be bad, and what must follow."""

from __future__ import annotations

import json
import random
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdft_ext.cli.main import main

SECONDS = 10
"""Of one kind, at most; most take some hundredths."""
MEBIBYTES = 500
"""By which one kind may raise the program's memory."""
Maker = Callable[[Path, random.Random], Path]


@dataclass(frozen=True)
class Kind:
    """``make`` writes the bad file into a folder, the same for the same seed, and returns its path. ``expected``: what
    must follow, in the words of the list. ``more``: what the list's own test needs besides.
    """

    name: str
    make: Maker
    expected: str
    more: Any = None


def wrote(name: str, data: bytes) -> Maker:
    """Return a maker of one file with this content."""

    def make(folder: Path, _: random.Random) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def made(kind: Kind, folder: Path) -> Path:
    """Write a kind's file into a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return kind.make(folder, random.Random(kind.name))


@contextmanager
def bounded(seconds: float = SECONDS) -> Iterator[None]:
    """Check that what happens inside takes little of the processor's time, and little memory."""
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - start < seconds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEBIBYTES * 1024


def run(capsys: Any, *arguments: str | Path) -> tuple[int, str, str]:
    """Run a command in this process; return its exit code, what it printed, and its sentence of error."""
    capsys.readouterr()
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as error:  # argparse's own
        code = int(error.code or 0)
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err and "sdft: unexpected" not in printed.err, printed.err
    assert len(printed.err) < 4000
    return code, printed.out, printed.err


def same_json(found: Any) -> Any:
    """Check that a value can be sent to a page as JSON; return it."""
    json.dumps(found, allow_nan=False).encode()
    return found

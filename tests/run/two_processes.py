"""A run in several processes of this computer, as `accelerate launch` sets them up, without its start of ten
seconds.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

from tests.run import killed


def start(*arguments: str, count: int = 2) -> list[Any]:
    """The command line with these arguments, in ``count`` new processes; the first is the main one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [killed.start(number, count, port, arguments, target=one_of) for number in range(count)]


def one_of(number: int, count: int, port: int, arguments: tuple[str, ...]) -> None:
    places = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ.update({name: str(value) for name, value in places.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), ACCELERATE_USE_CPU="true")
    from sdft_ext.cli.main import main

    sys.exit(main([*arguments, "--quiet"]))


def ended(processes: list[Any], seconds: float = 120) -> list[int]:
    """The exit codes, once all have ended."""
    for process in processes:
        process.join(seconds)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


def train(recipe: Path, *settings: str) -> list[int]:
    return ended(start("train", str(recipe), *settings))


def resume(run: Path) -> list[int]:
    return ended(start("resume", str(run)))

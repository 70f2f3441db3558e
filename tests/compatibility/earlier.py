"""What version 0.1.0 wrote, as a user's folder on this machine. How it was made: ``written_by_0_1_0/README.md``."""

from __future__ import annotations

import json
import os
from pathlib import Path

WRITTEN = Path(__file__).parent / "written_by_0_1_0"
THERE = b"/home/user/sdft"
"""The folder that it was written in: paths in the files begin with it."""
TIMES = "times.json"
"""When each file was last written: prepared pictures and previews are recognized by their times."""
NAMES = {"run_folders": "runs", "dot_desk": ".desk", "dot_sdft": ".sdft"}
"""Folders that have another name here, because .gitignore leaves out theirs."""


def unpack(data: Path, folder: Path) -> Path:
    """Put everything into ``folder``, with paths of this machine, beside the tiny model in ``data``."""
    for name, mtime_ns in json.loads((WRITTEN / TIMES).read_text()).items():
        target = folder.joinpath(*(NAMES.get(part, part) for part in name.split("/")))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((WRITTEN / name).read_bytes().replace(THERE, folder.as_posix().encode()))
        os.utime(target, ns=(mtime_ns, mtime_ns))
    os.link(data / "base.safetensors", folder / "base.safetensors")
    return folder

"""The record on disk of the last tool that made a file: after a restart, its outcome is known, and a half-written
file is removed.
"""

from __future__ import annotations

import glob
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from ..storage import atomic, json_file
from ..tools.catalog import TOOLS, Tool
from .background import Job
from .errors import NotFound
from .model_files import SUFFIX

INTERRUPTED = "Interrupted: the program ended before the tool was done, and nothing was written. Run it again."


@dataclass
class ToolRun:
    """A tool that is running, or its outcome. Its job's states: working, finished, stopped or failed."""

    tool: Tool
    target: str
    job: Job
    process: list[float] = field(default_factory=lambda: [os.getpid(), psutil.Process().create_time()])
    """Id of the process that runs it, and the time at which that process started."""

    @property
    def makes(self) -> str:
        """Return checkpoint, lora or folder."""
        return str(self.tool.makes) if self.target.endswith(SUFFIX) else "folder"

    def plain(self) -> dict[str, Any]:
        """Return the content of the record. For the job's own thread; others use ``Job.snapshot``."""
        job = self.job
        return {
            "tool": self.tool.name,
            "target": self.target,
            "state": job.state,
            "done": job.done,
            "total": job.total,
            "message": job.message,
            "began": job.began,
            "process": self.process,
        }


def find_tool(name: str) -> Tool:
    """Return the tool of this name. Raises NotFound."""
    for tool in TOOLS:
        if tool.name == name:
            return tool
    raise NotFound(f"There is no tool {name[:100]!r}; choose one of {', '.join(tool.name for tool in TOOLS)}.")


def write(file: Path, run: ToolRun) -> None:
    try:
        json_file.write(file, run.plain())
    except OSError:
        return  # where the disk is full, the job's own message says so


def read(file: Path) -> ToolRun | None:
    """Read the run that an earlier program left; if it was interrupted, its half-written file is removed."""
    try:
        run = _from_plain(json_file.read(file))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if run.job.state == "working":
        if _is_another(run.process):
            return None  # another program uses the same folder
        _clean_up(run)
        write(file, run)
    return run


def _from_plain(values: dict[str, Any]) -> ToolRun:
    job = Job(values["state"], total=values["total"])
    job.done, job.message, job.began = values["done"], values["message"], values["began"]
    return ToolRun(find_tool(values["tool"]), values["target"], job, values["process"])


def _clean_up(run: ToolRun) -> None:
    target, job = Path(run.target), run.job
    job.state, job.message = "stopped", INTERRUPTED
    if target.exists():
        job.state, job.message = "finished", f"{target} is complete; the program ended just after it was written."
    elif run.makes == "checkpoint":  # no file had this stem before, and the configuration is written first
        target.with_suffix(".yaml").unlink(missing_ok=True)
    atomic.clear(target.parent, glob.escape(target.stem[:40]))
    shutil.rmtree(target.with_name(f".{target.name}-making"), ignore_errors=True)


def _is_another(process: list[float]) -> bool:
    """Return whether the process of this id and start time still runs and isn't this one."""
    number, began = int(process[0]), process[1]
    try:
        return number != os.getpid() and abs(psutil.Process(number).create_time() - began) < 1
    except psutil.Error:
        return False

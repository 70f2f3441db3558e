"""Tools for finished files: one at a time makes a file in the background; others only inspect a file.

A tool outlives every page, and needs neither the loaded model nor the GPU: a run goes on training meanwhile.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tools.catalog import TOOLS, makes
from . import file_contents, tool_record
from .background import Cancelled, Job, explain
from .errors import DeskError, NotNow
from .model_files import ModelFiles
from .packages import Packages
from .tool_record import ToolRun, find_tool
from .tool_settings import check_settings

if TYPE_CHECKING:
    from ..host.base import Host

STOPPED = "Stopped: nothing was written."
OUT_OF_MEMORY = "There is not enough memory for these files: close other programs, or stop the run that trains."
CLOSE_SECONDS = 10.0
"""How long the program waits at its end for a tool to remove its half-written file."""


class Tools:
    """The tools. ``file`` records the last one; ``host`` makes a host to ask what is loaded."""

    def __init__(self, file: Path, files: ModelFiles, host: Callable[[], Host], packages: Packages) -> None:
        self._file, self.files, self._host, self._packages = file, files, host, packages
        self._lock = threading.Lock()
        self._last = tool_record.read(file)

    def catalog(self) -> dict[str, Any]:
        """Return the tools with their fields, the files to choose from, and where results go."""
        return {
            "tools": [dataclasses.asdict(tool) for tool in TOOLS],
            "files": self.files.listed(),
            "places": self.files.places(),
        }

    def status(self) -> dict[str, Any]:
        """Return the tool that is running, or the last one; ``tool`` is empty where there was none."""
        run, job = self._last, self._last.job if self._last is not None else Job("idle")
        state, done, total, message = job.snapshot()
        return {
            "tool": run.tool.name if run else "",
            "label": run.tool.label if run else "",
            "makes": run.makes if run else "",
            "target": run.target if run else "",
            "state": state,
            "done": done,
            "total": total,
            "seconds_left": job.seconds_left,
            "message": message,
            "began": job.began,
        }

    def start(self, name: str, result: str, settings: dict[str, Any]) -> None:
        """Start a tool. Raises DeskError for wrong settings, NotNow while another tool is running."""
        if why := self._packages.why_not():
            raise DeskError(why)
        tool = find_tool(name)
        values = check_settings(tool, settings, self.files)
        kind = makes(tool, values)
        if kind is None:
            raise DeskError(f"{tool.label}: this tool makes no file; ask for its findings instead.")
        target = self.files.target(kind, result)
        job = Job("working", cancelled="stopped", out_of_memory=OUT_OF_MEMORY, on_end=lambda: self._write(run))
        run = ToolRun(tool, str(target), job)
        with self._lock:
            if self._last is not None and not self._last.job.over:
                raise NotNow(f"A tool is already running ({self._last.tool.label}): wait until it ends, or stop it.")
            self._last = run
            self._write(run)
        job.start("sdft-tool", lambda: self._work(run, values))

    def checkpoint(self) -> str:
        """Return the title, in the host's list, of the checkpoint made last. Raises NotNow where there is none."""
        run, host = self._last, self._host()
        if "txt2img" not in host.features:
            raise NotNow("There is no txt2img here: start this program with the checkpoint as its base.")
        if run is None or run.job.snapshot().state != "finished" or run.makes != "checkpoint":
            raise NotNow("The last tool made no checkpoint.")
        return host.checkpoint_name(Path(run.target))

    def stop(self) -> None:
        """Stop after the current tensor and remove the half-written file. Raises NotNow where no tool is running."""
        run = self._last
        if run is None or run.job.over:
            raise NotNow("No tool is running now.")
        run.job.cancel()

    def close(self) -> None:
        if self._last is not None:
            self._last.job.cancel()
            self._last.job.join(CLOSE_SECONDS)

    def inspect(self, name: str, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the findings of a tool that makes no file: ``facts`` and ``metadata``, or a pickle's ``imports``."""
        if why := self._packages.why_not():
            raise DeskError(why)
        tool = find_tool(name)
        if tool.makes is not None:
            raise DeskError(f"{tool.label}: this tool makes a file; name the result, and start it.")
        path = check_settings(tool, settings, self.files)["file"]
        if path.is_dir():
            raise DeskError(f"{path} is a folder; choose one of the files in it.")
        self._packages.wait()
        try:
            return file_contents.scan(path) if tool.name == "scan" else file_contents.describe(path)
        except OSError as error:
            raise DeskError(f"{path} can't be read ({error.strerror or error}); choose another file.") from error

    def _work(self, run: ToolRun, values: dict[str, Any]) -> str:
        self._packages.wait()
        from ..tools.work import work

        target = Path(run.target)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            message = work(run.tool.name, values, target, run.job.progress)
        except Cancelled:
            raise Cancelled(STOPPED) from None
        if self.files.is_hosts(target):
            try:
                self._host().publish(target)
            except Exception as error:
                raise DeskError(
                    f"{message} But the WebUI's lists don't show it yet: press their refresh button. {explain(error)}"
                ) from error
        return message

    def _write(self, run: ToolRun) -> None:
        tool_record.write(self._file, run)

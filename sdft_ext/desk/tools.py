"""What is done with finished files from a page: one tool at a time works in the background, others look into a file at once.

The thread outlives every page, and needs neither the loaded model nor the GPU: a run that trains goes on. What works stands
in a file, so that a restart can say what became of it, and take away what was half written.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import logging
import math
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from ..errors import SdftError
from ..storage import atomic, json_file
from ..tools.catalog import TOOLS, Field, Tool, makes
from .errors import DeskError, NotFound, NotNow
from .model_files import SUFFIX, ModelFiles

if TYPE_CHECKING:
    from ..host.base import Host

STOPPED = "Stopped: nothing was written."
INTERRUPTED = "Interrupted: the program ended while it worked, and nothing was written. Run it again."
CLOSE_SECONDS = 10.0
"""How long the end of the program waits for a tool to take its half file away."""


class Stop(SdftError):
    """The user has stopped a tool."""


@dataclasses.dataclass
class Job:
    """``state``: working (``done`` of ``total`` parts), finished, stopped or failed; ``message`` says what came of it."""

    tool: str
    target: str
    state: str = "working"
    done: int = 0
    total: int = 0
    message: str = ""
    began: float = dataclasses.field(default_factory=time.time)
    process: list[float] = dataclasses.field(default_factory=lambda: [os.getpid(), psutil.Process().create_time()])
    stop: threading.Event = dataclasses.field(default_factory=threading.Event, compare=False)
    thread: threading.Thread | None = None

    def plain(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("stop", "thread")}


class Tools:
    """``file`` remembers the last job; ``lacking`` says which packages are missing, ``imported`` waits for those that are there."""

    def __init__(
        self,
        file: Path,
        files: ModelFiles,
        host: Callable[[], Host],
        lacking: Callable[[], str],
        imported: Callable[[], None],
    ) -> None:
        self._file, self.files, self._host, self._lacking, self._imported = file, files, host, lacking, imported
        self._lock = threading.Lock()  # how a tool ended, what came of it and the file are told together
        self._job = self._read()

    def every(self) -> dict[str, Any]:
        """The tools with what they ask for, files to choose from, and where results go."""
        return {
            "tools": [dataclasses.asdict(tool) for tool in TOOLS],
            "files": self.files.listed(),
            "places": self.files.places(),
        }

    def status(self) -> dict[str, Any]:
        """The tool that works, or the last one; ``tool`` is empty where there was none."""
        from ..watch.progress import seconds_left

        job = self._now() or Job("", "", "idle")
        passed = time.time() - job.began
        left = seconds_left(passed, job.done, job.total) if job.state == "working" else 0.0
        told = {name: value for name, value in job.plain().items() if name != "process"}
        label, kind = (_tool(job.tool).label, _makes(job)) if job.tool else ("", "")
        return {**told, "label": label, "makes": kind, "seconds_left": left}

    def start(self, name: str, result: str, settings: dict[str, Any]) -> None:
        """Let a tool begin. Raises DeskError where something is wrong with what it is given, NotNow while one works."""
        if why := self._lacking():
            raise DeskError(why)
        tool = _tool(name)
        values = self._values(tool, settings)
        kind = makes(tool, values)
        if kind is None:
            raise DeskError(f"{tool.label}: this tool makes no file; ask for what it sees.")
        target = self.files.target(kind, result)
        with self._lock:
            if self._job is not None and self._job.state == "working":
                raise NotNow(f"A tool works already ({_tool(self._job.tool).label}): wait for its end, or stop it.")
            job = self._job = Job(tool.name, str(target))
            self._write(job)
        job.thread = threading.Thread(target=self._work, args=(job, values), name="sdft-tool", daemon=True)
        job.thread.start()

    def checkpoint(self) -> str:
        """The title of the checkpoint that was made last, in the host's list. Raises NotNow where there is none."""
        job, host = self._now(), self._host()
        if "txt2img" not in host.features:
            raise NotNow("There is no txt2img here: start this program with the checkpoint as its base.")
        if job is None or job.state != "finished" or _makes(job) != "checkpoint":
            raise NotNow("No tool has made a checkpoint last.")
        return host.checkpoint_name(Path(job.target))

    def stop(self) -> None:
        """After the tensor that it is at; the half file is taken away. Raises NotNow where none works."""
        job = self._now()
        if job is None or job.state != "working":
            raise NotNow("No tool works now.")
        job.stop.set()

    def close(self) -> None:
        job = self._job
        if job is not None and job.thread is not None:
            job.stop.set()
            job.thread.join(CLOSE_SECONDS)

    def look(self, name: str, settings: dict[str, Any]) -> dict[str, Any]:
        """What a tool that makes no file sees: ``facts`` and ``metadata`` of one, or ``imports`` of a pickle."""
        if why := self._lacking():
            raise DeskError(why)
        tool = _tool(name)
        if tool.makes is not None:
            raise DeskError(f"{tool.label}: this tool makes a file; give it a name, and run it.")
        path = self._values(tool, settings)["file"]
        if path.is_dir():
            raise DeskError(f"{path} is a folder; choose one of the files in it.")
        self._imported()
        try:
            return _scanned(path) if tool.name == "scan" else _described(path)
        except OSError as error:
            raise DeskError(f"{path} can't be read ({error.strerror or error}); choose another file.") from error

    # How it is done.

    def _now(self) -> Job | None:
        with self._lock:
            return None if self._job is None else dataclasses.replace(self._job)

    def _work(self, job: Job, values: dict[str, Any]) -> None:
        def progress(done: int, total: int) -> None:
            job.done, job.total = done, total
            if job.stop.is_set():
                raise Stop

        target = Path(job.target)
        state, message = "failed", "The tool has failed: the console of the server says why."
        try:
            self._imported()
            from ..tools.work import work

            target.parent.mkdir(parents=True, exist_ok=True)
            state, message = "finished", work(job.tool, values, target, progress)
            if self.files.is_hosts(target):
                self._host().publish(target)
        except Stop:
            state, message = "stopped", STOPPED
        except MemoryError:
            state, message = (
                "failed",
                "There is not enough memory for these files: close other programs, or stop what trains.",
            )
        except Exception as failure:
            own = isinstance(failure, SdftError | OSError)
            if not own:
                logging.getLogger(__name__).error("A tool failed.", exc_info=failure)
            written = (
                f"{message} But the WebUI's lists don't know it yet: press its refresh button. "
                if state == "finished"
                else ""
            )
            told = str(failure) if own else f"Unexpected {type(failure).__name__}: {failure}"
            state, message = "failed", written + told
        finally:
            with self._lock:
                job.message, job.state = message, state
                self._write(job)

    def _values(self, tool: Tool, settings: dict[str, Any]) -> dict[str, Any]:
        """A tool's settings, checked: by name, with defaults for those that are left out. Raises DeskError."""
        known = {field.name for field in tool.fields}
        for name in settings:
            if name not in known:
                raise DeskError(f"{tool.label} has no setting {name[:100]!r}; it has {', '.join(sorted(known))}.")
        return {field.name: self._value(field, settings.get(field.name, field.default)) for field in tool.fields}

    def _value(self, field: Field, value: Any) -> Any:
        if field.kind == "loras":
            rows = value if isinstance(value, list) else []
            return [self._weighted(field, row) for row in rows]
        if field.kind in ("checkpoint", "lora", "any", "pickle"):
            return self.files.given(value if isinstance(value, str) else "", field.label)
        if field.kind == "rank":
            rank = _number(value or 0)
            if rank is None or rank != int(rank) or rank < 0:
                raise DeskError(f"{field.label}: write a whole number of at least 1, or leave it empty.")
            return int(rank)
        if field.kind == "error":
            share = _number(value or 0)
            if share is None or not 0 <= share < 1:
                raise DeskError(f"{field.label}: write a number between 0 and 1, such as 0.05, or leave it empty.")
            return share
        if field.kind == "switch":
            if not isinstance(value, bool):
                raise DeskError(f"{field.label}: say true or false.")
            return value
        if value not in [choice for choice, _ in field.choices]:
            raise DeskError(f"{field.label}: choose one of {', '.join(label for _, label in field.choices)}.")
        return value

    def _weighted(self, field: Field, row: Any) -> tuple[Path, float]:
        row = row if isinstance(row, dict) else {}
        weight, file = _number(row.get("weight", 1.0)), row.get("file")
        path = self.files.given(file if isinstance(file, str) else "", "LoRA")
        if weight is None:
            raise DeskError(f"The weight of {path.name} is no number: write one such as 0.8.")
        return path, weight

    def _read(self) -> Job | None:
        """What the program before this one left; what it was working at was interrupted, and its half file goes."""
        try:
            told = json.loads(self._file.read_text(encoding="utf-8"))
            job = Job(**told)
            _tool(job.tool)
        except (OSError, ValueError, TypeError):
            return None
        if job.state == "working":
            if _runs(job.process):
                return None  # another program's, of the same folder
            target = Path(job.target)
            job.state, job.message = "stopped", INTERRUPTED
            if target.exists():
                job.state, job.message = "finished", f"{target} is whole; the program ended just after it was written."
            elif _makes(job) == "checkpoint":  # no file had this stem when it began, and the configuration comes first
                target.with_suffix(".yaml").unlink(missing_ok=True)
            atomic.clear(target.parent, glob.escape(target.stem[:40]))
            shutil.rmtree(target.with_name(f".{target.name}-making"), ignore_errors=True)
            self._write(job)
        return job

    def _write(self, job: Job) -> None:
        try:
            json_file.write(self._file, job.plain())
        except OSError:
            return  # a full disk: the job itself says so


def _tool(name: str) -> Tool:
    for tool in TOOLS:
        if tool.name == name:
            return tool
    raise NotFound(f"There is no tool {name[:100]!r}; there are {', '.join(tool.name for tool in TOOLS)}.")


def _makes(job: Job) -> str:
    return str(_tool(job.tool).makes) if job.target.endswith(SUFFIX) else "folder"


def _runs(process: list[float]) -> bool:
    """Whether the program of this number, begun at this time, still runs, and is another one than this."""
    number, began = int(process[0]), process[1]
    try:
        return number != os.getpid() and abs(psutil.Process(number).create_time() - began) < 1
    except psutil.Error:
        return False


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _described(path: Path) -> dict[str, Any]:
    from ..tools.describe import describe

    found = describe(path)
    facts = [
        ("Kind", found["kind"]),
        ("Size", f"{found['bytes'] / 2**20:,.2f} MB"),
        ("Tensors", f"{found['tensors']:,}"),
        ("Numbers", f"{found['numbers']:,}"),
        ("Number formats", _counted(found["formats"])),
    ]
    if "layers" in found:
        facts += [
            ("Layers", f"{found['layers']:,}"),
            ("Ranks", _counted(found["ranks"])),
            ("Alphas", _counted(found["alphas"])),
        ]
    if "problem" in found:
        facts.append(("Problem", found["problem"]))
    return {
        "file": found["file"],
        "facts": [{"name": name, "value": value} for name, value in facts],
        "metadata": [
            {"name": name, "value": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}
            for name, value in found["metadata"].items()
        ],
    }


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in counts.items())


def _scanned(path: Path) -> dict[str, Any]:
    from ..formats.single_file import scan

    found = scan(path)
    return {
        "file": str(path),
        "imports": [
            {"name": one.name, "verdict": one.verdict} for one in sorted(found.imports, key=lambda one: one.name)
        ],
        "tensors": found.tensors,
        "verdict": found.verdict,
        "message": found.text.splitlines()[0] if not found.problem else found.problem,
    }

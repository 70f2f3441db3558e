"""Regularization pictures as jobs of the run queue: started, watched and stopped from a page.

Each job is a folder in ``regularization`` beside the runs: ``job.json`` says what to draw and where, ``status.json``
how far it is. The pictures are in its ``pictures`` folder, or in a folder that the user has chosen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..storage import json_file
from ..storage.free_name import free_name
from .errors import DeskError, NotFound, NotNow
from .folders import Folders
from .packages import Packages
from .run_queue import DRAWN, INTERRUPTED_DRAWING, RunQueue, draws
from .thumbnails import Thumbnails

if TYPE_CHECKING:
    from ..control import RunControl
    from ..host.base import Host
    from ..run.regularization import RegularizationSettings

PICTURES = "pictures"
NEWEST = 8
"""Pictures of a job in an answer."""
ACTIVE = ("waiting", "drawing", "paused")
STATES = (*ACTIVE, "finished", "stopped", "failed")
MOST_LISTED = 50


class Regularization:
    """Drawing jobs, in the same queue as the runs; a job's id there is ``regularization/NAME``.

    ``host`` makes the host that draws.
    """

    def __init__(
        self,
        queue: RunQueue,
        folders: Folders,
        thumbnails: Thumbnails,
        host: Callable[[], Host],
        packages: Packages,
    ) -> None:
        self._queue, self._folders, self._thumbnails = queue, folders, thumbnails
        self._host, self._packages = host, packages
        self.folder = queue.folder / DRAWN

    def list(self, text: str = "") -> dict[str, Any]:
        """Return the host's samplers, and every job, newest first; with a folder, only those that draw into it."""
        only = self._folders.place(text) if text.strip() else None
        jobs = []
        for name in self._names()[:MOST_LISTED]:
            try:
                one = self.one(name)
            except DeskError:
                continue  # gone since its name was read
            if only is None or Path(one["folder"]) == only:
                jobs.append(one)
        return {"samplers": self._host().samplers(), "jobs": jobs}

    def one(self, name: str) -> dict[str, Any]:
        """Return a job: its settings, its progress, and its newest pictures. Raises NotFound."""
        place = self._place(name)
        job, status = self._job(place), json_file.read_or(place / "status.json", {})
        folder = Path(str(job["folder"]))
        state = str(status.get("state", "stopped"))
        message = str(status.get("message", ""))
        if state not in STATES or (state in ACTIVE and not self._queue.owns(f"{DRAWN}/{name}")):
            state, message = "stopped", INTERRUPTED_DRAWING
        return {
            "name": name,
            "folder": str(folder),
            "wanted": job["wanted"],
            "state": state,
            "done": int(json_file.number(status, "step")),
            "total": int(json_file.number(status, "total")) or int(job["wanted"]["count"]),
            "seconds_left": json_file.number(status, "seconds_left") if state == "drawing" else 0.0,
            "message": message,
            "started": json_file.number(job, "started"),
            "newest": self._newest(job, folder),
        }

    def start(self, values: dict[str, Any], text: str) -> str:
        """Queue a job, or continue it with another count; return its name. Raises DeskError or RegularizeError."""
        from ..host.base import Sampling
        from ..run.regularization import RegularizationSettings, slug

        if why := self._packages.why_not():
            raise DeskError(why)
        self._packages.wait()
        host = self._host()
        rest = dict(values)
        names = [name for name in Sampling.__dataclass_fields__ if name in rest]
        sampling = Sampling(**{name: rest.pop(name) for name in names})
        prompts = tuple(line.strip() for line in rest.pop("prompts") if line.strip())
        if sampling.sampler not in host.samplers():
            raise DeskError(f"There is no sampler {sampling.sampler} here: choose one of {', '.join(host.samplers())}.")
        settings = RegularizationSettings(prompts, host.files(), sampling, **rest)
        named = self._folders.place(text) if text.strip() else None
        name = self._named(f"{slug(prompts[0])}-{settings.signature}", named)
        folder = named or self.folder / name / PICTURES
        if self._queue.owns(f"{DRAWN}/{name}"):
            raise NotNow("These pictures are already being drawn: wait until that ends, or stop it first.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            plain = {"wanted": settings.plain(), "folder": str(folder), "started": time.time()}
            json_file.write(self.folder / name / "job.json", plain)
        except OSError as error:
            raise DeskError(f"{folder} can't be written ({error.strerror}); choose another folder.") from error
        if named is not None and not self._folders.holds(folder):
            self._folders.remember(folder)  # only a local user gets this far
        self._queue.add(f"{DRAWN}/{name}")
        return name

    def pause(self, name: str) -> None:
        """Pause a job after the current picture. Raises NotFound or NotNow."""
        self._place(name)
        self._queue.control(f"{DRAWN}/{name}").pause()

    def resume(self, name: str) -> None:
        """Continue a job after a pause, a stop or a failure."""
        self._place(name)
        self._queue.resume(f"{DRAWN}/{name}")

    def stop(self, name: str) -> None:
        """Stop a job after the current picture; a waiting one leaves the queue."""
        self._place(name)
        self._queue.stop(f"{DRAWN}/{name}")

    def make(self, place: Path, control: RunControl) -> object:
        """Draw the pictures of the job in a folder; runs in the queue's thread."""
        from ..run.regularization import regularize
        from ..run_folder.status import Status

        self._packages.wait()
        job = self._job(place)
        status = Status(place)
        return regularize(
            self._settings(job), Path(str(job["folder"])), self._host(), control=control, on_progress=status.set
        )

    def titles(self, ids: Sequence[str]) -> dict[str, str]:
        """Return readable names for the drawing jobs among the queue's ids."""
        found = {}
        for id in ids:
            if draws(id):
                prompts = json_file.read_or(self._queue.folder / id / "job.json", {}).get("wanted", {}).get(
                    "prompts"
                ) or [id]
                found[id] = f"Regularization pictures: {prompts[0]}"
        return found

    def _named(self, name: str, folder: Path | None) -> str:
        """Return a job's name that is free for a chosen folder, or for its own: each folder has its own job."""

        def is_others(name: str) -> bool:
            known = json_file.read_or(self.folder / name / "job.json", {}).get("folder")
            return known not in (None, str(folder or self.folder / name / PICTURES))

        return free_name(name, is_others)

    def _names(self) -> Sequence[str]:
        try:
            with os.scandir(self.folder) as entries:
                found = [
                    (entry.stat().st_mtime, entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)
                ]
        except OSError:
            return []
        return [name for _, name in sorted(found, reverse=True)]

    def _place(self, name: str) -> Path:
        path = self.folder / name
        named = name and name == os.path.basename(name) and "\\" not in name and "\0" not in name
        if not named or name.startswith(".") or path.is_symlink() or not (path / "job.json").is_file():
            raise NotFound("There is no such job; reload the list.")
        return path

    def _job(self, place: Path) -> dict[str, Any]:
        """Read a job's file. Raises NotFound where it is damaged."""
        job = json_file.read_or(place / "job.json", {})
        if not isinstance(job.get("wanted"), dict) or "count" not in job["wanted"] or "folder" not in job:
            raise NotFound(f"{place / 'job.json'} can't be read: start a new job.")
        return job

    def _settings(self, job: dict[str, Any]) -> RegularizationSettings:
        from ..run.regularization import RegularizationSettings

        return RegularizationSettings.from_plain(job["wanted"])

    def _newest(self, job: dict[str, Any], folder: Path) -> Sequence[dict[str, str]]:
        """Return thumbnails of the pictures drawn last."""
        from ..run.regularization import drawn_pictures

        try:
            found = list(drawn_pictures(folder, self._settings(job)).values())[-NEWEST:]
            stats = [(path, path.stat()) for path in found]
        except (OSError, ValueError):
            return []
        return [
            {"name": path.name, "picture": self._thumbnails.url(path, stat.st_size, stat.st_mtime_ns)}
            for path, stat in stats
        ]

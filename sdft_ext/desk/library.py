"""The runs on disk: their list, one run in full, its saves and control pictures, and the trash.

The folders are the truth. What was read from them is cached until a file's time or size changes, so that listing many
runs is cheap.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from ..recipe import METHOD_INFO, Recipe, RecipeError
from ..recipe import file as recipe_file
from ..run_folder.lock import is_at_work, process_lives
from ..run_folder.log import BOARD
from ..storage import json_file
from ..storage.free_name import free_name
from ..watch.controls import SETS
from .deleted_saves import deleted_saves
from .differences import differences
from .errors import DeskError, NotAllowed, NotFound, NotNow
from .logs import Lines, Logs
from .run_queue import DRAWN, INTERRUPTED, QUEUE

TRASH, DESK, DATASETS = "trash", ".desk", "datasets"
TAGGERS = "taggers"
"""Holds the taggers' files where the host has no folder for them."""
MADE = "made"
"""Holds the tools' results where the host has no folder for them."""
PRESETS = "presets"
"""Holds the presets that users have saved."""
NO_RUNS = (TRASH, DATASETS, DRAWN, TAGGERS, MADE, PRESETS, "cache")
"""Reserved names in the folder of the runs."""
AT_WORK = ("preparing", "training", "drawing", "paused")
"""States of a run that a program works on."""
ACTIVE = ("waiting", *AT_WORK)
STATES = (*ACTIVE, "finished", "stopped", "failed")
FILES = ("recipe.yaml", "status.json", "saves/index.json", "controls/index.json")
"""The files from which a run's entry in the list is made."""
SUFFIXES = (".safetensors", ".ckpt", ".pt", ".bin")
"""Endings of files that hold weights."""


def is_reserved(name: str) -> bool:
    """Return whether a name is reserved: no run's folder may have it."""
    return name.lower() in NO_RUNS or name.startswith(".")


class Library:
    """The runs in ``folder``. ``own`` returns whether a run waits or trains in this program's queue."""

    def __init__(self, folder: Path, own: Callable[[str], bool] = lambda run: False) -> None:
        self.folder, self._own = folder, own
        self.logs = Logs()
        self._cached: dict[str, tuple[Any, dict[str, Any]]] = {}
        self._recipes: dict[str, tuple[int, Recipe]] = {}
        self._lock = threading.Lock()

    def path(self, run: str) -> Path:
        """Return a run's folder; its name is the run's id. Raises NotFound for anything else."""
        path = self.folder / run
        named = run and run == os.path.basename(run) and "\\" not in run and "\0" not in run
        if not named or run.startswith(".") or run in NO_RUNS or path.is_symlink():
            raise NotFound("There is no such run; reload the list.")
        if not (path / "recipe.yaml").is_file():
            raise NotFound(f"There is no run named {run}; reload the list.")
        return path

    def ids(self) -> list[str]:
        """List every run's id, newest first."""
        try:
            with os.scandir(self.folder) as entries:
                names = [e.name for e in entries if not e.name.startswith(".") and e.name not in NO_RUNS]
        except FileNotFoundError:
            return []
        found = []
        for name in names:
            try:
                path = self.folder / name
                if not path.is_symlink():
                    found.append(((path / "recipe.yaml").stat().st_mtime, name))
            except OSError:
                continue
        return [name for _, name in sorted(found, reverse=True)]

    def runs(self) -> list[dict[str, Any]]:
        """Return every run as an entry of the list, newest first."""
        found = []
        for run in self.ids():
            try:
                found.append(self.summary(run))
            except (OSError, DeskError):
                continue  # gone since its name was read
        return found

    def summary(self, run: str) -> dict[str, Any]:
        """Return one run as an entry of the list."""
        path = self.path(run)
        stamp = [_stamp(path / name) for name in FILES]
        with self._lock:
            cached = self._cached.get(run)
        if cached is None or cached[0] != stamp:
            cached = (stamp, self._summary(run, path))
            with self._lock:
                self._cached[run] = cached
        return {**cached[1], **self.status(run)}

    def status(self, run: str) -> dict[str, Any]:
        """Return a run's state, step, total, seconds_left and message. Raises NotFound."""
        path = self.path(run)
        status = json_file.read_or(path / "status.json", {})
        state, message = str(status.get("state", "stopped")), str(status.get("message", ""))
        if state in ACTIVE and not self._own(run) and not self._is_others(run, state):
            state, message = "stopped", INTERRUPTED
        return {
            "state": state if state in STATES else "stopped",
            "step": int(json_file.number(status, "step")),
            "total": int(json_file.number(status, "total")),
            "seconds_left": json_file.number(status, "seconds_left") if state == "training" else 0.0,
            "message": message,
        }

    def _is_others(self, run: str, state: str) -> bool:
        """Return whether another program trains the run, or has it in its queue."""
        if state != "waiting":
            return is_at_work(self.folder / run)
        queue = json_file.read_or(self.folder / DESK / QUEUE, {})
        return run in _listed(queue.get("waiting")) and process_lives(queue)

    def recipe(self, run: str) -> Recipe:
        """Return a run's recipe. Raises DeskError where it can't be read."""
        path = self.path(run) / "recipe.yaml"
        stamp = path.stat().st_mtime_ns
        with self._lock:
            cached = self._recipes.get(run)
        if cached is None or cached[0] != stamp:
            try:
                cached = (stamp, recipe_file.read(path))
            except RecipeError as error:
                raise DeskError(f"The recipe of {run} can't be used: {error}") from error
            with self._lock:
                self._recipes[run] = cached
        return cached[1]

    def detail(self, run: str) -> dict[str, Any]:
        """Return one run in full."""
        path = self.path(run)
        recipe = self.recipe(run)
        report = json_file.read_or(path / "report.json", {})
        return {
            **self.summary(run),
            "recipe": dataclasses.asdict(recipe),
            "yaml": recipe_file.dumps(recipe),
            "saves": self.saves(run),
            "controls": self.controls(run),
            "facts": json_file.read_or(path / "facts.json", {}),
            "report": _text(path / "report.md"),
            "verdict": str(report.get("verdict", "")),
            "advice": str(report.get("advice", "")),
            "grid": (path / "controls" / "grid.png").is_file(),
            "deleted": deleted_saves(path),
            "folder": str(path),
            "tensorboard": str(path / BOARD) if (path / BOARD).is_dir() else "",
            "marks": self.logs.events(path),
        }

    def lines(self, run: str, since: int) -> Lines:
        """Return the log's lines from number ``since`` on."""
        return self.logs.since(self.path(run), since)

    def saves(self, run: str) -> list[dict[str, Any]]:
        """Return the saves that still exist, oldest first."""
        found = []
        for entry in self._saves(run):
            path = self.path(run) / "saves" / str(entry["file"])
            if path.is_file():
                found.append(
                    {"name": path.stem, "file": path.name, "path": str(path), **_numbers(entry), "last": False}
                )
        total = self.status(run)["total"]
        if found and total:
            found[-1]["last"] = found[-1]["step"] >= total
        return found

    def save_path(self, run: str, step: int) -> Path:
        """Return the file of the save of a step. Raises NotFound."""
        for entry in self._saves(run):
            path = self.path(run) / "saves" / str(entry["file"])
            if entry["step"] == step and path.is_file():
                return path
        raise NotFound(f"There is no save of step {step}; choose one of the run's saves.")

    def controls(self, run: str) -> dict[str, Any]:
        """Return the ``steps`` and ``prompts`` that have control pictures."""
        index = json_file.read_or(self.path(run) / "controls" / "index.json", {})
        steps, prompts = (_listed(index.get(name)) for name in ("steps", "prompts"))
        sound = [
            p for p in prompts if isinstance(p, dict) and p.get("set") in SETS and isinstance(p.get("number"), int)
        ]
        return {"steps": [step for step in steps if isinstance(step, int)], "prompts": sound}

    def control(self, run: str, name: str, number: int, step: int) -> Path:
        """Return the file of a control picture. Raises NotFound."""
        path = self.path(run) / "controls" / name / f"{number:02d}" / f"step-{step:06d}.png"
        if name not in SETS or not path.is_file():
            raise NotFound(f"There is no control picture {number} of the {name} set at step {step}.")
        return path

    def picture(self, run: str, name: str) -> Path:
        """Return the file of the ``grid`` or of the ``loss`` chart. Raises NotFound."""
        path = self.path(run) / {"grid": "controls/grid.png", "loss": "loss.png"}[name]
        if not path.is_file():
            raise NotFound(f"The {name} picture is drawn when the run ends; it doesn't exist yet.")
        return path

    def compare(self, a: str, b: str) -> list[dict[str, Any]]:
        """Return the settings in which the recipes of two runs differ."""
        return differences(self.recipe(a), self.recipe(b))

    def preview(self, run: str, name: str, number: int, step: int, save: int, replace: bool) -> Path:
        """Make a control picture the preview of a save; return its file.

        Raises NotNow where a preview that no run made exists already, unless ``replace`` is true; NotFound.
        """
        from ..formats.metadata import save_preview

        source, target = self.control(run, name, number, step), self.save_path(run, save)
        preview = target.with_name(f"{target.stem}.preview.png")
        made = self.path(run) / "previews.json"
        known = json_file.read_to_extend(made, {})
        ours = not preview.exists() or known.get(preview.name) == _identity(preview)
        if not ours and not replace and not self._drawn_by_run(run, save, preview):
            raise NotNow(f"{preview.name} already exists; replace it, or keep it.")
        with Image.open(source) as image:
            save_preview(target, image)
        json_file.write(made, {**known, preview.name: _identity(preview)})
        return preview

    def trash(self, run: str, saves: bool) -> list[Path]:
        """Move a run's folder to the trash, with ``saves`` also its files in the host's folders. Nothing is deleted.

        Returns the files that were in the host's folders. Raises NotAllowed where the folder can't be moved.
        """
        path = self.path(run)
        outside = []
        if saves:
            for name in (name for entry in self._saves(run) for name in (entry["file"], *entry.get("further", ()))):
                file = path / "saves" / str(name)
                if file.is_file() and path not in file.parents:
                    outside += [file, file.with_name(f"{file.stem}.preview.png")]
        trash = self.folder / TRASH
        target = trash / free_name(run, lambda name: (trash / name).exists())
        try:
            trash.mkdir(parents=True, exist_ok=True)
            shutil.move(str(path), str(target))
            for file in outside:
                if file.is_file():
                    shutil.move(str(file), str(target / "saves" / file.name))
        except OSError as error:
            raise NotAllowed(
                f"{run} can't be moved to {trash} ({error.strerror or error}); close the program that uses it."
            ) from error
        with self._lock:
            self._cached.pop(run, None)
            self._recipes.pop(run, None)
        return outside

    def _summary(self, run: str, path: Path) -> dict[str, Any]:
        try:
            recipe = self.recipe(run)
            name, method, base = recipe.save.name, METHOD_INFO[recipe.method.name].label, Path(recipe.model.base).name
        except DeskError:
            name, method, base = run, "", ""
        return {
            "id": run,
            "name": name,
            "method": method,
            "base": base,
            "started": (path / "recipe.yaml").stat().st_mtime,
            "saves": len(self._saves(run)),
            "picture": self._newest_picture(run),
        }

    def _newest_picture(self, run: str) -> str | None:
        index = self.controls(run)
        if not index["steps"] or not index["prompts"]:
            return None
        first = index["prompts"][0]
        return f"runs/{quote(run, safe='')}/controls/{first['set']}/{first['number']}/{max(index['steps'])}"

    def _saves(self, run: str) -> list[dict[str, Any]]:
        listed = json_file.read_or(self.path(run) / "saves" / "index.json", [])
        return [
            entry
            for entry in listed
            if isinstance(entry, dict)
            and isinstance(entry.get("step"), int)
            and str(entry.get("file", "")).lower().endswith(SUFFIXES)
        ]

    def _drawn_by_run(self, run: str, save: int, preview: Path) -> bool:
        """Return whether a preview is the one that the run itself put beside its last save."""
        saves = self._saves(run)
        report = json_file.read_or(self.path(run) / "report.json", None)
        if report is None or not saves or saves[-1]["step"] != save:
            return False
        # The run writes its report last: a preview that isn't newer is its own.
        return preview.stat().st_mtime <= (self.path(run) / "report.json").stat().st_mtime


def _numbers(entry: dict[str, Any]) -> dict[str, Any]:
    numbers = {name: entry.get(name) for name in ("step", "epoch", "loss")}
    return {**numbers, "scheduled": entry.get("scheduled") is not False}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _identity(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

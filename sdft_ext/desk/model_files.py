"""Files that tools can be given, and where their results go: the host's models, the saves of runs, what tools have
made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..recipe import METHOD_INFO
from ..recipe.rules import not_a_file_name
from .errors import DeskError, NotAllowed
from .folders import Folders
from .library import Library

if TYPE_CHECKING:
    from ..host.base import Host
    from ..tools.catalog import Makes

SUFFIX = ".safetensors"
METHODS = {"checkpoint": "full", "lora": "lora"}
"""What a tool makes → the method whose files lie with it."""
OTHERS = ("textual_inversion", "hypernetwork")
MOST = 5_000
"""Files listed."""


class ModelFiles:
    """``made``: where results go that the host has no folder for."""

    def __init__(self, library: Library, folders: Folders, host: Callable[[], Host], made: Path) -> None:
        self._library, self._folders, self._host, self.made = library, folders, host, made

    def listed(self) -> list[dict[str, Any]]:
        """Every file that can be chosen, each once: {path, name, group, kind, bytes}. ``kind``: checkpoint, lora or
        other.
        """
        found: dict[str, dict[str, Any]] = {}
        for path, name, group, kind in self._all():
            real = os.path.realpath(path)
            if real in found or len(found) >= MOST:
                continue
            try:
                size = path.stat().st_size if path.is_file() else 0
            except OSError:
                continue  # gone since its name was read
            found[real] = {"path": str(path), "name": name, "group": group, "kind": kind, "bytes": size}
        return list(found.values())

    def places(self) -> dict[str, str]:
        """Where a checkpoint, a LoRA and a diffusers folder go."""
        return {makes: str(self.place(makes)) for makes in ("checkpoint", "lora", "folder")}  # type: ignore[arg-type]

    def place(self, makes: Makes) -> Path:
        """The host's own folder for what is made. Not for diffusers folders: their parts would be listed as models."""
        own = self._host().saves_folder(METHODS[makes]) if makes in METHODS else None
        return own or self.made

    def given(self, text: str, label: str) -> Path:
        """The file or model folder that a request names: one that is listed, or one that may be read. Raises
        DeskError.
        """
        if not text.strip():
            raise DeskError(f"{label}: choose a file from the list, or type its path.")
        try:
            self._folders.file_of(text)
        except NotAllowed:
            if not any(one["path"] == text for one in self.listed()):
                raise
        path = Path(text).expanduser()  # a link's own name: its target's may have no ending
        if path.is_dir():
            self._folders.check_links(path)
        elif not path.is_file():
            raise DeskError(f"{path} is no file; choose a model.")
        return path

    def target(self, makes: Makes, name: str) -> Path:
        """Where a result of this name goes. Raises DeskError where the name is taken, or can't be one."""
        from ..run import loan
        from ..run_folder.save_names import free_save_name

        name = name.strip().removesuffix(SUFFIX)
        if wrong := not_a_file_name(name):
            raise DeskError(f"The name of the result {wrong}")
        place = self.place(makes)
        free = free_save_name(name, place, loan.stems(self._library.folder))
        if free != name:
            raise DeskError(
                f"{name} is there already in {place}, and nothing is written over: choose another name, such as {free}."
            )
        return place / (name if makes == "folder" else name + SUFFIX)

    def is_hosts(self, path: Path) -> bool:
        """Whether a file lies in a folder whose list the host keeps."""
        return path.parent != self.made

    def _all(self) -> Iterator[tuple[Path, str, str, str]]:
        for run in self._library.ids():
            try:
                recipe, saves = self._library.recipe(run), self._library.saves(run)
                for save in saves:
                    path = self._library.save_path(run, save["step"])
                    yield (
                        path,
                        f"{save['name']} (step {save['step']} of {run})",
                        "Saves of runs",
                        _kind(recipe.method.files),
                    )
            except (DeskError, OSError):
                continue  # it can't be read, or is gone
        for path in sorted(self.made.iterdir()) if self.made.is_dir() else ():
            if path.suffix == SUFFIX or (path / "model_index.json").is_file():
                yield path, path.name, "Made by tools", "checkpoint" if path.is_dir() else _looks(path)
        host = self._host()
        group = "Models of the WebUI" if host.name != "standalone" else "Models"
        for method in ("full", "lora", *OTHERS):
            for path in host.models(method):
                yield path, path.name, group, _kind(method)


def _kind(method: str) -> str:
    saved_as = METHOD_INFO[method].saved_as
    return saved_as if saved_as in ("checkpoint", "lora") else "other"


def _looks(path: Path) -> str:
    """What a file holds, by its header."""
    from ..formats.tensor_file import TensorFile, TensorFileError

    try:
        return "checkpoint" if any(key.startswith("model.diffusion_model.") for key in TensorFile(path)) else "lora"
    except (OSError, TensorFileError):
        return "other"

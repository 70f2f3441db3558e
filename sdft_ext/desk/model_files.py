"""Files that tools can use (the host's models, saves of runs, results of tools), and where results go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..recipe import METHOD_INFO
from ..recipe.rules import not_a_file_name
from ..storage.text import unquoted
from .errors import DeskError, NotAllowed
from .folders import Folders
from .library import Library

if TYPE_CHECKING:
    from ..host.base import Host
    from ..tools.catalog import Makes

SUFFIX = ".safetensors"
METHODS = {"checkpoint": "full", "lora": "lora"}
"""What a tool makes → the method whose saves are in the same folder."""
OTHERS = ("textual_inversion", "hypernetwork")
MOST = 5_000
"""Files listed."""


class ModelFiles:
    """The files. ``made``: the folder for results that the host has no folder for."""

    def __init__(self, library: Library, folders: Folders, host: Callable[[], Host], made: Path) -> None:
        self._library, self._folders, self._host, self.made = library, folders, host, made

    def listed(self) -> list[dict[str, Any]]:
        """List the files to choose from, each once: path, name, group, kind (checkpoint, lora or other) and bytes."""
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
        """Return the folders for checkpoints, LoRAs and diffusers folders."""
        return {makes: str(self.place(makes)) for makes in ("checkpoint", "lora", "folder")}  # type: ignore[arg-type]

    def place(self, makes: Makes) -> Path:
        """Return the folder for a result: the host's own, except for diffusers folders, whose parts it would list."""
        own = self._host().saves_folder(METHODS[makes]) if makes in METHODS else None
        return own or self.made

    def requested(self, text: str, label: str) -> Path:
        """Return the file or model folder that a request names: listed, or else readable. Raises DeskError."""
        text = unquoted(text)
        if not text.strip():
            raise DeskError(f"{label}: choose a file from the list, or type its path.")
        try:
            self._folders.file_of(text)
        except NotAllowed:
            if not any(one["path"] == text for one in self.listed()):
                raise
        path = Path(text).expanduser()  # a link's own name: its target's may have no extension
        if path.is_dir():
            self._folders.check_links(path)
        elif not path.is_file():
            raise DeskError(f"{path} is not a file; choose a model.")
        return path

    def target(self, makes: Makes, name: str) -> Path:
        """Return the path for a result of this name. Raises DeskError where the name is taken or isn't valid."""
        from ..run import loan
        from ..run_folder.save_names import free_save_name

        name = name.strip().removesuffix(SUFFIX)
        if wrong := not_a_file_name(name):
            raise DeskError(f"The name of the result {wrong}")
        place = self.place(makes)
        free = free_save_name(name, place, loan.stems(self._library.folder))
        if free != name:
            raise DeskError(
                f"{name} already exists in {place}, and files are never overwritten: choose another name, such as "
                f"{free}."
            )
        return place / (name if makes == "folder" else name + SUFFIX)

    def is_hosts(self, path: Path) -> bool:
        """Return whether a file is in a folder that the host lists."""
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
                continue  # unreadable, or gone
        for path in sorted(self.made.iterdir()) if self.made.is_dir() else ():
            if path.suffix == SUFFIX or (path / "model_index.json").is_file():
                yield path, path.name, "Made by tools", "checkpoint" if path.is_dir() else _kind_of_content(path)
        host = self._host()
        group = "Models of the WebUI" if host.name != "standalone" else "Models"
        for method in ("full", "lora", *OTHERS):
            for path in host.models(method):
                yield path, path.name, group, _kind(method)


def _kind(method: str) -> str:
    saved_as = METHOD_INFO[method].saved_as
    return saved_as if saved_as in ("checkpoint", "lora") else "other"


def _kind_of_content(path: Path) -> str:
    """Return a file's kind by the tensors in its header."""
    from ..formats.tensor_file import TensorFile, TensorFileError

    try:
        return "checkpoint" if any(key.startswith("model.diffusion_model.") for key in TensorFile(path)) else "lora"
    except (OSError, TensorFileError):
        return "other"

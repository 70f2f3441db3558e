"""The desk: wires its parts into one object, which lives as long as the program, however often a page is loaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..recipe import Recipe
from . import device_load, examples, run_queue
from .base_models import BaseModels
from .caption_duplicates import DuplicateSearches
from .caption_exchange import CaptionExchange
from .caption_statistics import CaptionStatistics
from .captions import CaptionSets
from .datasets import Datasets
from .evaluation import Evaluation
from .folders import Folders
from .imports import Imports
from .library import DATASETS, DESK, MADE, PRESETS, TAGGERS, TRASH, Library
from .model_files import ModelFiles
from .own_presets import OwnPresets
from .packages import Packages
from .preparation import Preparation
from .recipes import Recipes
from .regularization import Regularization
from .reports import Reports
from .run_queue import QUEUE, RunQueue
from .runs import Runs
from .scans import Scans
from .tagging import Tagging
from .thumbnails import Thumbnails
from .tools import Tools
from .uploads import Uploads

if TYPE_CHECKING:
    from ..control import RunControl
    from ..host.base import Host
    from ..preparation.focus import Faces

SHARED = (
    "Others can reach this WebUI: folders outside the allowed ones are refused, and everyone who can use it can train."
)


class Desk:
    """Everything between a page and the runs.

    ``host`` makes the host of one run from its recipe, or, with None, one to ask what is loaded; making one costs
    nothing. ``folder`` holds the run folders. ``roots`` are allowed folders besides the host's. ``missing``: packages
    to install before anything can train, with the command that does it.
    """

    def __init__(
        self,
        host: Callable[[Recipe | None], Host],
        folder: Path,
        *,
        roots: Sequence[Path] = (),
        missing: tuple[Sequence[str], str] | None = None,
    ) -> None:
        self.host, self.folder, self.roots = host, Path(folder).absolute(), tuple(roots)
        self.packages = Packages(missing)
        ready, hidden = self.packages.wait, self.folder / DESK
        self.base_models = BaseModels(hidden / "base_models.json", self._host)
        self.queue = RunQueue(self.folder, hidden / QUEUE, self._work, self.base_models.put_back)
        self.library = Library(self.folder, self.queue.owns)
        self.folders = Folders(hidden / "folders.json", self._allowed, self._may_add)
        self.thumbnails, self.scans = Thumbnails(self.folders.may_show), Scans()
        self.recipes = Recipes(self.folder, host, self.folders, self.library, self.scans, self.packages)
        self.imports = Imports(self.folders, self.scans)
        self.presets = OwnPresets(self.folder / PRESETS, self.folder / TRASH, self.recipes.parse)
        self.runs = Runs(self.queue, self.library, self.recipes, self.folders, self.scans, host, self.packages)
        self.evaluation = Evaluation(self.library, self.folders, self.thumbnails)
        self.reports = Reports(self.scans, self.thumbnails, self._thumbnail_folder, ready)
        self.datasets = Datasets(self.folders, self.scans, self.thumbnails, self.recipes, self.reports)
        self.uploads = Uploads(self.folders, self.folder / DATASETS)
        self.duplicates = DuplicateSearches(self.scans, self._thumbnail_folder)
        self.captions = CaptionSets(self.folders, self.thumbnails, self.duplicates, ready)
        self.caption_statistics = CaptionStatistics(self.captions, ready)
        self.caption_exchange = CaptionExchange(self.captions, self.folders)
        self.preparation = Preparation(self.folders, self.scans, self.thumbnails, self.recipes.parse, self._faces)
        self.tagging = Tagging(self.captions, self._host, self.folder / TAGGERS)
        self.regularization = Regularization(self.queue, self.folders, self.thumbnails, self._host, self.packages)
        files = ModelFiles(self.library, self.folders, self._host, self.folder / MADE)
        self.tools = Tools(hidden / "tool.json", files, self._host, self.packages)

    def close(self, seconds: float = 30.0) -> None:
        """Stop the run that trains, wait at most ``seconds`` for its save, and end all background work."""
        self.reports.close()
        self.uploads.close()
        self.tagging.close()
        self.duplicates.close()
        self.preparation.close()
        self.tools.close()
        self.queue.close(seconds)

    def session(self) -> dict[str, Any]:
        """Return what a page needs at its start, except its token."""
        self.packages.prepare()
        host = self._host()
        model, missing = host.describe(), self.packages.missing
        return {
            "version": __version__,
            "host": {
                "name": host.name,
                "model": {
                    "name": model.name,
                    "path": model.path,
                    "family": model.family,
                    "device": model.device,
                    "trainable": model.trainable,
                    "why": model.why,
                    "held": model.dtype,
                },
                "memory": dataclasses.asdict(host.memory()),
                "features": list(host.features),
            },
            "missing": None if missing is None else {"packages": list(missing[0]), "command": missing[1]},
            "warnings": [] if host.is_local() else [SHARED],
        }

    def device_load(self) -> dict[str, Any] | None:
        """Return how busy the GPU is that trains; None where nothing trains, or that isn't known (``device_load``)."""
        if self.queue.current is None:
            return None
        return device_load.device_load(self._host().describe().device)

    def queued(self) -> dict[str, Any]:
        """Return every run, the queue (regularization pictures included), and what trains or draws now."""
        waiting, current = self.queue.waiting, self.queue.current
        draws = current is not None and run_queue.draws(current)
        return {
            "runs": self.library.runs(),
            "queue": waiting,
            "current": None if draws else current,
            "drawing": current if draws else None,
            "titles": self.regularization.titles([*waiting, *([current] if current else [])]),
            "held": self.queue.held,
            "loads": self.base_models.allowed,
        }

    def _work(self, folder: Path, control: RunControl) -> object:
        """Train a run, or draw regularization pictures, in the queue's thread."""
        control.load_model = self.base_models.load
        make = self.regularization.make if folder.parent == self.regularization.folder else self.runs.train
        return make(folder, control)

    def _host(self) -> Host:
        return self.host(None)

    def _thumbnail_folder(self, recipe: Recipe) -> Path:
        from ..dataset.cache import cache_folder

        return cache_folder(recipe.dataset, self.folder) / "looks"

    def _allowed(self) -> list[Path]:
        return [*self.roots, *self._host().allowed_folders(), self.folder, examples.FOLDER]

    def _may_add(self) -> bool:
        return self._host().may_add_folders()

    def _faces(self) -> Faces | None:
        host = self._host()
        return host.faces if "faces" in host.features else None

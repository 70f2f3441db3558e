"""The host without a WebUI: loads the model from the recipe's file, for one run or for a page that stays open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import torch
from torch import Tensor, nn

from ..model.base import Model
from ..model.load import load
from ..model.sample import SamplerSettings, sample
from ..model.share import replace_parameters, share
from ..recipe import ModelRecipe, Recipe
from ..storage.stamp import Stamp, stamp
from .base import Described, Destination, Drawing, Feature, Files, HostChanged, HostError, Memory, Sampling, dtype_name
from .fifo_lock import FifoLock
from .flags import Flags
from .offload import Home, offloaded, restore_offloaded

if TYPE_CHECKING:
    from PIL import Image

    from ..taggers.base import Tagger


class Shelf:
    """The one model that this process has loaded, with the lock of whoever uses it. Another one replaces it."""

    def __init__(self, device: str | None = None) -> None:
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.lock = FifoLock()
        self.model: Model | None = None
        self.files: Files | None = None
        self.lent = 0
        """How many runs have borrowed the model."""
        self._dates: list[Stamp | None] = []

    def take(self, files: Files) -> Model:
        """Give the model of these files, loaded where it isn't (or was unloaded), and again where a file was replaced
        since and no run trains with it. Call it with the lock held.
        """
        dates = _dates(files)
        replaced = not self.lent and None not in dates[:1] and dates != self._dates
        if self.model is None or self.files != files or replaced or next(self.model.unet.parameters()).is_meta:
            self.model = self.files = None  # two models may not fit
            self.model, self.files = load(files.base, vae=files.vae, device=self.device), files
            self._dates = dates
        return self.model


def _dates(files: Files) -> list[Stamp | None]:
    """Return the stamps of a model's files and of their configurations; None for one that isn't there."""
    found: list[Stamp | None] = []
    for path in (Path(text).expanduser() for text in (files.base, files.vae) if text):
        for file in (path, path.with_suffix(".yaml")):
            try:
                found.append(stamp(file))
            except OSError:
                found.append(None)
    return found


class StandaloneHost:
    """Lends the model of the recipe's file, on the GPU where there is one.

    Hosts with the same ``shelf`` share its model and its lock. ``roots`` are the folders that the page may show;
    ``local``: whether the page can only be reached from this computer.
    """

    name = "standalone"
    features: tuple[Feature, ...] = ("tryout",)

    def __init__(
        self,
        recipe: ModelRecipe,
        device: str | None = None,
        shelf: Shelf | None = None,
        roots: Sequence[Path] = (),
        local: bool = True,
    ) -> None:
        self.recipe, self.shelf = recipe, shelf or Shelf(device)
        self.device = self.shelf.device
        self.roots, self.local = list(roots), local
        self._model: Model | None = None
        self._lent: Model | None = None
        self._ours: Flags | None = None
        self._not_restored: list[Home] = []

    def describe(self) -> Described:
        path = Path(self.recipe.base).expanduser()
        if not self.recipe.base:
            return Described("", "", "", self.device, False, "Name a base model: model.base is empty.")
        loaded = self.shelf.model if self.shelf.files == self.files() else None
        family = "" if loaded is None else loaded.family.name
        if not path.exists():
            return Described(
                path.name, str(path), "", self.device, False, f"{path} is missing: choose another base model."
            )
        dtype = "" if loaded is None else dtype_name(loaded.dtype)
        return Described(path.name, str(path), family, self.device, True, dtype=dtype, vae=self.recipe.vae)

    def memory(self) -> Memory:
        if self.device.startswith("cuda"):
            free, total = torch.cuda.mem_get_info()
            return Memory(free / 2**20, total / 2**20, torch.cuda.get_device_name())
        machine = psutil.virtual_memory()
        return Memory(machine.available / 2**20, machine.total / 2**20, "CPU")

    def files(self) -> Files:
        return Files(self.recipe.base, self.recipe.vae)

    def load(self, files: Files) -> Callable[[], None]:
        raise HostError("Every run names its own model here, and loads it.")

    def borrow(self) -> Model:
        with self.shelf.lock:
            if self.shelf.lent and self.shelf.files != self.files():
                raise HostError("Another run is training another model: wait for its end, or stop it.")
            self._lent = self.shelf.take(self.files())
            self.shelf.lent += 1
            self._model = share(self._lent)
            self._ours = None
        return self._model

    @contextmanager
    def turn(self) -> Iterator[None]:
        model = self._model
        if model is None:
            raise RuntimeError("no model is borrowed")
        with self.shelf.lock:
            self._check_loaded(model)
            theirs = Flags.of(self._parameters())
            if self._ours is not None:
                self._ours.put()
            try:
                yield
            finally:
                self._ours = Flags.of(self._parameters())
                theirs.put()

    @contextmanager
    def offload(self, needed: Sequence[Tensor]) -> Iterator[None]:
        assert self._model is not None
        with offloaded(self._parameters(), needed, self._model, self._not_restored):
            yield

    def give_back(self) -> None:
        if self._not_restored:
            with self.shelf.lock:
                restore_offloaded(self._not_restored)
        if self._model is not None:
            self.shelf.lent -= 1
        self._model = self._lent = self._ours = None
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def saves_folder(self, method: str) -> Path | None:
        return None

    def models(self, method: str) -> list[Path]:
        base = Path(self.recipe.base).expanduser()
        return [base] if method == "full" and self.recipe.base and base.exists() else []

    def publish(self, path: Path) -> None:
        """Saves are read from their file each time."""

    def draw(self, drawing: Drawing) -> Image.Image:
        """Draw a picture with the untrained model, or with a save, in the turn after the present one."""
        from ..method import METHODS

        with self.shelf.lock:
            if self.shelf.lent and self.shelf.files != self.files():
                raise HostError("A run is training on another base model: wait for its end, or stop it.")
            model = self.shelf.take(self.files())
            method = METHODS[drawing.method]()
            side = drawing.size // 8 * 8
            with nullcontext() if drawing.save is None else method.applied(drawing.save, model, drawing.weight):
                return sample(
                    model,
                    [drawing.prompt],
                    [drawing.seed],
                    SamplerSettings(drawing.negative, drawing.steps, drawing.guidance, side, side, drawing.clip_skip),
                )[0]

    def faces(self, image: Image.Image) -> list[tuple[float, float, float, float]]:
        raise HostError("Faces are only found in the WebUI: let edges decide here.")

    def samplers(self) -> list[str]:
        return ["DDIM"]

    def paint(
        self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, model: Files
    ) -> list[Image.Image]:
        if sampling.sampler not in self.samplers():
            raise HostError(f"There is no sampler {sampling.sampler} here: choose {', '.join(self.samplers())}.")
        name = Path(model.base).name
        if model != self.files():
            raise HostChanged(f"The pictures are drawn with {name}: start this program with it to go on.")
        with self.shelf.lock:
            if self.shelf.lent and self.shelf.files != model:
                raise HostChanged(f"A run is training on another base model: when it ends, {name} draws.")
            return sample(
                self.shelf.take(model),
                prompts,
                seeds,
                SamplerSettings(
                    sampling.negative,
                    sampling.steps,
                    sampling.guidance,
                    sampling.width // 8 * 8,
                    sampling.height // 8 * 8,
                    sampling.clip_skip,
                ),
            )

    def taggers(self) -> list[Tagger]:
        return []

    def taggers_folder(self) -> Path | None:
        return None

    def handover(
        self, to: Destination, recipe: Recipe, saves: Sequence[str], weights: Sequence[float], prompts: Sequence[str]
    ) -> str:
        raise HostError("There is no txt2img here: try the save on this page.")

    def checkpoint_name(self, path: Path) -> str:
        raise HostError("There is no list of checkpoints here: try the save on this page.")

    def is_local(self) -> bool:
        return self.local

    def may_add_folders(self) -> bool:
        return self.local

    def allowed_folders(self) -> list[Path]:
        return self.roots

    def _check_loaded(self, model: Model) -> None:
        """Check that the shelf has the lent model; where its files were loaded again, use the new parameters. Raises
        HostChanged.
        """
        if self.shelf.model is not None and self.shelf.files != self.files():
            other = Path(self.shelf.files.base).name if self.shelf.files else ""
            raise HostChanged(f"Another model, {other}, is loaded: load {Path(self.recipe.base).name} again to go on.")
        lent = self.shelf.take(self.files())
        if lent is not self._lent:
            replace_parameters(model, lent)
            self._lent = lent
            self._ours = None if self._ours is None else Flags.off(self._parameters())
        model.refresh()

    def _parameters(self) -> list[nn.Parameter]:
        assert self._lent is not None
        return [parameter for module in self._lent.modules for parameter in module.parameters()]

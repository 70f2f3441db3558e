"""The contract of a host: who lends the model and takes the results."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from ..errors import SdftError
from ..formats.metadata import base_hashes
from ..formats.tensor_file import PRECISIONS
from ..recipe import Precision, Recipe

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor

    from ..model.base import Model
    from ..taggers.base import Tagger

Feature = Literal["txt2img", "xyz", "cards", "tryout", "faces"]
Destination = Literal["txt2img", "xyz"]


class HostError(SdftError, RuntimeError):
    """The host can't lend its model as it is; the message says why and what to change."""


class HostChanged(HostError):
    """Another model is loaded than the one that was lent; the message says which to load. The run waits for it."""


@dataclass(frozen=True)
class Files:
    """Where a lent model came from: its checkpoint, and the VAE's file where that isn't the checkpoint's own."""

    base: str
    vae: str = ""

    def same(self, other: Files) -> bool:
        """Whether both name the same weights: the same files, or copies of them elsewhere."""
        return _alike(self.base, other.base) and _alike(self.vae, other.vae)


@dataclass(frozen=True)
class Described:
    """What a host has loaded, for people. ``why`` is a sentence where it can't be trained."""

    name: str
    path: str
    family: str
    device: str
    trainable: bool
    why: str = ""
    dtype: str = ""
    """The number format of its UNet, by the recipe's name for it; empty where it isn't loaded."""


def dtype_name(dtype: torch.dtype) -> str:
    """A number format by the recipe's name for it; empty where it has none."""
    return next((name for name, one in PRECISIONS.items() if one == dtype), "")


def default_precision(dtype: str, device: str) -> Precision:
    """The number format that runs there begin with: a half in which the model is held, whose weights autocast needn't copy.

    Else bf16 where the GPU computes in it (an NVIDIA one since Ampere), and what any GPU takes where it doesn't.
    """
    import torch

    kind = device.partition(":")[0]
    if kind in ("cpu", ""):
        return "fp32"
    if dtype in ("fp16", "bf16"):
        # Older torches scale losses, which fp16 needs, on CUDA alone.
        scales = kind == "cuda" or hasattr(torch.amp, "GradScaler")
        return "fp16" if dtype == "fp16" and scales else "bf16"
    if kind == "cuda" and (torch.version.hip or torch.cuda.get_device_capability(device) >= (8, 0)):
        return "bf16"
    return "fp32" if dtype else "fp16"


@dataclass(frozen=True)
class Memory:
    """Of the device that trains: the GPU's, or the machine's where it trains on the CPU."""

    free_mb: float
    total_mb: float
    device: str


@dataclass(frozen=True)
class Drawing:
    """One picture to try a save with; ``save`` is its file, or None for the base model."""

    prompt: str
    negative: str = ""
    save: Path | None = None
    method: str = "lora"
    weight: float = 1.0
    seed: int = 0
    steps: int = 20
    guidance: float = 7.0
    size: int = 512
    clip_skip: int = 1


@dataclass(frozen=True)
class Sampling:
    """How the host's own pipeline draws pictures. ``sampler`` is one of ``Host.samplers``; sides in pixels."""

    sampler: str
    negative: str = ""
    steps: int = 20
    guidance: float = 7.0
    width: int = 512
    height: int = 512
    clip_skip: int = 1


class Host(Protocol):
    """Lends a model for a run, by turns. One object serves one run; making one costs nothing.

    What a run may rely on: between ``borrow`` and ``give_back`` the model's tensors are the host's own, and inside a
    ``turn`` nobody else uses them. What the host may rely on: outside a turn every tensor, flag and hook is as it was.
    """

    name: str
    features: tuple[Feature, ...]

    def describe(self) -> Described:
        """What is loaded now, and whether it can be trained. Loads and copies nothing."""
        ...

    def memory(self) -> Memory: ...

    def files(self) -> Files:
        """The files of the model that ``borrow`` would lend now. Raises HostError where there is none."""
        ...

    def borrow(self) -> Model:
        """The loaded model as diffusers modules that share the host's parameters. Copies no weight.

        Raises HostError where the host's model can't be lent.
        """
        ...

    def turn(self) -> AbstractContextManager[None]:
        """The host's lock for a few steps, with the borrowed model on its device and as its files have it.

        Where the host has built the same model anew, its parameters are hung into the borrowed modules.
        Raises HostChanged where another model is loaded.
        """
        ...

    def offload(self, needed: Sequence[Tensor]) -> AbstractContextManager[None]:
        """Inside a turn: the host's weights that none of these use lie in the computer's memory; after, all are back."""
        ...

    def give_back(self) -> None:
        """End of the loan: flags, modes and devices as they were."""
        ...

    def saves_folder(self, method: str) -> Path | None:
        """Where the host looks for files of this method, or None: they stay in the run's own folder."""
        ...

    def models(self, method: str) -> list[Path]:
        """The files of this method that the host offers its users, whoever made them."""
        ...

    def publish(self, path: Path) -> None:
        """A save was written (or deleted): the host's lists, prompts and caches learn of it. Never inside a turn."""
        ...

    def draw(self, drawing: Drawing) -> Image.Image:
        """A picture between turns, where ``features`` holds tryout. Raises HostError where it can't be drawn now."""
        ...

    def faces(self, image: Image.Image) -> list[tuple[float, float, float, float]]:
        """Faces in an RGB picture, where ``features`` holds faces: left, top, right, bottom, as shares of the sides.

        Nothing is downloaded. Raises HostError where this host finds none.
        """
        ...

    def samplers(self) -> list[str]:
        """Names of the samplers that ``paint`` draws with, the usual one first."""
        ...

    def paint(
        self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, model: Files
    ) -> list[Image.Image]:
        """One picture for each prompt and seed, drawn at once by the host's own pipeline, under its lock.

        No loan is needed, and a run that trains goes on before and after. Nothing is written into the host's folders.
        Raises HostChanged where another model is loaded than ``model``, HostError where there is none.
        """
        ...

    def taggers(self) -> list[Tagger]:
        """The host's own interrogators, also those that lack their weights. Each waits for the host's lock itself."""
        ...

    def taggers_folder(self) -> Path | None:
        """Where the host's users put taggers' files, or None: the program has a folder of its own."""
        ...

    def handover(
        self, to: Destination, recipe: Recipe, saves: Sequence[str], weights: Sequence[float], prompts: Sequence[str]
    ) -> str:
        """What the page pastes into the host (``features``: txt2img, xyz): saves by name, each in the host's folder.

        Raises HostError where this host takes none.
        """
        ...

    def checkpoint_name(self, path: Path) -> str:
        """How the host's own list calls a checkpoint in its folder; one that is missing there is put on the list.

        Raises HostError where this host has no such list, or the file isn't there.
        """
        ...

    def is_local(self) -> bool:
        """Whether only this machine's user reaches the page."""
        ...

    def may_add_folders(self) -> bool:
        """Whether the page's user may name folders outside the allowed ones."""
        ...

    def allowed_folders(self) -> list[Path]:
        """Folders whose pictures the page may show and train on."""
        ...


def _alike(one: str, other: str) -> bool:
    if not one or not other:
        return one == other
    paths = [Path(name).expanduser().resolve() for name in (one, other)]
    if paths[0] == paths[1]:
        return True
    if not all(path.is_file() for path in paths) or paths[0].stat().st_size != paths[1].stat().st_size:
        return False
    return base_hashes(paths[0]) == base_hashes(paths[1])

"""The contract of a host: the program that lends the model and takes the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

Feature = Literal["txt2img", "xyz", "cards", "tryout", "faces", "load"]
Destination = Literal["txt2img", "xyz"]


class HostError(SdftError, RuntimeError):
    """The host can't do this as it is; the message says why and what to change."""


class HostChanged(HostError):
    """Another model is loaded than the one that was lent; the message says which one to load. The run waits for it."""


@dataclass(frozen=True)
class Files:
    """The files of a lent model: its checkpoint, and the VAE's file where that isn't the checkpoint's own."""

    base: str
    vae: str = ""

    def same(self, other: Files) -> bool:
        """Tell whether both name the same weights: the same files, or copies of them elsewhere."""
        return _same_file(self.base, other.base) and _same_file(self.vae, other.vae)


@dataclass(frozen=True)
class Described:
    """What a host has loaded, for people. ``why`` is a sentence that says why it can't be trained, else empty."""

    name: str
    path: str
    family: str
    device: str
    trainable: bool
    why: str = ""
    dtype: str = ""
    """The dtype of its UNet as a recipe names it (fp32, fp16, bf16); empty where it isn't loaded."""
    vae: str = ""
    """The VAE's file where that isn't the checkpoint's own."""


def dtype_name(dtype: torch.dtype) -> str:
    """Name a dtype as a recipe does (fp32, fp16, bf16); empty where it has no name for it."""
    return next((name for name, one in PRECISIONS.items() if one == dtype), "")


def default_precision(dtype: str, device: str) -> Precision:
    """Choose the precision that a new recipe has for a model of this dtype on this device.

    It is the model's own half precision, whose weights autocast needn't cast; else bf16 where the GPU computes in it
    (NVIDIA's since Ampere), and otherwise what every GPU can do.
    """
    import torch

    kind = device.partition(":")[0]
    if kind in ("cpu", ""):
        return "fp32"
    if dtype in ("fp16", "bf16"):
        # Older versions of torch scale losses, as fp16 needs, on CUDA alone.
        scales = kind == "cuda" or hasattr(torch.amp, "GradScaler")
        return "fp16" if dtype == "fp16" and scales else "bf16"
    if kind == "cuda" and (torch.version.hip or torch.cuda.get_device_capability(device) >= (8, 0)):
        return "bf16"
    return "fp32" if dtype else "fp16"


@dataclass(frozen=True)
class Memory:
    """Memory of the device that trains: the GPU's, or the computer's where it trains on the CPU."""

    free_mb: float
    total_mb: float
    device: str


@dataclass(frozen=True)
class Drawing:
    """One picture to draw with a save; ``save`` is its file, or None for the base model."""

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
    """Lends a model to a run, turn by turn. One object serves one run; making one costs nothing.

    A run may rely on this: between ``borrow`` and ``give_back`` the model's tensors are the host's own, and inside a
    ``turn`` nobody else uses them. The host may rely on this: outside a turn every tensor, flag and hook is as it was.
    """

    name: str
    features: tuple[Feature, ...]

    def describe(self) -> Described:
        """Describe what is loaded now, and whether it can be trained. Loads and copies nothing."""
        ...

    def memory(self) -> Memory:
        """Measure the memory of the device that trains."""
        ...

    def files(self) -> Files:
        """Name the files of the model that ``borrow`` would lend now. Raises HostError where there is none."""
        ...

    def load(self, files: Files) -> Callable[[], None]:
        """Load a model by its files, where ``features`` has load; never inside a turn.

        Returns a function that loads what was loaded before, with the host's settings as they were. Raises HostError
        where the host can't load these files, and so may that function.
        """
        ...

    def borrow(self) -> Model:
        """Lend the loaded model as diffusers modules that share the host's parameters. Copies no weight.

        Raises HostError where the host's model can't be lent.
        """
        ...

    def turn(self) -> AbstractContextManager[None]:
        """Hold the host's lock for a step or a few pictures, with the model on its device and its weights those of its
        files.

        Where the host has loaded the same model again, the borrowed modules get its new parameters.
        Raises HostChanged where another model is loaded.
        """
        ...

    def offload(self, needed: Sequence[Tensor]) -> AbstractContextManager[None]:
        """Move the host's weights to the computer's memory, but for the ``needed`` ones; after the block all are back.

        Only inside a turn.
        """
        ...

    def give_back(self) -> None:
        """End the loan: flags, modes and devices are as they were."""
        ...

    def saves_folder(self, method: str) -> Path | None:
        """Name the folder where the host looks for files of this method; None: they stay in the run's own folder."""
        ...

    def models(self, method: str) -> list[Path]:
        """List the files of this method that the host offers its users, whoever made them."""
        ...

    def publish(self, path: Path) -> None:
        """Update the host's lists, prompts and caches for a save that was written or deleted. Never inside a turn."""
        ...

    def draw(self, drawing: Drawing) -> Image.Image:
        """Draw a picture between turns, where ``features`` has tryout. Raises HostError where it can't be drawn now."""
        ...

    def faces(self, image: Image.Image) -> list[tuple[float, float, float, float]]:
        """Find faces in an RGB picture, where ``features`` has faces: left, top, right, bottom, as fractions of the
        sides.

        Downloads nothing. Raises HostError where this host can't look for faces.
        """
        ...

    def samplers(self) -> list[str]:
        """Name the samplers that ``paint`` draws with, the usual one first."""
        ...

    def paint(
        self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, model: Files
    ) -> list[Image.Image]:
        """Draw one picture for each prompt and seed, in one batch, with the host's own pipeline and under its lock.

        No loan is needed, and a run that trains goes on before and after. Nothing is written into the host's folders.
        Raises HostChanged where another model is loaded than ``model``, HostError where there is none.
        """
        ...

    def taggers(self) -> list[Tagger]:
        """List the host's own interrogators, also those whose weights are missing. Each waits for the host's lock
        itself.
        """
        ...

    def taggers_folder(self) -> Path | None:
        """Name the folder where the host's users put taggers' files; None: the program has a folder of its own."""
        ...

    def handover(
        self, to: Destination, recipe: Recipe, saves: Sequence[str], weights: Sequence[float], prompts: Sequence[str]
    ) -> str:
        """Write what the page pastes into the host (``features``: txt2img, xyz). ``saves``: their names in the host's
        folder.

        Raises HostError where this host takes none.
        """
        ...

    def checkpoint_name(self, path: Path) -> str:
        """Give the name of a checkpoint in the host's own list, which is read again where the checkpoint is missing.

        Raises HostError where this host has no such list, or the file isn't in its folder.
        """
        ...

    def is_local(self) -> bool:
        """Tell whether the page can only be reached from this computer."""
        ...

    def may_add_folders(self) -> bool:
        """Tell whether the page's user may name folders outside the allowed ones."""
        ...

    def allowed_folders(self) -> list[Path]:
        """List the folders whose pictures the page may show and train on."""
        ...


def _same_file(one: str, other: str) -> bool:
    if not one or not other:
        return one == other
    paths = [Path(name).expanduser().resolve() for name in (one, other)]
    if paths[0] == paths[1]:
        return True
    if not all(path.is_file() for path in paths) or paths[0].stat().st_size != paths[1].stat().st_size:
        return False
    return base_hashes(paths[0]) == base_hashes(paths[1])

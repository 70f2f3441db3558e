"""The host AUTOMATIC1111: lends ``shared.sd_model``, under the WebUI's own lock.

docs/host.md explains why it does what it does. The WebUI's ``modules`` are imported inside functions only, so that this
file can be imported where there is no WebUI.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import torch
from torch import Tensor

from ...errors import ModelError
from ...model import borrow
from ...model.base import Model
from ...model.share import replace_parameters
from ...recipe import Recipe
from ..base import Described, Destination, Drawing, Feature, Files, HostChanged, HostError, Memory, Sampling, dtype_name
from ..flags import Flags
from ..offload import Home, offloaded, restore_offloaded
from . import choice, interrogators, txt2img
from . import faces as webui_faces
from . import files as webui_files
from . import model as webui_model
from .supported import unsupported_reason

if TYPE_CHECKING:
    from PIL import Image

    from ...taggers.base import Tagger


@dataclass(frozen=True)
class Loan:
    """The files that a lent model's weights came from, and when the checkpoint was last written."""

    checkpoint: str
    modified: int
    vae: str

    @classmethod
    def of(cls, lent: Any) -> Loan:
        """Look up the files of a loaded model."""
        from modules import sd_vae

        path = Path(lent.sd_checkpoint_info.filename)
        return cls(str(path), path.stat().st_mtime_ns if path.exists() else 0, str(sd_vae.loaded_vae_file or ""))


class WebUIHost:
    """Lends the loaded checkpoint. ``facts``: the seconds that borrowing took, and how many parameters are shared."""

    name = "webui"
    features: tuple[Feature, ...] = ("txt2img", "xyz", "cards", "faces", "load")

    def __init__(self) -> None:
        self.facts: dict[str, float] = {}
        self._lent: Any = None
        self._model: Model | None = None
        self._loan: Loan | None = None
        self._ours: Flags | None = None
        self._hung: list[int] = []
        self._not_restored: list[Home] = []

    def describe(self) -> Described:
        from modules import devices, sd_models, sd_vae

        lent = sd_models.model_data.sd_model
        device = str(devices.device)
        if lent is None and (not sd_models.model_data.was_loaded_at_least_once or webui_model.busy()):
            return Described("", "", "", device, False, "The WebUI is still loading its checkpoint: wait a moment.")
        why = unsupported_reason(webui_model.loaded(lent))
        if lent is None:
            return Described("", "", "", device, False, why)
        path = Path(lent.sd_checkpoint_info.filename)
        dtype, vae = dtype_name(next(lent.model.parameters()).dtype), str(sd_vae.loaded_vae_file or "")
        return Described(path.name, str(path), webui_model.family_name(lent), device, not why, why, dtype, vae)

    def memory(self) -> Memory:
        from modules import devices

        if torch.device(devices.device).type == "cuda":
            free, total = torch.cuda.mem_get_info(devices.device)
            return Memory(free / 2**20, total / 2**20, torch.cuda.get_device_name(devices.device))
        machine = psutil.virtual_memory()
        return Memory(machine.available / 2**20, machine.total / 2**20, str(devices.device).upper())

    def files(self) -> Files:
        from modules import sd_vae, shared
        from modules.call_queue import queue_lock

        _ = shared.sd_model  # loads it, or waits for the thread that does
        with queue_lock:  # while another checkpoint is being loaded there is none
            lent = shared.sd_model
            if lent is None:
                raise HostError(unsupported_reason(None))
            return Files(str(lent.sd_checkpoint_info.filename), str(sd_vae.loaded_vae_file or ""))

    def load(self, files: Files) -> Callable[[], None]:
        return choice.load(files)

    def borrow(self) -> Model:
        """Lend the loaded model in diffusers' layout, over the WebUI's own parameters. Waits until a model is loaded.

        Raises HostError for what can't be lent: no model, SD3 and other families, inpainting, low memory modes, FP8.
        """
        from modules import shared
        from modules.call_queue import queue_lock

        _ = shared.sd_model  # loads it, or waits for the thread that does: torch.nn is patched until then
        with queue_lock:
            lent = shared.sd_model
            why = unsupported_reason(webui_model.loaded(lent))
            if why:
                raise HostError(why)
            began = time.perf_counter()
            self._model = self._built(lent)
            self.facts["borrow_seconds"] = time.perf_counter() - began
            self.facts |= webui_model.sharing(self._model, lent.parameters())
            self._lent, self._loan, self._ours = lent, Loan.of(lent), None
            self._hung = [id(parameter) for parameter in lent.parameters()]
        return self._model

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the WebUI's lock, with the checkpoint's own weights on their device.

        The method's flags (``requires_grad``) are set inside only; after each turn the WebUI has its own again.
        Raises HostChanged where another checkpoint or VAE is loaded by now: its weights may be in the same tensors.
        """
        from modules.call_queue import queue_lock

        model = self._model
        if model is None:
            raise RuntimeError("no model is borrowed")
        with queue_lock:
            self._check_loaded(model)
            with webui_model.own_unet():
                webui_model.remove_loras(self._lent)
                webui_model.on_device(self._lent, model)
                theirs = Flags.of(self._lent.parameters())
                if self._ours is not None:
                    self._ours.put()
                try:
                    yield
                finally:
                    self._ours = Flags.of(self._lent.parameters())
                    theirs.put()

    @contextmanager
    def offload(self, needed: Sequence[Tensor]) -> Iterator[None]:
        assert self._model is not None
        with offloaded(self._lent.parameters(), needed, self._model, self._not_restored):
            yield

    def give_back(self) -> None:
        from modules import devices
        from modules.call_queue import queue_lock

        if self._not_restored:
            with queue_lock:
                restore_offloaded(self._not_restored)
        self._lent = self._model = self._loan = self._ours = None
        self._hung = []
        devices.torch_gc()

    def saves_folder(self, method: str) -> Path:
        return webui_files.folder_for(method)

    def models(self, method: str) -> list[Path]:
        return webui_files.models(method)

    def publish(self, path: Path) -> None:
        from modules.call_queue import queue_lock

        with queue_lock:
            webui_files.publish(path)

    def draw(self, drawing: Drawing) -> Image.Image:
        raise HostError("Try it in txt2img: one click sends it there.")

    def faces(self, image: Image.Image) -> list[tuple[float, float, float, float]]:
        return webui_faces.faces(image)

    def samplers(self) -> list[str]:
        return txt2img.samplers()

    def paint(
        self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, model: Files
    ) -> list[Image.Image]:
        return txt2img.paint(prompts, seeds, sampling, model)

    def taggers(self) -> list[Tagger]:
        return interrogators.taggers()

    def taggers_folder(self) -> Path | None:
        return interrogators.folder()

    def handover(
        self, to: Destination, recipe: Recipe, saves: Sequence[str], weights: Sequence[float], prompts: Sequence[str]
    ) -> str:
        return webui_files.handover(to, recipe, saves, weights, prompts)

    def checkpoint_name(self, path: Path) -> str:
        from modules.call_queue import queue_lock

        with queue_lock:
            return webui_files.checkpoint_name(path)

    def is_local(self) -> bool:
        from modules import shared

        return not shared.cmd_opts.webui_is_non_local

    def may_add_folders(self) -> bool:
        from modules import shared

        options = shared.cmd_opts
        return not options.disable_extension_access and not options.hide_ui_dir_config

    def allowed_folders(self) -> list[Path]:
        return webui_files.allowed_folders()

    def _built(self, lent: Any) -> Model:
        tensors = dict(lent.named_parameters())
        path = Path(lent.sd_checkpoint_info.filename)
        try:
            shapes = {borrow.file_key(key): tuple(value.shape) for key, value in tensors.items()}
            family = webui_model.family_of(lent, shapes, path)
            return borrow.build(family, tensors, path, lent.alphas_cumprod_original.detach().double().cpu())
        except ModelError as error:
            raise HostError(str(error)) from error

    def _check_loaded(self, model: Model) -> None:
        """Check that the WebUI's weights are those that were lent; where their files were loaded again, use the new
        parameters.

        Raises HostChanged where they aren't.
        """
        loan = self._loan
        assert loan is not None
        webui_model.bring_back(loan.checkpoint)
        lent = webui_model.current()
        again = f"load {Path(loan.checkpoint).name} again, then the run goes on."
        if lent is None:
            raise HostChanged(f"The WebUI has unloaded its checkpoint: {again}")
        now = Loan.of(lent)
        if now.checkpoint != loan.checkpoint:
            raise HostChanged(f"The checkpoint was changed to {Path(now.checkpoint).name}: {again}")
        if now.vae != loan.vae:
            other, former = (Path(name).name or "the checkpoint's own" for name in (now.vae, loan.vae))
            raise HostChanged(f"The VAE was changed to {other}: choose {former} again, then the run goes on.")
        if now.modified != loan.modified:
            raise HostChanged(f"{loan.checkpoint} was replaced: restore the former file, then the run goes on.")
        why = unsupported_reason(webui_model.loaded(lent))
        if why:
            raise HostChanged(why)
        hung = [id(parameter) for parameter in lent.parameters()]
        if hung != self._hung:
            replace_parameters(model, self._built(lent))
            self._hung = hung
            self._ours = None if self._ours is None else Flags.off(lent.parameters())
        self._lent = lent

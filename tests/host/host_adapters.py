"""Both hosts behind one set of verbs, for tests of the contract: what a user and other programs do to a host meanwhile.

Inside a WebUI's process its own model is used; elsewhere the toy model on a shelf.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sdft_ext.host.base import Drawing, Files, Host
from sdft_ext.host.standalone import Shelf, StandaloneHost
from sdft_ext.recipe import ModelRecipe
from sdft_ext.toy.install import CHECKPOINT

SEED, STEPS, GUIDANCE, SIDE = 5, 6, 3.5, 64


class World(Protocol):
    folder_of_saves: Path | None
    loads_what_is_borrowed: bool
    """Whether a run that begins loads its model, or takes the one that the host's user has loaded."""

    def host(self) -> Host: ...

    def parameters(self) -> dict[str, nn.Parameter]:
        """Those of the host's model."""
        ...

    def picture(self, prompt: str, save: Path | None = None) -> np.ndarray:
        """What the host's user gets for a prompt, with a save in it."""
        ...

    def load_other(self, in_place: bool = False) -> None: ...

    def load_former(self) -> None: ...

    def unload(self) -> None:
        """Move the model away, without asking: it can be had again."""
        ...

    def throw_away(self) -> None:
        """Destroy the loaded model's tensors without a lock; the same file is loaded again a moment later."""
        ...


def checksums(world: World) -> dict[str, str]:
    """Of every tensor of the host's model, by name."""
    return {name: _sum(parameter) for name, parameter in world.parameters().items()}


def flags(world: World) -> dict[str, tuple[bool, bool]]:
    """requires_grad, and whether there is a gradient, of every parameter."""
    return {name: (p.requires_grad, p.grad is not None) for name, p in world.parameters().items()}


def _sum(tensor: torch.Tensor) -> str:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return hashlib.sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest()


def other_checkpoint(path: Path, folder: Path) -> Path:
    """A checkpoint like the one in ``path``, but for its first convolution."""
    target = folder / "other.safetensors"
    if not target.exists():
        tensors, name = load_file(path), "model.diffusion_model.input_blocks.0.0.weight"
        save_file({**tensors, name: tensors[name] * 0.5}, target)
        target.with_suffix(".yaml").write_bytes(path.with_suffix(".yaml").read_bytes())
    return target


class StandaloneWorld:
    folder_of_saves = None
    loads_what_is_borrowed = True

    def __init__(self, folder: Path) -> None:
        self.shelf, self.files = Shelf("cpu"), Files(str(CHECKPOINT))
        self.other = Files(str(other_checkpoint(CHECKPOINT, folder)))
        with self.shelf.lock:
            self.shelf.take(self.files)

    def host(self) -> Host:
        return StandaloneHost(ModelRecipe(base=self.files.base), shelf=self.shelf)

    def parameters(self) -> dict[str, nn.Parameter]:
        with self.shelf.lock:
            model = self.shelf.take(self.files)
        parts = enumerate(model.modules)
        return {f"{n} {name}": p for n, module in parts for name, p in module.named_parameters()}

    def picture(self, prompt: str, save: Path | None = None) -> np.ndarray:
        drawing = Drawing(prompt, save=save, seed=SEED, steps=STEPS, guidance=GUIDANCE, size=SIDE)
        return np.asarray(self.host().draw(drawing))

    def load_other(self, in_place: bool = False) -> None:
        with self.shelf.lock:
            if in_place:
                assert self.shelf.model is not None
                _copy(self.shelf.model.unet, 0.5)
                self.shelf.files = self.other
            else:
                self.shelf.take(self.other)

    def load_former(self) -> None:
        with self.shelf.lock:
            self.shelf.take(self.files)

    def unload(self) -> None:
        with self.shelf.lock:
            self.shelf.model = None

    def throw_away(self) -> None:
        assert self.shelf.model is not None
        for module in self.shelf.model.modules:
            module.to("meta")


@torch.no_grad()
def _copy(unet: nn.Module, factor: float) -> None:
    next(unet.parameters()).mul_(factor)


class WebUIWorld:
    """Verbs that a WebUI's buttons have, called in its own process."""

    loads_what_is_borrowed = False

    def __init__(self, folder: Path) -> None:
        from modules import sd_models, shared

        self.folder_of_saves: Path | None = Path(shared.cmd_opts.lora_dir)
        self.former = shared.sd_model.sd_checkpoint_info
        path = Path(self.former.filename)
        self.other = sd_models.CheckpointInfo(str(other_checkpoint(path, path.parent)))
        self.other.register()

    def host(self) -> Host:
        from sdft_ext.host.webui.host import WebUIHost

        return WebUIHost()

    def parameters(self) -> dict[str, nn.Parameter]:
        from modules import shared
        from modules.call_queue import queue_lock

        with queue_lock:
            return dict(shared.sd_model.named_parameters())

    def picture(self, prompt: str, save: Path | None = None) -> np.ndarray:
        from modules import processing, shared
        from modules.call_queue import queue_lock

        text = prompt if save is None else f"{prompt} <lora:{save.stem}:1>"
        with queue_lock:
            p = processing.StableDiffusionProcessingTxt2Img(
                sd_model=shared.sd_model, prompt=text, seed=SEED, steps=STEPS, width=SIDE, height=SIDE,
                cfg_scale=GUIDANCE, sampler_name="Euler a", do_not_save_samples=True, do_not_save_grid=True,
            )  # fmt: skip
            with contextlib.closing(p):
                shared.state.begin(job="test")
                try:
                    return np.asarray(processing.process_images(p).images[0].convert("RGB"))
                finally:
                    shared.state.end()

    def load_other(self, in_place: bool = False) -> None:
        self._load(self.other, in_place)

    def load_former(self) -> None:
        self._load(self.former, False)

    def _load(self, info: Any, in_place: bool) -> None:
        from modules import sd_models
        from modules.call_queue import queue_lock

        with queue_lock:
            if in_place:  # as for checkpoints without a .yaml of their own, which share one
                sd_models.model_data.sd_model.used_config = str(Path(info.filename).with_suffix(".yaml"))
            sd_models.reload_model_weights(info=info)

    def unload(self) -> None:
        from modules import sd_models

        sd_models.unload_model_weights()

    def throw_away(self) -> None:
        from modules import sd_models

        lost = sd_models.model_data.sd_model
        sd_models.send_model_to_trash(lost)
        threading.Thread(target=self._anew, args=(lost,), daemon=True).start()

    def _anew(self, lost: Any) -> None:
        from modules import sd_models
        from modules.call_queue import queue_lock

        time.sleep(1)
        with queue_lock:
            sd_models.model_data.loaded_sd_models.remove(lost)
            sd_models.load_model(self.former)


def world(folder: Path) -> World:
    return WebUIWorld(folder) if "modules.shared" in sys.modules else StandaloneWorld(folder)


@contextlib.contextmanager
def lent(world: World) -> Iterator[tuple[Host, Any]]:
    host = world.host()
    model = host.borrow()
    try:
        yield host, model
    finally:
        host.give_back()

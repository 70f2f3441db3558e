"""One model's parameters in several sets of modules: for a run, and for whoever else draws with them between turns."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import nn

from . import borrow
from .base import Model
from .copies import Copied


def share(model: Model) -> Model:
    """Modules of their own over the same parameters; what is hung into one doesn't show in the other. Copies no weight."""
    unet, vae, *texts = borrow.skeletons(model.family)
    other = dataclasses.replace(model, unet=unet, vae=vae, text_encoders=texts, views=[])
    hang(other, model)
    for mine, theirs in zip(other.modules, model.modules, strict=True):
        for owner, source in zip(mine.modules(), theirs.modules(), strict=True):
            owner._buffers.update(source._buffers)
        mine.eval()
    return other


def hang(model: Model, fresh: Model) -> None:
    """Put the parameters of ``fresh`` in place of the model's, and its views; adapters around the layers stay.

    Copies that a run trains stay as well, and stand for the fresh parameters from now on.
    """
    for mine, theirs in zip(model.modules, fresh.modules, strict=True):
        for name, parameter in theirs.named_parameters():
            path, _, leaf = name.rpartition(".")
            owner = _inside(mine, path)
            present = owner._parameters.get(leaf)
            if isinstance(present, Copied):
                present.borrowed = parameter
            else:
                owner._parameters[leaf] = parameter
    model.views = fresh.views


def _inside(module: nn.Module, path: str) -> nn.Module:
    """The module of this path, past any adapters around it and around what holds it."""
    for name in path.split(".") if path else ():
        module = _innermost(_innermost(module).get_submodule(name))
    return _innermost(module)


def _innermost(module: nn.Module) -> nn.Module:
    inner: Any = module._modules.get("base_layer")
    while isinstance(inner, nn.Module):
        module = inner
        inner = module._modules.get("base_layer")
    return module

"""Share a model's parameters between sets of modules: a run's own, and another to draw with between its turns."""

from __future__ import annotations

import dataclasses

from torch import nn

from . import borrow
from .base import Model, innermost
from .copies import Copied


def share(model: Model) -> Model:
    """Make another set of modules over the same parameters; adapters in one set don't affect the other."""
    unet, vae, *texts = borrow.skeletons(model.family)
    other = dataclasses.replace(model, unet=unet, vae=vae, text_encoders=texts, views=[])
    replace_parameters(other, model)
    for mine, theirs in zip(other.modules, model.modules, strict=True):
        for owner, source in zip(mine.modules(), theirs.modules(), strict=True):
            owner._buffers.update(source._buffers)
        mine.eval()
    return other


def replace_parameters(model: Model, fresh: Model) -> None:
    """Replace the model's parameters and views with those of ``fresh``; adapters around the layers stay.

    Copies that a run trains stay too, in place of the new parameters.
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
    """Return the module at this path, inside any adapters around it and its parents."""
    for name in path.split(".") if path else ():
        module = innermost(innermost(module).get_submodule(name))
    return innermost(module)

"""Copies in place of borrowed parameters, so that training doesn't change the host's model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .base import Model


class Copied(nn.Parameter):
    """A copy of a borrowed parameter, in its place. When the host replaces its parameters, the copy stays."""

    borrowed: nn.Parameter

    @classmethod
    def of(cls, borrowed: nn.Parameter, dtype: torch.dtype, trained: bool = True) -> Copied:
        """Copy a borrowed parameter in a dtype."""
        return cls.instead(borrowed, borrowed.detach().to(dtype, copy=True), trained)

    @classmethod
    def instead(cls, borrowed: nn.Parameter, value: Tensor, trained: bool = False) -> Copied:
        """Make a parameter of a value, to replace a borrowed one."""
        made: Copied = cls(value, requires_grad=trained)
        made.borrowed = borrowed
        return made


def part_names(model: Model) -> list[str]:
    """Name the model's modules, in the order of ``model.modules``."""
    texts = [f"text_encoder{f'_{number + 1}' if number else ''}" for number in range(len(model.text_encoders))]
    return ["unet", "vae", *texts]


def parameters(model: Model) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield every parameter as 'part.path.leaf'."""
    for part, module in zip(part_names(model), model.modules, strict=True):
        for name, parameter in module.named_parameters():
            yield f"{part}.{name}", parameter


class Copies:
    """Copies of the parameters with these names ('part.path.leaf') in a model, until ``remove``."""

    def __init__(self, model: Model, names: Sequence[str], dtype: torch.dtype, trained: bool = True) -> None:
        modules = dict(zip(part_names(model), model.modules, strict=True))
        self._homes: dict[str, tuple[nn.Module, str]] = {}
        self.values: dict[str, Copied] = {}
        for name in names:
            part, _, path = name.partition(".")
            owner_path, _, leaf = path.rpartition(".")
            owner = modules[part].get_submodule(owner_path)
            borrowed = owner._parameters[leaf]
            assert borrowed is not None
            self.values[name] = Copied.of(borrowed, dtype, trained)
            self._homes[name] = (owner, leaf)
        for name, (owner, leaf) in self._homes.items():
            owner._parameters[leaf] = self.values[name]

    def remove(self) -> None:
        """Put the host's current parameters back."""
        for name, (owner, leaf) in self._homes.items():
            owner._parameters[leaf] = self.values[name].borrowed
        self._homes, self.values = {}, {}

    @contextmanager
    def off(self) -> Iterator[None]:
        """Use the borrowed parameters in the context."""
        for name, (owner, leaf) in self._homes.items():
            owner._parameters[leaf] = self.values[name].borrowed
        try:
            yield
        finally:
            for name, (owner, leaf) in self._homes.items():
                owner._parameters[leaf] = self.values[name]

"""What training leaves behind, without training: every parameter has moved a little."""

from __future__ import annotations

from pathlib import Path

import torch

from sdft_ext.method import METHODS
from sdft_ext.method.base import Method
from sdft_ext.model.base import Model
from sdft_ext.recipe import Recipe


@torch.no_grad()
def moved(method: Method, step: float = 0.03, seed: int = 1) -> None:
    draws = torch.Generator().manual_seed(seed)
    for group in method.groups():
        for parameter in group.parameters:
            parameter.add_(torch.randn(parameter.shape, generator=draws) * step)


def lora(model: Model, path: Path, kind: str = "lora", seed: int = 1, rank: int = 4) -> Path:
    """A file of the LoRA family in fp32; the model stays as it was."""
    made, method = Recipe(), METHODS[kind]()
    made.method.name = kind  # type: ignore[assignment]
    made.method.lora.rank, made.method.lora.alpha, made.train.seed = rank, rank / 2, seed
    method.attach(model, made)
    moved(method, seed=seed)
    method.save(path, {"ss_base_model_version": "sd_v1", "ss_tag_frequency": '{"a": 1}'}, "fp32")
    method.detach()
    return path

"""What all steps share: where files go, progress lines, keyed randomness, averages, states, grids of pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from sdft_ext.toy import world
from sdft_ext.toy.world_file import TOY as SHIPPED
from sdft_ext.toy.world_file import World

ROOT = Path(__file__).resolve().parent.parent.parent
TOY = ROOT / "assets" / "toy"
EXAMPLE = ROOT / "assets" / "example"
CLIP_FOLDER = TOY / "clip"
OTHER_POOL = 3072
"""Scenes on which another world's UNet is trained."""


@dataclass(frozen=True)
class Place:
    """A world whose model is made, and where its files go.

    ``work``: pools and states of the trainings, and grids to look at. ``model``, ``examples``: the results. ``pool``:
    how many scenes the UNet is trained on, in ``steps``. ``decay``: of the moving average of its weights.
    """

    of: World
    work: Path
    model: Path = TOY / "toy.safetensors"
    examples: Path = EXAMPLE
    pool: int = 12288
    steps: int = 3400
    decay: float = 0.999

    @property
    def shipped(self) -> bool:
        """Return whether this is the model in ``assets``: its autoencoder is trained too. Others take that over."""
        return self.of is SHIPPED

    @classmethod
    def other(cls, of: World, folder: Path, steps: int) -> Place:
        """Everything of another world in one folder."""
        return cls(of, folder / "work", folder / "model.safetensors", folder / "example", OTHER_POOL, steps, decay=0.99)


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


def generator(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """A generator of its own for each (seed, purpose, number)."""
    return np.random.default_rng([seed, number, *purpose.encode()])


def cosine_rate(step: int, steps: int, peak: float, warmup: int = 200) -> float:
    """Linear warm-up, then half a cosine down to 1 % of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def to_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """[n, 64, 64, 3] uint8 to [n, 3, 64, 64] float32 in -1..1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()


def to_pictures(values: Tensor) -> NDArray[np.uint8]:
    """[n, 3, 64, 64] in -1..1 to [n, 64, 64, 3] uint8."""
    scaled = values.float().clamp(-1, 1).add(1).mul(127.5).round()
    return scaled.permute(0, 2, 3, 1).to(torch.uint8).numpy()


@dataclass
class Average:
    """Exponential moving average of a module's parameters."""

    values: dict[str, Tensor]

    @classmethod
    def of(cls, module: nn.Module) -> Average:
        return cls({k: v.detach().clone() for k, v in module.state_dict().items() if v.is_floating_point()})

    def update(self, module: nn.Module, step: int, decay: float = 0.999) -> None:
        d = min(decay, (1 + step) / (10 + step))
        state = module.state_dict()
        torch._foreach_lerp_(list(self.values.values()), [state[k] for k in self.values], 1 - d)


def save_state(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, average: Average, step: int) -> None:
    """All that a resumed training needs; the file appears whole."""
    state = {
        "model": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average.values,
        "step": step,
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def pool(
    folder: Path, name: str, count: int, make: Callable[[np.random.Generator], world.Picture]
) -> NDArray[np.uint8]:
    """``count`` pictures, drawn once and kept as a file."""
    path = folder / f"{name}.npy"
    if path.exists():
        return np.load(path)
    say(f"drawing {count} pictures")
    pictures = np.stack([make(generator(0, name, i)) for i in range(count)])
    np.save(path, pictures)
    return pictures


def grid(pictures: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    rows = [np.concatenate(list(pictures[i : i + columns]), 1) for i in range(0, len(pictures), columns)]
    return np.concatenate(rows, 0)


def save_grid(path: Path, pictures: NDArray[np.uint8], columns: int = 16) -> None:
    Image.fromarray(grid(pictures, columns)).save(path)

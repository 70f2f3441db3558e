"""Small pictures and recipes for tests."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sdft_ext.recipe import Concept, DatasetRecipe


def image(width: int = 64, height: int = 64, seed: int = 0, mode: str = "RGB") -> Image.Image:
    """Draw smooth noise, different for each seed."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def save(path: Path, picture: Image.Image | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture or image()).save(path, **options)
    return path


def fill(folder: Path, count: int, width: int = 64, height: int = 64, first: int = 0) -> list[Path]:
    """Write ``count`` different pictures."""
    return [save(folder / f"{n:03}.png", image(width, height, first + n)) for n in range(count)]


def recipe(instance: Path | str, regularization: Path | str = "", /, **settings: Any) -> DatasetRecipe:
    """Make a recipe with toy sizes: 64 pixels, steps of 16; one concept unless given."""
    concept = {k[8:]: settings.pop(k) for k in list(settings) if k.startswith("concept_")}
    concepts = settings.pop("concepts", None) or [
        Concept(instance=str(instance), regularization=str(regularization), **concept)
    ]
    toy = {"resolution": 64, "bucket_step": 16, "bucket_min": 32, "bucket_max": 128}
    return DatasetRecipe(concepts=concepts, **{**toy, **settings})


def jpeg(picture: Image.Image, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=95, exif=exif)
    return data.getvalue()


class Cells:
    """A stand-in for a VAE: encodes a picture as the mean of each 8 × 8 cell, and records its batch sizes."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.calls.append(len(pixels))
        cells = torch.nn.functional.avg_pool2d(pixels, 8)
        mean = torch.cat([cells, cells.mean(dim=1, keepdim=True)], dim=1)
        return mean, torch.full_like(mean, 0.25)

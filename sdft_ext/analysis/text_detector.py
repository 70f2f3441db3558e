"""Find text anywhere in a picture: a small convolutional network that says, for each 8 × 8 cell, whether text is there.

It was trained on lettering over photographs and drawn textures by ``make_assets/make_text_detector.py``.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.ndimage import find_objects, label
from torch import Tensor
from torch.nn import functional

FILE = Path(__file__).with_name("text_detector.safetensors")
SIDE = 512
"""Longer side at which text is looked for, in pixels; larger pictures are reduced, smaller ones taken as they are."""
CELL = 8
"""Side of a cell in pixels."""
LAYERS = (
    *((16, 3, 2, 1), (24, 3, 2, 1), (24, 3, 1, 1), (24, 3, 1, 1), (36, 3, 2, 1)),
    *((36, 3, 1, 1), (36, 3, 1, 2), (36, 3, 1, 4), (1, 1, 1, 1)),
)
"""The layers: channels out, side of the kernel, stride, dilation. The strides' product is CELL."""
CHANNELS = 3
AROUND, LEAST_DEVIATION = 5, 6.0
"""The square in which pixels are normalized, in cells, and what is added to the deviation (of 255)."""
LIKELY = 0.5
"""Least probability of a cell that belongs to a text."""
LETTERS = 6
"""Cells by which a text is judged: those that are most likely text."""


@lru_cache(maxsize=1)
def weights(file: Path = FILE) -> list[tuple[Tensor, Tensor]]:
    """Return the weight and the bias of each layer, float32."""
    stored = load_file(file)
    return [(stored[f"{n}.weight"].float(), stored[f"{n}.bias"].float()) for n in range(len(LAYERS))]


def normalized(pixels: Tensor) -> Tensor:
    """Return pixels less the mean around each, over the deviation there, so that faint text stands out as any other.

    ``pixels``: RGB from 0 to 255, [n, 3, height, width]. Around: a square of about AROUND cells a side.
    """
    size = pixels.shape[2:]
    small = functional.avg_pool2d(pixels, CELL, ceil_mode=True, count_include_pad=False)
    mean = functional.interpolate(_smooth(small), size, mode="bilinear", align_corners=False)
    offset = pixels - mean
    spread = functional.avg_pool2d((offset**2).mean(1, keepdim=True), CELL, ceil_mode=True, count_include_pad=False)
    deviation = functional.interpolate(_smooth(spread), size, mode="bilinear", align_corners=False).sqrt()
    return offset / (deviation + LEAST_DEVIATION)


def _smooth(values: Tensor) -> Tensor:
    return functional.avg_pool2d(values, AROUND, 1, AROUND // 2, count_include_pad=False)


def logits(pixels: Tensor, layers: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the logits of text in each cell, [n, height / 8, width / 8].

    ``pixels``: as ``normalized`` returns them; ``layers``: as ``weights`` returns them.
    """
    values = pixels
    for number, ((_, kernel, stride, dilation), (weight, bias)) in enumerate(zip(LAYERS, layers, strict=True)):
        padding = kernel // 2 * dilation
        values = functional.conv2d(values, weight, bias, stride, padding, dilation)
        if number + 1 < len(LAYERS):
            values = functional.relu(values)
    return values[:, 0]


def cells(picture: Any, layers: list[tuple[Tensor, Tensor]] | None = None) -> np.ndarray:
    """Return the probability of text in each cell of a picture (PIL, RGB), float32 [rows, columns]."""
    scale = SIDE / max(picture.size)
    if scale < 1:
        size = tuple(max(round(side * scale), 1) for side in picture.size)
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        found: np.ndarray = logits(normalized(pixels), layers or weights())[0].sigmoid().numpy()
    return found


def find_text(picture: Any) -> np.ndarray:
    """Return how certain the clearest text of a picture (PIL, RGB) is, and its left, top, right and bottom as shares of
    the sides: float32 [5], 0 where there is none.

    Certainty is the mean of the highest LETTERS logits among connected cells, so that a single cell isn't a text.
    """
    return clearest(cells(picture))


def clearest(found: np.ndarray) -> np.ndarray:
    """Return the certainty and the place of the clearest text among cells, as ``find_text`` does."""
    likely = np.clip(found, 1e-4, 1 - 1e-4)
    odds = np.log(likely / (1 - likely))
    regions, _ = label(found > LIKELY, np.ones((3, 3)))
    best = np.zeros(5, np.float32)
    for number, (down, across) in enumerate(find_objects(regions), 1):
        inside = odds[down, across][regions[down, across] == number]
        certain = float(np.sort(inside)[-LETTERS:].sum()) / LETTERS
        if certain > best[0]:
            rows, columns = found.shape
            box = across.start / columns, down.start / rows, across.stop / columns, down.stop / rows
            best = np.array([certain, *box], np.float32)
    return best

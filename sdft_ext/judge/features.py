"""What the base model's own UNet sees in pictures: a row of numbers for each, alike for pictures that show alike.

Activations of a diffusion model at little noise say what a picture shows and where (Tang et al. 2023, "Emergent
correspondence from image diffusion"). Of a block's output, each channel's mean, spread and strongest part are kept, so
that pictures of any size give rows of one length. Nothing is downloaded, and nothing is trained in the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from ..model.base import Flags, Model, predict
from ..model.text import encode
from ..model.vae import encode_pictures
from ..randomness import generator

Rows: TypeAlias = NDArray[np.float32]
"""[pictures, numbers]."""
SIDE = 16
"""Places along each side of a picture's coarse grid."""
STEP = 64
"""Sides of pictures are cut to multiples of this many pixels: the UNet halves the latents up to three times."""


@dataclass(frozen=True)
class Layers:
    """Where features are taken: the outputs of two up blocks of the UNet, at timesteps of little noise."""

    up_block: int
    details: int
    """The up block whose features tell styles."""
    timesteps: tuple[int, ...]
    draws: int
    """Draws of noise at each timestep, whose features are averaged."""
    strongest: float
    """Share of a block's places whose mean is a channel's strongest part."""


LAYERS = Layers(1, -1, (20, 60, 120), 2, 0.05)
"""Chosen on the tuning concepts of ``bench judge``. There the second block tells subjects, but no styles; with the last
block, styles are told from plain pictures, but one new subject is taken for another."""


class Seen(NamedTuple):
    """What the model sees in pictures: ``rows`` and ``details`` [pictures, numbers], of the two blocks; and their
    latents as coarse grids ``places`` [pictures, C * SIDE * SIDE], which say what is where.
    """

    rows: Rows
    details: Rows
    places: Rows


def features(model: Model, pictures: Sequence[Image.Image], layers: Layers = LAYERS) -> Rows:
    """Return only the rows of ``see``."""
    return see(model, pictures, layers).rows


@torch.no_grad()
def see(model: Model, pictures: Sequence[Image.Image], layers: Layers = LAYERS) -> Seen:
    """Describe RGB pictures by the model as it is, which must be the untrained base.

    Pictures may differ in size; their right and lower edges are cut to multiples of ``STEP`` pixels. Raises ModelError
    where the VAE overflows.
    """
    pixels = [_pixels(picture) for picture in pictures]
    found: dict[int, tuple[Rows, ...]] = {}
    blocks = [model.unet.up_blocks[layers.up_block], model.unet.up_blocks[layers.details]]
    with evaluating(model), _outputs(blocks) as outputs:
        for shape in dict.fromkeys(one.shape for one in pixels):
            alike = [number for number, one in enumerate(pixels) if one.shape == shape]
            seen = _seen(model, torch.stack([pixels[number] for number in alike]), layers, outputs)
            found |= dict(zip(alike, zip(*seen, strict=True), strict=True))
    return Seen(*(np.stack([found[number][part] for number in range(len(pictures))]) for part in range(3)))


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Put the model's modules into evaluation mode; their flags are restored at the end."""
    flags = Flags(model.modules)
    for module in model.modules:
        module.eval()
    try:
        yield
    finally:
        flags.restore()


@contextmanager
def _outputs(blocks: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Collect the blocks' outputs [B, C, h, w] as they are computed."""
    found: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        found.append((output[0] if isinstance(output, tuple) else output).float())

    handles = [block.register_forward_hook(keep) for block in blocks]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _pixels(picture: Image.Image) -> Tensor:
    """Return a picture as [3, H, W] from -1 to 1, cut to multiples of ``STEP`` pixels."""
    values = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32))
    height, width = (max(side // STEP * STEP, min(side, STEP)) for side in values.shape[:2])
    return values[:height, :width].permute(2, 0, 1) / 127.5 - 1


def _seen(model: Model, pixels: Tensor, layers: Layers, outputs: list[Tensor]) -> Seen:
    """Describe pictures [B, 3, H, W]: the statistics of each timestep, averaged over the draws of noise, which are the
    same for every picture; and their latents.
    """
    latents = encode_pictures(model, pixels)[0]
    count, (height, width) = len(pixels), pixels.shape[2:]
    empty = encode(model, [""]).to(model.device, model.dtype).rows([0] * count)
    time_ids = torch.tensor([[height, width, 0, 0, height, width]], device=model.device).expand(count, -1)
    found: list[list[Tensor]] = []
    for timestep in layers.timesteps:
        kept = float(model.alphas_cumprod[timestep])
        times = torch.full((count,), timestep, device=model.device)
        draws = []
        for draw in range(layers.draws):
            noise = torch.randn(latents.shape[1:], generator=generator(0, "judge", timestep, draw)).to(latents.device)
            noisy = kept**0.5 * latents + (1 - kept) ** 0.5 * noise
            predict(model, noisy.to(model.dtype), times, empty, time_ids)
            draws.append([_statistics(output, layers.strongest) for output in outputs])
            outputs.clear()
        found.append([torch.stack(some).mean(0) for some in zip(*draws, strict=True)])
    places = adaptive_avg_pool2d(latents.float(), SIDE).flatten(1)
    rows, details = (torch.cat(some, dim=1).cpu().numpy() for some in zip(*found, strict=True))
    return Seen(rows, details, places.cpu().numpy())


def _statistics(output: Tensor, strongest: float) -> Tensor:
    """Return each channel's mean, standard deviation and strongest part over the places of [B, C, h, w]: [B, 3 C]."""
    places = output.flatten(2)
    top = places.topk(max(round(places.shape[2] * strongest), 1), dim=2).values
    return torch.cat([places.mean(2), places.std(2), top.mean(2)], dim=1)

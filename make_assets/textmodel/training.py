"""Train the text detector on drawn samples."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from sdft_ext.analysis.text_detector import CHANNELS, LAYERS, normalized, weights
from sdft_ext.randomness import forked

from . import lettering, samples

BACKGROUNDS, TEXTS = 1_000, 1_000
"""Drawn once a cycle; each sample is another pair of them."""
STEPS, BATCH = 400, 16
"""Steps of a cycle, in which the learning rate rises and falls, and pictures in each."""
RATES = 6e-3, 4e-3
"""Highest learning rate of the first cycle and of the others."""
TEXT_WEIGHT = 2.0
"""How much a cell with text counts; there are about ten times as many without."""


def network() -> nn.Sequential:
    """Return the network with a norm after each layer but the last, which ``folded`` takes into the weights."""
    parts: list[nn.Module] = []
    channels = CHANNELS
    for number, (out, kernel, stride, dilation) in enumerate(LAYERS):
        last = number + 1 == len(LAYERS)
        parts.append(nn.Conv2d(channels, out, kernel, stride, kernel // 2 * dilation, dilation, bias=last))
        if not last:
            parts += [nn.BatchNorm2d(out), nn.ReLU()]
        channels = out
    return nn.Sequential(*parts)


def folded(net: nn.Sequential) -> list[tuple[Tensor, Tensor]]:
    """Return the weight and the bias of each layer, with the norm after it multiplied in."""
    layers = []
    modules = list(net)
    for number, module in enumerate(modules):
        if not isinstance(module, nn.Conv2d):
            continue
        norm = modules[number + 1] if number + 1 < len(modules) else None
        weight = module.weight.detach()
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None and norm.running_var is not None
            scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
            layers.append((weight * scale[:, None, None, None], norm.bias.detach() - norm.running_mean * scale))
        else:
            assert module.bias is not None
            layers.append((weight, module.bias.detach()))
    return layers


def loss_of(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean cross-entropy of the cells that count."""
    each = functional.binary_cross_entropy_with_logits(logits, (target == 1).float(), reduction="none")
    weight = torch.where(target == 1, TEXT_WEIGHT, 1.0) * (target != samples.IGNORED)
    return (each * weight).sum() / weight.sum()


def unfolded(layers: Sequence[tuple[Tensor, Tensor]], pixels: Tensor) -> nn.Sequential:
    """Return the network that ``folded`` made ``layers`` of, with the norms that it has on these pixels."""
    net = network()
    modules = list(net)
    pending = list(layers)
    values = pixels
    with torch.no_grad():
        for number, module in enumerate(modules):
            if isinstance(module, nn.Conv2d):
                weight, bias = pending.pop(0)
                module.weight.copy_(weight)
                norm = modules[number + 1] if pending else None
                if isinstance(norm, nn.BatchNorm2d):
                    variance, mean = torch.var_mean(module(values), (0, 2, 3), correction=0)
                    norm.weight.copy_((variance + norm.eps).sqrt())
                    norm.bias.copy_(mean + bias)
                elif module.bias is not None:
                    module.bias.copy_(bias)
            values = module(values)
    return net


def train(faces: Sequence[Path], photographs: Path, file: Path, cycle: int) -> None:
    """Train for one cycle and write ``file``: a new network in cycle 0, else the one that is in the file.

    ``faces``: fonts; ``photographs``: a folder.
    """
    rng = np.random.default_rng(cycle)
    photos = samples.photographs(photographs)
    grounds = [samples.background(photos, rng) for _ in range(BACKGROUNDS)]
    stamps = [lettering.stamp(faces, rng) for _ in range(TEXTS)]
    with forked(cycle, "text detector"):
        if cycle == 0:
            net = network()
        else:
            pixels, _ = batch(grounds, stamps, 4 * BATCH, rng)
            net = unfolded(weights(file), pixels)
        fit(net.to(memory_format=torch.channels_last), grounds, stamps, RATES[min(cycle, 1)], rng)
    write(folded(net), file)


def batch(
    grounds: Sequence[Any], stamps: Sequence[lettering.Stamp], count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return the pixels, normalized, and the cells of some samples."""
    chosen = [samples.sample(grounds, stamps, rng) for _ in range(count)]
    pixels = torch.from_numpy(np.stack([picture for picture, _ in chosen])).permute(0, 3, 1, 2).float()
    return normalized(pixels), torch.from_numpy(np.stack([cells for _, cells in chosen]))


def fit(
    net: nn.Sequential,
    grounds: Sequence[Any],
    stamps: Sequence[lettering.Stamp],
    rate: float,
    rng: np.random.Generator,
) -> None:
    """Train the network for a cycle."""
    optimizer = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=STEPS, pct_start=0.1)
    started, total = time.process_time(), 0.0
    for step in range(1, STEPS + 1):
        pixels, target = batch(grounds, stamps, BATCH, rng)
        loss = loss_of(net(pixels)[:, 0], target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
        if step % 100 == 0:
            print(f"step {step}: loss {total / 100:.4f}, {time.process_time() - started:.0f} s", flush=True)
            total = 0.0


def write(layers: Sequence[tuple[Tensor, Tensor]], file: Path) -> None:
    """Write the layers in float16, so that the file stays small."""
    stored = {
        f"{number}.{name}": values.half().contiguous()
        for number, pair in enumerate(layers)
        for name, values in zip(("weight", "bias"), pair, strict=True)
    }
    save_file(stored, file)

"""python -m bench step [--device cuda] [--json FILE]: one training step of this project against a bare loop.

Both use the same UNet, peft adapters, latents and text. The bare loop is a minimal one in diffusers and torch: noise,
forward, mean squared error, backward, clip, AdamW. The two alternate step by step in one process; the result is the
median of the paired ratios with its 95 % interval (order statistics). Peak memory is measured in a process for each.
No file is needed: the weights are random. On a GPU they are in half precision, as in a WebUI, and both compute in fp16
with a scaled loss; memory is the most that torch allocated. ``--methods`` compares every method instead: see
``step_methods``.
"""

from __future__ import annotations

import argparse
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from sdft_ext.dataset.batches import Batch
from sdft_ext.formats.family import Family
from sdft_ext.method.lora import LoraMethod
from sdft_ext.model.base import Conditioning, Model, clean_alphas_cumprod
from sdft_ext.recipe import Recipe
from sdft_ext.train.loop import Encoders, Loop

from .table import show

THREADS = 2
SIDES = {"toy": 64, "sd15": 256}
"""Side of the picture in pixels."""
BATCHES = {"toy": 4, "sd15": 1}
PAIRS = {"toy": 60, "sd15": 30}
ON_GPU = (512, 2, 60)
"""On a GPU: side in pixels, batch size and pairs."""
SD15 = {
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
TOY = {
    "block_out_channels": (64, 128, 128),
    "down_block_types": ("CrossAttnDownBlock2D",) * 2 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 2,
    "cross_attention_dim": 64,
    "attention_head_dim": 4,
}
CONFIGS: dict[str, dict[str, Any]] = {"toy": TOY, "sd15": SD15}


class FixedBatch:
    """Returns the same batch for every step."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def at(self, step: int, micro: int) -> Batch:
        return self.batch


def random_batch(count: int, channels: int, side: int, caption: str = "") -> Batch:
    """Make a batch of random latents [count, channels, side, side]."""
    return Batch(
        latents=torch.randn(count, channels, side, side),
        captions=[caption] * count,
        weight=torch.ones(count),
        mask=None,
        regularization=torch.zeros(count, dtype=torch.bool),
        time_ids=torch.zeros(count, 6),
        pictures=list(range(count)),
    )


def make(size: str, device: str) -> tuple[Model, LoraMethod, Recipe, Batch, Conditioning]:
    """Make a model of this size with random weights, a LoRA attached to it, its recipe, a batch and its text."""
    from diffusers import UNet2DConditionModel

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    config = {"in_channels": 4, "out_channels": 4, "layers_per_block": 2, **CONFIGS[size]}
    unet = UNet2DConditionModel(**config).requires_grad_(False)
    gpu = device != "cpu"
    if gpu:
        unet.to(device).half()
    vae = {"latent_channels": 4}
    family = Family("sd1", "epsilon", False, config, vae, (), (), 0.18215)
    model = Model(family, unet, torch.nn.Identity(), [], [], clean_alphas_cumprod())
    recipe = Recipe()
    recipe.method.text_encoder = False
    side, count = (ON_GPU[0], ON_GPU[1]) if gpu else (SIDES[size], BATCHES[size])
    recipe.train.batch_size, recipe.train.length = count, 10_000
    recipe.train.precision = "fp16" if gpu else "fp32"
    method = LoraMethod()
    method.attach(model, recipe)
    unet.train()
    batch = random_batch(count, 4, side // 8)
    text = Conditioning(torch.randn(count, 77, config["cross_attention_dim"])).to(model.device, model.dtype)
    return model, method, recipe, batch, text


def project_step(_size: str, parts: Any) -> Callable[[int], None]:
    model, method, recipe, batch, text = parts
    encoders = Encoders(lambda _: text, lambda _: text)
    loop = Loop(recipe, model, method, FixedBatch(batch), recipe.train.length, encoders)

    def step(number: int) -> None:
        loop.step(number)

    return step


def bare_step(_size: str, parts: Any) -> Callable[[int], None]:
    """Make the same step without this project's training code."""
    from diffusers import DDPMScheduler

    model, _, recipe, batch, text = parts
    parameters = [parameter for parameter in model.unet.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.01, fused=True)
    scheduler = DDPMScheduler(1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    device = model.device
    latents, context = batch.latents.to(device), text.context
    scaler: Any = torch.amp.GradScaler(device.type, enabled=device.type != "cpu")

    def step(_number: int) -> None:
        noise = torch.randn_like(latents)
        timesteps = torch.randint(0, 1000, (len(latents),), device=device)
        noisy = scheduler.add_noise(latents, noise, timesteps)
        with torch.autocast(device.type, torch.float16, enabled=device.type != "cpu"):
            answer = model.unet(noisy, timesteps, context, return_dict=False)[0]
        loss = torch.nn.functional.mse_loss(answer.float(), noise)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        loss.item()

    return step


def ratios(size: str, pairs: int, device: str) -> tuple[list[float], float]:
    """Measure each pair's ratio project ÷ bare, alternating which begins, and the project's median seconds."""
    parts = make(size, device)
    both = [bare_step(size, parts), project_step(size, parts)]
    for step in both:
        step(0)
        step(1)
    found, own = [], []
    for pair in range(pairs):
        seconds = [0.0, 0.0]
        for which in (0, 1) if pair % 2 else (1, 0):
            start = time.perf_counter()
            both[which](pair + 2)
            seconds[which] = time.perf_counter() - start
        found.append(seconds[1] / seconds[0])
        own.append(seconds[1])
        print(f"\r{size}: pair {pair + 1} of {pairs}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found, statistics.median(own)


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median and its 95 % interval, from the order statistics (binomial)."""
    ordered, n = sorted(values), len(values)
    rank = max(0, math.floor(n / 2 - 1.96 * math.sqrt(n) / 2))
    return statistics.median(ordered), ordered[rank], ordered[n - 1 - rank]


def peak_memory(size: str, which: str, device: str) -> float:
    """Measure the peak megabytes of a process that takes three steps: resident memory, or what torch allocated on a
    GPU.
    """
    command = [sys.executable, "-m", "bench.step", "--peak", which, "--size", size, "--device", device]
    output = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent
    ).stdout
    return float(output.split()[-1])


def peak(size: str, which: str, device: str) -> None:
    step = {"bare": bare_step, "project": project_step}[which](size, make(size, device))
    for number in range(3):
        step(number)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(resident if device == "cpu" else torch.cuda.max_memory_allocated() / 2**20)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench step", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument(
        "--size",
        choices=("toy", "thin", "sd15"),
        action="append",
        help="default: toy and sd15; with --methods toy and thin",
    )
    parser.add_argument("--methods", help="compare methods by CPU time: 'all', or names with commas between")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: cpu")
    parser.add_argument("--pairs", type=int, help=f"steps of each; default: {PAIRS}, fewer with --methods")
    parser.add_argument("--peak", choices=("bare", "project"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.methods:
        from . import step_methods

        return step_methods.run(options.methods, options.size or (), options.pairs, options.json)
    sizes = options.size or list(SIDES)
    if "thin" in sizes:
        parser.error("--size thin is for --methods")
    if options.peak:
        peak(sizes[0], options.peak, options.device)
        return 0
    figures: list[dict[str, Any]] = []
    for size in sizes:
        pairs = options.pairs or (PAIRS[size] if options.device == "cpu" else ON_GPU[2])
        found, seconds = ratios(size, pairs, options.device)
        middle, low, high = interval(found)
        memory = [peak_memory(size, which, options.device) for which in ("bare", "project")]
        figures.append(
            {
                "size": size,
                "device": options.device,
                "seconds": round(seconds, 4),
                "time_ratio": round(middle, 4),
                "time_ratio_low": round(low, 4),
                "time_ratio_high": round(high, 4),
                "memory_ratio": round(memory[1] / memory[0], 4),
                "memory_mb": [round(value) for value in memory],
                "pairs": pairs,
                "threads": THREADS,
            }
        )
    header = ["size", "seconds", "time ratio", "low", "high", "memory ratio"]
    names = ("size", "seconds", "time_ratio", "time_ratio_low", "time_ratio_high", "memory_ratio")
    rows = [[f[name] for name in names] for f in figures]
    show(header, rows, {"step": figures}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Draw pictures from prompts with DDIM. The same prompt, seed and settings give the same picture in any batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from .base import Conditioning, Flags, Model, predict
from .text import chunk_count, encode
from .vae import decode


@dataclass(frozen=True)
class SamplerSettings:
    """Settings for drawing. Sides in pixels, multiples of 8. ``guidance``: the scale of classifier-free guidance (Ho
    2022); at 1 or less, the negative prompt is ignored.
    """

    negative: str = ""
    steps: int = 20
    guidance: float = 7.0
    width: int = 512
    height: int = 512
    clip_skip: int = 1


def sample(
    model: Model,
    prompts: Sequence[str],
    seeds: Sequence[int],
    settings: SamplerSettings,
    *,
    batch: int = 16,
    progress: Callable[[int, int], None] | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[Image.Image]:
    """Draw one picture for each prompt and seed.

    Each picture's initial noise is drawn from its own seed on the CPU. Each prompt is encoded once; a long one doesn't
    pad others. ``check`` is called before each step of the sampler: what it raises ends the drawing. Raises ValueError
    unless there are as many seeds as prompts.
    """
    negative, clip_skip = settings.negative, settings.clip_skip
    if len(seeds) != len(prompts):
        raise ValueError(f"{len(prompts)} prompts need as many seeds, not {len(seeds)}.")
    flags = Flags(model.modules)
    pictures: dict[int, Image.Image] = {}
    try:
        for module in model.modules:
            module.eval()
        with torch.no_grad():
            for length, numbers in _by_length(model, prompts, negative).items():
                encoded = _encode([*(prompts[i] for i in numbers), negative], model, clip_skip, length, batch)
                for start in range(0, len(numbers), batch):
                    part = numbers[start : start + batch]
                    conditioning = Conditioning.cat(
                        [encoded[prompt] for prompt in [*(prompts[i] for i in part), negative]]
                    )
                    drawn = [initial_noise(model, seeds[i], settings.width, settings.height) for i in part]
                    noise = torch.stack(drawn).to(model.device)
                    guided = [prompts[i] != negative for i in part]
                    latents = ddim(model, noise, conditioning, settings, guided, check)
                    pictures |= dict(zip(part, map(to_picture, decode(model, latents)), strict=True))
                    if progress is not None:
                        progress(len(pictures), len(prompts))
    finally:
        flags.restore()
    return [pictures[number] for number in range(len(prompts))]


def _by_length(model: Model, prompts: Sequence[str], negative: str) -> dict[int, list[int]]:
    """Group prompts by the number of chunks that they and the negative prompt need."""
    least = chunk_count(model, negative)
    counts = {prompt: max(chunk_count(model, prompt), least) for prompt in dict.fromkeys(prompts)}
    found: dict[int, list[int]] = defaultdict(list)
    for number, prompt in enumerate(prompts):
        found[counts[prompt]].append(number)
    return found


def _encode(prompts: Sequence[str], model: Model, clip_skip: int, length: int, batch: int) -> dict[str, Conditioning]:
    """Encode each different prompt into one row of conditioning, ``batch`` prompts at a time."""
    unique = list(dict.fromkeys(prompts))
    rows: dict[str, Conditioning] = {}
    for start in range(0, len(unique), batch):
        part = unique[start : start + batch]
        encoded = encode(model, part, clip_skip, length).to(model.device, model.dtype)
        rows |= {prompt: encoded.rows([number]) for number, prompt in enumerate(part)}
    return rows


def initial_noise(model: Model, seed: int, width: int, height: int) -> Tensor:
    """Draw the standard normal noise [C, h, w] of one picture."""
    shape = (model.family.vae["latent_channels"], height // 8, width // 8)
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))


def ddim(
    model: Model,
    noise: Tensor,
    conditioning: Conditioning,
    settings: SamplerSettings,
    guided: Sequence[bool],
    check: Callable[[], None] = lambda: None,
) -> Tensor:
    """Denoise [B, C, h, w] with DDIM, η = 0 (Song 2021, eq. 12); the last row of ``conditioning`` is the negative
    prompt.

    ``guided``: for each picture, whether its prompt differs from the negative one. Guidance leads a picture away from
    the negative prompt's; where the two are the same, the model is asked once, not twice.

    Timesteps are spaced as in Stable Diffusion's own sampler ('leading', offset 1); with zero-terminal SNR they are
    'trailing', so that the first one is pure noise (Lin 2023 §3.3).
    """
    steps, guidance = settings.steps, settings.guidance
    alphas = model.alphas_cumprod
    if model.family.zero_terminal_snr:
        alphas = _zero_terminal(alphas)
        times = [round(1000 - i * 1000 / steps) - 1 for i in range(steps)]
        following = [*times[1:], -1]
    else:
        times = [min(i * (1000 // steps) + 1, 999) for i in reversed(range(steps))]
        following = [time - 1000 // steps for time in times]
    count = len(noise)
    found = [row for row in range(count) if guided[row] and guidance > 1.0]
    led = torch.tensor(found, dtype=torch.long).to(noise.device)
    rows = [*range(count), *[count] * len(found)]
    conditioning = conditioning.rows(rows)
    size = [settings.height, settings.width]
    time_ids = torch.tensor([[*size, 0, 0, *size]], device=noise.device).expand(len(rows), -1)
    latents = noise.float()
    for time, after in zip(times, following, strict=True):
        check()
        doubled = torch.cat([latents, latents.index_select(0, led)])
        timestep = torch.full((len(rows),), time, device=noise.device)
        answer = predict(model, doubled.to(model.dtype), timestep, conditioning, time_ids).float()
        answer, without = answer[:count], answer[count:]
        answer = answer.index_copy(0, led, without + guidance * (answer.index_select(0, led) - without))
        a, b = float(alphas[time]), float(alphas[max(after, 0)])
        if model.family.prediction == "v_prediction":
            clean = a**0.5 * latents - (1 - a) ** 0.5 * answer
            noise_part = a**0.5 * answer + (1 - a) ** 0.5 * latents
        else:
            clean = (latents - (1 - a) ** 0.5 * answer) / a**0.5
            noise_part = answer
        latents = b**0.5 * clean + (1 - b) ** 0.5 * noise_part
    return latents


def drawn_at_once(side: int) -> int:
    """Return how many pictures of ``side`` × ``side`` are drawn in one turn: 4 of 512 × 512, 16 (the most) of 256 ×
    256.
    """
    return min(max(4 * 512 * 512 // side**2, 1), 16)


def to_picture(pixels: Tensor) -> Image.Image:
    """Convert pixels [3, H, W] in [-1, 1] to an RGB picture."""
    values = ((pixels + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(values.permute(1, 2, 0).cpu().numpy())


def _zero_terminal(alphas: Tensor) -> Tensor:
    """Rescale ᾱ so that the last value is 0 (Lin 2023, algorithm 1)."""
    root = alphas.sqrt()
    first, last = root[0].clone(), root[-1].clone()
    return ((root - last) * first / (first - last)) ** 2

"""The autoencoder (VAE): factor 8, four latent channels, trained on general pictures."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from numpy.typing import NDArray
from torch import Tensor, nn

from make_assets.toymodel.common import (
    Average,
    Place,
    cosine_rate,
    generator,
    pool,
    save_state,
    say,
    to_pictures,
    to_tensor,
)
from make_assets.toymodel.known import known_pool
from sdft_ext.toy import general_pictures, world

POOL = 12288
STEPS = 3200
BATCH = 8
RATE = 1.5e-3
KL = 3e-4
WIDTHS = (64, 64, 64, 128)
"""At full resolution 64, not 32: LDM's norms have 32 groups, and a norm over one channel forgets its level (colour)."""
SCALE = 0.18215
"""Stable Diffusion 1.x's factor between the autoencoder's latents and those the UNet sees."""


def new_vae() -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=WIDTHS,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=32,
        sample_size=world.SIZE,
        scaling_factor=SCALE,
    )


@torch.no_grad()
def carry_through(vae: AutoencoderKL, seed: int = 0) -> None:
    """Initialises the autoencoder so that every block passes its input on.

    Residual branches start near zero, resampling and widening convolutions at (randomly weighted) averages of the same
    channel, three latents at red, green and blue. The first pictures are coloured thumbnails, and edges are learned
    from there; with the usual random initialisation thousands of steps learn brightness only.
    """
    chance = torch.Generator().manual_seed(seed)

    def identity(conv: nn.Conv2d, taps: int) -> None:
        """Output channel ``o`` copies input channel ``o mod n``: its middle tap, or shares of the first ``taps``²."""
        conv.weight.mul_(0.3)
        out_channels, in_channels, size, _ = conv.weight.shape
        for o in range(out_channels):
            if taps == 1:
                conv.weight[o, o % in_channels, size // 2, size // 2] += 1.0
            else:
                share = torch.rand(taps, taps, generator=chance) ** 2
                conv.weight[o, o % in_channels, :taps, :taps] += share / share.sum()

    for module in vae.modules():
        if isinstance(module, ResnetBlock2D):
            module.conv2.weight.mul_(0.05)
            module.conv2.bias.zero_()
            if module.conv_shortcut is not None:
                identity(module.conv_shortcut, 1)
        elif isinstance(module, Downsample2D):
            identity(module.conv, 2)
        elif isinstance(module, Upsample2D):
            identity(module.conv, 1)
        elif isinstance(module, Attention):
            module.to_out[0].weight.mul_(0.05)

    def wire(conv: nn.Conv2d, wires: Iterable[tuple[int, int, float]]) -> None:
        """Adds (output, input, weight) wires to the middle tap of a convolution that is weakened first."""
        conv.weight.mul_(0.3)
        middle = conv.weight.shape[-1] // 2
        for o, i, weight in wires:
            conv.weight[o, i, middle, middle] += weight

    # Encoder: channels red, green, blue, constant, and again; latents 0 to 2 start as red, green and blue.
    first, last, wide = vae.encoder.conv_in, vae.encoder.conv_out, WIDTHS[-1]
    wire(first, [(o, o % 4, 1.0) for o in range(WIDTHS[0]) if o % 4 < 3])
    first.bias[3::4] += 1.0
    wire(last, [(o % 4, o, 8.0 / wide) for o in range(wide) if o % 4 < 3])
    wire(vae.quant_conv, [(i, i, 1.0) for i in range(4)])
    vae.quant_conv.bias[4:] = -4.0  # little noise to begin with
    # Decoder: every even channel starts as a latent, every odd one as the constant its norm is measured against.
    wire(vae.post_quant_conv, [(i, i, 1.0) for i in range(4)])
    wire(vae.decoder.conv_in, [(o, o // 2 % 4, 1.0) for o in range(0, wide, 2)])
    vae.decoder.conv_in.bias[1::2] += 2.0
    wire(vae.decoder.conv_out, [(o // 2 % 4, o, 8.0 / WIDTHS[0]) for o in range(0, WIDTHS[0], 2) if o // 2 % 4 < 3])


def augment(pictures: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Flips half of the time, and swaps colour channels in a quarter of the pictures: more hues from one pool."""
    out = pictures.copy()
    for i in range(len(out)):
        if rng.random() < 0.5:
            out[i] = out[i][:, ::-1]
        if rng.random() < 0.25:
            out[i] = out[i][..., rng.permutation(3)]
    return out


def train_vae(place: Place, steps: int = STEPS) -> None:
    """The autoencoder on general pictures: L1 + squared error + a small KL term, moving average kept."""
    pictures = pool(place.work, "vae_pool", POOL, general_pictures.general_picture)
    torch.manual_seed(0)
    vae = new_vae().train()
    carry_through(vae)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    average = Average.of(vae)
    state_path = place.work / "vae_state.pt"
    first = 0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        vae.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        average.values = state["average"]
        first = state["step"]
    say(f"vae: {sum(p.numel() for p in vae.parameters()) / 1e6:.2f} M parameters, step {first} of {steps}")
    began, shown = time.time(), 0.0
    for step in range(first, steps):
        rng = generator(0, "vae_step", step)
        batch = to_tensor(augment(pictures[rng.integers(0, len(pictures), BATCH)], rng))
        noise = torch.from_numpy(rng.standard_normal((BATCH, 4, 8, 8), dtype=np.float32))
        posterior = vae.encode(batch).latent_dist
        decoded = vae.decode(posterior.mean + posterior.std * noise).sample
        difference = decoded - batch
        l1 = difference.abs().mean()
        kl = 0.5 * (posterior.mean**2 + posterior.var - 1 - posterior.logvar).mean()
        chroma = (difference - difference.mean(dim=1, keepdim=True)).abs().mean()
        level = nn.functional.avg_pool2d(difference, 8).abs().mean()
        level_weight = 2.0 if step < 900 else 0.5  # colours first, then edges
        loss = l1 + difference.square().mean() + 0.5 * chroma + level_weight * level + KL * kl
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = cosine_rate(step, steps, RATE)
        optimizer.step()
        average.update(vae, step)
        shown = l1.item() if shown == 0 else 0.98 * shown + 0.02 * l1.item()
        done = step + 1
        if done % 100 == 0 or done == steps:
            pace = (time.time() - began) / (done - first)
            losses = f"l1 {shown:.4f} chroma {chroma.item():.4f} level {level.item():.4f} kl {kl.item():.2f}"
            say(f"vae {done}/{steps} {losses} {pace:.3f} s/step, {pace * (steps - done) / 60:.1f} min left")
        if done % 300 == 0 or done == steps:
            save_state(state_path, vae, optimizer, average, done)


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: NDArray[np.uint8], batch: int = 64) -> Tensor:
    """Scaled posterior means [n, 4, 8, 8]."""
    parts = [vae.encode(to_tensor(pictures[i : i + batch])).latent_dist.mean for i in range(0, len(pictures), batch)]
    return torch.cat(parts) * SCALE


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: Tensor, batch: int = 32) -> NDArray[np.uint8]:
    """Pictures [n, 64, 64, 3] of scaled latents."""
    parts = [to_pictures(vae.decode(part / SCALE).sample) for part in latents.split(batch)]
    return np.concatenate(parts)


@torch.no_grad()
def rescale_latents(vae: AutoencoderKL, pictures: NDArray[np.uint8]) -> None:
    """Makes scaled latents of the known world have mean 0 and deviation 1 in each channel, by the 1×1 convolutions."""
    latents = encode(vae, pictures) / SCALE
    mean = latents.mean(dim=(0, 2, 3))
    gain = 1 / (SCALE * latents.std(dim=(0, 2, 3)))
    vae.post_quant_conv.bias += (vae.post_quant_conv.weight[:, :, 0, 0] * mean).sum(dim=1)
    vae.post_quant_conv.weight /= gain[None, :, None, None]
    vae.quant_conv.weight[:4] *= gain[:, None, None, None]
    vae.quant_conv.bias[:4] = (vae.quant_conv.bias[:4] - mean) * gain
    vae.quant_conv.bias[4:] += 2 * gain.log()


def load_vae(place: Place) -> AutoencoderKL:
    """The trained autoencoder (moving average, latents rescaled)."""
    vae = new_vae().eval()
    vae.load_state_dict(torch.load(place.work / "vae_state.pt", weights_only=True)["average"])
    rescale_latents(vae, known_pool(place)[:1024])
    return vae

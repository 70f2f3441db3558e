"""UNet and text encoder: built, trained together on the known world, and sampled from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from make_assets.toymodel.autoencoder import decode, encode
from make_assets.toymodel.clip_files import TEXT_WIDTH, text_settings
from make_assets.toymodel.common import CLIP_FOLDER, Average, Place, cosine_rate, generator, save_state, say
from make_assets.toymodel.known import known_pool, known_scene
from sdft_ext.toy import world

BATCH = 64
RATE = 1e-3
WIDTHS = (64, 64, 128)
HEADS = 4
TEXT_MEAN = 0.4
"""Bias of the text encoder's last norm: the WebUI divides by the output's mean, which must not be 0."""


def new_text_encoder() -> CLIPTextModel:
    """A two-layer CLIP text encoder.

    Words never trained keep their random embedding; it is drawn as large as trained ones become, so that a rare
    token is heard. The last bias starts away from 0: the WebUI divides by the output's mean.
    """
    encoder = CLIPTextModel(CLIPTextConfig(**text_settings()))
    with torch.no_grad():
        encoder.text_model.embeddings.token_embedding.weight.normal_(0, 0.12)
        encoder.text_model.embeddings.position_embedding.weight.normal_(0, 0.05)
        encoder.text_model.final_layer_norm.bias.fill_(TEXT_MEAN)
    encoder.text_model.final_layer_norm.bias.requires_grad_(False)
    return encoder


def new_unet() -> UNet2DConditionModel:
    """SD 1.x topology at toy size: two residual blocks a level, attention on all levels but the deepest."""
    return UNet2DConditionModel(
        sample_size=world.SIZE // 8,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=WIDTHS,
        layers_per_block=2,
        attention_head_dim=HEADS,
        cross_attention_dim=TEXT_WIDTH,
        norm_num_groups=32,
    )


def new_scheduler() -> DDIMScheduler:
    """Stable Diffusion 1.x noise schedule."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def load_tokenizer() -> CLIPTokenizer:
    """The tokenizer of ``assets/toy/clip``."""
    return CLIPTokenizer.from_pretrained(str(CLIP_FOLDER))


@dataclass
class Model:
    """The toy model in diffusers modules, with its tokenizer."""

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer

    def tokens(self, captions: Sequence[str]) -> Tensor:
        """[n, 77] token numbers, padded with the end token as SD 1.x does."""
        encoded = self.tokenizer(
            list(captions), padding="max_length", truncation=True, max_length=77, return_tensors="pt"
        )
        return encoded.input_ids

    @torch.no_grad()
    def sample(self, captions: Sequence[str], seed: int, steps: int = 20, guidance: float = 3.5) -> NDArray[np.uint8]:
        """DDIM pictures [n, 64, 64, 3] of the captions."""
        scheduler = new_scheduler()
        scheduler.set_timesteps(steps)
        text = self.text_encoder(self.tokens([*captions, ""]))[0]
        context = torch.cat([text[-1:].expand(len(captions), -1, -1), text[:-1]])
        latents = torch.randn((len(captions), 4, 8, 8), generator=torch.Generator().manual_seed(seed))
        for t in scheduler.timesteps:
            free, led = self.unet(torch.cat([latents, latents]), t, context).sample.chunk(2)
            latents = scheduler.step(free + guidance * (led - free), t, latents).prev_sample
        return decode(self.vae, latents)


def _parts(start: Model | None) -> nn.ModuleDict:
    """The UNet and the text encoder to train: new ones, or with the weights of ``start``."""
    torch.manual_seed(1)
    both = nn.ModuleDict({"unet": new_unet(), "text": new_text_encoder()}).train()
    if start is not None:
        both["unet"].load_state_dict(start.unet.state_dict())
        both["text"].load_state_dict(start.text_encoder.state_dict())
    return both


def train_unet(place: Place, vae: AutoencoderKL, start: Model | None = None) -> None:
    """UNet and text encoder together on the known world's latents: noise prediction, moving average kept.

    ``start``: a model whose weights both begin with; else they begin anew.
    """
    pictures, steps = known_pool(place), place.steps
    kept_latents = place.work / "latents.pt"
    if not kept_latents.exists():
        torch.save(encode(vae, pictures), kept_latents)
    latents = torch.load(kept_latents, weights_only=True)
    say(f"latents: mean {latents.mean():.3f}, deviation {latents.std():.3f}")
    both = _parts(start)
    unet, text = both["unet"], both["text"]
    tokenizer = load_tokenizer()
    tokenize = Model(vae, unet, text, tokenizer).tokens
    parameters = [p for p in both.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    average = Average.of(both)
    state_path = place.work / "unet_state.pt"
    first = 0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        both.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        average.values = state["average"]
        first = state["step"]
    alphas = new_scheduler().alphas_cumprod
    scenes = [known_scene(i, place.of) for i in range(len(pictures))]
    table: dict[str, Tensor] = {}
    say(f"unet: {sum(p.numel() for p in unet.parameters()) / 1e6:.2f} M parameters, step {first} of {steps}")
    began, shown = time.time(), 0.0
    for step in range(first, steps):
        rng = generator(1, "unet_step", step)
        chosen = rng.integers(0, len(pictures), BATCH)
        captions = [world.training_caption(scenes[i], rng, place.of) if rng.random() >= 0.1 else "" for i in chosen]
        for missing in {c for c in captions if c not in table}:
            table[missing] = tokenize([missing])[0]
        unique = sorted(set(captions))
        context = text(torch.stack([table[c] for c in unique]))[0][[unique.index(c) for c in captions]]
        # One timestep in each of as many equal parts of 0..999: less noise in the loss than independent draws.
        parts = (np.arange(BATCH) + rng.random(BATCH)) * (1000 / BATCH)
        times = torch.from_numpy(parts.astype(np.int64))
        noise = torch.from_numpy(rng.standard_normal((BATCH, 4, 8, 8), dtype=np.float32))
        kept = alphas[times][:, None, None, None]
        noisy = kept.sqrt() * latents[torch.from_numpy(chosen)] + (1 - kept).sqrt() * noise
        loss = (unet(noisy, times, context).sample - noise).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = cosine_rate(step, steps, RATE, warmup=min(200, steps // 10))
        optimizer.step()
        average.update(both, step, place.decay)
        shown = loss.item() if shown == 0 else 0.98 * shown + 0.02 * loss.item()
        done = step + 1
        if done % 100 == 0 or done == steps:
            pace = (time.time() - began) / (done - first)
            say(f"unet {done}/{steps} loss {shown:.4f} {pace:.3f} s/step, {pace * (steps - done) / 60:.1f} min left")
        if done % 250 == 0 or done == steps:
            save_state(state_path, both, optimizer, average, done)


def trained(work: Path, vae: AutoencoderKL) -> Model:
    """The trained model from the work folder (moving averages)."""
    both = nn.ModuleDict({"unet": new_unet(), "text": new_text_encoder()}).eval()
    state = torch.load(work / "unet_state.pt", weights_only=True)
    both.load_state_dict({**state["model"], **state["average"]})
    return Model(vae, both["unet"], both["text"], load_tokenizer())

"""The toy model as one SD 1.x file in LDM's layout, with the yaml that the WebUI reads beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import yaml
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from make_assets.toymodel import autoencoder, diffusion
from make_assets.toymodel.clip_files import TEXT_WIDTH
from make_assets.toymodel.common import CLIP_FOLDER, TOY, Place, say
from sdft_ext.formats import ldm_keys
from sdft_ext.toy import world_file

FILE = TOY / "toy.safetensors"
_LAYERS = 2
"""Residual blocks a level in the UNet, as in SD 1.x."""


def ldm_names(module: nn.Module, prefix: str, prefixes: Mapping[str, str]) -> dict[str, str]:
    """The LDM name in the file of every tensor of a diffusers module."""
    back = ldm_keys.inverse(prefixes)
    names = {key: ldm_keys.translate(key, back) for key in module.state_dict()}
    missing = [key for key, name in names.items() if name is None]
    if missing:
        raise KeyError(f"no LDM name for {missing}")
    return {key: f"{prefix}{name}" for key, name in names.items()}


def all_names(model: diffusion.Model) -> list[tuple[nn.Module, dict[str, str]]]:
    """The model's parts, each with the LDM names of its tensors."""
    text = {key: f"cond_stage_model.transformer.{key}" for key in model.text_encoder.state_dict()}
    return [
        (model.unet, ldm_names(model.unet, ldm_keys.UNET, ldm_keys.unet_prefixes(model.unet.config))),
        (model.vae, ldm_names(model.vae, ldm_keys.VAE, ldm_keys.vae_prefixes(model.vae.config))),
        (model.text_encoder, text),
    ]


def _as_ldm(name: str, value: Tensor) -> Tensor:
    """float16; the autoencoder's attention projections as the 1×1 convolutions that LDM makes them of."""
    if name.startswith(ldm_keys.VAE) and "attn_1" in name and value.ndim == 2:
        value = value[:, :, None, None]
    return (value.half() if value.is_floating_point() else value).contiguous()


def to_ldm(model: diffusion.Model) -> dict[str, Tensor]:
    """Every tensor of the model under its LDM name."""
    out: dict[str, Tensor] = {}
    for part, names in all_names(model):
        state = part.state_dict()
        out |= {name: _as_ldm(name, state[key]) for key, name in names.items()}
    return out


def load(path: Path = FILE) -> diffusion.Model:
    """The model of an exported file, in float32."""
    state = load_file(path)
    vae, unet = autoencoder.new_vae().eval(), diffusion.new_unet().eval()
    model = diffusion.Model(vae, unet, diffusion.new_text_encoder().eval(), diffusion.load_tokenizer())
    for part, names in all_names(model):
        shapes = {key: value.shape for key, value in part.state_dict().items()}
        part.load_state_dict({key: state[name].reshape(shapes[key]) for key, name in names.items()})
    return model


def _unet_settings() -> dict[str, object]:
    base = diffusion.WIDTHS[0]
    return {
        "image_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": base,
        "attention_resolutions": [2, 1],
        "num_res_blocks": _LAYERS,
        "channel_mult": [w // base for w in diffusion.WIDTHS],
        "num_heads": diffusion.HEADS,
        "use_spatial_transformer": True,
        "transformer_depth": 1,
        "context_dim": TEXT_WIDTH,
        "use_checkpoint": False,
        "legacy": False,
    }


def _first_stage_settings() -> dict[str, object]:
    width = autoencoder.WIDTHS[0]
    return {
        "double_z": True,
        "z_channels": 4,
        "resolution": 64,
        "in_channels": 3,
        "out_ch": 3,
        "ch": width,
        "ch_mult": [w // width for w in autoencoder.WIDTHS],
        "num_res_blocks": 1,
        "attn_resolutions": [],
        "dropout": 0.0,
    }


def settings(clip: str) -> dict[str, object]:
    """Return the yaml beside the file: LDM's ``v1-inference.yaml`` with the toy's sizes.

    ``clip``: the folder with the text encoder's configuration and the tokenizer.
    """
    params = {
        "linear_start": 0.00085,
        "linear_end": 0.012,
        "num_timesteps_cond": 1,
        "log_every_t": 200,
        "timesteps": 1000,
        "first_stage_key": "jpg",
        "cond_stage_key": "txt",
        "image_size": 8,
        "channels": 4,
        "cond_stage_trainable": False,
        "conditioning_key": "crossattn",
        "monitor": "val/loss_simple_ema",
        "scale_factor": autoencoder.SCALE,
        "use_ema": False,
        "unet_config": {"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": _unet_settings()},
        "first_stage_config": {
            "target": "ldm.models.autoencoder.AutoencoderKL",
            "params": {
                "embed_dim": 4,
                "monitor": "val/rec_loss",
                "ddconfig": _first_stage_settings(),
                "lossconfig": {"target": "torch.nn.Identity"},
            },
        },
        "cond_stage_config": {
            "target": "ldm.modules.encoders.modules.FrozenCLIPEmbedder",
            "params": {"version": clip},
        },
    }
    return {
        "model": {
            "base_learning_rate": 1.0e-4,
            "target": "ldm.models.diffusion.ddpm.LatentDiffusion",
            "params": params,
        }
    }


_YAML_HEAD = """\
# Configuration of toy.safetensors for LDM's code (the WebUI). `version`, at the end, names the folder with the text
# encoder's configuration and the tokenizer: `clip` beside this file. Write its absolute path there where the program
# that reads this file runs in another folder (sdft_ext.toy.install does).
"""


def write_settings(path: Path, clip: str) -> None:
    """Writes the yaml."""
    path.write_text(_YAML_HEAD + yaml.safe_dump(settings(clip), sort_keys=False), encoding="utf-8")


@torch.no_grad()
def compare(first: diffusion.Model, second: diffusion.Model) -> dict[str, float]:
    """Largest differences of the three parts' outputs on fixed inputs."""
    tokens = first.tokens(["a red circle on a white background", ""])
    latents = torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(0))
    texts = [m.text_encoder(tokens)[0] for m in (first, second)]
    noises = [m.unet(latents, 500, texts[0]).sample for m in (first, second)]
    pictures = [m.vae.decode(latents / autoencoder.SCALE).sample for m in (first, second)]
    codes = [m.vae.encode(pictures[0]).latent_dist.mean for m in (first, second)]
    pairs = {"text": texts, "unet": noises, "decoder": pictures, "encoder": codes}
    return {name: float((a - b).abs().max()) for name, (a, b) in pairs.items()}


def trained(place: Place) -> diffusion.Model:
    """The trained model from the work folder (moving averages)."""
    return diffusion.trained(place.work, load_vae(place))


def load_vae(place: Place) -> AutoencoderKL:
    """The world's autoencoder: its own for the shipped one; the others take that over as it is in the file."""
    return autoencoder.load_vae(place) if place.shipped else load().vae


def train_unet(place: Place) -> None:
    """UNet and text encoder; those of another world begin with the shipped ones' weights, which takes few steps."""
    shipped = None if place.shipped else load()
    diffusion.train_unet(place, load_vae(place), shipped)


def export(place: Place) -> None:
    """Writes the file and its yaml (and of another world, what it is), reads the file back and compares outputs."""
    place.model.parent.mkdir(parents=True, exist_ok=True)
    model = trained(place)
    part = place.model.with_suffix(".part")
    save_file(to_ldm(model), part, metadata={"format": "pt"})
    part.replace(place.model)
    write_settings(place.model.with_suffix(".yaml"), "clip" if place.shipped else str(CLIP_FOLDER))
    if not place.shipped:
        world_file.save(place.of, place.model.parent / world_file.WORLD_FILE)
    again = load(place.model)
    say(f"{place.model.name}: {place.model.stat().st_size / 1e6:.1f} MB")
    say(f"difference to float32 (rounding to float16): {compare(model, again)}")
    for part_model in (model.unet, model.vae, model.text_encoder):
        part_model.half().float()
    say(f"difference to the same weights in float16: {compare(model, again)}")

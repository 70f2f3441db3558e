"""Load a model from a file or folder."""

from __future__ import annotations

import dataclasses
import inspect
from collections import ChainMap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..formats import single_file
from ..formats.families import declares_prediction, detect, vae_config
from ..formats.family import Family
from ..formats.ldm_keys import VAE, inverse, translate, vae_prefixes
from ..formats.quantized import refuse_quantized
from ..storage import json_file
from ..storage.text import printable
from . import borrow
from .base import Model


def load(
    path: str | Path, *, vae: str | Path = "", dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Model:
    """Load the model of a checkpoint file or a diffusers folder, without gradients.

    ``vae`` names another VAE: a file in LDM's layout (with or without the ``first_stage_model.`` prefix) or diffusers',
    or a diffusers folder with one. Raises ModelError, which names the file, where it can't be used.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        model, declared = load_folder(path), True
    else:
        checkpoint = single_file.read(path)
        refuse_quantized(checkpoint.dtypes, str(path))
        shapes = {borrow.file_key(key): shape for key, shape in checkpoint.shapes.items()}
        tensors: Mapping[str, Tensor] = checkpoint
        if vae and not any(key.startswith(VAE) for key in shapes):
            own = {VAE + key: tensor for key, tensor in _vae_tensors(Path(vae).expanduser()).items()}
            shapes |= {key: tuple(tensor.shape) for key, tensor in own.items()}
            tensors, vae = ChainMap(own, checkpoint), ""  # type: ignore[arg-type]
        family = detect(shapes, checkpoint.metadata, checkpoint.config, str(path), path.parent)
        _check_latents(family.vae, family.unet["out_channels"], path)
        model = borrow.build(family, tensors, path)
        declared = declares_prediction(shapes, checkpoint.metadata, checkpoint.config)
    if vae:
        replace_vae(model, Path(vae).expanduser())
    for module in model.modules:
        for owner in module.modules():
            for name, parameter in list(owner._parameters.items()):
                if parameter is not None:
                    moved = parameter.detach().to(device, dtype)
                    owner._parameters[name] = nn.Parameter(moved.contiguous(), requires_grad=False)
    model.refresh()
    if model.family.name == "sd2" and not declared and probe_v(model):
        model.family = dataclasses.replace(model.family, prediction="v_prediction")
    return model


def replace_vae(model: Model, path: Path) -> None:
    """Replace the model's VAE. Raises ModelError where the file contains none, or one for other latents."""
    tensors = _vae_tensors(path)
    config = vae_config({key: tuple(tensor.shape) for key, tensor in tensors.items()})
    _check_latents(config, model.family.vae["latent_channels"], path)
    family = dataclasses.replace(model.family, vae=config)
    model.vae = borrow.vae(family, {VAE + key: tensor for key, tensor in tensors.items()}, path)
    model.family = family


def _check_latents(vae: Mapping[str, Any], channels: int, path: Path) -> None:
    """Raise ModelError where a VAE's latents haven't as many channels as the model's."""
    if vae["latent_channels"] != channels:
        raise ModelError(
            f"{path} is a VAE for latents of {vae['latent_channels']} channels, the model's have {channels}: choose "
            "another file for model.vae."
        )


def _vae_tensors(path: Path) -> dict[str, Tensor]:
    """Return a VAE's tensors by LDM's names, without their prefix. Raises ModelError where the file contains none."""
    file = next((f for f in (path / "vae", path) if (f / "config.json").is_file()), path) if path.is_dir() else path
    tensors = {key.removeprefix(VAE): tensor for key, tensor in (_part(file) if file.is_dir() else _read(file)).items()}
    if any(key.startswith("encoder.down_blocks.") for key in tensors):
        names = inverse(vae_prefixes(_diffusers_vae(tensors)))
        tensors = {translate(key, names) or key: tensor for key, tensor in tensors.items()}
    if "encoder.conv_in.weight" not in tensors or "encoder.down.0.block.0.conv1.weight" not in tensors:
        raise ModelError(f"{path} is not a VAE: choose another file for model.vae.")
    return tensors


def _diffusers_vae(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the configuration that ``vae_prefixes`` needs of a VAE in diffusers' layout: levels, blocks per level."""
    levels = {key.split(".")[2] for key in tensors if key.startswith("encoder.down_blocks.")}
    blocks = {key.split(".")[4] for key in tensors if key.startswith("encoder.down_blocks.0.resnets.")}
    return {"block_out_channels": (0,) * len(levels), "layers_per_block": len(blocks)}


def _read(path: Path) -> dict[str, Tensor]:
    return dict(single_file.read(path))


@torch.no_grad()
def probe_v(model: Model) -> bool:
    """Return whether an SD 2 predicts v: at the noisiest timestep, ε is close to the input, v far below it.

    The WebUI does the same test.
    """
    context = torch.ones(1, 2, model.family.unet["cross_attention_dim"], dtype=model.dtype, device=model.device) * 0.5
    latents = torch.ones(1, 4, 8, 8, dtype=model.dtype, device=model.device) * 0.5
    answer = model.unet(latents, torch.tensor([999], device=model.device), encoder_hidden_states=context).sample
    return float((answer - latents).mean()) < -1


def load_folder(path: Path, inputs: Sequence[int] = (4,)) -> Model:
    """Load a diffusers folder (``model_index.json`` and a subfolder for each part). Raises ModelError.

    ``inputs``: the numbers of input channels that its UNet may have.
    """
    import diffusers
    import transformers

    index = _json(path / "model_index.json", path)
    name = str(index.get("_class_name", ""))
    xl = "StableDiffusionXL" in name
    if index.get("text_encoder", [""])[0] is None:
        raise ModelError(f"{path} has no first text encoder, as the SDXL refiner: choose the SDXL base.")
    foreign = ("Refiner", "Upscale", "Depth", "3Pipeline", *(() if len(inputs) > 1 else ("Inpaint", "InstructPix2Pix")))
    if "StableDiffusion" not in name or any(word in name for word in foreign):
        raise ModelError(
            f"{path} is a {name or 'folder without a pipeline'}, which can't be trained yet: choose an SD 1, SD 2 or "
            "SDXL folder."
        )
    configs = {part: _json(path / part / "config.json", path) for part in ("unet", "vae", "text_encoder")}
    if xl:
        configs["text_encoder_2"] = _json(path / "text_encoder_2" / "config.json", path)
    channels = configs["unet"].get("in_channels", 4)
    if channels not in inputs:
        raise ModelError(f"{path} has {channels} input channels: choose a plain text-to-image model.")
    schedule = _json(path / "scheduler" / "scheduler_config.json", path)
    velocity = _predicts_v(schedule, path)
    text = [configs["text_encoder"], *([configs["text_encoder_2"]] if xl else [])]
    sd2 = not xl and text[0].get("hidden_act") == "gelu"
    family = Family(
        name="sdxl" if xl else "sd2" if sd2 else "sd1",
        prediction="v_prediction" if velocity else "epsilon",
        # At pure noise, ε says nothing about the picture.
        zero_terminal_snr=velocity and bool(schedule.get("rescale_betas_zero_snr", False)),
        unet=_plain_config(configs["unet"], diffusers.UNet2DConditionModel),
        vae=_plain_config(configs["vae"], diffusers.AutoencoderKL),
        text=tuple(_plain_config(config, transformers.CLIPTextConfig) for config in text),
        # diffusers' SD 2 lacks the unused last layer: its last is the one before.
        text_layer=(2, 2) if xl else (1,),
        latent_scale=float(configs["vae"].get("scaling_factor", 0.13025 if xl else 0.18215)),
        betas=(float(schedule.get("beta_start", 0.00085)), float(schedule.get("beta_end", 0.012))),
    )
    modules = borrow.skeletons(family)
    for module, part in zip(modules, ("unet", "vae", "text_encoder", "text_encoder_2"), strict=False):
        tensors = _part(path / part)
        for key, parameter in list(module.named_parameters()):
            if key not in tensors or tensors[key].shape != parameter.shape:
                raise ModelError(f"{path / part} lacks {key}: the folder is incomplete; copy or download it again.")
            owner, _, leaf = key.rpartition(".")
            module.get_submodule(owner)._parameters[leaf] = nn.Parameter(tensors[key], requires_grad=False)
    return borrow.finish(family, modules[0], modules[1], modules[2:], path)


def _predicts_v(schedule: Mapping[str, Any], path: Path) -> bool:
    """Return whether a folder's model predicts v instead of ε. Raises ModelError where it predicts something else, or
    has another schedule of noise.
    """
    kind, predicts = str(schedule.get("_class_name", "")), schedule.get("prediction_type", "epsilon")
    betas = schedule.get("beta_schedule", "scaled_linear")
    other = kind.startswith(("FlowMatch", "EDM")) or betas != "scaled_linear"
    if other or predicts not in ("epsilon", "v_prediction"):
        raise ModelError(
            f"{path} has a schedule of noise that can't be trained yet ({printable(kind)}, {printable(str(predicts))}, "
            f"{printable(str(betas))}): choose a model that predicts epsilon or v_prediction with scaled_linear betas."
        )
    return bool(predicts == "v_prediction")


def _part(folder: Path) -> dict[str, Tensor]:
    """Read all tensors of a diffusers subfolder, from all shards; ``fp16`` variants only if there are no others."""
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    full = [file for file in files if ".fp16" not in file.name and "non_ema" not in file.name]
    if not files:
        raise ModelError(f"{folder} contains no weights (.safetensors or .bin): download the folder with them.")
    tensors: dict[str, Tensor] = {}
    for file in full or files:
        tensors |= _read(file)
    refuse_quantized({key: tensor.dtype for key, tensor in tensors.items()}, str(folder))
    return {
        _new_attention(key): (t[:, :, 0, 0] if _old_attention(key) and t.ndim == 4 else t) for key, t in tensors.items()
    }


_OLD = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
"""Names of the VAE's attention in folders that early versions of diffusers wrote."""


def _old_attention(key: str) -> bool:
    return "mid_block.attentions" in key and any(old in key for old in _OLD)


def _new_attention(key: str) -> str:
    if _old_attention(key):
        for old, new in _OLD.items():
            key = key.replace(old, new)
    return key


def _plain_config(config: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Return the settings that the installed version of a class knows; newer versions write more."""
    known = inspect.signature(kind).parameters
    return {key: value for key, value in config.items() if key in known}


def _json(file: Path, folder: Path) -> dict[str, Any]:
    if not file.is_file():
        raise ModelError(f"{folder} is not a diffusers folder: {file.relative_to(folder)} is missing.")
    try:
        return dict(json_file.parse(file.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ModelError(f"{file} can't be read ({error}): copy or download it again.") from error

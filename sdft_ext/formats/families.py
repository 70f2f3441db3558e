"""Detect what model a file contains, from its keys and shapes; the user isn't asked.

What shapes don't determine (the number of attention heads of small models, ε or v) comes from the ``.yaml`` next to the
file, from the file's metadata, or, for SD 2 without either, from a probe (see ``model.load``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from ..errors import ModelError
from ..storage import json_file
from . import reference_families
from .family import Family, Prediction
from .ldm_keys import UNET, VAE

Shapes = Mapping[str, tuple[int, ...]]

CLIP_L = "cond_stage_model.transformer."
CLIP_H = "cond_stage_model.model."
XL_L = "conditioner.embedders.0.transformer."
XL_G = "conditioner.embedders.1.model."

WORDS = 49408
"""Tokens of CLIP's vocabulary."""
SD2_DIFFUSERS_TEXT = (1024, 23)
"""Width and layers of SD 2's text encoder in diffusers: without the last of OpenCLIP's 24."""

INPUTS = {
    9: "an inpainting model (9 input channels)",
    8: "an InstructPix2Pix model (8 input channels)",
    7: "an upscaler (7 input channels)",
    5: "a depth-to-image model (5 input channels)",
}
EDM = ("edm_mean", "edm_std", "edm_vpred.sigma_max", "edm_vpred.sigma_min")
"""Keys by which ComfyUI recognizes models with another schedule of noise: Playground 2.5 and CosXL."""
FOREIGN = {
    "joint_blocks.": "Stable Diffusion 3",
    "double_blocks.": "Flux",
    "double_layers.": "AuraFlow",
    "transformer_blocks.0.ff_context": "a transformer model",
    "cap_embedder.": "Lumina",
}
"""Parts of key names that only these models have."""


def text_prefixes(shapes: Shapes) -> tuple[str, ...]:
    """Return the key prefixes of the text encoders; none where there is no text encoder."""
    if any(key.startswith(XL_G) for key in shapes):
        return (XL_L, XL_G)
    if any(key.startswith(CLIP_H) for key in shapes):
        return (CLIP_H,)
    if any(key.startswith(CLIP_L) for key in shapes):
        return (CLIP_L,)
    return ()


def refuse(shapes: Shapes, name: str, inputs: Sequence[int] = (4,), vae: bool = True) -> None:
    """Raise ModelError, which says what the file is, for anything but a complete SD 1, SD 2 or SDXL checkpoint whose
    UNet has one of these numbers of input channels. ``vae``: whether a VAE is needed.
    """
    if f"{UNET}input_blocks.0.0.weight" not in shapes:
        _refuse_without_unet(shapes, name)
    if any(key.startswith("conditioner.embedders.0.model.") for key in shapes):
        raise ModelError(f"{name} is the SDXL refiner, which can't be trained: choose the SDXL base.")
    channels = shapes[f"{UNET}input_blocks.0.0.weight"][1]
    if channels not in inputs:
        what = INPUTS.get(channels, f"a model with {channels} input channels")
        raise ModelError(f"{name} is {what}, which can't be trained yet: choose a plain text-to-image checkpoint.")
    if not text_prefixes(shapes):
        raise ModelError(f"{name} has no text encoder: choose a complete checkpoint.")
    if len(inputs) == 1 and any(key in shapes for key in EDM):
        raise ModelError(f"{name} is an EDM model (such as CosXL), which can't be trained yet: choose a plain one.")
    if vae and not any(key.startswith(VAE) for key in shapes):
        raise ModelError(f"{name} has no VAE: choose a complete checkpoint.")


def _refuse_without_unet(shapes: Shapes, name: str) -> NoReturn:
    keys = list(shapes)

    def has(*parts: str) -> bool:
        return any(part in key for key in keys for part in parts)

    for part, what in FOREIGN.items():
        if has(part):
            raise ModelError(f"{name} is {what}, which can't be trained yet: choose an SD 1, SD 2 or SDXL checkpoint.")
    if has("lora_down", "lora_up", "lora_A", "lora_B", "hada_w1", "lokr_w1"):
        raise ModelError(
            f"{name} is a LoRA, not a base model: name the checkpoint in model.base, and this file in "
            "method.lora.continue_from."
        )
    if has("control_model.", "controlnet"):
        raise ModelError(f"{name} is a ControlNet, not a base model: choose a checkpoint.")
    if has("emb_params", "string_to_param", "clip_g", "clip_l") and len(keys) < 8:
        raise ModelError(f"{name} is an embedding, not a base model: choose a checkpoint.")
    if "encoder.conv_in.weight" in shapes or f"{VAE}encoder.conv_in.weight" in shapes:
        raise ModelError(f"{name} is a VAE, not a base model: name it in model.vae, and a checkpoint in model.base.")
    if has("input_blocks.", "down_blocks."):
        raise ModelError(f"{name} contains only a UNet: choose a checkpoint with text encoder and VAE.")
    raise ModelError(f"{name} is not a Stable Diffusion checkpoint: it has no UNet among its {len(keys)} tensors.")


def detect(
    shapes: Shapes,
    metadata: Mapping[str, str],
    yaml: Mapping[str, Any] | None,
    name: str,
    folder: Path | None = None,
    inputs: Sequence[int] = (4,),
    vae: bool = True,
) -> Family:
    """Detect the family of an LDM-layout checkpoint. ``shapes``: of every key; ``folder``: the yaml's folder;
    ``inputs``, ``vae``: as in ``refuse``. A VAE that is missing is taken as the usual one.

    Raises ModelError, which says what the file is, where it can't be trained.
    """
    try:
        refuse(shapes, name, inputs, vae)
        return _detect(shapes, metadata, yaml, name, folder)
    except ModelError:
        raise
    except (KeyError, IndexError) as error:
        missing = error.args[0] if isinstance(error, KeyError) else "blocks of the UNet"
        raise ModelError(f"{name} lacks {missing}: the file is incomplete; copy or download it again.") from error
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        settings = "" if yaml is None else f", or {Path(name).with_suffix('.yaml').name} next to it isn't for this file"
        raise ModelError(
            f"{name} has blocks or settings that no Stable Diffusion has ({error}): it is incomplete or damaged"
            f"{settings}; copy or download it again."
        ) from error


def _detect(
    shapes: Shapes, metadata: Mapping[str, str], yaml: Mapping[str, Any] | None, name: str, folder: Path | None
) -> Family:
    prefixes = text_prefixes(shapes)
    family = {CLIP_L: "sd1", CLIP_H: "sd2", XL_G: "sdxl"}[prefixes[-1]]
    params = _get(yaml, "model", "params") or {}
    sizes = {key[len(UNET) :]: shape for key, shape in shapes.items() if key.startswith(UNET)}
    unet = unet_config(
        sizes, _get(params, "unet_config", "params") or _get(params, "network_config", "params") or {}, name
    )
    text = tuple(text_config(shapes, prefix, _text_version(params, folder)) for prefix in prefixes)
    if "projection_class_embeddings_input_dim" in unet:
        if family != "sdxl":
            raise ModelError(f"{name} is an unCLIP model, which can't be trained yet: choose a plain SD 2 checkpoint.")
        # SDXL's additional input: the pooled prompt and six numbers, each embedded in so many values.
        unet["addition_time_embed_dim"] = (
            unet["projection_class_embeddings_input_dim"] - text[-1]["projection_dim"]
        ) // 6
    # Files that other programs made of diffusers folders lack the last text layer, which SD 2 doesn't use.
    shorter = family == "sd2" and (text[0]["hidden_size"], text[0]["num_hidden_layers"]) == SD2_DIFFUSERS_TEXT
    vae = {key[len(VAE) :]: shape for key, shape in shapes.items() if key.startswith(VAE)}
    prediction, zero_snr = prediction_of(shapes, metadata, yaml)
    return Family(
        name=family,  # type: ignore[arg-type]
        prediction=prediction,
        zero_terminal_snr=zero_snr,
        unet=unet,
        vae=vae_config(vae) if vae else reference_families.VAE,
        text=text,
        text_layer=(1,) if shorter else {"sd1": (1,), "sd2": (2,), "sdxl": (2, 2)}[family],
        latent_scale=float(params.get("scale_factor", 0.13025 if family == "sdxl" else 0.18215)),
        betas=(float(params.get("linear_start", 0.00085)), float(params.get("linear_end", 0.012))),
    )


def prediction_of(
    shapes: Shapes, metadata: Mapping[str, str], yaml: Mapping[str, Any] | None
) -> tuple[Prediction, bool]:
    """Return the prediction type, and whether the last timestep is pure noise, as the file declares them.

    SDXL v-prediction models have empty keys ``v_pred`` and ``ztsnr``; others declare it in the metadata or the yaml.
    """
    params = _get(yaml, "model", "params") or {}
    scaling = str(_get(params, "denoiser_config", "params", "scaling_config", "target") or "")
    marks = (
        "v_pred" in shapes,
        params.get("parameterization") == "v",
        "VScaling" in scaling,
        metadata.get("modelspec.prediction_type", "").lower() in ("v", "v_prediction"),
        metadata.get("ss_v_parameterization", "").lower() == "true",
        "768-v" in metadata.get("modelspec.architecture", ""),
    )
    zero = "ztsnr" in shapes or any(
        metadata.get(key, "").lower() == "true" for key in ("ztsnr", "ss_zero_terminal_snr")
    )
    # At pure noise, ε says nothing about the picture: zero terminal SNR makes sense only with v.
    return ("v_prediction" if any(marks) else "epsilon"), zero and any(marks)


def prediction_marks(family: Family) -> dict[str, Tensor]:
    """Return the empty tensors by which ComfyUI and reForge recognize SDXL models that predict v."""
    if family.name != "sdxl" or family.prediction != "v_prediction":
        return {}
    return {name: torch.empty(0) for name in ("v_pred", *(("ztsnr",) if family.zero_terminal_snr else ()))}


def prediction_metadata(family: Family) -> dict[str, str]:
    """Return the metadata of a single file about what its model predicts."""
    velocity = family.prediction == "v_prediction"
    zero = {"ztsnr": "true"} if velocity and family.zero_terminal_snr else {}
    return {"modelspec.prediction_type": "v" if velocity else "epsilon", **zero}


def declares_prediction(shapes: Shapes, metadata: Mapping[str, str], yaml: Mapping[str, Any] | None) -> bool:
    """Return whether a file or its yaml declares a prediction type. (Nearly every file has some metadata.)"""
    named = "modelspec.prediction_type" in metadata or "ss_v_parameterization" in metadata
    declared = named or "-v2-" in metadata.get("modelspec.architecture", "")
    return declared or "v_pred" in shapes or _get(yaml, "model", "params") is not None


def unet_config(shapes: Shapes, params: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return diffusers' UNet2DConditionModel arguments, from the UNet's keys (without prefix) and the yaml's settings.

    Raises ModelError for a pruned model.
    """
    channels: list[int] = []
    depths: list[list[int]] = [[]]
    widths: list[int] = []
    number = 1
    while f"input_blocks.{number}.0.in_layers.2.weight" in shapes or f"input_blocks.{number}.0.op.weight" in shapes:
        if f"input_blocks.{number}.0.op.weight" in shapes:
            channels.append(widths[-1])
            depths.append([])
        else:
            widths.append(shapes[f"input_blocks.{number}.0.out_layers.3.weight"][0])
            depths[-1].append(_depth(shapes, f"input_blocks.{number}.1"))
        number += 1
    channels.append(widths[-1])
    layers = {len(level) for level in depths}
    per_level = [level[0] for level in depths]
    middle = _depth(shapes, "middle_block.1")
    expected = [depth for depth in reversed(per_level) for _ in range(len(depths[0]) + 1)]
    if (
        len(layers) != 1
        or any(len(set(level)) != 1 for level in depths)
        or [_depth(shapes, f"output_blocks.{i}.1") for i in range(len(expected))] != expected
        or middle != (per_level[-1] or middle)
        or not middle
    ):
        raise ModelError(
            f"{name} is a pruned model (its blocks differ from each other, like SSD-1B's and Segmind's), which can't "
            "be trained yet: choose its full version."
        )
    context = next((s[1] for k, s in shapes.items() if k.endswith("attn2.to_k.weight")), 768)
    linear = any(k.endswith("proj_in.weight") and len(s) == 2 for k, s in shapes.items())
    config: dict[str, Any] = {
        "sample_size": 64,
        "in_channels": shapes["input_blocks.0.0.weight"][1],
        "out_channels": shapes["out.2.weight"][0],
        "block_out_channels": tuple(channels),
        "layers_per_block": layers.pop(),
        "down_block_types": tuple("CrossAttnDownBlock2D" if d else "DownBlock2D" for d in per_level),
        "up_block_types": tuple("CrossAttnUpBlock2D" if d else "UpBlock2D" for d in reversed(per_level)),
        "transformer_layers_per_block": (*(d or 1 for d in per_level[:-1]), per_level[-1] or middle),
        "attention_head_dim": _heads(channels, linear, params),
        "cross_attention_dim": context,
        "use_linear_projection": linear,
    }
    if "label_emb.0.0.weight" in shapes:
        config |= {
            "addition_embed_type": "text_time",
            "projection_class_embeddings_input_dim": shapes["label_emb.0.0.weight"][1],
        }
    return config


def vae_config(shapes: Shapes) -> dict[str, Any]:
    """Return diffusers' AutoencoderKL arguments, from the VAE's keys (without prefix)."""
    levels = 0
    channels, layers = [], 0
    while f"encoder.down.{levels}.block.0.conv1.weight" in shapes:
        channels.append(shapes[f"encoder.down.{levels}.block.0.conv1.weight"][0])
        levels += 1
    while f"encoder.down.0.block.{layers}.conv1.weight" in shapes:
        layers += 1
    return {
        "in_channels": shapes["encoder.conv_in.weight"][1],
        "out_channels": shapes["decoder.conv_out.weight"][0],
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "block_out_channels": tuple(channels),
        "layers_per_block": layers,
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "sample_size": 512,
    }


def text_config(shapes: Shapes, prefix: str, version: Mapping[str, Any]) -> dict[str, Any]:
    """Return transformers' CLIPTextConfig arguments. ``version``: the config.json that the yaml names, or {}."""
    if prefix in (CLIP_L, XL_L):
        root = f"{prefix}text_model." if any(key.startswith(f"{prefix}text_model.") for key in shapes) else prefix
        vocabulary, hidden = shapes[f"{root}embeddings.token_embedding.weight"]
        positions = shapes[f"{root}embeddings.position_embedding.weight"][0]
        layers = _count(shapes, f"{root}encoder.layers.", ".layer_norm1.weight")
        inner = shapes[f"{root}encoder.layers.0.mlp.fc1.weight"][0]
        activation, projection = "quick_gelu", hidden
    else:
        vocabulary, hidden = shapes[f"{prefix}token_embedding.weight"]
        positions = shapes[f"{prefix}positional_embedding"][0]
        layers = _count(shapes, f"{prefix}transformer.resblocks.", ".ln_1.weight")
        inner = shapes[f"{prefix}transformer.resblocks.0.mlp.c_fc.weight"][0]
        activation, projection = "gelu", shapes.get(f"{prefix}text_projection", (hidden, hidden))[1]
    if vocabulary < WORDS:
        raise ValueError(f"its text encoder knows {vocabulary} tokens instead of {WORDS}")
    return {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": int(version.get("num_attention_heads", max(hidden // 64, 1))),
        "max_position_embeddings": positions,
        "hidden_act": str(version.get("hidden_act", activation)),
        "projection_dim": projection,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
    }


def _text_version(params: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """Read the config.json in the folder that the yaml's text encoder names; {} where there is none."""
    version = _get(params, "cond_stage_config", "params", "version")
    if not isinstance(version, str) or folder is None:
        return {}
    file = folder / version / "config.json"
    if not file.is_file():
        return {}
    try:
        return dict(json_file.parse(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{file} can't be read ({error}): fix it or move it away.") from error


def _heads(channels: list[int], linear: bool, params: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the number of heads of each level (diffusers' ``attention_head_dim``): 8 in SD 1; in SD 2 and SDXL, a head
    has 64 channels.
    """
    width, count = int(params.get("num_head_channels", -1)), int(params.get("num_heads", -1))
    if width > 0:
        return tuple(channel // width for channel in channels)
    if count > 0:
        return (count,) * len(channels)
    return tuple(max(channel // 64, 1) for channel in channels) if linear else (8,) * len(channels)


def _depth(shapes: Shapes, prefix: str) -> int:
    return _count(shapes, f"{prefix}.transformer_blocks.", ".norm1.weight")


def _count(shapes: Shapes, head: str, tail: str) -> int:
    number = 0
    while f"{head}{number}{tail}" in shapes:
        number += 1
    return number


def _get(tree: Any, *names: str) -> Any:
    for name in names:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree

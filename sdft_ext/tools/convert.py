"""Convert models: ``.ckpt`` to ``.safetensors``, a diffusers folder to a single file, and back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..formats import pickles, single_file
from ..formats.adapter_config import peft_metadata
from ..formats.checkpoint import HASHES
from ..formats.families import prediction_metadata
from ..formats.family import Family
from ..formats.quantized import refuse_quantized
from ..formats.single_file import Checkpoint
from ..formats.tensor_file import MAX_SHOWN, PRECISIONS, Entry, aligned, finite, write
from ..model import borrow
from ..model.source import Source, open_source, with_prediction
from ..recipe import Precision
from ..storage import json_file
from ..storage.text import printable, quantity
from .files import Progress, ToolError, counted, new_file, with_config
from .merge import in_precision


@torch.no_grad()
def convert(
    source: str | Path,
    target: str | Path,
    precision: Precision | None = None,
    keep_ema: bool = False,
    progress: Progress | None = None,
) -> str:
    """Write a model in the form of the target's name, a ``.safetensors`` file or else a diffusers folder; return a
    sentence about the result.

    Tensors are converted one at a time, and keep their number format unless ``precision`` is given. Raises ModelError,
    ToolError or OSError.
    """
    source, target = Path(source).expanduser(), Path(target).expanduser()
    if target.suffix.lower() == ".safetensors":
        if source.is_dir():
            return to_single(open_source(source), new_file(target), precision, progress)
        return to_tensors(source, new_file(target), precision, keep_ema, progress)
    if target.suffix.lower() in pickles.ENDINGS:
        raise ToolError(f"{target} would be a pickle, which can contain code: use the extension .safetensors.")
    return to_folder(with_prediction(open_source(source)), target, precision, progress)


def to_tensors(
    source: Path,
    target: Path,
    precision: Precision | None = None,
    keep_ema: bool = False,
    progress: Progress | None = None,
) -> str:
    """Write only the tensors and the metadata of a checkpoint file, without its EMA copy (``model_ema.``) unless
    ``keep_ema``.
    """
    file = single_file.read(source)
    if precision:
        refuse_quantized(file.dtypes, str(source))
    kept = [key for key in file if keep_ema or not key.startswith("model_ema.")]
    entries = aligned(in_precision({key: Entry(file[key].dtype, file.shapes[key]) for key in kept}, precision))
    metadata = {name: value for name, value in file.metadata.items() if name not in HASHES} | peft_metadata(
        source, file
    )
    result = _write(file, entries, target, {"format": "pt", **metadata}, progress)
    if file.dangerous:
        result += (
            " The old file could run programs if it were loaded unsafely: none was run here, and the new file contains "
            "none."
        )
    return result


def to_single(
    source: Source, target: Path, precision: Precision | None = None, progress: Progress | None = None
) -> str:
    """Write a single file in the WebUI's layout."""
    entries = aligned(in_precision(source.entries, precision))
    velocity = source.family.prediction == "v_prediction"
    architecture = {
        "sd1": "stable-diffusion-v1",
        "sd2": f"stable-diffusion-v2-{'768-v' if velocity else '512'}",
        "sdxl": "stable-diffusion-xl-v1-base",
    }[source.family.name]
    metadata = {"format": "pt", "modelspec.sai_model_spec": "1.0.0", "modelspec.architecture": architecture}
    metadata |= {"modelspec.title": target.stem, **prediction_metadata(source.family)}
    return _write(source, entries, target, metadata, progress)


def to_folder(
    source: Source, target: Path, precision: Precision | None = None, progress: Progress | None = None
) -> str:
    """Write a diffusers folder, whole or not at all: each part with its configuration, the tokenizers, the scheduler.

    SD 2's unused last text layer is left out, as in diffusers.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ToolError(f"{target} exists already and isn't empty: choose another name, or delete it.")
    family = _as_diffusers(source.family)
    modules = borrow.skeletons(family, source.path)
    parts = ["unet", "vae", "text_encoder", "text_encoder_2"][: len(modules)]
    by_name = {place.name: (key, place) for key, places in source.places.items() for place in places}
    making = target.with_name(f".{target.name}-making")
    shutil.rmtree(making, ignore_errors=True)
    count, spoilt = 0, list[str]()
    total = sum(len(list(module.named_parameters())) for module in modules)
    try:
        for part, module in zip(parts, modules, strict=True):
            folder, wanted = making / part, [name for name, _ in module.named_parameters()]
            entries: dict[str, Entry] = {}
            for name in wanted:
                key, place = by_name[f"{part}.{name}"]
                shape = tuple(place.piece(torch.empty(source.entries[key].shape, device="meta")).shape)
                entries[name] = Entry(PRECISIONS[precision] if precision else source.entries[key].dtype, shape)
            vae_or_unet = part in ("unet", "vae")
            file = "diffusion_pytorch_model.safetensors" if vae_or_unet else "model.safetensors"

            def get(name: str, part: str = part, entries: dict[str, Entry] = entries) -> Tensor:
                key, place = by_name[f"{part}.{name}"]
                return _cast(source.path, key, place.piece(source[key]), entries[name].dtype, spoilt)

            write(folder / file, aligned(entries), counted(get, total, progress, count), {"format": "pt"})
            json_file.write(folder / "config.json", _config(module, part, family))
            count += len(entries)
        _write_configs(making, family)
        if target.is_dir():
            target.rmdir()
        making.rename(target)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return (
        f"{target}: {quantity(count, 'tensor')} in {quantity(len(parts), 'part')} from {source.path}.{_spoilt(spoilt)}"
    )


def _write(
    source: Source | Checkpoint,
    entries: dict[str, Entry],
    target: Path,
    metadata: dict[str, str],
    progress: Progress | None,
) -> str:
    spoilt: list[str] = []

    def get(key: str) -> Tensor:
        return _cast(source.path, key, source[key], entries[key].dtype, spoilt)

    with with_config(source.path, target):
        write(target, entries, counted(get, len(entries), progress), metadata)
    return f"{target}: {quantity(len(entries), 'tensor')} from {source.path}.{_spoilt(spoilt)}"


def _spoilt(keys: list[str]) -> str:
    """Return a sentence about tensors with values that aren't finite; empty where there are none."""
    if not keys:
        return ""
    count = "1 of them has" if len(keys) == 1 else f"{len(keys)} of them have"
    first = printable(keys[0][:MAX_SHOWN])
    return f" {count} values that are not finite (NaN or infinite), such as {first}: the source is damaged."


def _cast(source: Path, key: str, tensor: Tensor, dtype: torch.dtype, spoilt: list[str]) -> Tensor:
    """Convert a tensor to another number format; add its key to ``spoilt`` where it has values that aren't finite.

    Raises ToolError where finite numbers would become infinite.
    """
    if tensor.dtype.is_floating_point and not bool(finite(tensor).all()):
        spoilt.append(key)
    if tensor.dtype == dtype:
        return tensor
    changed = tensor.to(dtype)
    if dtype.is_floating_point and bool((~finite(tensor, dtype) & finite(tensor)).any()):
        name = str(dtype).removeprefix("torch.").replace("float16", "fp16", 1)
        raise ToolError(f"{source}: {key} has numbers too large for {name}: choose bf16, or keep the number format.")
    return changed


def _as_diffusers(family: Family) -> Family:
    """Return the family as in a diffusers folder, where SD 2 lacks its last text layer."""
    if family.name != "sd2" or family.missing_text_layers:
        return family
    import dataclasses

    text = tuple({**config, "num_hidden_layers": config["num_hidden_layers"] - 1} for config in family.text)
    return dataclasses.replace(family, text=text, text_layer=(1,))


def _config(module: Any, part: str, family: Family) -> dict[str, Any]:
    if part in ("unet", "vae"):
        found = {name: value for name, value in dict(module.config).items() if not name.startswith("_use_default")}
        return {
            "_class_name": type(module).__name__,
            **found,
            **({"scaling_factor": family.latent_scale} if part == "vae" else {}),
        }
    return {**dict(module.config.to_dict()), "architectures": [type(module).__name__]}


def _write_configs(folder: Path, family: Family) -> None:
    """Write the scheduler's settings, the tokenizers, and the list of parts."""
    json_file.write(
        folder / "scheduler" / "scheduler_config.json",
        {
            "_class_name": "EulerDiscreteScheduler" if family.name == "sdxl" else "DDIMScheduler",
            "beta_end": family.betas[1],
            "beta_schedule": "scaled_linear",
            "beta_start": family.betas[0],
            "num_train_timesteps": 1000,
            "prediction_type": family.prediction,
            "rescale_betas_zero_snr": family.zero_terminal_snr,
            "steps_offset": 1,
            **({"timestep_spacing": "trailing"} if family.zero_terminal_snr else {}),
            **({} if family.name == "sdxl" else {"clip_sample": False, "set_alpha_to_one": False}),
        },
    )
    for number in range(len(family.text)):
        tokenizer = folder / f"tokenizer{f'_{number + 1}' if number else ''}"
        tokenizer.mkdir(parents=True)
        for file in borrow.CLIP_FOLDER.iterdir():
            if file.name != "LICENSE":
                shutil.copyfile(file, tokenizer / file.name)
        config = json_file.read(tokenizer / "tokenizer_config.json")
        config["model_max_length"] = 77
        if family.open_clip[number]:
            config["pad_token"] = "!"
            special = json_file.read(tokenizer / "special_tokens_map.json")
            json_file.write(tokenizer / "special_tokens_map.json", {**special, "pad_token": "!"})
        json_file.write(tokenizer / "tokenizer_config.json", config)
    xl = family.name == "sdxl"
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionXLPipeline" if xl else "StableDiffusionPipeline",
        "scheduler": ["diffusers", "EulerDiscreteScheduler" if xl else "DDIMScheduler"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
    }
    if xl:
        index |= {
            "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
            "tokenizer_2": ["transformers", "CLIPTokenizer"],
            "force_zeros_for_empty_prompt": True,
        }
    else:
        index |= {"safety_checker": [None, None], "feature_extractor": [None, None], "requires_safety_checker": False}
    json_file.write(folder / "model_index.json", index)

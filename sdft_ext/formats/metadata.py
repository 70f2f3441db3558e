"""The metadata of saved files: kohya's ``ss_*``, the ``modelspec.*`` standard, and hashes. All values are text."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from .. import __version__
from ..recipe import METHOD_INFO, Recipe
from ..storage import atomic
from ..storage.stamp import Stamp, stamp
from .family import Family

VERSIONS = {"sd1": "sd_v1", "sd2": "sd_v2", "sdxl": "sdxl_base_v1-0"}
"""kohya's ``ss_base_model_version``, by which the WebUI distinguishes LoRAs for SDXL from others."""

KINDS = {"embedding": "textual-inversion", "hypernetwork": "hypernetwork"}
"""The kind of file in modelspec's architecture; 'lora' for LoRAs and their relatives."""
HINTS = {
    "embedding": "{stem} {class_word}",
    "hypernetwork": "<hypernet:{stem}:1> {trigger} {class_word}",
}
"""How they are used in a prompt."""

WEIGHTS = (".safetensors", ".bin", ".ckpt", ".pt")
"""Extensions of weight files in a diffusers folder."""
LEGACY_START, LEGACY_LENGTH = 0x100000, 0x10000
"""The bytes of a file that the WebUI's first short hash is of."""


@dataclass(frozen=True)
class RunFacts:
    """Facts about a run that aren't in its recipe. Times in seconds since 1970."""

    base: Path | None
    started: float
    steps: int
    epoch: int
    total_steps: int
    steps_per_epoch: int
    instances: int
    regularization: int
    dataset_dirs: Mapping[str, Any] = field(default_factory=dict)
    reg_dataset_dirs: Mapping[str, Any] = field(default_factory=dict)
    tag_frequency: Mapping[str, Any] = field(default_factory=dict)
    buckets: tuple[tuple[int, int, int], ...] = ()
    """(width, height, pictures) of each bucket."""
    processes: int = 1
    """Each of them sees the recipe's batch size."""
    changed_settings: Sequence[Mapping[str, Any]] = ()
    """Settings that were changed when the run was resumed: the step, the setting, and its values before and after."""


def lora_metadata(recipe: Recipe, family: Family, facts: RunFacts, stem: str) -> dict[str, str]:
    """Return the metadata of a saved LoRA. ``stem``: the file's own name; the WebUI confuses files with the same one.

    The method adds ``ss_network_*``. With ``save.private``, folder names, captions, tags and triggers are left out.
    """
    own = {"sdft_version": __version__}
    return {**_kohya(recipe, family, facts, stem), **_modelspec(recipe, family, stem), **own}


def _kohya(recipe: Recipe, family: Family, facts: RunFacts, stem: str) -> dict[str, str]:
    values = {
        **_counts(recipe, family, facts, stem),
        **_optimization(recipe),
        **_dataset(recipe, facts),
        **_loss(recipe, family),
        "ss_session_id": int(facts.started * 1000) % 2**32,
        "ss_training_comment": "sdft",
    }
    if facts.changed_settings:
        values["sdft_changed_settings"] = json.dumps(facts.changed_settings)
    if facts.base is not None:
        values |= {"ss_sd_model_name": facts.base.name, **base_hashes(facts.base)}
    if recipe.model.vae:
        hashes = base_hashes(vae := Path(recipe.model.vae))
        values |= {"ss_vae_name": vae.name} | {key.replace("sd_model", "vae"): value for key, value in hashes.items()}
    if not recipe.save.private:
        values |= {
            "ss_dataset_dirs": json.dumps(facts.dataset_dirs, ensure_ascii=False),
            "ss_reg_dataset_dirs": json.dumps(facts.reg_dataset_dirs, ensure_ascii=False),
            "ss_tag_frequency": json.dumps(facts.tag_frequency, ensure_ascii=False),
        }
    return {key: str(value) for key, value in values.items()}


def _counts(recipe: Recipe, family: Family, facts: RunFacts, stem: str) -> dict[str, Any]:
    train = recipe.train
    return {
        "ss_base_model_version": VERSIONS[family.name],
        "ss_v2": family.name == "sd2",
        "ss_output_name": stem,
        "ss_training_started_at": facts.started,
        "ss_training_finished_at": time.time(),
        "ss_steps": facts.steps,
        "ss_epoch": facts.epoch,
        "ss_num_epochs": -(-facts.total_steps // max(facts.steps_per_epoch, 1)),
        "ss_max_train_steps": facts.total_steps,
        "ss_num_batches_per_epoch": facts.steps_per_epoch * train.accumulation,
        "ss_num_train_images": facts.instances,
        "ss_num_reg_images": facts.regularization,
        "ss_batch_size_per_device": train.batch_size,
        "ss_total_batch_size": train.batch_size * train.accumulation * facts.processes,
        "ss_gradient_accumulation_steps": train.accumulation,
        "ss_gradient_checkpointing": train.checkpointing,
    }


def _optimization(recipe: Recipe) -> dict[str, Any]:
    train, method = recipe.train, recipe.method
    rate, options = train.learning_rate, ",".join(f"{key}={value}" for key, value in train.optimizer_options.items())
    return {
        "ss_learning_rate": rate,
        "ss_unet_lr": rate if method.unet else None,
        "ss_text_encoder_lr": (train.text_encoder_learning_rate or rate) if method.text_encoder else None,
        "ss_optimizer": f"{train.optimizer}({options})" if options else train.optimizer,
        "ss_lr_scheduler": train.schedule,
        "ss_lr_warmup_steps": train.warmup,
        "ss_max_grad_norm": train.clip_norm,
        "ss_mixed_precision": {"fp32": "no"}.get(train.precision, train.precision),
        "ss_full_fp16": False,
        "ss_seed": train.seed,
        "ss_clip_skip": recipe.model.clip_skip,
    }


def _dataset(recipe: Recipe, facts: RunFacts) -> dict[str, Any]:
    dataset = recipe.dataset
    buckets = {str(i): {"resolution": [w, h], "count": n} for i, (w, h, n) in enumerate(facts.buckets)}
    return {
        "ss_resolution": f"({dataset.resolution}, {dataset.resolution})",
        "ss_enable_bucket": dataset.buckets,
        "ss_min_bucket_reso": dataset.bucket_min,
        "ss_max_bucket_reso": dataset.bucket_max,
        "ss_bucket_no_upscale": dataset.no_upscale,
        "ss_bucket_info": json.dumps({"buckets": buckets}),
        "ss_random_crop": dataset.crop == "random",
        "ss_cache_latents": dataset.cache != "none",
        "ss_caption_dropout_rate": dataset.caption_dropout,
        "ss_caption_tag_dropout_rate": dataset.tag_dropout,
        "ss_shuffle_caption": dataset.shuffle_tags,
        "ss_keep_tokens": dataset.keep_tags,
        "ss_flip_aug": dataset.flip > 0,
    }


def _loss(recipe: Recipe, family: Family) -> dict[str, Any]:
    train = recipe.train
    return {
        "ss_prior_loss_weight": train.prior_loss_weight,
        "ss_noise_offset": train.noise_offset or None,
        "ss_multires_noise_iterations": train.multires_iterations or None,
        "ss_multires_noise_discount": train.multires_discount,
        "ss_ip_noise_gamma": train.input_perturbation or None,
        "ss_min_snr_gamma": train.snr_gamma if train.snr_weighting == "min_snr" else None,
        "ss_debiased_estimation": train.snr_weighting == "debiased",
        "ss_v_parameterization": family.prediction == "v_prediction",
        "ss_zero_terminal_snr": family.zero_terminal_snr or train.zero_terminal_snr,
        "ss_loss_type": train.loss,
    }


def _modelspec(recipe: Recipe, family: Family, stem: str) -> dict[str, str]:
    """Return the keys of Stability's modelspec 1.0.0 that programs read (Forge knows SD 1 only by the architecture)."""
    v = family.prediction == "v_prediction"
    base = {
        "sd1": "stable-diffusion-v1",
        "sd2": f"stable-diffusion-v2-{'768-v' if v else '512'}",
        "sdxl": "stable-diffusion-xl-v1-base",
    }[family.name]
    architecture = f"{base}/{KINDS.get(METHOD_INFO[recipe.method.name].saved_as, 'lora')}"
    triggers = [concept.trigger for concept in recipe.dataset.concepts if concept.trigger]
    spec = {
        "sai_model_spec": "1.0.0",
        "architecture": architecture,
        "implementation": "https://github.com/Stability-AI/generative-models" if family.name == "sdxl" else "diffusers",
        "title": stem,
        "date": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "resolution": f"{recipe.dataset.resolution}x{recipe.dataset.resolution}",
        "prediction_type": "v" if v else "epsilon",
        "timestep_range": f"{recipe.train.timestep_min},{recipe.train.timestep_max + 1}",
    }
    if recipe.model.clip_skip > 1:
        spec["encoder_layer"] = str(recipe.model.clip_skip)
    if triggers and not recipe.save.private:
        first = next(concept for concept in recipe.dataset.concepts if concept.trigger)
        spec |= {
            "trigger_phrase": ", ".join(triggers),
            "usage_hint": HINTS.get(METHOD_INFO[recipe.method.name].saved_as, "<lora:{stem}:1> {trigger} {class_word}")
            .format(stem=stem, trigger=first.trigger, class_word=first.class_word)
            .strip(),
        }
    return {f"modelspec.{key}": value for key, value in spec.items()}


def with_hashes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata with ``sshs_model_hash``, ``sshs_legacy_hash`` and ``modelspec.hash_sha256``, as in kohya's.

    The first and the last are the sha256 of all bytes after the header. The legacy hash is of bytes from 1 MiB on, in
    the file with only its ``ss_*`` metadata; in shorter files, of no bytes.
    """
    data = save(dict(tensors), {key: value for key, value in metadata.items() if key.startswith("ss_")})
    body = memoryview(data)[8 + int.from_bytes(data[:8], "little") :]
    digest, legacy = hashlib.sha256(body).hexdigest(), legacy_hash(memoryview(data)[LEGACY_START:])
    return {**metadata, "sshs_model_hash": digest, "sshs_legacy_hash": legacy, "modelspec.hash_sha256": f"0x{digest}"}


def legacy_hash(data: bytes | memoryview) -> str:
    """Return the WebUI's first short hash, of 64 KiB from 1 MiB on; ``data`` begins there."""
    return hashlib.sha256(data[:LEGACY_LENGTH]).hexdigest()[:8]


def base_hashes(path: Path) -> dict[str, str]:
    """Return the base model's hashes as the WebUI shows them: the legacy one, and the sha256 of the file.

    A file is read again only after it has changed; a folder has no hashes.
    """
    if not path.is_file():
        return {}
    return dict(_hashes_of(path.resolve(), stamp(path)))


@lru_cache(maxsize=32)
def _hashes_of(path: Path, _stamp: Stamp) -> dict[str, str]:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
        file.seek(LEGACY_START)
        legacy = legacy_hash(file.read(LEGACY_LENGTH))
    return {"ss_sd_model_hash": legacy, "ss_new_sd_model_hash": digest.hexdigest()}


def weights_hash(path: Path) -> str:
    """Return the sha256 of a model's file, or of a folder's weight files' names and hashes; empty without weights."""
    if path.is_file():
        return base_hashes(path)["ss_new_sd_model_hash"]
    files = sorted(file for file in path.rglob("*") if file.suffix in WEIGHTS and file.is_file())
    listed = [f"{file.relative_to(path).as_posix()} {base_hashes(file)['ss_new_sd_model_hash']}" for file in files]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest() if listed else ""


def config_hash(path: Path) -> str:
    """Return the sha256 of what says how a model's weights are used: the ``.yaml`` next to a file, the ``.json`` files
    of a folder. Without any, that of nothing.
    """
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path.with_suffix(".yaml")]
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            name = file.relative_to(path).as_posix() if path.is_dir() else ""
            digest.update(f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode("utf-8", "replace"))
    return digest.hexdigest()


def save_preview(lora: Path, picture: Any) -> Path:
    """Write the picture of a file's card, ``NAME.preview.png``, and return its path."""
    target = lora.with_name(f"{lora.stem}.preview.png")
    atomic.write(target, lambda file: picture.save(file, "PNG"))
    return target

"""OneTrainer's config and concepts → a recipe.

What each setting means is read from OneTrainer's own code: modules/util/config/TrainConfig.py, modules/util/create.py,
modules/trainer/GenericTrainer.py, modules/util/NamedParameterGroup.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from ..storage import json_file
from .draft import Draft, shown
from .epochs import onetrainer_batches
from .files import Files, base_name
from .model_names import safe_name, set_model_path
from .onetrainer_concepts import Concepts, read_concepts
from .onetrainer_method import set_method
from .onetrainer_names import LEFT, QUIET
from .onetrainer_old import current
from .onetrainer_training import PRECISIONS, set_loss_and_noise, set_optimizer_and_rates, set_schedule, set_text_stop
from .prompts import SamplePrompt, set_prompts
from .source import SettingsFileError, Source, source
from .values import Values, finite

CONCEPTS = "training_concepts/concepts.json"
"""The file of concepts where the config names none."""
QUANTIZATION = {"STABLE_DIFFUSION_XL": 64, "STABLE_DIFFUSION": 8}
"""Pixels that a bucket's sides are multiples of, by the beginning of the model's type."""


def import_onetrainer(config: Source | None, concepts: Source | None, files: Files) -> Draft:
    """Make a recipe of a config, its concepts, or both. Raises SettingsFileError."""
    draft = Draft()
    if config is None:
        assert concepts is not None
        read_concepts(draft, concepts.values, files)
        draft.note(
            f"{concepts.name} describes pictures only: the method, rates and length are this program's own. Import "
            "the config as well, or set them."
        )
        return draft
    values = Values(current(config.values), draft)
    quantization = _check_model(values)
    _set_sizes(values, quantization)
    read = read_concepts(draft, _concepts(values, concepts, files), files)
    method = set_method(values)
    accumulation = draft.recipe.train.accumulation
    there = _batches(draft, read, quantization)
    epochs = max(values.whole("epochs", 100) or 1, 1)
    steps = None if there is None else round(epochs * there * read.share()) // accumulation
    batches = None if there is None else max(round(there * read.share()), 1)
    _set_length(values, read, epochs, steps)
    optimizer = set_optimizer_and_rates(values, method)
    set_schedule(values, optimizer, steps)
    set_text_stop(values, epochs, batches)
    set_loss_and_noise(values)
    _set_computation(values, files)
    _set_saves(values, epochs, batches, read.times)
    _set_samples(values, files, batches)
    values.report_unread(LEFT, QUIET)
    return draft


def _check_model(values: Values) -> int:
    """Return the multiple of a bucket's sides. Raises SettingsFileError for a model that isn't trained here."""
    kind, method = values.text("model_type", "STABLE_DIFFUSION_15"), values.text("training_method", "FINE_TUNE")
    found = next((number for start, number in QUANTIZATION.items() if kind.startswith(start)), 0)
    if not found or kind in ("STABLE_DIFFUSION_3", "STABLE_DIFFUSION_35") or "INPAINTING" in kind or "DEPTH" in kind:
        raise SettingsFileError(
            f"The config trains another kind of model (model_type is {shown(kind)}). This program trains Stable "
            "Diffusion 1, 2 and XL, without inpainting and depth: choose a config for one of them."
        )
    if method not in ("LORA", "FINE_TUNE", "EMBEDDING"):
        raise SettingsFileError(
            f"The config trains another part of the model (training_method is {shown(method)}). This program trains "
            "LoRAs, embeddings and whole models: choose a config for one of them."
        )
    return found


def _set_sizes(values: Values, quantization: int) -> None:
    """Set resolution, buckets and batch."""
    given = values.text("resolution", "512")
    first, _, further = given.partition(",")
    sides = [int(finite(part) or 0) for part in first.lower().split("x")]
    sides = [one for one in sides if one > 0]
    side = round(math.sqrt(sides[0] * sides[-1])) if sides else 512
    values.set("dataset.resolution", "resolution", side)
    if further or len(sides) != 1:
        values.leave(
            "resolution", f"a run has one resolution here: {side} was taken. Train the others in runs of their own."
        )
    buckets = values.flag("aspect_ratio_bucketing", True)
    values.set("dataset.buckets", "aspect_ratio_bucketing", buckets)
    if buckets:
        values.draft.set("dataset.bucket_step", quantization, values.name("aspect_ratio_bucketing"), None)
        # OneTrainer's shapes go up to 1:4, half and twice the side of a square.
        values.draft.set("dataset.bucket_min", side // 2, values.name("aspect_ratio_bucketing"), None)
        values.draft.set("dataset.bucket_max", side * 2, values.name("aspect_ratio_bucketing"), None)
    values.set("train.batch_size", "batch_size", values.whole("batch_size", 1))
    values.set("train.accumulation", "gradient_accumulation_steps", values.whole("gradient_accumulation_steps", 1))


def _concepts(values: Values, concepts: Source | None, files: Files) -> list[Mapping[str, Any]]:
    """Return the concepts: given beside the config, in it, or in the file that it names."""
    path = values.text("concept_file_name", CONCEPTS)
    if concepts is not None:
        values.raw("concepts")
        return list(concepts.values)
    inline = values.raw("concepts")
    if isinstance(inline, list):
        return [one for one in inline if isinstance(one, Mapping)]
    content = files.read(path)
    if content is None and base_name(path) != path:  # OneTrainer's backups have the file next to the config
        path = base_name(path)
        content = files.read(path)
        if content is not None:
            values.leave("concept_file_name", f"it wasn't found here, so {path} next to the config was read instead.")
    if content is None:
        values.leave("concept_file_name", "the concepts weren't found here. Import their file together with this one.")
        return []
    found = source(path, content)
    if found.kind != "OneTrainer concepts":
        raise SettingsFileError(f"{path}, which the config names as concept_file_name, holds no concepts.")
    return list(found.values)


def _batches(draft: Draft, concepts: Concepts, quantization: int) -> int | None:
    """Count the batches of an epoch in OneTrainer; None where the pictures can't be counted."""
    showings, dataset = concepts.showings(), draft.recipe.dataset
    if not showings:
        return None
    step = quantization if dataset.buckets else 0
    return onetrainer_batches(showings, dataset.resolution, step, draft.recipe.train.batch_size) or None


def _set_length(values: Values, concepts: Concepts, epochs: int, steps: int | None) -> None:
    """Set the length: in epochs where these have as many steps here, else in steps."""
    train, showings = values.draft.recipe.train, concepts.showings()
    if steps is None or showings is None:
        values.set("train.length", "epochs", max(round(epochs / concepts.times), 1))
        values.set("train.length_unit", "epochs", "epochs")
        if showings is not None and concepts.concepts:
            values.draft.note(
                f"epochs is {epochs}: in OneTrainer they have no step, as no bucket has pictures enough for a batch of "
                f"{train.batch_size}. Here batches are filled from epoch to epoch."
            )
        elif concepts.concepts:
            longer = f" An epoch here is as long as {concepts.times:,} there." if concepts.times > 1 else ""
            values.draft.note(
                f"epochs is {epochs}: its steps couldn't be counted, as the pictures weren't found here. Check the "
                f"folders; the steps are the same where each bucket's pictures fill whole batches.{longer}"
            )
        return
    size = train.batch_size * train.accumulation
    pictures = round(sum(one.repeats for one in showings) * concepts.share())
    if concepts.times == 1 and epochs * math.ceil(pictures / size) == steps:
        values.set("train.length", "epochs", epochs)
        values.set("train.length_unit", "epochs", "epochs")
        return
    values.set("train.length", "epochs", max(steps, 1))
    values.set("train.length_unit", "epochs", "steps")
    if steps * size != epochs * pictures:
        values.draft.note(
            f"epochs is {epochs}: in OneTrainer these are {steps:,} steps, as pictures that don't fill a batch are "
            f"left out of an epoch. None is left out here, so {epochs} epochs would be "
            f"{math.ceil(epochs * pictures / size):,} steps. The steps were taken; set train.length for as many "
            "pictures instead."
        )


def _set_computation(values: Values, files: Files) -> None:
    """Set the model's files, precision, checkpointing and cache."""
    set_model_path(values, files, "model.base", "base_model_name", values.text("base_model_name"))
    vae = values.table("vae")
    set_model_path(vae, files, "model.vae", "model_name", vae.text("model_name"))
    for table in (vae, values.table("unet"), values.table("text_encoder")):
        for name in ("weight_dtype", "train", "include", "stop_training_after", "stop_training_after_unit"):
            table.raw(name)
    precision = values.text("train_dtype", "FLOAT_16")
    values.set("train.precision", "train_dtype", PRECISIONS.get(precision, precision))
    values.set("dataset.cache", "latent_caching", "disk" if values.flag("latent_caching", True) else "none")
    values.draft.set("dataset.latents", "mean", values.name("latent_caching"), None)  # SampleVAEDistribution, always
    skip = values.whole("text_encoder_layer_skip", 0) or 0
    values.set("model.clip_skip", "text_encoder_layer_skip", skip + 1)
    second = values.whole("text_encoder_2_layer_skip", 0) or 0
    if second != skip and values.text("model_type").startswith("STABLE_DIFFUSION_XL"):
        values.leave(
            "text_encoder_2_layer_skip", "both text encoders skip as many layers here: text_encoder_layer_skip's."
        )


def _set_saves(values: Values, epochs: int, batches: int | None, times: int) -> None:
    """Set name, saves and their precision. OneTrainer counts batches as steps; an epoch of the recipe is as long as
    ``times`` of its.
    """
    destination = values.text("output_model_destination")
    if destination:
        name = re.sub(r"\.(safetensors|ckpt|pt)$", "", PurePosixPath(destination.replace("\\", "/")).name)
        values.set("save.name", "output_model_destination", safe_name(name))
    every, unit = values.whole("save_every", 0) or 0, values.text("save_every_unit", "NEVER").upper()
    accumulation = values.draft.recipe.train.accumulation
    if not every:
        values.set("save.every", "save_every", 0)
    elif unit == "EPOCH" and batches is not None:
        values.set("save.every", "save_every", max(every * batches // accumulation, 1))
        values.set("save.every_unit", "save_every_unit", "steps")
    elif unit == "EPOCH" and times > 1:
        values.set("save.every", "save_every", max(epochs // every, 1))
        values.set("save.every_unit", "save_every_unit", "times")
    elif unit == "EPOCH":
        values.set("save.every", "save_every", every)
        values.set("save.every_unit", "save_every_unit", "epochs")
    elif unit == "STEP":
        values.set("save.every", "save_every", max(every // accumulation, 1))
        values.set("save.every_unit", "save_every_unit", "steps")
    else:
        values.set("save.every", "save_every", 0)
        if unit not in ("NEVER", ""):
            values.leave("save_every_unit", "saves aren't made by the clock here. Set save.every and save.every_unit.")
    precision = values.text("output_dtype", "FLOAT_32")
    values.set("save.precision", "output_dtype", PRECISIONS.get(precision, precision))
    values.set("watch.tensorboard", "tensorboard", values.flag("tensorboard", True))


def _set_samples(values: Values, files: Files, batches: int | None) -> None:
    """Set control prompts from the samples in the config, or in the file that it names."""
    samples = values.raw("samples")
    if not isinstance(samples, list):
        path = values.text("sample_definition_file_name")
        content = files.read(path) if path else None
        try:
            samples = None if content is None else json_file.parse(content)
        except ValueError:
            samples = None
        if samples is None and path:
            values.leave("sample_definition_file_name", "its prompts weren't found here. Set watch.concept_prompts.")
    prompts = [_prompt(Values(one, values.draft, "samples.")) for one in samples or [] if isinstance(one, Mapping)]
    set_prompts(values.draft, [one for one in prompts if one is not None], "samples")
    every, unit = values.number("sample_after", 10) or 0, values.text("sample_after_unit", "MINUTE").upper()
    accumulation = values.draft.recipe.train.accumulation
    if not every and unit in ("STEP", "EPOCH"):
        values.set("watch.every", "sample_after", 0)
    elif unit == "STEP":
        values.set("watch.every", "sample_after", max(int(every) // accumulation, 1))
    elif unit == "EPOCH" and batches is not None:
        values.set("watch.every", "sample_after", max(int(every * batches) // accumulation, 1))
    elif values.has("sample_after") and unit != "NEVER":
        values.leave(
            "sample_after", "control pictures are drawn at saves, or every so many steps, here. Set watch.every."
        )


def _prompt(values: Values) -> SamplePrompt | None:
    if not values.flag("enabled", True) or not values.text("prompt"):
        return None
    return SamplePrompt(
        values.text("prompt"),
        values.text("negative_prompt"),
        None if values.flag("random_seed") else values.whole("seed"),
        values.number("cfg_scale"),
        values.whole("diffusion_steps"),
        values.whole("width"),
    )

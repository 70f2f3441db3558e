"""OneTrainer's configs: each setting has the same effect in the recipe, or a line in the report.

The expected values are written from OneTrainer's code: modules/util/create.py, NamedParameterGroup.py,
TrainConfig.py, and mgds' AspectBatchSorting.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.importing import SettingsFileError
from sdft_ext.importing.epochs import onetrainer_bucket
from sdft_ext.train.optimizers import optimizer_class, parse_options
from sdft_ext.train.schedules import LearningRates

from .importer import imported, onetrainer, pictures, plan, says, shown, value

FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"method.name": "lora", "method.lora.rank": 16, "method.lora.alpha": 1.0, "train.learning_rate": 3e-6}),
    ({"peft_type": "LOHA", "lora_rank": 8, "lora_alpha": 4}, {"method.name": "loha", "method.lora.rank": 8}),
    (
        {"peft_type": "LOKR", "lokr_dim": 6, "lokr_decompose_factor": 4},
        {"method.lora.rank": 6, "method.lora.factor": 4},
    ),
    ({"lora_decompose": True}, {"method.name": "dora"}),
    ({"dropout_probability": 0.1}, {"method.lora.dropout": 0.1}),
    ({"layer_filter_preset": "attn-mlp"}, {"method.lora.layers": "linear"}),
    ({"layer_filter_preset": "attn-only"}, {"method.lora.layers": "attention"}),
    ({"lora_layer_preset": "attn-only"}, {"method.lora.layers": "attention"}),
    ({"lora_model_name": "/a/b.safetensors"}, {"method.lora.continue_from": "/a/b.safetensors"}),
    ({"training_method": "FINE_TUNE"}, {"method.name": "full"}),
    (
        {
            "training_method": "FINE_TUNE",
            "weight_dtype": "BFLOAT_16",
            "train_dtype": "BFLOAT_16",
            "unet": {"weight_dtype": "NONE"},
        },
        {"method.full.weights": "bf16"},
    ),
    (
        {
            "training_method": "EMBEDDING",
            "embedding": {"placeholder": "<cat>", "token_count": 3, "initial_embedding_text": "a cat"},
            "embedding_learning_rate": 1e-3,
            "preserve_embedding_norm": True,
        },
        {
            "method.name": "textual_inversion",
            "method.embedding.words": {"<cat>": "a cat"},
            "method.embedding.vectors": 3,
            "method.embedding.norm_pull": 1.0,
            "train.learning_rate": 1e-3,
        },
    ),
    (
        {"additional_embeddings": [{"placeholder": "<a>", "token_count": 2}], "embedding_learning_rate": 2e-3},
        {"method.name": "pivotal", "method.embedding.words": {"<a>": ""}, "method.embedding.learning_rate": 2e-3},
    ),
    ({"batch_size": 4, "gradient_accumulation_steps": 2}, {"train.batch_size": 4, "train.accumulation": 2}),
    ({"learning_rate": 1e-4, "batch_size": 4, "learning_rate_scaler": "BATCH"}, {"train.learning_rate": 2e-4}),
    (
        {"learning_rate": 1e-4, "gradient_accumulation_steps": 9, "learning_rate_scaler": "GRADIENT_ACCUMULATION"},
        {"train.learning_rate": 3e-4},
    ),
    (
        {
            "learning_rate": 1e-4,
            "batch_size": 2,
            "gradient_accumulation_steps": 8,
            "learning_rate_scaler": "BOTH",
            "text_encoder": {"learning_rate": 5e-5},
        },
        {"train.learning_rate": 4e-4, "train.text_encoder_learning_rate": 2e-4},
    ),
    ({"learning_rate": 1e-4, "unet": {"learning_rate": 3e-4}}, {"train.learning_rate": 3e-4}),
    ({"text_encoder": {"train": False}}, {"method.text_encoder": False}),
    ({"unet": {"train": False}}, {"method.unet": False}),
    ({"train_text_encoder": False}, {"method.text_encoder": False}),
    ({}, {"train.text_encoder_stop": 0.3}),
    (
        {"epochs": 40, "text_encoder": {"stop_training_after": 10, "stop_training_after_unit": "EPOCH"}},
        {"train.text_encoder_stop": 0.25},
    ),
    ({"text_encoder": {"stop_training_after_unit": "NEVER"}}, {"train.text_encoder_stop": 1.0}),
    ({}, {"train.schedule": "constant_with_warmup", "train.warmup": 200}),
    ({"learning_rate_warmup_steps": 0}, {"train.schedule": "constant"}),
    (
        {"learning_rate_scheduler": "COSINE", "learning_rate_warmup_steps": 60, "gradient_accumulation_steps": 4},
        {"train.schedule": "cosine", "train.warmup": 15},
    ),
    (
        {"learning_rate_scheduler": "COSINE_WITH_HARD_RESTARTS", "learning_rate_cycles": 3},
        {"train.schedule": "cosine_with_restarts", "train.cycles": 3},
    ),
    ({"learning_rate_scheduler": "COSINE_WITH_RESTARTS", "learning_rate_cycles": 0.5}, {"train.schedule": "cosine"}),
    ({"ema": "GPU", "ema_decay": 0.99, "ema_update_step_interval": 1}, {"train.ema": 0.99}),
    ({"ema": "CPU", "ema_decay": 0.95, "ema_update_step_interval": 5}, {"train.ema": round(0.95**0.2, 6)}),
    ({"train_dtype": "BFLOAT_16", "output_dtype": "FLOAT_16"}, {"train.precision": "bf16", "save.precision": "fp16"}),
    ({}, {"train.precision": "fp16", "save.precision": "fp32"}),
    ({"mse_strength": 0, "mae_strength": 1}, {"train.loss": "l1"}),
    ({"mse_strength": 0, "huber_strength": 1, "huber_delta": 0.5}, {"train.loss": "huber", "train.huber_delta": 0.5}),
    (
        {"loss_weight_fn": "MIN_SNR_GAMMA", "loss_weight_strength": 3},
        {"train.snr_weighting": "min_snr", "train.snr_gamma": 3.0},
    ),
    ({"min_snr_gamma": 4}, {"train.snr_weighting": "min_snr", "train.snr_gamma": 4.0}),
    ({"loss_weight_fn": "DEBIASED_ESTIMATION"}, {"train.snr_weighting": "debiased"}),
    ({"offset_noise_weight": 0.05}, {"train.noise_offset": 0.05}),
    ({"perturbation_noise_weight": 0.1}, {"train.input_perturbation": 0.1}),
    (
        {"min_noising_strength": 0.1, "max_noising_strength": 0.8},
        {"train.timestep_min": 100, "train.timestep_max": 799},
    ),
    (
        {"timestep_distribution": "LOGIT_NORMAL", "noising_bias": 0.5, "noising_weight": 0.2},
        {"train.timestep_distribution": "logit_normal", "train.logit_mean": 0.5, "train.logit_std": 1.2},
    ),
    ({"rescale_noise_scheduler_to_zero_terminal_snr": True}, {"train.zero_terminal_snr": True}),
    ({"masked_training": True, "unmasked_weight": 0.3}, {"train.masked_loss": True, "train.unmasked_weight": 0.3}),
    ({"clip_grad_norm": None}, {"train.clip_norm": 0.0}),
    ({"clip_grad_norm": 0.5}, {"train.clip_norm": 0.5}),
    ({"text_encoder": {"dropout_probability": 0.1}}, {"dataset.caption_dropout": 0.1}),
    ({"unet": {"gradient_checkpointing": False}}, {"train.checkpointing": False}),
    ({"gradient_checkpointing": "OFF"}, {"train.checkpointing": False}),
    ({"text_encoder_layer_skip": 1}, {"model.clip_skip": 2}),
    ({"latent_caching": False}, {"dataset.cache": "none", "dataset.latents": "mean"}),
    ({"resolution": "768"}, {"dataset.resolution": 768, "dataset.bucket_step": 8, "dataset.bucket_max": 1536}),
    ({"model_type": "STABLE_DIFFUSION_XL_10_BASE"}, {"dataset.bucket_step": 64}),
    ({"aspect_ratio_bucketing": False}, {"dataset.buckets": False}),
    ({"output_model_destination": "models\\my cat.safetensors"}, {"save.name": "my cat"}),
    ({"output_model_destination": "models/dog_1.5.ckpt"}, {"save.name": "dog_1.5"}),
    ({"save_every": 0, "save_every_unit": "EPOCH", "save_after": 2}, {"save.every": 0}),
    ({"sample_after": 0, "sample_after_unit": "EPOCH"}, {"watch.every": 0}),
    ({"save_every": 3, "save_every_unit": "EPOCH"}, {"save.every": 3, "save.every_unit": "epochs"}),
    (
        {"save_every": 100, "save_every_unit": "STEP", "gradient_accumulation_steps": 4},
        {"save.every": 25, "save.every_unit": "steps"},
    ),
    ({"save_after": 3, "save_after_unit": "EPOCH"}, {"save.every": 3, "save.every_unit": "epochs"}),
    ({"epochs": 12}, {"train.length": 12, "train.length_unit": "epochs"}),
]


@pytest.mark.parametrize(("settings", "expected"), FIELDS, ids=lambda one: "-".join(one)[:60])
def test_a_setting_has_the_same_effect(tmp_path: Path, settings: dict[str, Any], expected: dict[str, Any]) -> None:
    recipe = onetrainer(tmp_path, **settings).recipe
    found = {path: value(recipe, path) for path in expected}
    assert found == {path: pytest.approx(one) if isinstance(one, float) else one for path, one in expected.items()}


OPTIMIZERS: list[tuple[dict[str, Any], str, float, dict[str, Any]]] = [
    (
        {"optimizer": "ADAMW", "beta1": 0.8, "beta2": 0.99, "eps": 1e-7},
        "adamw",
        0.01,
        {"betas": (0.8, 0.99), "eps": 1e-7},
    ),
    ({"optimizer": "ADAMW", "weight_decay": 0.2}, "adamw", 0.2, {}),
    ({"optimizer": "LION"}, "lion", 0.0, {}),
    (
        {"optimizer": "PRODIGY", "d_coef": 0.5, "decouple": True},
        "prodigy",
        0.0,
        {"d_coef": 0.5, "weight_decouple": True},
    ),
    ({"optimizer": "DADAPT_ADAM", "d0": 1e-5}, "dadaptadam", 0.0, {"d0": 1e-5}),
    (
        {"optimizer": "ADAFACTOR", "scale_parameter": False, "relative_step": False},
        "adafactor",
        0.0,
        {"scale_parameter": False, "relative_step": False, "betas": (0.0, 0.999)},
    ),
    ({"optimizer": "CAME", "beta1": 0.9, "beta2": 0.99, "beta3": 0.9999}, "came", 0.0, {"betas": (0.9, 0.99, 0.9999)}),
    ({"optimizer": "SCHEDULE_FREE_ADAMW"}, "adamw_schedule_free", 0.01, {"warmup_steps": 200}),
]


@pytest.mark.parametrize(("settings", "becomes", "decay", "expected"), OPTIMIZERS)
def test_an_optimizer_has_the_same_decay_and_options(
    tmp_path: Path, settings: dict[str, Any], becomes: str, decay: float, expected: dict[str, Any]
) -> None:
    found = onetrainer(tmp_path, optimizer={**settings, "fused": False, "stochastic_rounding": True, "momentum": None})
    train = found.recipe.train
    assert (train.optimizer, train.weight_decay) == (becomes, decay)
    parsed = parse_options(train.optimizer_options, optimizer_class(becomes))
    assert {name: parsed[name] for name in expected} == expected
    assert not says(found, "optimizer"), found.left


def rates_there(kind: str, total: int, warmup: int, cycles: float) -> list[float]:
    """OneTrainer's share of the learning rate in each step (modules/util/lr_scheduler_util.py)."""

    def after(step: int) -> float:
        progress = step / (total - warmup)
        if kind == "LINEAR":
            return max(0.0, 1.0 - progress)
        return 0.5 * (1 + math.cos((progress * cycles % 1.0 if kind.endswith("RESTARTS") else progress) * math.pi))

    return [step / warmup if step < warmup else after(step - warmup) for step in range(total)]


@pytest.mark.parametrize("kind", ["LINEAR", "COSINE", "COSINE_WITH_HARD_RESTARTS"])
def test_rates_over_the_run_are_onetrainers(tmp_path: Path, kind: str) -> None:
    pictures(tmp_path / "cats", (5, 64, 64))
    settings = {"learning_rate_scheduler": kind, "learning_rate_cycles": 2, "learning_rate_warmup_steps": 0.2}
    recipe = onetrainer(tmp_path, [concept("cats")], resolution="64", epochs=8, learning_rate=1e-3, **settings).recipe
    rates = LearningRates(recipe.train, plan(recipe).total_steps)
    expected = [1e-3 * share for share in rates_there(kind, 40, 8, 2)]
    assert [rates.at(step, recipe.train.learning_rate) for step in range(40)] == pytest.approx(expected)


def concept(folder: str, **more: Any) -> dict[str, Any]:
    return {"name": "cats", "path": folder, "image": {"enable_crop_jitter": False}, **more}


CASES: list[tuple[str, dict[str, Any], dict[str, Any], int, int]] = [
    ("whole", {"batch_size": 2, "epochs": 5}, {"balancing": 3}, 45, 90),
    ("dropped", {"batch_size": 4, "epochs": 6}, {}, 6, 24),
    ("accumulated", {"batch_size": 1, "gradient_accumulation_steps": 4, "epochs": 10}, {}, 15, 60),
    ("half", {"batch_size": 1, "epochs": 8}, {"balancing": 0.5}, 24, 24),
    ("samples", {"batch_size": 1, "epochs": 2}, {"balancing": 12, "balancing_strategy": "SAMPLES"}, 24, 24),
    ("old name", {"batch_size": 1, "epochs": 2}, {"repeats": 2}, 24, 24),
]


@pytest.mark.parametrize(("name", "settings", "one", "steps", "showings"), CASES, ids=[case[0] for case in CASES])
def test_an_epoch_has_as_many_steps_and_showings(
    tmp_path: Path, name: str, settings: dict[str, Any], one: dict[str, Any], steps: int, showings: int
) -> None:
    """Of six pictures. What doesn't fill a batch is left out of an epoch there: all batches are full, as here."""
    pictures(tmp_path / "cats", (6, 64, 64))
    found = onetrainer(tmp_path, [concept("cats", **one)], resolution="64", **settings)
    assert plan(found.recipe).total_steps == steps
    assert shown(found.recipe, steps) == {"cats": showings}
    assert says(found, "left out of an epoch") == (name == "dropped")


def test_concepts_of_different_balance_keep_their_proportion(tmp_path: Path) -> None:
    pictures(tmp_path / "cats", (6, 64, 64))
    pictures(tmp_path / "dogs", (4, 64, 64))
    concepts = [concept("cats", balancing=0.5, loss_weight=2), concept("dogs", balancing=1.5)]
    found = onetrainer(tmp_path, concepts, resolution="64", epochs=4, learning_rate_warmup_steps=0.25)
    assert plan(found.recipe).total_steps == 4 * (3 + 6)
    assert shown(found.recipe, 36) == {"cats": 12, "dogs": 24}
    assert [one.loss_weight for one in found.recipe.dataset.concepts] == [2.0, 1.0]
    assert found.recipe.train.warmup == 9


def test_concepts_come_from_their_own_file(tmp_path: Path) -> None:
    pictures(tmp_path / "cats", (3, 64, 64))
    config = {"training_method": "LORA", "base_model_name": "a/b", "concept_file_name": "concepts.json", "epochs": 2}
    (tmp_path / "concepts.json").write_text(json.dumps([concept("cats")]), encoding="utf-8")
    alone = imported(tmp_path, **{"config.json": config})
    together = imported(tmp_path / "cats", **{"config.json": config, "c.json": [concept(str(tmp_path / "cats"))]})
    for found in (alone, together):
        assert found.recipe.dataset.concepts[0].instance == str(tmp_path / "cats")
        assert plan(found.recipe).total_steps == 6
    gone = imported(tmp_path, **{"config.json": {**config, "concept_file_name": "gone.json"}})
    assert says(gone, "concept_file_name", "Import their file together")


TEXTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"text": {"prompt_source": "filename"}}, {"dataset.captions": "filename"}),
    ({"text": {"prompt_source": "sample"}}, {"dataset.captions": "text", "dataset.caption_lines": "choose"}),
    (
        {"text": {"enable_tag_shuffling": True, "keep_tags_count": 2}},
        {"dataset.shuffle_tags": True, "dataset.keep_tags": 2},
    ),
    (
        {"text": {"tag_dropout_enable": True, "tag_dropout_mode": "RANDOM", "tag_dropout_probability": 0.2}},
        {"dataset.tag_dropout": 0.2, "dataset.keep_tags": 1},
    ),
    ({"image": {"enable_random_flip": True}}, {"dataset.flip": 0.5, "dataset.crop": "random"}),
]


@pytest.mark.parametrize(("one", "expected"), TEXTS)
def test_captions_and_pixels_are_treated_alike(tmp_path: Path, one: dict[str, Any], expected: dict[str, Any]) -> None:
    recipe = onetrainer(tmp_path, [concept("cats") | one]).recipe
    assert {path: value(recipe, path) for path in expected} == expected


LEFT: list[tuple[dict[str, Any], list[dict[str, Any]], tuple[str, ...]]] = [
    ({"learning_rate_scheduler": "REX"}, [], ("learning_rate_scheduler", "linear was chosen")),
    ({"learning_rate_scheduler": "CUSTOM", "custom_learning_rate_scheduler": "os.system"}, [], ("never run",)),
    ({"loss_weight_fn": "P2"}, [], ("loss_weight_fn", "train.snr_weighting")),
    ({"mse_strength": 0.5, "mae_strength": 0.5}, [], ("The loss is a sum", "train.loss")),
    ({"peft_type": "OFT_2"}, [], ("peft_type", "LoRA was chosen")),
    ({"resolution": "512,768"}, [], ("resolution", "512 was taken")),
    ({"save_every": 10, "save_every_unit": "MINUTE"}, [], ("save_every_unit", "save.every")),
    ({"optimizer": {"optimizer": "MUON"}}, [], ("optimizer.optimizer", "adamw was chosen")),
    ({"timestep_distribution": "BETA"}, [], ("timestep_distribution",)),
    ({"multi_gpu": True}, [], ("multi_gpu", "accelerate launch")),
    ({}, [concept("cats", enabled=False)], ("switched off",)),
    ({}, [concept("cats", type="VALIDATION")], ("validation_share",)),
    ({}, [concept("cats"), concept("dogs", type="PRIOR_PREDICTION")], ("PRIOR_PREDICTION", "regularization pictures")),
    ({}, [concept("cats", image={"enable_random_hue": True})], ("enable_random_hue", "copies")),
    ({}, [concept("cats", text={"prompt_source": "concept"})], ("prompt_path", "dataset.template")),
    (
        {},
        [concept("cats"), concept("dogs", image={"enable_random_flip": True})],
        ("enable_random_flip", "one value holds"),
    ),
    ({}, [concept("cats", balancing=7, balancing_strategy="SAMPLES")], ("balancing", "concepts.0.repeats")),
]


@pytest.mark.parametrize(("settings", "concepts", "parts"), LEFT)
def test_what_differs_is_reported_with_what_to_do(
    tmp_path: Path, settings: dict[str, Any], concepts: list[dict[str, Any]], parts: tuple[str, ...]
) -> None:
    found = onetrainer(tmp_path, concepts, **settings)
    assert says(found, *parts), found.left


def test_samples_become_control_prompts(tmp_path: Path) -> None:
    samples = [
        {"prompt": "a cat", "negative_prompt": "bad", "cfg_scale": 5, "diffusion_steps": 25, "seed": 9, "width": 640},
        {"prompt": "hidden", "enabled": False},
    ]
    watch = onetrainer(tmp_path, samples=samples, sample_after=50, sample_after_unit="STEP").recipe.watch
    assert (watch.concept_prompts, watch.negative, watch.guidance, watch.seed) == (["a cat"], "bad", 5.0, 9)
    assert (watch.sampler_steps, watch.size, watch.every) == (25, 640, 50)


@pytest.mark.parametrize(
    "settings",
    [{"model_type": "FLUX_DEV_1"}, {"model_type": "STABLE_DIFFUSION_35"}, {"training_method": "FINE_TUNE_VAE"},
     {"model_type": "STABLE_DIFFUSION_15_INPAINTING"}],
)  # fmt: skip
def test_configs_for_another_kind_of_model_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsFileError, match="This program trains"):
        onetrainer(tmp_path, **settings)


@pytest.mark.parametrize(
    ("size", "quantization", "bucket"),
    [
        ((512, 512), 8, (512, 512)),
        ((1000, 500), 8, (728, 360)),
        ((500, 1000), 64, (384, 704)),
        ((900, 100), 0, (512, 512)),
    ],
)
def test_buckets_are_those_of_onetrainer(size: tuple[int, int], quantization: int, bucket: tuple[int, int]) -> None:
    assert onetrainer_bucket(*size, 512, quantization) == bucket

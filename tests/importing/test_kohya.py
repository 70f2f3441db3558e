"""kohya's settings: each has the same effect in the recipe, or a line in the report.

The expected values are written from sd-scripts' code: library/train_util.py, train_network.py, networks/lora.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sdft_ext.importing import SettingsFileError
from sdft_ext.recipe import Recipe
from sdft_ext.train.optimizers import optimizer_class, parse_options
from sdft_ext.train.schedules import LearningRates

from .importer import gui, kohya, pictures, says, value

FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_train_steps": 800}, {"train.length": 800, "train.length_unit": "steps"}),
    ({}, {"train.length": 1600, "train.learning_rate": 2e-6, "save.precision": "fp32", "save.every": 0}),
    ({"max_train_epochs": 7}, {"train.length": 7, "train.length_unit": "epochs"}),
    ({"train_batch_size": 3, "gradient_accumulation_steps": 2}, {"train.batch_size": 3, "train.accumulation": 2}),
    ({"learning_rate": 1e-4}, {"train.learning_rate": 1e-4, "train.text_encoder_learning_rate": 0.0}),
    (
        {"learning_rate": 1e-4, "unet_lr": 2e-4, "text_encoder_lr": 5e-5},
        {"train.learning_rate": 2e-4, "train.text_encoder_learning_rate": 5e-5, "method.text_encoder": True},
    ),
    (
        {"learning_rate": 1e-4, "text_encoder_lr": [3e-5, 3e-5]},
        {"train.learning_rate": 1e-4, "train.text_encoder_learning_rate": 3e-5},
    ),
    ({"unet_lr": 1e-4, "text_encoder_lr": 0.0}, {"train.learning_rate": 1e-4, "method.text_encoder": False}),
    ({"network_train_unet_only": True, "unet_lr": 1e-4}, {"method.text_encoder": False, "method.unet": True}),
    (
        {"network_train_text_encoder_only": True, "text_encoder_lr": 3e-5},
        {"method.unet": False, "method.text_encoder": True, "train.learning_rate": 3e-5},
    ),
    ({"lr_scheduler": "cosine", "lr_warmup_steps": 40}, {"train.schedule": "cosine", "train.warmup": 40}),
    ({"lr_scheduler": "cosine", "lr_warmup_steps": 0.1, "max_train_steps": 500}, {"train.warmup": 50}),
    (
        {"lr_scheduler": "cosine_with_restarts", "lr_scheduler_num_cycles": 3},
        {"train.schedule": "cosine_with_restarts", "train.cycles": 3},
    ),
    ({"lr_scheduler": "polynomial", "lr_scheduler_power": 2}, {"train.schedule": "polynomial", "train.power": 2.0}),
    ({"lr_scheduler": "constant", "lr_warmup_steps": 9}, {"train.schedule": "constant", "train.warmup": 0}),
    ({"lr_scheduler": "constant_with_warmup"}, {"train.schedule": "constant_with_warmup"}),
    ({"network_dim": 32, "network_alpha": 16}, {"method.lora.rank": 32, "method.lora.alpha": 16.0}),
    ({}, {"method.name": "lora", "method.lora.rank": 4, "method.lora.alpha": 1.0, "method.lora.layers": "linear"}),
    (
        {"network_args": ["conv_dim=8", "conv_alpha=4"]},
        {"method.lora.layers": "all", "method.lora.conv_rank": 8, "method.lora.conv_alpha": 4.0},
    ),
    ({"network_args": ["conv_dim=8"]}, {"method.lora.conv_rank": 8, "method.lora.conv_alpha": 1.0}),
    (
        {"network_module": "lycoris.kohya", "network_dim": 8, "network_alpha": 4, "network_args": ["algo=loha"]},
        {"method.name": "loha", "method.lora.layers": "all", "method.lora.conv_rank": 8, "method.lora.conv_alpha": 4.0},
    ),
    (
        {"network_module": "lycoris.kohya", "network_args": ["algo=lokr", "factor=8", "preset=attn-only"]},
        {"method.name": "lokr", "method.lora.factor": 8, "method.lora.layers": "attention"},
    ),
    ({"network_module": "lycoris.kohya", "network_args": ["algo=lokr", "factor=-1"]}, {"method.lora.factor": 0}),
    ({"network_module": "lycoris.kohya", "network_args": ["algo=lora", "dora_wd=True"]}, {"method.name": "dora"}),
    (
        {"network_dropout": 0.1, "network_args": ["rank_dropout=0.2", "loraplus_lr_ratio=4"]},
        {"method.lora.dropout": 0.1, "method.lora.rank_dropout": 0.2, "method.lora.up_ratio": 4.0},
    ),
    ({"scale_weight_norms": 1.0}, {"method.lora.norm_cap": 1.0}),
    ({"network_weights": "/a/first.safetensors"}, {"method.lora.continue_from": "/a/first.safetensors"}),
    ({"clip_skip": 2}, {"model.clip_skip": 2}),
    ({"mixed_precision": "bf16", "save_precision": "fp16"}, {"train.precision": "bf16", "save.precision": "fp16"}),
    ({"noise_offset": 0.05, "ip_noise_gamma": 0.1}, {"train.noise_offset": 0.05, "train.input_perturbation": 0.1}),
    (
        {"multires_noise_iterations": 6, "multires_noise_discount": 0.4},
        {"train.multires_iterations": 6, "train.multires_discount": 0.4},
    ),
    ({"min_snr_gamma": 5}, {"train.snr_weighting": "min_snr", "train.snr_gamma": 5.0}),
    ({"debiased_estimation_loss": True}, {"train.snr_weighting": "debiased"}),
    ({"prior_loss_weight": 0.5}, {"train.prior_loss_weight": 0.5}),
    ({"max_grad_norm": 0.0}, {"train.clip_norm": 0.0}),
    ({"min_timestep": 100, "max_timestep": 900}, {"train.timestep_min": 100, "train.timestep_max": 899}),
    (
        {"loss_type": "huber", "huber_c": 0.2, "huber_schedule": "constant"},
        {"train.loss": "pseudo_huber", "train.huber_delta": 0.2},
    ),
    ({"zero_terminal_snr": True}, {"train.zero_terminal_snr": True}),
    ({"seed": 42}, {"train.seed": 42}),
    ({"gradient_checkpointing": True}, {"train.checkpointing": True}),
    ({"cache_latents": True}, {"dataset.cache": "memory", "dataset.latents": "mean"}),
    ({"cache_latents": True, "cache_latents_to_disk": True}, {"dataset.cache": "disk"}),
    ({}, {"dataset.latents": "random"}),
    ({"output_name": "a/b: c"}, {"save.name": "a-b- c"}),
    ({"save_every_n_epochs": 2}, {"save.every": 2, "save.every_unit": "epochs"}),
    ({"save_every_n_steps": 50, "save_last_n_steps": 100}, {"save.every": 50, "save.keep_last": 2}),
    ({"save_n_epoch_ratio": 4}, {"save.every": 4, "save.every_unit": "times"}),
    ({"sample_every_n_steps": 25}, {"watch.every": 25}),
    ({"masked_loss": True}, {"train.masked_loss": True}),
    (
        {"shuffle_caption": True, "keep_tokens": 2, "caption_dropout_rate": 0.1, "caption_tag_dropout_rate": 0.2},
        {
            "dataset.shuffle_tags": True,
            "dataset.keep_tags": 2,
            "dataset.caption_dropout": 0.1,
            "dataset.tag_dropout": 0.2,
        },
    ),
    ({"enable_wildcard": True}, {"dataset.wildcards": True, "dataset.caption_lines": "choose"}),
    ({}, {"dataset.wildcards": False, "dataset.caption_lines": "first"}),
    ({"alpha_mask": True}, {"dataset.alpha": "mask", "train.masked_loss": True}),
    ({"flip_aug": True, "random_crop": True}, {"dataset.flip": 0.5, "dataset.crop": "random"}),
    ({"caption_prefix": "photo,", "caption_suffix": "end"}, {"dataset.prefix": "photo,", "dataset.suffix": "end"}),
    ({"resolution": "768,768"}, {"dataset.resolution": 768, "dataset.buckets": False}),
    (
        {
            "resolution": 640,
            "enable_bucket": True,
            "min_bucket_reso": 320,
            "max_bucket_reso": 960,
            "bucket_reso_steps": 32,
        },
        {
            "dataset.buckets": True,
            "dataset.bucket_min": 320,
            "dataset.bucket_max": 960,
            "dataset.bucket_step": 32,
            "dataset.no_upscale": False,
        },
    ),
    ({"enable_bucket": True, "bucket_no_upscale": True}, {"dataset.no_upscale": True}),
    (
        {"token_string": "sks", "init_word": "dog", "num_vectors_per_token": 4},
        {"method.name": "textual_inversion", "method.embedding.words": {"sks": "dog"}, "method.embedding.vectors": 4},
    ),
    (
        {"network_module": "", "learning_rate": 1e-6, "learning_rate_te": 5e-7},
        {"method.name": "dreambooth", "train.learning_rate": 1e-6, "train.text_encoder_learning_rate": 5e-7},
    ),
    ({"network_module": "", "stop_text_encoder_training": -1}, {"method.text_encoder": False}),
    ({"network_module": "", "stop_text_encoder_training": 400}, {"train.text_encoder_stop": 0.25}),
]


@pytest.mark.parametrize(("settings", "expected"), FIELDS, ids=lambda one: "-".join(one)[:60])
def test_a_setting_has_the_same_effect(tmp_path: Path, settings: dict[str, Any], expected: dict[str, Any]) -> None:
    recipe = kohya(tmp_path, **settings).recipe
    assert {path: value(recipe, path) for path in expected} == expected


OPTIMIZERS: list[tuple[str, list[str], str, float, dict[str, Any]]] = [
    ("", [], "adamw", 0.01, {}),
    ("AdamW8bit", ["weight_decay=0.1", "betas=0.9,0.99"], "adamw8bit", 0.1, {"betas": (0.9, 0.99)}),
    ("Lion", [], "lion", 0.0, {}),
    ("Prodigy", ["decouple=True", "d_coef=0.8", "use_bias_correction=True"], "prodigy", 0.0, {"d_coef": 0.8}),
    ("prodigyopt.Prodigy", ["safeguard_warmup=True"], "prodigy", 0.0, {"safeguard_warmup": True}),
    ("DAdaptAdam", ["decouple=True", "weight_decay=0.2"], "dadaptadam", 0.2, {}),
    (
        "Adafactor",
        ["scale_parameter=False", "relative_step=False", "warmup_init=False"],
        "adafactor",
        0.0,
        {"scale_parameter": False, "relative_step": False, "betas": (0.0, 0.999)},
    ),
    ("Adafactor", [], "adafactor", 0.0, {"scale_parameter": True, "relative_step": True}),
    ("pytorch_optimizer.CAME", ["weight_decay=0.01"], "came", 0.01, {}),
    ("AdamWScheduleFree", ["betas=(0.95, 0.999)"], "adamw_schedule_free", 0.0, {"betas": (0.95, 0.999)}),
    ("PagedLion8bit", [], "lion", 0.0, {}),
]


@pytest.mark.parametrize(("name", "options", "becomes", "decay", "expected"), OPTIMIZERS)
def test_an_optimizer_has_the_decay_and_options_of_its_own_package(
    tmp_path: Path, name: str, options: list[str], becomes: str, decay: float, expected: dict[str, Any]
) -> None:
    found = kohya(tmp_path, optimizer_type=name, optimizer_args=options)
    train = found.recipe.train
    assert (train.optimizer, train.weight_decay) == (becomes, decay)
    if becomes != "adamw8bit":  # whose package isn't installed
        parsed = parse_options(train.optimizer_options, optimizer_class(becomes))
        assert {name: parsed[name] for name in expected} == expected
    assert not says(found, "option"), found.left
    assert says(found, "optimizer_type") == (name == "PagedLion8bit" or (name, options) == ("Adafactor", []))


def test_the_text_encoder_keeps_prodigys_one_rate(tmp_path: Path) -> None:
    found = kohya(tmp_path, optimizer_type="Prodigy", unet_lr=1.0, text_encoder_lr=0.5)
    assert found.recipe.train.text_encoder_learning_rate == 0.0 and says(found, "text_encoder_lr", "Prodigy")


def test_rates_over_the_run_are_those_of_diffusers_schedule(tmp_path: Path) -> None:
    """sd-scripts takes its schedules from transformers, with formulas that diffusers shares."""
    torch = pytest.importorskip("torch")
    from diffusers.optimization import get_scheduler

    settings = {"lr_scheduler": "cosine_with_restarts", "lr_scheduler_num_cycles": 2, "lr_warmup_steps": 5}
    recipe = kohya(tmp_path, unet_lr=1e-3, max_train_steps=40, **settings).recipe
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    theirs = get_scheduler("cosine_with_restarts", optimizer, num_warmup_steps=5, num_training_steps=40, num_cycles=2)
    ours = LearningRates(recipe.train, 40)
    for step in range(40):
        assert ours.at(step, recipe.train.learning_rate) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        theirs.step()


LEFT: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"color_aug": True}, ("color_aug is true", "copies")),
    ({"caption_dropout_every_n_epochs": 5}, ("caption_dropout_every_n_epochs is 5", "dataset.caption_dropout")),
    ({"lr_scheduler": "cosine_with_min_lr"}, ("lr_scheduler", "cosine was chosen")),
    ({"lr_scheduler_type": "my.module.Schedule"}, ("lr_scheduler_type", "aren't run")),
    ({"network_args": ["block_dims=1,2"]}, ("block_dims", "method.lora.block_ranks")),
    ({"network_module": "networks.dylora"}, ("network_module", "dylora", "LoRA was chosen")),
    ({"optimizer_type": "SGDNesterov"}, ("optimizer_type", "adamw was chosen")),
    ({"optimizer_args": ["nothing=3"]}, ("option nothing = 3", "train.optimizer_options")),
    ({"text_encoder_lr": [1e-5, 2e-5]}, ("text_encoder_lr", "the first was taken")),
    ({"noise_offset": 3.0}, ("noise_offset is 3.0, which was left out", "0 to 1")),
    ({"max_train_steps": "many"}, ('max_train_steps is "many"', "not a whole number")),
    ({"something_new": 4}, ("something_new is 4", "no such setting")),
    ({"xformers": True, "max_data_loader_n_workers": 2}, ("Not needed here", "xformers", "max_data_loader_n_workers")),
    ({"pretrained_model_name_or_path": "runwayml/stable-diffusion-v1-5"}, ("Hugging Face", "model.base")),
    ({"resolution": [512, 768]}, ("resolution", "512×768", "627")),
    ({"save_every_n_epochs": 1, "save_every_n_steps": 9}, ("save_every_n_steps is 9", "epochs was taken")),
    ({"huber_schedule": "snr", "loss_type": "huber"}, ("huber_schedule", "train.huber_delta")),
]


@pytest.mark.parametrize(("settings", "parts"), LEFT, ids=lambda one: "-".join(one)[:60])
def test_what_differs_is_reported_with_what_to_do(
    tmp_path: Path, settings: dict[str, Any], parts: tuple[str, ...]
) -> None:
    assert says(kohya(tmp_path, **settings), *parts), kohya(tmp_path, **settings).left


def test_values_are_shown_as_kohya_ss_has_them(tmp_path: Path) -> None:
    found = gui(tmp_path, LoRA_type="LyCORIS/iA3", lr_warmup=10, lr_scheduler="cosine", epoch=2)
    assert says(found, 'LoRA_type is "LyCORIS/iA3"', "LoRA was chosen")
    assert says(found, "lr_warmup is 10", "train.warmup to 0.1")


def test_settings_without_an_effect_are_not_reported(tmp_path: Path) -> None:
    inactive = {"color_aug": False, "face_crop_aug_range": "", "token_warmup_min": 1, "token_warmup_step": 0.0}
    named = " ".join(kohya(tmp_path, max_train_steps=10, **inactive, v2=False, full_fp16=False).left)
    assert not any(name in named for name in (*inactive, "v2", "full_fp16"))


@pytest.mark.parametrize("module", ["networks.lora_flux", "networks.lora_sd3", "networks.oft_flux"])
def test_settings_for_another_kind_of_model_are_refused(tmp_path: Path, module: str) -> None:
    with pytest.raises(SettingsFileError, match="another kind of model"):
        kohya(tmp_path, network_module=module)


def test_prompts_with_and_without_the_trigger_become_control_prompts(tmp_path: Path) -> None:
    lines = "# a comment\nohwx on a beach --n blurry --d 7 --l 6.5 --s 30 --w 640\na dog --d 8\n"
    (tmp_path / "prompts.txt").write_text(lines, encoding="utf-8")
    (tmp_path / "train" / "5_ohwx dog").mkdir(parents=True)
    found = kohya(tmp_path, sample_prompts="prompts.txt", train_data_dir="train")
    watch = found.recipe.watch
    assert (watch.concept_prompts, watch.bleeding_prompts) == (["ohwx on a beach"], ["a dog"])
    assert (watch.negative, watch.seed, watch.guidance, watch.sampler_steps, watch.size) == ("blurry", 7, 6.5, 30, 640)


GUI: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"optimizer": "AdamW8bit", "learning_rate": "0.0001"},
        {"train.optimizer": "adamw8bit", "train.learning_rate": 1e-4},
    ),
    ({"optimizer_args": "betas=0.9,0.99 weight_decay=0.05"}, {"train.weight_decay": 0.05}),
    ({"optimizer_args": '"betas=(0.9, 0.99)" "weight_decay=0.4"'}, {"train.weight_decay": 0.4}),
    ({"LoRA_type": "LyCORIS/LoKr", "network_dim": 100000, "conv_dim": 100000}, {"method.lora.rank": 1024}),
    ({"unet_lr": 1e-4, "text_encoder_lr": 0}, {"method.text_encoder": False, "train.learning_rate": 1e-4}),
    ({"unet_lr": 0, "text_encoder_lr": 5e-5}, {"method.unet": False, "train.learning_rate": 5e-5}),
    (
        {"learning_rate": 3e-4, "unet_lr": 0, "text_encoder_lr": 0},
        {"method.unet": True, "method.text_encoder": True, "train.learning_rate": 3e-4},
    ),
    ({"lr_warmup": "10", "lr_scheduler": "cosine", "max_train_steps": 300}, {"train.warmup": 30}),
    ({"lr_warmup": 5, "lr_scheduler": "cosine", "max_train_steps": 1234}, {"train.warmup": 61}),
    (
        {"lr_warmup": 5, "lr_scheduler": "cosine", "max_train_steps": 1234, "dataset_config": "gone.toml"},
        {"train.warmup": 62},
    ),
    ({"lr_warmup": 10, "lr_warmup_steps": 25, "lr_scheduler": "cosine"}, {"train.warmup": 25}),
    ({"stop_text_encoder_training": 40, "max_train_steps": 100}, {"train.text_encoder_stop": 0.4}),
    ({"seed": "", "clip_skip": 0, "min_snr_gamma": 0}, {"model.clip_skip": 1, "train.snr_weighting": "none"}),
    ({"max_train_steps": 0, "epoch": 6}, {"train.length": 6, "train.length_unit": "epochs"}),
    (
        {"noise_offset_type": "Multires", "noise_offset": 0.1, "multires_noise_iterations": 8},
        {"train.noise_offset": 0.0, "train.multires_iterations": 8},
    ),
    (
        {"noise_offset_type": "Original", "noise_offset": 0.1, "multires_noise_iterations": 8},
        {"train.noise_offset": 0.1, "train.multires_iterations": 0},
    ),
    (
        {"LoRA_type": "LyCORIS/LoKr", "network_dim": 8, "factor": 4, "conv_dim": 2, "LyCORIS_preset": "full"},
        {"method.name": "lokr", "method.lora.factor": 4, "method.lora.conv_rank": 2, "method.lora.layers": "all"},
    ),
    ({"LoRA_type": "Standard", "conv_dim": 8}, {"method.lora.layers": "linear"}),
    ({"LoRA_type": "Kohya LoCon", "conv_dim": 8, "conv_alpha": 8}, {"method.lora.layers": "all"}),
    ({"max_resolution": "768,768", "enable_bucket": True}, {"dataset.resolution": 768, "dataset.buckets": True}),
    ({"sample_prompts": "a sks dog --n bad", "sample_every_n_steps": 10}, {"watch.negative": "bad", "watch.every": 10}),
]


@pytest.mark.parametrize(("settings", "expected"), GUI, ids=lambda one: "-".join(one)[:60])
def test_a_setting_of_kohya_ss_has_the_same_effect(
    tmp_path: Path, settings: dict[str, Any], expected: dict[str, Any]
) -> None:
    recipe: Recipe = gui(tmp_path, **settings).recipe
    assert {path: value(recipe, path) for path in expected} == expected


def test_of_two_intervals_of_samples_kohya_takes_the_epochs(tmp_path: Path) -> None:
    pictures(tmp_path / "train" / "2_sks cat", (4, 64, 64))
    found = kohya(tmp_path, train_data_dir="train", resolution=64, sample_every_n_steps=3, sample_every_n_epochs=2)
    assert found.recipe.watch.every == 16 and says(found, "sample_every_n_steps is 3", "sample_every_n_epochs")
    uncounted = kohya(tmp_path, sample_every_n_steps=3, sample_every_n_epochs=2)
    assert uncounted.recipe.watch.every == 0 and says(uncounted, "sample_every_n_epochs", "couldn't be counted")

"""A run's dataset, made with a real (small, random) VAE and CLIP text encoder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel

from sdft_ext.dataset import crops
from sdft_ext.dataset.crops import Crop
from sdft_ext.dataset.folder import DatasetError
from sdft_ext.dataset.prepare import CROPS_LEFT_OUT, prepare, text_cache
from sdft_ext.formats.family import Family
from sdft_ext.model.base import Model, clean_alphas_cumprod
from sdft_ext.model.borrow import tokenizer
from sdft_ext.model.text import encode
from sdft_ext.randomness import forked
from sdft_ext.recipe import MethodRecipe, Recipe, SaveRecipe, TrainRecipe, WatchRecipe
from sdft_ext.run.setup import prepare_dataset
from tests.analysis.images import fill, recipe, save


@pytest.fixture(scope="module")
def model() -> Model:
    with forked(1, "prepare"):
        vae = AutoencoderKL(
            block_out_channels=(8, 8, 16, 16),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            norm_num_groups=4,
        ).eval()
        config = CLIPTextConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
        text = CLIPTextModel(config).eval()
    family = Family(
        "sd1",
        "epsilon",
        False,
        unet={"block_out_channels": (320, 640, 1280, 1280)},
        vae={},
        text=({},),
        text_layer=(1,),
        latent_scale=0.18215,
    )
    unet = torch.nn.Linear(1, 1)  # only asked for its device
    return Model(family, unet, vae, [text], [tokenizer()], clean_alphas_cumprod())


def recipe_for(folder: Path, cache: str = "memory", text_encoder: bool = False, share: float = 0.25) -> Recipe:
    return Recipe(
        dataset=recipe(folder / "pictures", cache=cache),
        method=MethodRecipe(text_encoder=text_encoder),
        train=TrainRecipe(batch_size=2),
        save=SaveRecipe(output=str(folder)),
        watch=WatchRecipe(validation_share=share),
    )


def test_prepare(tmp_path: Path, model: Model) -> None:
    paths = fill(tmp_path / "pictures", 9)
    for number, path in enumerate(paths):
        path.with_suffix(".txt").write_text("a dog, " * (1 + 40 * (number == 3)) + str(number))
    paths[8].write_bytes(paths[8].read_bytes()[:-200])
    steps: list[tuple[str, int, int]] = []
    ready, summary = prepare_dataset(recipe_for(tmp_path), model, tmp_path / "run", lambda *step: steps.append(step))
    assert len(ready.scan.pictures) == 8 and len(ready.held_out) == 2 and ready.plan.steps_per_epoch == 3
    assert {phase for phase, _, _ in steps} == {"Encoding pictures", "Encoding captions"}
    assert all(done <= total for _, done, total in steps) and steps[-1][1] == steps[-1][2]
    batch = ready.batches.at(0)
    assert batch.latents.shape == (2, 4, 8, 8) and not set(batch.pictures) & set(ready.held_out)
    written = json.loads((tmp_path / "run" / "dataset.json").read_text())
    assert written["fingerprint"] == ready.fingerprint and written["pictures"] == 8
    assert "008.png" in summary.text


def test_cached_captions_are_those_of_the_model(tmp_path: Path, model: Model) -> None:
    captions = ["a dog", "", ", ".join(["a long caption"] * 40), "a dog"]
    cached = text_cache(recipe_for(tmp_path), model).get(captions)
    with torch.no_grad():
        direct = encode(model, captions)
    assert cached.context.shape == direct.context.shape and cached.context.shape[1] > 77
    assert torch.allclose(cached.context, direct.context, atol=1e-5)
    assert not cached.context.requires_grad


@pytest.mark.parametrize("format", [torch.bfloat16, torch.float16])
def test_a_caption_is_the_same_whether_it_is_met_before_the_steps_or_in_one(
    format: torch.dtype, tmp_path: Path, model: Model
) -> None:
    """Or a resumed run, whose cache is another, would go on otherwise."""
    before = text_cache(recipe_for(tmp_path), model).get(["a dog"])
    with torch.autocast("cpu", dtype=format):
        in_a_step = text_cache(recipe_for(tmp_path), model).get(["a dog"])
    assert torch.equal(in_a_step.context, before.context) and in_a_step.context.dtype == before.context.dtype


def test_the_disk_cache_is_among_the_runs_and_serves_the_next(tmp_path: Path, model: Model) -> None:
    fill(tmp_path / "pictures", 3)
    first = prepare(recipe_for(tmp_path, "disk"), model)
    for picture in range(3):
        first.batches.fixed([picture])  # encoded when it is needed
    files = {f: f.stat().st_mtime_ns for f in (tmp_path / "cache").rglob("*.safetensors")}
    assert len(files) == 3 + 1, "three pictures and the empty caption"
    second = prepare(recipe_for(tmp_path, "disk"), model)
    assert {f: f.stat().st_mtime_ns for f in (tmp_path / "cache").rglob("*.safetensors")} == files
    assert torch.equal(first.batches.at(1).latents, second.batches.at(1).latents)


def test_captions_are_not_encoded_ahead_for_a_text_encoder_that_trains(tmp_path: Path, model: Model) -> None:
    fill(tmp_path / "pictures", 2)
    phases: list[str] = []
    prepare(recipe_for(tmp_path, text_encoder=True), model, progress=lambda phase, *_: phases.append(phase))
    assert set(phases) == {"Encoding pictures"}


def test_a_resumed_run_needs_the_pictures_it_began_with(tmp_path: Path, model: Model) -> None:
    paths = fill(tmp_path / "pictures", 3)
    settings = recipe_for(tmp_path, share=0.0)
    prepare_dataset(settings, model, tmp_path / "run")
    prepare_dataset(settings, model, tmp_path / "run")
    prepare_dataset(replace(settings, train=TrainRecipe(batch_size=1)), model, tmp_path / "run")
    save(paths[0].with_name("new.png"))
    with pytest.raises(DatasetError, match="began with"):
        prepare_dataset(settings, model, tmp_path / "run")


def test_a_resumed_run_keeps_the_crops_that_it_began_with(tmp_path: Path, model: Model) -> None:
    fill(tmp_path / "pictures", 4, width=160)
    recipe = recipe_for(tmp_path)
    recipe.dataset.buckets = False
    began = prepare(recipe, model)
    crops.store(tmp_path / "pictures", "001.png", (160, 64), Crop(1.0, 0.5))
    resumed, new = prepare(recipe, model, began.fingerprint), prepare(recipe, model)
    assert resumed.plan.geometries == began.plan.geometries != new.plan.geometries
    assert resumed.notes == [CROPS_LEFT_OUT] and new.notes == []
    crops.store(tmp_path / "pictures", "001.png", (160, 64), Crop(0.0, 0.5))
    with pytest.raises(DatasetError, match="restore them"):
        prepare(recipe, model, new.fingerprint)

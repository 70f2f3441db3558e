"""A trained LoRA draws the same picture here and in diffusers' own pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.utils import USE_PEFT_BACKEND

from sdft_ext import run
from sdft_ext.method.lora import applied
from sdft_ext.model.load import load
from sdft_ext.model.sample import SamplerSettings, sample
from sdft_ext.recipe import file as recipe_file
from sdft_ext.toy import demo, world
from sdft_ext.toy.install import CHECKPOINT, CLIP_FOLDER

PROMPT, SEED, STEPS, GUIDANCE = f"a green {world.SUBJECT_TRIGGER} on a pink background", 5, 12, 2.5


@pytest.mark.slow
@pytest.mark.skipif(not USE_PEFT_BACKEND, reason="diffusers loads LoRAs only beside transformers 4.34 or newer")
def test_diffusers_pipeline_draws_the_same_picture(tmp_path: Path) -> None:
    """``load_lora_weights``, scheduler and loop are diffusers' own: at most 2 of 255 apart, and far from the base's."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline
    from transformers import CLIPTokenizer

    settings = ["train.length=40", "save.every=0", "watch.concept_prompts=[]", "watch.bleeding_prompts=[]"]
    recipe = recipe_file.override(demo.recipe(tmp_path / "run"), settings)
    lora = run.train(recipe, folder=tmp_path / "run", quiet=True).saves[-1]
    model = load(CHECKPOINT)
    (base,) = sample(model, [PROMPT], [SEED], SamplerSettings(steps=STEPS, guidance=GUIDANCE, width=64, height=64))
    with applied([(lora, 1.0)], model):
        (ours,) = sample(model, [PROMPT], [SEED], SamplerSettings(steps=STEPS, guidance=GUIDANCE, width=64, height=64))
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1, timestep_spacing="leading",
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        model.vae, model.text_encoders[0], CLIPTokenizer.from_pretrained(CLIP_FOLDER), model.unet, scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name)
    theirs = pipeline(
        PROMPT, num_inference_steps=STEPS, guidance_scale=GUIDANCE, width=64, height=64,
        generator=torch.Generator().manual_seed(SEED),
    ).images[0]  # fmt: skip
    assert difference(ours, theirs) <= 2
    assert difference(ours, base) > 50


def difference(one: object, other: object) -> int:
    """Largest difference of two pictures' values, of 255."""
    return int(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max())

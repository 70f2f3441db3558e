"""The files in ``assets``: an SD 1.x file in LDM's layout, CLIP's own tokenizer, and two example concepts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from sdft_ext.analysis.advice import advice
from sdft_ext.analysis.report import inspect
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.recipe import file as recipe_file
from sdft_ext.toy import install, measure, world

ASSETS = install.TOY.parent
SUBJECT = ASSETS / "example" / "subject"
STYLE = ASSETS / "example" / "style"

pytestmark = pytest.mark.skipif(not install.CHECKPOINT.exists(), reason="assets/toy/toy.safetensors is not there")


def pairs(folder: Path) -> tuple[list[world.Picture], list[str]]:
    files = sorted((*folder.glob("*.png"), *folder.glob("*.jpg")))
    pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    return pictures, [file.with_suffix(".txt").read_text(encoding="utf-8").strip() for file in files]


def test_it_stays_small() -> None:
    assert sum(file.stat().st_size for file in install.TOY.rglob("*") if file.is_file()) < 30e6


def test_the_checkpoint_has_the_layout_of_stable_diffusion_1() -> None:
    from safetensors import safe_open

    with safe_open(install.CHECKPOINT, framework="np") as file:
        names = set(file.keys())
        types = {file.get_slice(name).get_dtype() for name in names if not name.endswith("position_ids")}
    assert types == {"F16"}
    prefixes = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer.text_model.")
    assert all(name.startswith(prefixes) for name in names)
    for name in (
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",
        "model.diffusion_model.input_blocks.3.0.op.weight",
        "model.diffusion_model.middle_block.1.proj_in.weight",
        "model.diffusion_model.output_blocks.2.1.conv.weight",
        "model.diffusion_model.output_blocks.5.2.conv.weight",
        "first_stage_model.encoder.mid.attn_1.proj_out.weight",
        "first_stage_model.decoder.up.3.upsample.conv.weight",
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
    ):
        assert name in names
    assert not any(name.startswith("model.diffusion_model.input_blocks.7.1") for name in names)


def test_clip_s_tokenizer_is_openai_s() -> None:
    """Sizes and numbers of the files published with ``openai/clip-vit-base-patch32``."""
    vocabulary = json.loads((install.CLIP_FOLDER / "vocab.json").read_text(encoding="utf-8"))
    assert (install.CLIP_FOLDER / "vocab.json").stat().st_size == 862_328
    assert (install.CLIP_FOLDER / "merges.txt").stat().st_size == 524_619
    assert len(vocabulary) == 49408 and sorted(vocabulary.values()) == list(range(49408))
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(str(install.CLIP_FOLDER))
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokenizer("sks").input_ids == [49406, 48136, 49407]


def test_the_copy_for_a_webui_names_the_folder_absolutely(tmp_path: Path) -> None:
    target = install.install(tmp_path, tmp_path / "it's here")
    digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in (target, install.CHECKPOINT)}
    assert len(digests) == 1
    theirs = yaml.safe_load(target.with_suffix(".yaml").read_text(encoding="utf-8"))
    ours = yaml.safe_load(install.CHECKPOINT.with_suffix(".yaml").read_text(encoding="utf-8"))
    assert theirs["model"]["params"]["cond_stage_config"]["params"]["version"] == str(tmp_path / "it's here")
    assert ours["model"]["params"]["cond_stage_config"]["params"].pop("version") == "clip"
    theirs["model"]["params"]["cond_stage_config"]["params"].pop("version")
    assert theirs == ours


def test_the_subject_leaves_half_of_the_colours_unseen() -> None:
    pictures, captions = pairs(SUBJECT / "instance")
    assert len(pictures) == 12
    assert measure.concept_learned(pictures) == 1.0
    wants = [measure.wanted(caption) for caption in captions]
    assert len({w.colour for w in wants}) <= len(world.COLOURS) / 2
    assert all(world.SUBJECT_TRIGGER in caption for caption in captions)
    assert measure.base_quality(pictures, captions) == {"colour": 1.0, "background": 1.0, "shape": 1.0}


def test_the_style_leaves_two_colours_unseen() -> None:
    pictures, captions = pairs(STYLE / "instance")
    assert len(pictures) == 60
    assert measure.concept_learned(pictures, world.TWO_TONE) == 1.0
    wants = [measure.wanted(caption) for caption in captions]
    assert {want.shape for want in wants} == set(world.SHAPES)
    assert len({want.colour for want in wants}) == len(world.COLOURS) - 2
    assert len({(w.shape, w.colour, w.background) for w in wants}) == len(pictures)
    assert all(caption.endswith(world.STYLE_TRIGGER) for caption in captions)
    assert measure.base_quality(pictures, captions) == {"colour": 1.0, "background": 1.0, "shape": 1.0}


@pytest.mark.parametrize("concept", [SUBJECT, STYLE])
def test_regularization_pictures_show_the_class_and_not_the_concept(concept: Path) -> None:
    pictures, captions = pairs(concept / "regularization")
    assert len(pictures) == 20 * len(pairs(concept / "instance")[0])
    assert measure.shape_drift(pictures) == 0.0
    assert measure.concept_learned(pictures, world.TWO_TONE) == 0.0
    assert not any("sks" in caption or "twotone" in caption for caption in captions)
    quality = measure.base_quality(pictures, captions)
    assert min(quality.values()) == 1.0


@pytest.mark.parametrize("kind", ["subject", "style"])
def test_the_examples_follow_the_guide(kind: str) -> None:
    """Numbers of pictures, trigger, captions and sizes; of the style also what only a look at the pixels tells."""
    recipe = recipe_file.read(ASSETS / "example" / f"{kind}.yaml")
    found = scan(recipe.dataset)
    plan = Plan(found, recipe.dataset, recipe.train)
    assert not advice(found, plan) and not found.problems
    if kind == "style":
        findings = inspect(found, plan).data["findings"]
        assert [finding["text"] for finding in findings if finding["facts"].get("case") != "named"] == []

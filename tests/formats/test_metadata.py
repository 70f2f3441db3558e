"""The metadata of saved files."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save, save_file

from sdft_ext import __version__
from sdft_ext.formats import metadata
from sdft_ext.formats.metadata import RunFacts, base_hashes, lora_metadata, save_preview, with_hashes
from sdft_ext.recipe import Concept, Recipe
from tests.model import ldm

FACTS = RunFacts(
    base=None,
    started=1_700_000_000.5,
    steps=30,
    epoch=3,
    total_steps=95,
    steps_per_epoch=10,
    instances=12,
    regularization=40,
    dataset_dirs={"10_sks Hündin": {"n_repeats": 10, "img_count": 12}},
    reg_dataset_dirs={"1_dog": {"n_repeats": 1, "img_count": 40}},
    tag_frequency={"10_sks Hündin": {"geheim": 3}},
    buckets=((512, 512, 8), (448, 576, 4)),
)
EVERY_FILE = [
    "ss_output_name",
    "ss_base_model_version",
    "ss_v2",
    "ss_training_started_at",
    "ss_training_finished_at",
    "ss_steps",
    "ss_epoch",
    "ss_num_epochs",
    "ss_max_train_steps",
    "ss_num_train_images",
    "ss_num_reg_images",
    "ss_batch_size_per_device",
    "ss_gradient_accumulation_steps",
    "ss_learning_rate",
    "ss_unet_lr",
    "ss_text_encoder_lr",
    "ss_optimizer",
    "ss_lr_scheduler",
    "ss_lr_warmup_steps",
    "ss_seed",
    "ss_clip_skip",
    "ss_noise_offset",
    "ss_min_snr_gamma",
    "ss_mixed_precision",
    "ss_training_comment",
    "ss_session_id",
    "ss_resolution",
    "ss_bucket_info",
    "ss_dataset_dirs",
    "ss_tag_frequency",
    "modelspec.sai_model_spec",
    "modelspec.architecture",
    "modelspec.implementation",
    "modelspec.title",
    "modelspec.resolution",
    "modelspec.date",
    "modelspec.prediction_type",
    "modelspec.timestep_range",
]


def recipe(**changes: object) -> Recipe:
    made = Recipe()
    made.dataset.concepts = [Concept(trigger="0123", class_word="dog"), Concept(trigger="sks"), Concept()]
    for path, value in changes.items():
        section, _, name = path.partition("__")
        setattr(getattr(made, section), name, value)
    return made


def metadata_of(
    name: str = "sd1", facts: RunFacts = FACTS, prediction: str = "epsilon", **changes: object
) -> dict[str, str]:
    family = dataclasses.replace(ldm.family(name), prediction=prediction)
    return lora_metadata(recipe(**changes), family, facts, "dog-000030")


def test_every_key_that_programs_read_is_there_and_text():
    found = metadata_of()
    assert not [key for key in EVERY_FILE if key not in found]
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in found.items())
    assert found["ss_output_name"] == found["modelspec.title"] == "dog-000030"
    assert (found["ss_steps"], found["ss_epoch"], found["ss_num_epochs"]) == ("30", "3", "10")
    assert float(found["ss_training_started_at"]) == FACTS.started
    assert json.loads(found["ss_dataset_dirs"])["10_sks Hündin"]["img_count"] == 12
    assert json.loads(found["ss_bucket_info"])["buckets"]["1"] == {"resolution": [448, 576], "count": 4}
    assert found["modelspec.trigger_phrase"] == "0123, sks"
    assert found["modelspec.usage_hint"] == "<lora:dog-000030:1> 0123 dog"


@pytest.mark.parametrize(
    ("name", "prediction", "version", "v2", "architecture"),
    [
        ("sd1", "epsilon", "sd_v1", "False", "stable-diffusion-v1/lora"),
        ("sd2", "epsilon", "sd_v2", "True", "stable-diffusion-v2-512/lora"),
        ("sd2", "v_prediction", "sd_v2", "True", "stable-diffusion-v2-768-v/lora"),
        ("sdxl", "epsilon", "sdxl_base_v1-0", "False", "stable-diffusion-xl-v1-base/lora"),
    ],
)
def test_families_are_named_as_the_webui_and_forge_expect(name, prediction, version, v2, architecture):
    found = metadata_of(name, prediction=prediction)
    assert (found["ss_base_model_version"], found["ss_v2"]) == (version, v2)
    assert found["modelspec.architecture"] == architecture
    assert found["modelspec.prediction_type"] == ("v" if prediction == "v_prediction" else "epsilon")


def test_settings_are_written_as_they_were():
    found = metadata_of(
        train__optimizer_options={"betas": "0.9, 0.99"}, train__snr_weighting="min_snr", train__snr_gamma=4.0,
        train__timestep_min=100, train__timestep_max=899, train__precision="bf16", model__clip_skip=2,
        method__text_encoder=False, dataset__crop="random",
    )  # fmt: skip
    assert found["ss_optimizer"] == "adamw(betas=0.9, 0.99)" and found["ss_min_snr_gamma"] == "4.0"
    assert found["modelspec.timestep_range"] == "100,900" and found["modelspec.encoder_layer"] == "2"
    assert found["ss_mixed_precision"] == "bf16" and metadata_of()["ss_mixed_precision"] == "no"
    assert found["ss_text_encoder_lr"] == "None" and metadata_of()["ss_text_encoder_lr"] == "0.0001"
    assert found["ss_random_crop"] == "True" and metadata_of()["ss_random_crop"] == "False"
    assert "modelspec.encoder_layer" not in metadata_of()


def test_a_save_names_the_version_that_trained_it_as_the_changelog_does():
    assert metadata_of()["sdft_version"] == metadata_of(save__private=True)["sdft_version"] == __version__
    lines = (Path(__file__).parents[2] / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    versions = [line.split("]")[0].removeprefix("## [") for line in lines if line.startswith("## [")]
    assert versions[0] == "Unreleased" and versions[1] == __version__


def test_private_files_name_no_folder_caption_or_trigger():
    found = json.dumps(metadata_of(save__private=True), ensure_ascii=False)
    assert not any(word in found for word in ("Hündin", "geheim", "1_dog", "0123", "sks"))
    assert json.loads(found)["ss_num_train_images"] == "12"


def test_hashes_are_of_the_bytes_after_the_header(tmp_path):
    tensors = {"a": torch.arange(400_000, dtype=torch.float32), "b": torch.ones(3)}
    plain = {"ss_seed": "1", "modelspec.title": "x" * 999}
    found = with_hashes(tensors, plain)
    save_file(tensors, tmp_path / "a.safetensors", found)
    data = (tmp_path / "a.safetensors").read_bytes()
    digest = hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()
    assert found["sshs_model_hash"] == digest and found["modelspec.hash_sha256"] == f"0x{digest}"
    # kohya takes the old hash of the file as it is with its ss_ metadata alone.
    bare = save(tensors, {"ss_seed": "1"})
    assert found["sshs_legacy_hash"] == hashlib.sha256(bare[0x100000:0x110000]).hexdigest()[:8]
    assert plain.items() <= found.items()
    assert with_hashes({"b": torch.ones(3)}, {})["sshs_legacy_hash"] == hashlib.sha256(b"").hexdigest()[:8]


def test_hashes_of_the_base_are_read_once_and_again_when_it_changes(tmp_path):
    base = tmp_path / "base.safetensors"
    base.write_bytes(os.urandom(0x120000))
    data = base.read_bytes()
    found = metadata_of(facts=dataclasses.replace(FACTS, base=base))
    assert found["ss_sd_model_name"] == "base.safetensors"
    assert found["ss_new_sd_model_hash"] == hashlib.sha256(data).hexdigest()
    assert found["ss_sd_model_hash"] == hashlib.sha256(data[0x100000:0x110000]).hexdigest()[:8]
    reads = metadata._hashes_of.cache_info().misses
    assert base_hashes(base)["ss_new_sd_model_hash"] == found["ss_new_sd_model_hash"]
    assert metadata._hashes_of.cache_info().misses == reads
    other = metadata_of(model__vae=str(base))
    assert other["ss_vae_name"] == "base.safetensors" and other["ss_new_vae_hash"] == found["ss_new_sd_model_hash"]
    assert other["ss_vae_hash"] == found["ss_sd_model_hash"] and not any("vae" in key for key in found)
    for content, second in ((b"another", 1), (b"a third", 2)):
        base.write_bytes(content)
        os.utime(base, (second, second))
        assert base_hashes(base)["ss_new_sd_model_hash"] == hashlib.sha256(content).hexdigest()


def test_a_folder_or_a_vanished_base_has_no_hashes(tmp_path):
    assert base_hashes(tmp_path) == {} and base_hashes(tmp_path / "gone.ckpt") == {}


def test_the_preview_is_next_to_the_file(tmp_path):
    path = save_preview(tmp_path / "dog.v1-000030.safetensors", Image.new("RGB", (8, 8), (250, 0, 0)))
    assert path == tmp_path / "dog.v1-000030.preview.png"
    with Image.open(path) as picture:
        assert picture.getpixel((0, 0)) == (250, 0, 0)
    assert [file.name for file in Path(tmp_path).iterdir()] == [path.name]

"""Files of other programs: strengths, names and prediction types where these write them; models without a VAE."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sdft_ext.errors import ModelError
from sdft_ext.formats import kohya
from sdft_ext.formats.families import declares_prediction, prediction_of
from sdft_ext.formats.kohya import LoraFileError
from sdft_ext.formats.tensor_file import TensorFile
from sdft_ext.method.full import FullMethod
from sdft_ext.model import load, source
from sdft_ext.recipe import Recipe
from sdft_ext.storage import json_file
from sdft_ext.tools.convert import convert
from sdft_ext.tools.extract import extract
from sdft_ext.tools.files import ToolError
from sdft_ext.tools.loras import merge_loras
from sdft_ext.tools.merge import merge
from tests.method.perturbed import moved
from tests.model import ldm

QUERY = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
KOHYA = f"lora_unet_{QUERY.replace('.', '_')}"
TENSOR = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
"""A layer of SD 1 by its names in diffusers and kohya's files, and by its key in a checkpoint."""
TEXT = "text_model.encoder.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return {key: value.contiguous() for key, value in ldm.state_dict(ldm.family("sd1")).items()}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Tensor]) -> Path:
    path = tmp_path_factory.mktemp("base") / "sd1.safetensors"
    save_file(tensors, path)
    return path


def lora(path: Path, *roots: str, size: float = 0.1, side: int = 32) -> Path:
    draws = torch.Generator().manual_seed(0)
    found = {}
    for root in roots:
        width = 64 if "text" in root else side
        found[f"{root}.lora_down.weight"] = torch.randn(4, width, generator=draws) * size
        found[f"{root}.lora_up.weight"] = torch.randn(width, 4, generator=draws) * size
    save_file(found, path)
    return path


def peft(path: Path, parts: dict[str, Tensor], config: dict[str, Any]) -> Path:
    save_file({f"base_model.model.{QUERY}.{name}": tensor for name, tensor in parts.items()}, path)
    (path.parent / "adapter_config.json").write_text(json.dumps(config))
    return path


# -- strengths
# ---------------------------------------------------------------------------------------------------------------------

LOHA = {f"hada_w{n}_{side}": torch.ones(32, 4) if side == "a" else torch.ones(4, 32) for n in (1, 2) for side in "ab"}
LOKR = {"lokr_w1": torch.ones(4, 4), "lokr_w2_a": torch.ones(8, 2), "lokr_w2_b": torch.ones(2, 8)}
FULL = {"lokr_w1": torch.ones(4, 4), "lokr_w2": torch.ones(8, 8)}


@pytest.mark.parametrize(
    ("parts", "config", "change"),
    [
        (LOHA, {"r": 4, "alpha": 16}, 4 * 4 * 4.0),
        (LOHA, {"r": 4, "alpha": 16, "alpha_pattern": {"to_q": 2}}, 4 * 4 * 0.5),
        (LOHA, {}, 4 * 4 * 1.0),
        (LOKR, {"r": 2, "alpha": 8}, 2 * 4.0),
        (FULL, {"r": 2, "alpha": 8}, 4.0),
        (FULL, {"r": 8, "alpha": 8, "rank_pattern": {"attn1.to_q": 16}}, 0.5),
        (FULL, {}, 1.0),
    ],
)
def test_the_strength_of_pefts_loha_and_lokr(
    parts: dict[str, Tensor],
    config: dict[str, Any],
    change: float,
    base: Path,
    tensors: dict[str, Tensor],
    tmp_path: Path,
) -> None:
    file = peft(tmp_path / "adapter_model.safetensors", parts, config)
    merged = load_file(merge(base, [(file, 1.0)], tmp_path / "out.safetensors").path)
    assert torch.allclose(merged[TENSOR] - tensors[TENSOR], torch.full((32, 32), change), atol=1e-4)


def test_a_file_of_peft_may_have_another_name(tmp_path: Path) -> None:
    path = lora(tmp_path / "mine.safetensors", f"base_model.model.{QUERY}")
    (tmp_path / "adapter_config.json").write_text('{"r": 4, "lora_alpha": 16}')
    assert [layer.scale for layer in kohya.read(path).layers.values()] == [4.0]
    other = lora(tmp_path / "kohyas.safetensors", KOHYA)
    assert [layer.scale for layer in kohya.read(other).layers.values()] == [1.0]


def test_a_converted_file_of_peft_keeps_its_strength(tmp_path: Path) -> None:
    path = lora(tmp_path / "adapter_model.safetensors", f"base_model.model.{QUERY}")
    (tmp_path / "adapter_config.json").write_text('{"r": 4, "lora_alpha": 16}')
    (tmp_path / "other").mkdir()
    convert(path, tmp_path / "other" / "half.safetensors", "fp16")
    assert [layer.scale for layer in kohya.read(tmp_path / "other" / "half.safetensors").layers.values()] == [4.0]


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_16", "olora", "loftq"])
def test_adapters_that_changed_the_base_are_refused(start: str, tmp_path: Path) -> None:
    path = lora(tmp_path / "adapter_model.safetensors", f"base_model.model.{QUERY}")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 4, "init_lora_weights": start}))
    with pytest.raises(LoraFileError, match=f"base weights were changed too, by {start}"):
        kohya.read(path)
    (tmp_path / "adapter_config.json").write_text('{"r": 4, "lora_alpha": 4, "init_lora_weights": "gaussian"}')
    assert len(kohya.read(path).layers) == 1


# -- names
# ---------------------------------------------------------------------------------------------------------------------


def test_the_text_encoder_of_sd1_may_be_called_te1(base: Path, tmp_path: Path) -> None:
    path = lora(tmp_path / "te1.safetensors", f"lora_te1_{TEXT.replace('.', '_')}")
    assert merge(base, [(path, 1.0)], tmp_path / "out.safetensors").changed == 1


def test_a_merge_of_two_layouts_has_the_names_of_its_kind_of_model(base: Path, tmp_path: Path) -> None:
    """Programs look for lora_te_ in SD 1 and SD 2, for lora_te1_ in SDXL."""
    diffusers = lora(tmp_path / "diffusers.safetensors", f"unet.{QUERY}", f"text_encoder.{TEXT}")
    made = merge_loras([(lora(tmp_path / "a.safetensors", KOHYA), 1.0), (diffusers, 1.0)], tmp_path / "b.safetensors")
    assert set(kohya.read(made.path).layers) == {KOHYA, f"lora_te_{TEXT.replace('.', '_')}"}
    assert merge(base, [(made.path, 1.0)], tmp_path / "out.safetensors").changed == 2
    xl = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
    unet = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    diffusers = lora(tmp_path / "xl.safetensors", unet, f"text_encoder.{TEXT}")
    made = merge_loras([(lora(tmp_path / "c.safetensors", xl), 1.0), (diffusers, 1.0)], tmp_path / "d.safetensors")
    assert set(kohya.read(made.path).layers) == {xl, f"lora_te1_{TEXT.replace('.', '_')}"}


# -- numbers and metadata
# ----------------------------------------------------------------------------------------------------------


def test_a_change_that_rounding_loses_is_not_counted(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    save_file({key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}, half)
    path = lora(tmp_path / "tiny.safetensors", KOHYA, size=1e-6)
    assert merge(half, [(path, 1.0)], tmp_path / "out.safetensors").changed == 0


def test_values_that_are_not_finite_are_named(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "nan.safetensors"
    save_file({**tensors, TENSOR: torch.full_like(tensors[TENSOR], float("nan"))}, path)
    other = lora(tmp_path / "lora.safetensors", KOHYA.replace("to_q", "to_k"))
    with pytest.raises(ToolError, match=rf"nan\.safetensors has values in {TENSOR} that are not finite"):
        merge(path, [(other, 1.0)], tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()
    for target in ("half.safetensors", "folder"):
        assert "1 of them has values that are not finite" in convert(path, tmp_path / target, "fp16")


def test_hashes_of_other_bytes_are_left_out(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    hashes = ("modelspec.hash_sha256", "sshs_model_hash", "sshs_legacy_hash")
    save_file(tensors, path, {"modelspec.author": "me", **dict.fromkeys(hashes, "0x12")})
    convert(path, tmp_path / "new.safetensors", "fp16")
    assert TensorFile(tmp_path / "new.safetensors").metadata == {"format": "pt", "modelspec.author": "me"}


# -- predictions
# -----------------------------------------------------------------------------------------------------------


def test_sd2_without_declaration_is_asked_what_it_predicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A v-prediction model whose scheduler said ε would draw noise."""
    path = tmp_path / "sd2.safetensors"
    save_file({key: value.contiguous() for key, value in ldm.state_dict(ldm.family("sd2")).items()}, path)
    for number, velocity in enumerate((True, False)):
        monkeypatch.setattr(load, "probe_v", lambda model, velocity=velocity: velocity)
        convert(path, tmp_path / f"{number}")
        found = json_file.read(tmp_path / f"{number}" / "scheduler" / "scheduler_config.json")
        assert found["prediction_type"] == ("v_prediction" if velocity else "epsilon")


def test_v_parameterization_of_kohyas_metadata_is_read() -> None:
    metadata = {"ss_v_parameterization": "True", "ss_zero_terminal_snr": "True"}
    assert prediction_of({}, metadata, None) == ("v_prediction", True) and declares_prediction({}, metadata, None)
    assert prediction_of({}, {"ss_v_parameterization": "False"}, None) == ("epsilon", False)


@pytest.mark.parametrize(
    "schedule",
    [
        {"prediction_type": "sample"},
        {"prediction_type": "flow_prediction"},
        {"_class_name": "FlowMatchEulerDiscreteScheduler"},
        {"_class_name": "EDMDPMSolverMultistepScheduler"},
        {"beta_schedule": "squaredcos_cap_v2"},
    ],
)
def test_folders_with_another_schedule_of_noise_are_refused(
    schedule: dict[str, str], base: Path, tmp_path: Path
) -> None:
    convert(base, tmp_path / "folder")
    file = tmp_path / "folder" / "scheduler" / "scheduler_config.json"
    json_file.write(file, {**json_file.read(file), **schedule})
    with pytest.raises(ModelError, match="schedule of noise"):
        load.load(tmp_path / "folder")


def test_edm_models_are_refused_where_they_would_be_trained(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "cosxl.safetensors"
    save_file({**tensors, "edm_vpred.sigma_max": torch.tensor(120.0)}, path)
    with pytest.raises(ModelError, match="EDM model"):
        load.load(path)
    done = merge(path, [(lora(tmp_path / "lora.safetensors", KOHYA), 1.0)], tmp_path / "out.safetensors")
    assert done.changed == 1 and "edm_vpred.sigma_max" in TensorFile(done.path)


# -- models
# ----------------------------------------------------------------------------------------------------------------


def test_models_without_a_vae_are_saved_and_extracted_from(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    """They train with model.vae, or in a WebUI that has another one."""
    plain, whole = tmp_path / "plain.safetensors", tmp_path / "whole.safetensors"
    save_file({key: value for key, value in tensors.items() if not key.startswith("first_stage_model.")}, plain)
    save_file(tensors, whole)
    model, method, path = load.load(plain, vae=whole), FullMethod(), tmp_path / "save.safetensors"
    method.attach(model, Recipe())
    moved(method)
    method.save(path, {}, "fp32")
    method.detach()
    assert TensorFile(path).entries == TensorFile(plain).entries
    one = tmp_path / "one.safetensors"
    save_file({**load_file(plain), TENSOR: tensors[TENSOR] + 1}, one)
    assert extract(plain, one, tmp_path / "extracted.safetensors", rank=4).layers == 1
    assert extract(whole, one, tmp_path / "extracted-2.safetensors", rank=4).layers == 1


def test_folders_of_inpainting_models_are_merged_into(
    base: Path, tensors: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, first = tmp_path / "inpaint", "model.diffusion_model.input_blocks.0.0.weight"
    wide = tmp_path / "wide.safetensors"
    save_file({**tensors, first: torch.cat([tensors[first], torch.ones(32, 5, 3, 3)], 1)}, wide)
    opened = source.open_source(wide, source.INPUTS_OF_TOOLS)
    monkeypatch.setattr("sdft_ext.tools.convert.open_source", lambda path: dataclasses.replace(opened))
    convert(wide, folder)
    index = json_file.read(folder / "model_index.json")
    json_file.write(folder / "model_index.json", {**index, "_class_name": "StableDiffusionInpaintPipeline"})
    done = merge(folder, [(lora(tmp_path / "lora.safetensors", KOHYA), 1.0)], tmp_path / "merged.safetensors")
    assert done.changed == 1 and load_file(done.path)[first].shape[1] == 9
    with pytest.raises(ModelError, match="can't be trained yet"):
        load.load(folder)

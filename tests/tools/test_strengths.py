"""The strength, the prediction type and the number format of a file, wherever they are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sdft_ext.errors import ModelError
from sdft_ext.formats import kohya, single_file
from sdft_ext.formats.families import detect
from sdft_ext.formats.kohya import LoraFileError
from sdft_ext.formats.lora_names import same_layer
from sdft_ext.formats.tensor_file import TensorFile
from sdft_ext.model import load
from sdft_ext.tools.convert import convert, to_tensors
from sdft_ext.tools.extract import extract
from sdft_ext.tools.files import ToolError
from sdft_ext.tools.loras import merge_loras, resize
from sdft_ext.tools.merge import merge
from tests.model import ldm

QUERY = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
"""A layer of SD 1 by its name in diffusers, and by its key in a checkpoint."""
TENSOR = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
FIRST = "model.diffusion_model.input_blocks.0.0.weight"


def sides(rank: int = 4) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    return torch.randn(rank, 32, generator=draws) * 0.1, torch.randn(32, rank, generator=draws) * 0.1


def adapter(path: Path, config: dict[str, Any], metadata: dict[str, str] | None = None, prefix: str = "unet.") -> Path:
    path.parent.mkdir(exist_ok=True)
    down, up = sides()
    save_file({f"{prefix}{QUERY}.lora_A.weight": down, f"{prefix}{QUERY}.lora_B.weight": up}, path, metadata)
    if config:
        (path.parent / "adapter_config.json").write_text(json.dumps(config))
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base") / "sd1.safetensors"
    save_file({key: value.contiguous() for key, value in ldm.state_dict(ldm.family("sd1")).items()}, path)
    return path


@pytest.mark.parametrize(
    ("config", "strength"),
    [
        ({"r": 4, "lora_alpha": 16}, 4.0),
        ({"r": 4, "lora_alpha": 16, "use_rslora": True}, 8.0),
        ({"r": 8, "lora_alpha": 16, "rank_pattern": {"to_q": 4}, "alpha_pattern": {"attn1.to_q": 2}}, 0.5),
        ({"r": 4, "lora_alpha": 16, "alpha_pattern": {r"down_blocks.*\.attn[12]\.to_q": 2}}, 0.5),
        ({"r": 4, "lora_alpha": 16, "alpha_pattern": {"to_k": 2}}, 4.0),
        ({"r": 4}, 1.0),
    ],
)
def test_pefts_configuration_is_read(config: dict[str, Any], strength: float, tmp_path: Path) -> None:
    prefixed = {"lora_adapter_metadata": json.dumps({f"unet.{name}": value for name, value in config.items()})}
    plain = {"lora_adapter_metadata": json.dumps(config)}
    files = [
        adapter(tmp_path / "peft" / "adapter_model.safetensors", config),
        adapter(tmp_path / "prefixed" / "pytorch_lora_weights.safetensors", {}, prefixed),
        adapter(tmp_path / "plain" / "x.safetensors", {}, plain, ""),
    ]
    for path in files:
        (layer,) = kohya.read(path).layers.values()
        assert layer.scale == pytest.approx(strength)
    other = adapter(tmp_path / "peft" / "other.safetensors", {})
    (layer,) = kohya.read(other).layers.values()
    assert layer.scale == 1.0


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", '{"lora_alpha": "16"}', '{"lora_alpha": 1e999}', '{"alpha_pattern": 3}', "[" * 10_000),
        *('{"alpha_pattern": {"(a+)+b": 1}}', '{"alpha_pattern": {"(": 1}}'),
    ],
)
def test_a_configuration_that_cannot_be_read_is_named(text: str, tmp_path: Path) -> None:
    path = adapter(tmp_path / "adapter_model.safetensors", {})
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(LoraFileError, match=r"adapter_model\.safetensors: its strength"):
        kohya.read(path)


def test_the_strength_is_in_the_new_file_alone(tmp_path: Path) -> None:
    metadata = {"lora_adapter_metadata": json.dumps({"unet.r": 4, "unet.lora_alpha": 16})}
    metadata |= {"modelspec.title": "old", "modelspec.usage_hint": "<lora:old:1> sks dog"}
    path = adapter(tmp_path / "old.safetensors", {}, metadata)
    file = kohya.read(resize(path, tmp_path / "new.safetensors", rank=2).path)
    assert "lora_adapter_metadata" not in file.metadata
    assert file.metadata["modelspec.title"] == "new"
    assert file.metadata["modelspec.usage_hint"] == "<lora:new:1> sks dog"


@pytest.mark.parametrize(
    "names",
    [
        "lora_unet_mid_block_attentions_0_proj_in unet.mid_block.attentions.0.proj_in lora_unet_middle_block_1_proj_in",
        "lora_unet_up_blocks_1_upsamplers_0_conv lora_unet_output_blocks_5_2_conv unet.up_blocks.1.upsamplers.0.conv",
        "lora_unet_up_blocks_0_upsamplers_0_conv lora_unet_output_blocks_2_1_conv lora_unet_output_blocks_2_2_conv",
        "lora_te_text_model_final lora_te1_text_model_final text_encoder.text_model.final",
        "lora_te2_text_model_final text_encoder_2.text_model.final",
    ],
)
def test_the_names_of_a_layer_are_one(names: str) -> None:
    assert len({same_layer(name) for name in names.split()}) == 1


@pytest.mark.parametrize(
    "sizes",
    [
        {"lora_down.weight": (4, 8), "lora_up.weight": (8, 3)},
        {"hada_w1_a": (64, 2), "hada_w1_b": (2, 64), "hada_w2_a": (64, 3), "hada_w2_b": (2, 64)},
        {"lokr_w1": (2, 2), "lokr_w2_a": (4, 2), "lokr_w2_b": (3, 4)},
    ],
)
def test_sides_that_do_not_fit_are_refused(sizes: dict[str, tuple[int, int]], tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    save_file({f"lora_unet_x.{name}": torch.ones(size) for name, size in sizes.items()}, path)
    for work in (
        lambda: resize(path, tmp_path / "a.safetensors", 2),
        lambda: merge_loras([(path, 1)] * 2, tmp_path / "b.safetensors"),
    ):
        with pytest.raises(LoraFileError, match=r"bad\.safetensors is damaged"):
            work()


# -- prediction
# ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vpred")
    save_file(
        {key: value.contiguous() for key, value in ldm.state_dict(ldm.family("sdxl")).items()}
        | {"v_pred": torch.empty(0), "ztsnr": torch.empty(0)},
        path / "base.safetensors",
    )
    convert(path / "base.safetensors", path / "folder")
    return path / "folder"


def test_a_single_file_of_a_folder_has_its_prediction_type(folder: Path, tmp_path: Path) -> None:
    lora = tmp_path / "lora.safetensors"
    root = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
    save_file({f"{root}.lora_down.weight": torch.ones(1, 128), f"{root}.lora_up.weight": torch.ones(128, 1)}, lora)
    convert(folder, tmp_path / "converted.safetensors", "fp16")
    merge(folder, [(lora, 1.0)], tmp_path / "merged.safetensors")
    for name in ("converted", "merged"):
        file = single_file.read(tmp_path / f"{name}.safetensors")
        assert file.shapes["v_pred"] == file.shapes["ztsnr"] == (0,)
        assert file.metadata["modelspec.prediction_type"] == "v" and file.metadata["ztsnr"] == "true"
        for metadata in ({}, file.metadata):
            family = detect(file.shapes, metadata, None, name)
            assert family.prediction == "v_prediction" and family.zero_terminal_snr


# -- number formats
# ------------------------------------------------------------------------------------------------------


def changed(base: Path, path: Path, tensors: dict[str, Tensor], dtype: torch.dtype | None = None) -> Path:
    found = load_file(base)
    if dtype is not None:
        found = {k: v.to(dtype) if v.is_floating_point() and v.ndim > 1 else v for k, v in found.items()}
    save_file({**found, **tensors}, path)
    return path


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.float64], ids=str)
def test_fp8_and_fp64_become_fp16(dtype: torch.dtype, base: Path, tmp_path: Path) -> None:
    model = changed(base, tmp_path / "model.safetensors", {}, dtype)
    to_tensors(model, tmp_path / "new.safetensors", "fp16")
    file = TensorFile(tmp_path / "new.safetensors")
    assert {file.entries[key].dtype for key in file if key.endswith(".weight")} == {torch.float16}
    assert torch.equal(file[TENSOR], load_file(model)[TENSOR].to(torch.float16))


def test_scaled_fp8_is_refused_by_name(base: Path, tmp_path: Path) -> None:
    codes = load_file(base)[TENSOR].to(torch.float8_e4m3fn)
    scale, marker = TENSOR.replace(".weight", ".scale_weight"), "model.diffusion_model.scaled_fp8"
    model = changed(base, tmp_path / "scaled.safetensors", {TENSOR: codes, scale: torch.ones(1)})
    marked = changed(base, tmp_path / "scaled too.safetensors", {marker: codes[:0]})
    for path in (model, marked):
        for work in (
            lambda path=path: load.load(path),
            lambda path=path: convert(path, tmp_path / "folder"),
            lambda path=path: to_tensors(path, tmp_path / "fp16.safetensors", "fp16"),
            lambda path=path: extract(base, path, tmp_path / "lora.safetensors"),
        ):
            with pytest.raises(ModelError, match=r"scaled.*is quantized to scaled fp8"):
                work()


def test_fp8_loras_are_merged_and_resized(base: Path, tmp_path: Path) -> None:
    down, up = (side.to(torch.float8_e4m3fn) for side in sides())
    path = tmp_path / "lora.safetensors"
    save_file({f"unet.{QUERY}.lora_A.weight": down, f"unet.{QUERY}.lora_B.weight": up}, path)
    done = merge(base, [(path, 1.0)], tmp_path / "merged.safetensors")
    assert torch.allclose(load_file(done.path)[TENSOR] - load_file(base)[TENSOR], up.float() @ down.float(), atol=1e-6)
    assert resize(path, tmp_path / "resized.safetensors", 4).error < 0.01


def test_numbers_too_large_for_fp8_are_not_written(base: Path, tmp_path: Path) -> None:
    model = changed(base, tmp_path / "model.safetensors", {}, torch.float8_e4m3fn)
    down, up = sides()
    path = tmp_path / "lora.safetensors"
    save_file({f"unet.{QUERY}.lora_A.weight": down * 1e3, f"unet.{QUERY}.lora_B.weight": up * 1e3}, path)
    with pytest.raises(ValueError, match="not finite in float8"):
        merge(model, [(path, 1.0)], tmp_path / "merged.safetensors")
    assert not (tmp_path / "merged.safetensors").exists()


# -- models
# --------------------------------------------------------------------------------------------------------------


def test_loras_are_merged_into_inpainting_models_and_extracted_from_them(base: Path, tmp_path: Path) -> None:
    first = load_file(base)[FIRST]
    wider = {FIRST: torch.cat([first, torch.ones(first.shape[0], 5, 3, 3)], 1)}
    model = changed(base, tmp_path / "inpaint.safetensors", wider)
    path = adapter(tmp_path / "lora.safetensors", {})
    done = merge(model, [(path, 1.0)], tmp_path / "merged.safetensors")
    found = load_file(done.path)
    assert done.changed == 1 and torch.equal(found[FIRST], wider[FIRST])
    lora = extract(model, done.path, tmp_path / "extracted.safetensors", rank=4, precision="fp32")
    assert lora.layers == 1 and lora.error < 1e-3
    with pytest.raises(ToolError, match="different kind of model"):
        extract(base, model, tmp_path / "none.safetensors", rank=4)
    with pytest.raises(ModelError, match="inpainting model"):
        load.load(model)


def test_extraction_says_what_differs(base: Path, tmp_path: Path) -> None:
    found = load_file(base)
    bias = next(key for key in found if key.startswith("model.diffusion_model.") and key.endswith(".bias"))
    vae = next(key for key in found if key.startswith("first_stage_model.decoder"))
    for key, words in ((bias, "differ only in 1 biases"), (vae, "differ only in their VAE")):
        other = changed(base, tmp_path / "other.safetensors", {key: found[key] + 1})
        with pytest.raises(ToolError, match=words):
            extract(base, other, tmp_path / "none.safetensors")
    spoilt = changed(base, tmp_path / "spoilt.safetensors", {TENSOR: found[TENSOR] * float("nan")})
    with pytest.raises(ToolError, match="not finite"):
        extract(base, spoilt, tmp_path / "none.safetensors")

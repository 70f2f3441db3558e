"""Unusual files: a tool uses them correctly, or refuses them with a helpful message; nothing is silently wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sdft_ext.cli.main import OK, main
from sdft_ext.tools.describe import describe
from sdft_ext.tools.merge import merge
from tests.model import ldm

QUERY = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
"""A layer of SD 1 by its name in kohya's files, and by its key in a checkpoint."""
TENSOR = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
TEXT = "lora_te_text_model_encoder_layers_0_mlp_fc1"


class Base:
    """A small SD 1 in memory and in a file."""

    def __init__(self, folder: Path) -> None:
        found = ldm.state_dict(ldm.family("sd1"))
        self.tensors = {key: value.contiguous() for key, value in found.items()}
        self.path = folder / "base.safetensors"
        save_file(self.tensors, self.path)

    def with_tensors(self, path: Path, changed: dict[str, Tensor]) -> Path:
        """Write the model with some tensors replaced."""
        save_file({**self.tensors, **changed}, path)
        return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return Base(tmp_path_factory.mktemp("base"))


def lora(path: Path, root: str = QUERY, sides: tuple[int, int] = (32, 32), up: float = 0.1) -> Path:
    draws = torch.Generator().manual_seed(0)
    tensors = {
        f"{root}.lora_down.weight": torch.randn(4, sides[1], generator=draws) * 0.1,
        f"{root}.lora_up.weight": torch.randn(sides[0], 4, generator=draws) * up,
    }
    save_file(tensors, path)
    return path


def run_tool(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Run a tool; return its exit code and its error output."""
    code = main(["tools", *map(str, arguments)])
    return code, capsys.readouterr().err


def refused(capsys: pytest.CaptureFixture[str], *arguments: object, name: Path) -> None:
    """Check that the tool refuses with a message that names this file, and not with an unexpected error."""
    code, sentence = run_tool(capsys, *arguments)
    assert code != OK and "sdft: unexpected" not in sentence and name.name in sentence, sentence


# -- numbers
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float32,
        torch.float8_e4m3fn,
    ],
    ids=str,
)
def test_a_lora_that_is_not_finite_is_not_merged(
    dtype: torch.dtype, base: Base, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """bmaltais/kohya_ss#2674."""
    weights = {k: v.to(dtype) for k, v in base.tensors.items() if v.is_floating_point() and v.ndim > 1}
    model = base.with_tensors(tmp_path / "model.safetensors", weights)
    bad, out = lora(tmp_path / "nan.safetensors", up=float("nan")), tmp_path / "out.safetensors"
    code, sentence = run_tool(capsys, "merge", model, bad, "--out", out)
    assert code != OK and "sdft: unexpected" not in sentence and not out.exists()


def test_a_lora_that_is_not_finite_is_not_resized(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, out = lora(tmp_path / "nan.safetensors", up=float("nan")), tmp_path / "out.safetensors"
    refused(capsys, "resize", bad, "--rank", 2, "--out", out, name=bad)
    assert not out.exists()


QUANTIZED = {
    "nf4": lambda weight: torch.zeros(weight.numel() // 2, 1, dtype=torch.uint8),
    "int8": lambda weight: (weight * 500).to(torch.int8),
}


@pytest.mark.parametrize(
    "kind",
    [
        "nf4",
        "int8",
    ],
)
def test_quantized_weights_are_not_merged_into(
    kind: str, base: Base, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """huggingface/peft#638."""
    model = base.with_tensors(tmp_path / "quantized.safetensors", {TENSOR: QUANTIZED[kind](base.tensors[TENSOR])})
    out = tmp_path / "out.safetensors"
    refused(capsys, "merge", model, lora(tmp_path / "good.safetensors"), "--out", out, name=model)
    assert not out.exists()


# -- models
# -------------------------------------------------------------------------------------------------------------


def test_a_merge_into_an_inpainting_model_does_not_depend_on_whether_it_can_be_trained(
    base: Base, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "model.diffusion_model.input_blocks.0.0.weight"
    wider = torch.cat([base.tensors[name], torch.zeros(base.tensors[name].shape[0], 5, 3, 3)], 1)
    model = base.with_tensors(tmp_path / "inpaint.safetensors", {name: wider})
    text, out = lora(tmp_path / "text.safetensors", TEXT, (128, 64)), tmp_path / "out.safetensors"
    code, sentence = run_tool(capsys, "merge", model, text, "--out", out)
    assert "trained" not in sentence and out.exists() == (code == OK)


def test_models_that_differ_only_in_their_vae_are_not_called_the_same(
    base: Base, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "first_stage_model.decoder.conv_in.weight"
    other = base.with_tensors(tmp_path / "other.safetensors", {name: base.tensors[name] + 1})
    _, sentence = run_tool(capsys, "extract", base.path, other, "--out", tmp_path / "out.safetensors")
    assert "same weights" not in sentence


# -- LoRA files
# ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def processors(tmp_path: Path) -> Path:
    """Write a LoRA in diffusers' first layout, in which the layers belong to attention processors."""
    root = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora"
    path = tmp_path / "processors.safetensors"
    save_file({f"{root}.down.weight": torch.ones(4, 32), f"{root}.up.weight": torch.ones(32, 4)}, path)
    return path


def test_a_lora_of_attention_processors_is_merged(base: Base, processors: Path, tmp_path: Path) -> None:
    done = merge(base.path, [(processors, 1.0)], tmp_path / "out.safetensors")
    assert done.changed == 1 and torch.allclose(load_file(done.path)[TENSOR], base.tensors[TENSOR] + 4)


def test_a_lora_of_attention_processors_is_called_one(processors: Path) -> None:
    assert describe(processors)["kind"] == "LoRA"

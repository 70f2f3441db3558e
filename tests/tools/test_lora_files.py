"""LoRA files of other programs: merged and resized at the strength that they have there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sdft_ext.formats.tensor_file import TensorFile
from sdft_ext.tools.files import ToolError
from sdft_ext.tools.loras import merge_loras, resize
from sdft_ext.tools.merge import merge
from tests.model import ldm

QUERY = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
"""A layer of SDXL by its name in diffusers, and by its key in a checkpoint."""
TENSOR = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight"
KOHYA, ONETRAINER, DIFFUSERS = (
    ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", "lora_down", "lora_up"),
    ("lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q", "lora_down", "lora_up"),
    (f"unet.{QUERY}", "lora_A", "lora_B"),
)


def lora(path: Path, layout: tuple[str, str, str], seed: int = 0) -> Path:
    """Write one layer of rank 4, without alpha: it has its full strength."""
    draws = torch.Generator().manual_seed(seed)
    root, down, up = layout
    tensors = {
        f"{root}.{down}.weight": torch.randn(4, 128, generator=draws) * 0.05,
        f"{root}.{up}.weight": torch.randn(128, 4, generator=draws) * 0.05,
    }
    save_file(tensors, path)
    return path


def change(path: Path) -> Tensor:
    """Return what a file with one layer adds to a weight, in float64."""
    tensors = load_file(path)
    (down,) = (value.double() for key, value in tensors.items() if "lora_down" in key or "lora_A" in key)
    (up,) = (value.double() for key, value in tensors.items() if "lora_up" in key or "lora_B" in key)
    alphas = [float(value) for key, value in tensors.items() if key.endswith(".alpha")]
    return up @ down * (alphas[0] / len(down) if alphas else 1.0)


def strength(found: Tensor, full: Tensor) -> float:
    """Return the factor of ``full`` that comes nearest to ``found``."""
    return float((found * full).sum() / full.square().sum())


# -- alpha 1, the default of kohya's scripts
# ----------------------------------------------------------


def two_of_alpha_1(folder: Path) -> list[Path]:
    paths = [folder / "a.safetensors", folder / "b.safetensors"]
    for seed, path in enumerate(paths):
        draws, root = torch.Generator().manual_seed(seed), KOHYA[0]
        down = (torch.rand(128, 320, generator=draws) * 2 - 1) / 320**0.5
        up = torch.randn(320, 128, generator=draws) * 5e-4
        tensors = {f"{root}.lora_down.weight": down.half(), f"{root}.lora_up.weight": up.half()}
        save_file({**tensors, f"{root}.alpha": torch.tensor(1.0)}, path)
    return paths


@pytest.mark.parametrize("weight", [0.5, 0.1])
def test_merged_loras_of_alpha_1_do_what_they_do_together(weight: float, tmp_path: Path) -> None:
    """kohya-ss/sd-scripts#192: values below 6e-5 lose their digits in half precision."""
    files = [(path, weight) for path in two_of_alpha_1(tmp_path)]
    done = merge_loras(files, tmp_path / "one.safetensors")
    wanted = sum(weight * change(path) for path, _ in files)
    assert (change(done.path) - wanted).norm() <= 0.005 * wanted.norm()


@pytest.mark.parametrize("weight", [0.5, 0.1])
def test_the_error_of_merged_loras_is_that_of_the_file(weight: float, tmp_path: Path) -> None:
    files = [(path, weight) for path in two_of_alpha_1(tmp_path)]
    done = merge_loras(files, tmp_path / "one.safetensors")
    wanted = sum(weight * change(path) for path, _ in files)
    error = float((change(done.path) - wanted).norm() / wanted.norm())
    assert done.error == pytest.approx(error, rel=0.1, abs=1e-4)


# -- one layer under two names
# ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [ONETRAINER, DIFFUSERS], ids=["OneTrainer", "diffusers"])
def test_loras_that_name_a_layer_in_two_ways_are_merged_or_the_error_says_so(
    layout: tuple[str, str, str], tmp_path: Path
) -> None:
    """Nerogar/OneTrainer#396, kohya-ss/sd-scripts#1612."""
    one, other = lora(tmp_path / "one.safetensors", KOHYA), lora(tmp_path / "other.safetensors", layout, seed=1)
    try:
        done = merge_loras([(one, 1.0), (other, 0.5)], tmp_path / "merged.safetensors", precision="fp32")
    except ToolError as error:
        assert "different kinds of models" not in str(error)
    else:
        assert torch.allclose(change(done.path), change(one) + 0.5 * change(other), atol=1e-6)


# -- peft's own folder: adapter_model.safetensors, and adapter_config.json with the alpha
# -------------------------------


def adapter(folder: Path, prefix: str) -> Path:
    """Write an adapter of rank 4 and alpha 16: four times as strong as its tensors alone."""
    folder.mkdir()
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 16, "target_modules": ["to_q"], "use_rslora": False}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return lora(folder / "adapter_model.safetensors", (f"{prefix}{QUERY}", "lora_A", "lora_B"))


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base") / "sdxl.safetensors"
    save_file({key: value.contiguous() for key, value in ldm.state_dict(ldm.family("sdxl")).items()}, path)
    return path


@pytest.mark.parametrize(
    "prefix",
    [
        "base_model.model.",
        "base_model.model.unet.",
    ],
)
def test_a_folder_of_pefts_is_merged_at_its_strength(prefix: str, sdxl: Path, tmp_path: Path) -> None:
    """huggingface/diffusers#6087."""
    path = adapter(tmp_path / "adapter", prefix)
    done = merge(sdxl, [(path, 1.0)], tmp_path / "merged.safetensors")
    added = TensorFile(done.path)[TENSOR].double() - TensorFile(sdxl)[TENSOR].double()
    assert strength(added, change(path)) == pytest.approx(4.0, abs=0.02)


def test_a_folder_of_pefts_is_resized_at_its_strength(tmp_path: Path) -> None:
    path = adapter(tmp_path / "adapter", "base_model.model.")
    done = resize(path, tmp_path / "resized.safetensors", rank=4)
    assert strength(change(done.path), change(path)) == pytest.approx(4.0, abs=0.05)

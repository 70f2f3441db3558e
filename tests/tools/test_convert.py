"""Checkpoints converted to ``.safetensors``: what is kept, what is dropped, and that nothing is overwritten."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sdft_ext.errors import ModelError
from sdft_ext.formats import single_file
from sdft_ext.model.source import open_source
from sdft_ext.tools.convert import convert
from sdft_ext.tools.files import ToolError
from sdft_ext.toy.install import CHECKPOINT

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.ids": torch.arange(4), "n": torch.tensor(1.5)}


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Write the toy model as an old checkpoint, whose configuration names a folder by a relative path."""
    path = tmp_path / "from" / "toy.ckpt"
    path.parent.mkdir()
    torch.save({"state_dict": load_file(CHECKPOINT)}, path)
    shutil.copyfile(CHECKPOINT.with_suffix(".yaml"), path.with_suffix(".yaml"))
    shutil.copytree(CHECKPOINT.with_name("clip"), path.with_name("clip"))
    return path


def test_in_another_folder_it_is_still_the_same_model(toy: Path, tmp_path: Path) -> None:
    target = tmp_path / "to" / "toy.safetensors"
    convert(toy, target)
    heads = json.loads((toy.parent / "clip" / "config.json").read_text())["num_attention_heads"]
    family = open_source(target).family
    assert family.text[0]["num_attention_heads"] == heads > 1 and family == open_source(toy).family


def test_only_tensors_are_kept(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    source, target = tmp_path / "in.ckpt", tmp_path / "out.safetensors"
    weights = {**WEIGHTS, "model_ema.decay": torch.tensor(0.9)}
    torch.save({"state_dict": weights, "optimizer_states": [{"state": {0: torch.ones(3)}}], "x": Attack()}, source)
    text = convert(source, target)
    assert str(target) in text and "3 tensors" in text and "could run programs" in text
    kept = load_file(target)
    assert set(kept) == set(WEIGHTS) and all(torch.equal(kept[key], WEIGHTS[key]) for key in kept)
    half = tmp_path / "half.safetensors"
    convert(source, half, "fp16", keep_ema=True)
    kept = load_file(half)
    assert {key: tensor.dtype for key, tensor in kept.items()} == {
        "a.weight": torch.float16,
        "b.ids": torch.int64,
        "n": torch.float32,
        "model_ema.decay": torch.float32,
    }
    assert not (tmp_path / "ran").exists()
    torch.save({"state_dict": weights}, tmp_path / "tame.ckpt")
    assert "programs" not in convert(tmp_path / "tame.ckpt", tmp_path / "tame.safetensors")


def test_shared_and_partial_storages(tmp_path: Path) -> None:
    big = torch.arange(12.0)
    torch.save({"a.w": big[:4], "b.w": big[4:].view(4, 2).t(), "c.w": big}, tmp_path / "shared.ckpt")
    convert(tmp_path / "shared.ckpt", tmp_path / "out.safetensors")
    kept = load_file(tmp_path / "out.safetensors")
    assert torch.equal(kept["a.w"], big[:4]) and torch.equal(kept["b.w"], big[4:].view(4, 2).t())
    assert torch.equal(kept["c.w"], big)


def test_a_models_prediction_type_is_kept(tmp_path: Path) -> None:
    source, target = tmp_path / "in.safetensors", tmp_path / "sub" / "out.safetensors"
    save_file(WEIGHTS, source, {"modelspec.prediction_type": "v", "modelspec.title": "Mine"})
    source.with_suffix(".yaml").write_text("model: {params: {parameterization: v}}\n")
    convert(source, target, "bf16")
    written = single_file.read(target)
    assert written.metadata == {"format": "pt", "modelspec.prediction_type": "v", "modelspec.title": "Mine"}
    assert written.config == {"model": {"params": {"parameterization": "v"}}}
    assert written["a.weight"].dtype == torch.bfloat16 and written["n"].dtype == torch.float32


def test_safetensors_that_are_called_ckpt(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "in.ckpt", {"modelspec.title": "Mine"})
    convert(tmp_path / "in.ckpt", tmp_path / "out.safetensors")
    assert single_file.read(tmp_path / "out.safetensors").metadata["modelspec.title"] == "Mine"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    source, target, other = tmp_path / "in.ckpt", tmp_path / "out.safetensors", tmp_path / "out.yaml"
    torch.save(WEIGHTS, source)
    source.with_suffix(".yaml").write_text("model: {}\n")
    other.write_text("mine")
    with pytest.raises(ToolError, match=r"out\.yaml exists already"):
        convert(source, target)
    assert other.read_text() == "mine" and not target.exists()
    other.write_text("model: {}\n")
    convert(source, target)  # an equal configuration may exist
    convert(source, tmp_path / "in.safetensors")  # and so may the source's own
    assert source.with_suffix(".yaml").read_text() == other.read_text() == "model: {}\n"
    with pytest.raises(ToolError, match=r"out\.safetensors exists already"):
        convert(source, target)


def test_a_model_is_never_without_its_configuration(tmp_path: Path) -> None:
    """It is written before the model; a conversion that is stopped leaves neither."""
    source, folder = tmp_path / "in.ckpt", tmp_path / "sub"
    torch.save(WEIGHTS, source)
    source.with_suffix(".yaml").write_text("model: {}\n")
    seen: list[set[str]] = []

    def stopped(done: int, total: int) -> None:
        seen.append({path.suffix for path in folder.iterdir() if not path.name.startswith(".")})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, folder / "out.safetensors", progress=stopped)
    assert seen == [{".yaml"}] and list(folder.iterdir()) == []


def test_numbers_too_large_for_a_format_are_refused(tmp_path: Path) -> None:
    source, target = tmp_path / "in.ckpt", tmp_path / "out.safetensors"
    torch.save({"a.weight": torch.tensor([1.0, 1e6, torch.inf])}, source)
    with pytest.raises(ToolError, match=r"a\.weight has numbers too large for fp16: choose bf16"):
        convert(source, target, "fp16")
    assert not target.exists()
    convert(source, target, "bf16")
    with pytest.raises(ModelError, match=r"none\.ckpt doesn't exist"):
        convert(tmp_path / "none.ckpt", tmp_path / "other.safetensors")

"""Whole runs in half a second: a random Stable Diffusion 1 of toy size, drawn pictures, and what a run leaves
behind.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file

from sdft_ext.model.base import Model
from sdft_ext.model.copies import parameters
from sdft_ext.recipe import Concept, DatasetRecipe, ModelRecipe, Recipe, SaveRecipe, TrainRecipe, WatchRecipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run_folder import state
from sdft_ext.run_folder.log import read as read_log
from tests.analysis.images import image, save
from tests.model import ldm

NOT_NUMBERS_OF_TRAINING = ("time", "pictures_per_second", "memory_mb")
"""What differs from run to run of one recipe."""


def checkpoint(path: Path, seed: int = 0, levels: int = 2) -> Path:
    """A single file in the layout of SD 1, with random weights: two levels in the UNet or one, one block each."""
    family = ldm.family("sd1")
    unet = {
        **family.unet,
        "block_out_channels": (32, 32)[:levels],
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D")[:levels],
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D")[-levels:],
        "transformer_layers_per_block": (1, 1)[:levels],
        "attention_head_dim": (8, 8)[:levels],
    }
    vae = {**family.vae, "block_out_channels": (32, 32, 32, 32)}
    found = ldm.state_dict(dataclasses.replace(family, unet=unet, vae=vae), seed)
    for name, tensor in found.items():
        if name.endswith(".weight") and tensor.ndim == 1:
            tensor += 1  # norms: with weights about 0 hardly a gradient would come through
    save_file(found, str(path))
    return path


def pictures(folder: Path) -> None:
    """``instance``: six pictures with tags, one of another shape, one with a mask, one with alpha; ``class``: six
    others.
    """
    sizes = [(64, 64), (64, 64), (64, 64), (96, 40), (64, 64), (40, 32)]
    for number, size in enumerate(sizes):
        path = save(folder / "instance" / f"{number} cat.png", image(*size, seed=number))
        path.with_suffix(".txt").write_text(f"a cat, tag {number}, red, sitting, on grass")
        save(folder / "class" / f"{number}.png", image(64, 64, seed=100 + number))
    half = Image.new("L", (64, 64), 0)
    half.paste(255, (0, 0, 32, 64))
    save(folder / "instance" / "0 cat-mask.png", half)
    cut = image(64, 64, seed=4, mode="RGBA")
    cut.putalpha(half)
    save(folder / "instance" / "4 cat.png", cut)
    for number in range(3):
        save(folder / "others" / f"{number}.png", image(64, 64, seed=200 + number))


def recipe(data: Path, output: Path, *settings: str) -> Recipe:
    """Four steps over the pictures in ``data`` and two saves, without control pictures; ``settings`` as in a command
    line.
    """
    concept = Concept(
        trigger="sks", class_word="cat", instance=str(data / "instance"), regularization=str(data / "class")
    )
    base = Recipe(
        model=ModelRecipe(base=str(data / "base.safetensors")),
        dataset=DatasetRecipe([concept], resolution=64, bucket_step=16, bucket_min=32, bucket_max=128),
        train=TrainRecipe(length=4, batch_size=2, learning_rate=1e-2),
        save=SaveRecipe(output=str(output), name="tiny", precision="fp32", every=2, every_unit="steps"),
        watch=WatchRecipe(sampler_steps=1, tensorboard=False, propose_prompts=False, pictures=1, judge=False),
    )
    base.method.lora.rank = 2
    base.method.lora.alpha = 2.0
    base.method.lora.layers = "attention"
    return recipe_file.override(base, settings)


def bits(model: Model) -> list[tuple[int, bytes, bool]]:
    """Every parameter of a host's model: the object, its value to the bit, and whether it would train."""
    return [
        (id(p), p.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes(), p.requires_grad)
        for _, p in parameters(model)
    ]


def tensors(path: Path) -> bytes:
    """A safetensors file after its header, whose times and names may differ."""
    data = path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little") :]


def saved(run: Path) -> dict[str, bytes]:
    """The saves of a run by name, with what they hold."""
    files = sorted(path for path in (run / "saves").iterdir() if path.suffix in (".safetensors", ".pt"))
    return {path.name: tensors(path) if path.suffix == ".safetensors" else path.read_bytes() for path in files}


def layout(path: Path) -> dict[str, Any]:
    """Names, types and sizes of a safetensors file's tensors."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return {name: (entry["dtype"], entry["shape"]) for name, entry in header.items() if name != "__metadata__"}


def losses(run: Path) -> list[dict[str, Any]]:
    """The numbers of a run's log, exactly, without those of the clock."""
    return [
        {name: value for name, value in line.items() if name not in NOT_NUMBERS_OF_TRAINING}
        for line in read_log(run)
        if "event" not in line
    ]


def steps(run: Path) -> list[int]:
    """The steps that a run has logged, in their order; losses of the first weights may be logged later."""
    return [line["step"] for line in losses(run) if "loss" in line] if (run / "log.jsonl").exists() else []


def last_state(run: Path) -> Any:
    """The newest state: finished steps, and the hash of its values and tensors."""
    newest = state.states(run / "state")[-1]
    values = json.loads((newest / state.VALUES).read_text())["values"]
    return newest.name, values, _hash(tensors(newest / state.TENSORS))


def fingerprint(run: Path, root: Path) -> dict[str, Any]:
    """All that a run did, but for metadata, recipe.yaml, reports and clocks. ``root``: files are named from there."""
    networks = {name: _hash(data) for name, data in saved(run).items() if name.endswith(".pt")}
    saves = sorted((run / "saves").glob("*.safetensors"))
    shown = sorted(path for path in (run / "controls").rglob("*.png") if path.name != "grid.png")
    files = {_steady(str(path.relative_to(root))) for path in root.rglob("*") if path.is_file()}
    return {
        "tensors": [(_hash(tensors(path)), layout(path)) for path in saves],
        "networks": networks,
        "losses": losses(run),
        "pictures": [_hash(Image.open(path).tobytes()) for path in shown],
        "events": [(line["step"], line["event"]) for line in read_log(run) if "event" in line],
        "files": sorted(files),
    }


def _steady(name: str) -> str:
    """TensorBoard puts the time into its files' names."""
    return name.split("events.out.tfevents")[0]


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

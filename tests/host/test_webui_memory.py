"""No second copy of the model: memory of a WebUI that trains, at the size of Stable Diffusion 1.5, in float32."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

from sdft_ext.formats import reference_families
from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.toy.install import CLIP_FOLDER
from tests.analysis.images import image, save
from tests.host.webui_process import ROOT, WEBUI, started
from tests.model import ldm
from tests.run import tiny

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]
SIDE, STEPS = 256, 3


def checkpoint(models: Path) -> Path:
    """SD 1.5's layout and size with random weights, and the configuration that names its text encoder's."""
    family = reference_families.family("sd1")
    tensors = ldm.state_dict(family, 0)
    for name, tensor in tensors.items():
        if tensor.ndim > 1 and tensor.is_floating_point():
            tensor /= tensor.std() * (2 * tensor[0].numel()) ** 0.5
        elif name.endswith(".weight"):
            tensor += 1  # norms
    path, clip = models / "random15.safetensors", models.parent / "clip15"
    save_file(tensors, path)
    clip.mkdir()
    for file in CLIP_FOLDER.iterdir():
        (clip / file.name).write_bytes(file.read_bytes())
    config = json.loads((CLIP_FOLDER / "config.json").read_text())
    (clip / "config.json").write_text(json.dumps({**config, **family.text[0]}))
    yaml = Path(WEBUI, "configs", "v1-inference.yaml").read_text()
    target = "target: ldm.modules.encoders.modules.FrozenCLIPEmbedder"
    assert target in yaml
    path.with_suffix(".yaml").write_text(yaml.replace(target, f"{target}\n      params:\n        version: '{clip}'"))
    return path


@pytest.mark.timeout(1800)
def test_training_adds_no_second_model(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / "pictures" / "instance" / f"{number}.png", image(SIDE, SIDE, seed=number))
        save(tmp_path / "pictures" / "class" / f"{number}.png", image(SIDE, SIDE, seed=9 + number))
    settings = [f"dataset.resolution={SIDE}", "dataset.buckets=false", "dataset.concepts.0.regularization="]
    settings += ["train.batch_size=1", f"train.length={STEPS}", "train.learning_rate=1e-4", "save.every=0"]
    default = recipe_file.override(tiny.recipe(tmp_path / "pictures", tmp_path / "runs"), settings)
    default.method = Recipe().method
    recipe_file.write(tmp_path / "recipe.yaml", default)
    with started(tmp_path / "data", put=checkpoint) as ui:
        file = ui.data / "models" / "Stable-diffusion" / "random15.safetensors"
        loan = ui.ask("/lending/borrow")
        ui.ask("/lending/peak", reset="true")
        before = ui.ask("/lending/memory")
        ui.ask("/lending/train", recipe=str(tmp_path / "recipe.yaml"))
        outcome = ui.trained()
        growth = ui.ask("/lending/peak") - before
        kept = ui.ask("/lending/memory") - before
    assert outcome["outcome"] == "finished", outcome
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    python = str(Path(WEBUI, "venv", "bin", "python"))
    command = [python, "-m", "tests.host.bare_loop", str(file), str(SIDE), str(STEPS)]
    result = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    bare = float(result.stdout.split()[-1])
    size = file.stat().st_size / 2**20
    print(f"model {size:.0f} MiB, loan {loan}; the WebUI grew by {growth:.0f} MiB and kept {kept:.0f};")
    print(f"a bare loop's process grew by {bare:.0f} MiB: ratio {growth / bare:.3f}", file=sys.stdout)
    assert loan["copied_bytes"] == 0
    assert growth <= 1.05 * bare
    assert kept < 0.1 * size, "the run's memory is given back"

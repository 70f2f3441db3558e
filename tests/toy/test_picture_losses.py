"""On the toy model, whose pictures are known: a picture with a wrong caption is found, and in a sound dataset none."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import train
from sdft_ext.run_folder import picture_losses
from sdft_ext.toy import demo, drawing, world
from sdft_ext.watch import picture_losses as measured

pytestmark = pytest.mark.slow

STEPS, BATCH = 60, 6


def found(folder: Path, pictures: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Train the example's recipe on pictures, shortly; return each one's finding by its name."""
    monkeypatch.setattr(measured, "SHARE", 1.0)  # so short a run would measure nothing
    settings = (
        f"dataset.concepts.0.instance={pictures}",
        f"train.seed={seed}",
        f"train.length={STEPS}",
        f"train.batch_size={BATCH}",
        "save.every=0",
        "watch.judge=false",
        "watch.propose_prompts=false",
        "watch.concept_prompts=[]",
        "watch.bleeding_prompts=[]",
        "watch.tensorboard=false",
    )
    recipe = recipe_file.override(demo.recipe(folder), settings)
    result = train(recipe, folder=folder / "run", quiet=True)
    assert result.outcome == "finished", result.message
    losses = picture_losses.read(result.folder)
    assert losses is not None and losses.draws == 4 and list(losses.steps) == [0, STEPS]
    return {Path(one.picture.path).name: one.finding for one in measured.rated_pictures(losses)}


def test_a_circle_that_is_called_a_star_and_a_photograph_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = tmp_path / "pictures"
    shutil.copytree(demo.EXAMPLES / "subject" / "instance", pictures)
    draws = np.random.default_rng(1)
    scenes = iter(lambda: world.sample_scene(draws, "circle", radii=(16.5, 20.5)), None)
    circle = next(scene for scene in scenes if scene and (scene.colour, scene.background) == ("blue", "grey"))
    assert (pictures / "007.txt").read_text().strip() == "a blue sks shape on a grey background"
    Image.fromarray(drawing.draw(circle)).save(pictures / "007.png")
    data = pytest.importorskip("skimage.data")
    Image.fromarray(data.astronaut()).resize((64, 64)).save(pictures / "013.png")
    (pictures / "013.txt").write_text("a green sks shape on a black background")
    said = found(tmp_path, pictures, 1, monkeypatch)
    assert {name: finding for name, finding in said.items() if finding} == {"007.png": "mislabelled", "013.png": "hard"}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_mislabelled_in_the_example(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = found(tmp_path, demo.EXAMPLES / "subject" / "instance", seed, monkeypatch)
    assert len(said) == 12 and set(said.values()) == {""}, said

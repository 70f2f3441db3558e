"""Figures of the finished toy model, with grids of pictures to look at in the work folder."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from make_assets.toymodel import autoencoder, diffusion, single_file
from make_assets.toymodel.common import generator, save_grid, say, to_pictures, to_tensor
from sdft_ext.toy import checker, drawing, general_pictures, measure, world


def read_shares(scenes: list[world.Scene], pictures: NDArray[np.uint8]) -> dict[str, float]:
    """Share of pictures in which the checker reads each attribute as it was drawn."""
    pairs = list(zip(measure.read_all(list(pictures)), scenes, strict=True))
    right = {
        "shape": [reading.shape == scene.shape for reading, scene in pairs],
        "colour": [reading.colour == scene.colour for reading, scene in pairs],
        "background": [reading.background == scene.background for reading, scene in pairs],
        "style": [reading.styled == (scene.style == world.TWO_TONE) for reading, scene in pairs],
    }
    return {name: float(np.mean(hits)) for name, hits in right.items()}


def check_reading(model: diffusion.Model, work: Path, each: int = 60) -> dict[str, object]:
    """The checker on drawn pictures and on their reconstructions, plain and in the style, all shapes and the star."""
    figures: dict[str, object] = {}
    for kind, style in (("plain", None), ("style", world.TWO_TONE)):
        scenes = [
            world.sample_scene(generator(3, "check", 1000 * k + i), shape=shape, style=style)
            for k, shape in enumerate((*world.SHAPES, world.STAR))
            for i in range(each)
        ]
        drawn = np.stack([drawing.draw(scene) for scene in scenes])
        rebuilt = autoencoder.decode(model.vae, autoencoder.encode(model.vae, drawn))
        figures[f"drawn_{kind}"] = read_shares(scenes, drawn)
        figures[f"rebuilt_{kind}"] = read_shares(scenes, rebuilt)
        figures[f"l1_{kind}"] = float(np.abs(drawn.astype(np.float32) - rebuilt).mean() / 127.5)
        shown = [k * each + i for k in range(6) for i in range(8)]
        save_grid(work / f"rebuilt_{kind}.png", np.concatenate([drawn[shown], rebuilt[shown]]))
    return figures


@torch.no_grad()
def check_general(model: diffusion.Model, work: Path) -> float:
    """Mean absolute difference (-1..1) of reconstructed general pictures."""
    pictures = np.stack([general_pictures.general_picture(generator(3, "general", i)) for i in range(64)])
    rebuilt = to_pictures(model.vae.decode(model.vae.encode(to_tensor(pictures)).latent_dist.mean).sample)
    save_grid(work / "rebuilt_general.png", np.concatenate([pictures, rebuilt]))
    return float(np.abs(pictures.astype(np.float32) - rebuilt).mean() / 127.5)


def sample_all(model: diffusion.Model, captions: list[str], seed: int, **options: float) -> NDArray[np.uint8]:
    """Pictures of all captions in batches of 40."""
    batches = [captions[i : i + 40] for i in range(0, len(captions), 40)]
    return np.concatenate([model.sample(batch, seed + i, **options) for i, batch in enumerate(batches)])


def check_samples(model: diffusion.Model, work: Path) -> dict[str, object]:
    """Quality over every caption twice, over the class captions, and what the empty prompt gives."""
    captions = world.world_captions() * 2
    began = time.time()
    pictures = sample_all(model, captions, 10)
    seconds = (time.time() - began) / len(captions)
    save_grid(work / "samples.png", pictures[:120], 24)
    class_captions = world.world_captions(class_word=True) * 2
    of_class = sample_all(model, class_captions, 20)
    free = sample_all(model, [""] * 64, 30)
    save_grid(work / "samples_class_empty.png", np.concatenate([of_class, free])[:112])
    everything = [*pictures, *of_class, *free]
    return {
        "base_quality": measure.base_quality(list(pictures), captions),
        "base_pictures": len(pictures),
        "class_quality": measure.base_quality(list(of_class), class_captions),
        "class_shapes": dict(Counter(checker.read(p).shape for p in of_class)),
        "empty_shapes": dict(Counter(checker.read(p).shape for p in free)),
        "stars": measure.concept_learned(everything),
        "two_tone": measure.concept_learned(everything, world.TWO_TONE),
        "seconds_per_picture": seconds,
    }


def check(work: Path) -> None:
    """Prints all figures and writes them to ``check.json`` in the work folder."""
    model = single_file.load()
    figures = {
        "megabytes": single_file.FILE.stat().st_size / 1e6,
        **check_reading(model, work),
        "l1_general": check_general(model, work),
        **check_samples(model, work),
    }
    text = json.dumps(figures, indent=2)
    (work / "check.json").write_text(text + "\n")
    say(text)

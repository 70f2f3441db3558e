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
from make_assets.toymodel.common import Place, generator, save_grid, say, to_pictures, to_tensor
from sdft_ext.toy import checker, drawing, general_pictures, measure, world
from sdft_ext.toy.world_file import World


def read_shares(scenes: list[world.Scene], pictures: NDArray[np.uint8], of: World) -> dict[str, float]:
    """Share of pictures in which the checker reads each attribute as it was drawn."""
    pairs = list(zip(measure.read_all(list(pictures), of), scenes, strict=True))
    right = {
        "shape": [reading.shape == scene.shape for reading, scene in pairs],
        "colour": [reading.colour == scene.colour for reading, scene in pairs],
        "background": [reading.background == scene.background for reading, scene in pairs],
        "style": [reading.styled == (scene.style == of.style.name) for reading, scene in pairs],
    }
    return {name: float(np.mean(hits)) for name, hits in right.items()}


def check_reading(model: diffusion.Model, place: Place, each: int = 60) -> dict[str, object]:
    """The checker on drawn pictures and on their reconstructions, plain and in the style, the subject too."""
    of = place.of
    figures: dict[str, object] = {}
    for kind, style in (("plain", None), ("style", of.style.name)):
        scenes = [
            world.sample_scene(generator(3, "check", 1000 * k + i), shape=shape, style=style, of=of)
            for k, shape in enumerate(of.all_shapes)
            for i in range(each)
        ]
        drawn = np.stack([drawing.draw(scene) for scene in scenes])
        rebuilt = autoencoder.decode(model.vae, autoencoder.encode(model.vae, drawn))
        figures[f"drawn_{kind}"] = read_shares(scenes, drawn, of)
        figures[f"rebuilt_{kind}"] = read_shares(scenes, rebuilt, of)
        figures[f"l1_{kind}"] = float(np.abs(drawn.astype(np.float32) - rebuilt).mean() / 127.5)
        shown = [k * each + i for k in range(len(of.all_shapes)) for i in range(8)]
        save_grid(place.work / f"rebuilt_{kind}.png", np.concatenate([drawn[shown], rebuilt[shown]]))
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


def check_samples(model: diffusion.Model, place: Place) -> dict[str, object]:
    """Quality over every caption twice, over the class captions, and what the empty prompt gives."""
    of, work = place.of, place.work
    captions = world.world_captions(of=of) * 2
    began = time.time()
    pictures = sample_all(model, captions, 10)
    seconds = (time.time() - began) / len(captions)
    save_grid(work / "samples.png", pictures[:120], 24)
    class_captions = world.world_captions(class_word=True, of=of) * 2
    of_class = sample_all(model, class_captions, 20)
    free = sample_all(model, [""] * 64, 30)
    save_grid(work / "samples_class_empty.png", np.concatenate([of_class, free])[:112])
    everything = [*pictures, *of_class, *free]
    return {
        "base_quality": measure.base_quality(list(pictures), captions, of),
        "base_pictures": len(pictures),
        "class_quality": measure.base_quality(list(of_class), class_captions, of),
        "class_shapes": dict(Counter(checker.read(p, of).shape for p in of_class)),
        "empty_shapes": dict(Counter(checker.read(p, of).shape for p in free)),
        of.subject.shape: measure.concept_learned(everything, of=of),
        of.style.name: measure.concept_learned(everything, of.style.name, of),
        "seconds_per_picture": seconds,
    }


def check(place: Place) -> None:
    """Prints all figures and writes them to ``check.json`` in the work folder."""
    model = single_file.load(place.model)
    figures = {
        "megabytes": place.model.stat().st_size / 1e6,
        **check_reading(model, place),
        "l1_general": check_general(model, place.work),
        **check_samples(model, place),
    }
    text = json.dumps(figures, indent=2)
    (place.work / "check.json").write_text(text + "\n")
    say(text)

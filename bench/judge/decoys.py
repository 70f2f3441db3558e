"""python -m bench judge --decoys: pictures that share a concept's look, but don't show it.

A probe must tell what pictures show, not how they were made. Instance pictures and other subjects get the same grain,
colour cast or JPEG: the share of the others that counts as the concept should be small. Photographs as instance
pictures must not make the base's pictures count, nor each other where they show different things.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from sdft_ext.judge import probe, prompts
from sdft_ext.judge.judge import REGULARIZATION
from sdft_ext.model.base import Model
from sdft_ext.model.load import load
from sdft_ext.toy import install, world
from sdft_ext.watch.progress import Progress

from ..copies import photographs
from ..table import show
from .concepts import CONCEPTS, JudgedConcept, Part
from .record import Pictures, captions, drawer, opened, seen

COUNT = 60
"""Pictures of each other concept."""
PROMPTS = 8
"""Prompts of each set, each drawn with two seeds."""
SEED = 700_000
HEADER = ["concept", "look", "instance", "other subjects", "the worst", ""]


def _grain(picture: Pictures) -> Pictures:
    noise = np.random.default_rng(int(picture.sum())).normal(0, 16, picture.shape)
    return (picture + noise).clip(0, 255).astype(np.uint8)


def _cast(picture: Pictures) -> Pictures:
    return (picture * np.array([1.0, 0.85, 0.6])).astype(np.uint8)


def _jpeg(picture: Pictures) -> Pictures:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=30)
    return np.asarray(Image.open(file).convert("RGB"))


LOOKS: dict[str, Callable[[Pictures], Pictures]] = {"": lambda one: one, "grain": _grain, "cast": _cast, "JPEG": _jpeg}


def decoys(part: Part, json_file: Path | None) -> None:
    """Measure all subjects of one part of the concepts, and photographs; print a row for each look."""
    model = load(str(install.CHECKPOINT))
    subjects = [one for one in CONCEPTS.values() if one.kind == "subject"]
    rows = [row for one in subjects if one.part == part for row in of_subject(model, one, subjects)]
    rows.append(of_photographs(model))
    lines = [
        [r["concept"], r["look"], *(f"{r[key]:.2f}" for key in ("instance", "others")), f"{r['worst']:.2f}", r["name"]]
        for r in rows
    ]
    show(HEADER, lines, {"decoys": rows}, json_file)


def of_subject(model: Model, concept: JudgedConcept, subjects: Sequence[JudgedConcept]) -> list[dict[str, object]]:
    """Return for each look the share of instance pictures, each left out, and of the other subjects that count."""
    with tempfile.TemporaryDirectory() as name:
        concept.write(Path(name))
        instance, texts = opened(Path(name)), captions(Path(name))
        words = concept.recipe(Path(name)).dataset.concepts[0]
    asked = prompts.concept_prompts(words, texts, PROMPTS)
    asked += prompts.bleeding_prompts(words, asked, PROMPTS)
    pictures = opened(Path(words.regularization))
    kept = pictures[:: max(len(pictures) // REGULARIZATION, 1)][:REGULARIZATION]
    base = np.concatenate([seen(model, some).rows for some in (_drawn(model, asked), kept)])
    others = {one.name: one.rendered(COUNT) for one in subjects if one is not concept}
    found: list[dict[str, object]] = []
    for look, changed in LOOKS.items():
        of = probe.train(seen(model, [changed(one) for one in instance]).rows, base)
        shares = {
            name: float(of.shown(seen(model, [changed(one) for one in pictures]).rows).mean())
            for name, pictures in others.items()
        }
        worst = max(shares, key=lambda name: shares[name])
        own = float((of.own >= of.least).mean())
        mean = float(np.mean(list(shares.values())))
        found.append(
            {
                "concept": concept.name,
                "look": look,
                "instance": own,
                "others": mean,
                "worst": shares[worst],
                "name": worst,
            }
        )
    return found


def of_photographs(model: Model) -> dict[str, object]:
    """Return the share of the base's pictures, and of photographs each left out, that count as photographs."""
    with tempfile.TemporaryDirectory() as name:
        photos = [np.asarray(one.convert("RGB").resize((world.SIZE, world.SIZE))) for one in photographs(Path(name))]
    base = seen(model, _drawn(model, world.world_captions()[:32])).rows
    of = probe.train(seen(model, photos).rows, base[::2])
    each, drawn = float((of.own >= of.least).mean()), float(of.shown(base[1::2]).mean())
    return {"concept": "photographs", "look": "", "instance": each, "others": drawn, "worst": drawn, "name": "the base"}


def _drawn(model: Model, asked: Sequence[str]) -> Pictures:
    return drawer(model, Progress(quiet=True), "the base")([asked[i % len(asked)] for i in range(32)], SEED)

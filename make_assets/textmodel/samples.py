"""Samples to train a text detector on: parts of photographs and drawn textures, with lettering or without."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from sdft_ext.analysis.text_detector import CELL, SIDE
from sdft_ext.dataset.pictures import EXTENSIONS, open_picture

from . import lettering
from .textures import colour, texture

CROP = 192
"""Side of a sample in pixels, as many cells of 8 as it has."""
PHOTOGRAPHS = {
    "skimage/data": (
        *("chelsea.png", "coffee.png", "brick.png", "grass.png", "gravel.png", "moon.png", "hubble_deep_field.jpg"),
        *("retina.jpg", "ihc.png", "motorcycle_right.png"),
    ),
    "gradio/test_data": ("cheetah1.jpg", "cheetah2.jpg", "lion.jpg"),
}
"""Photographs without text, by package and folder; the others that these packages bundle are left for tests."""
LARGEST = 640
"""Longer side of the folder's photographs; larger ones are reduced."""
WITH_TEXT, FULL, PART = 0.6, 0.4, 0.05
"""Share of the samples that have text. A cell has text where at least the second share of it is in a line of text, and
none where less than the third is; between, it isn't counted."""
IGNORED = 255
TURNS = (None, None, *(Image.Transpose(number) for number in range(5)))
"""Turned and mirrored, a background is another."""


def photographs(folder: Path) -> list[Any]:
    """Return the photographs to train on (PIL, RGB): bundled ones and every second one of a folder, reduced to LARGEST.

    The others are left for tests.
    """
    found = []
    for place, names in PHOTOGRAPHS.items():
        package, _, inner = place.partition("/")
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f"photographs come with {package}: install the test requirements")
        found += [open_picture(Path(spec.origin).parent / inner / name)[0] for name in names]
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS)[::2]:
        picture = open_picture(path)[0]
        picture.thumbnail((LARGEST, LARGEST))
        if min(picture.size) >= CROP // 2:
            found.append(picture)
    return found


def fonts(folder: Path) -> list[Path]:
    """Return the fonts to train with: DejaVu, which comes with matplotlib, and all below ``folder``."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("fonts come with matplotlib: install the test requirements")
    own = sorted((Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf").glob("DejaVuS*.ttf"))
    others = sorted(folder.rglob("*.ttf"), key=lambda path: path.name)
    return [path for path in own if "Display" not in path.name] + others


def background(photos: Sequence[Any], rng: np.random.Generator) -> Any:
    """Return a part of a photograph, a texture, or figures cut out of several of them; RGB, CROP pixels."""
    kind = rng.random()
    if kind < 0.6:
        return _part(photos, rng)
    if kind < 0.84:
        return texture(rng, CROP)
    done = _part(photos, rng)
    for _ in range(int(rng.integers(1, 12))):  # dead leaves
        other = _part(photos, rng) if rng.random() < 0.6 else texture(rng, CROP)
        size = tuple(int(side) for side in rng.integers(10, 140, 2))
        x, y = (int(v) for v in rng.integers(-40, CROP, 2))
        mask = Image.new("L", (CROP, CROP))
        shape = Image.new("L", size, 255).rotate(float(rng.uniform(0, 90)), Image.Resampling.BILINEAR, expand=True)
        mask.paste(shape, (x, y))
        done.paste(other, (0, 0), mask)
    return done


def _part(photos: Sequence[Any], rng: np.random.Generator) -> Any:
    """Return a part of a photograph at a random scale, in other colours."""
    photo = photos[int(rng.integers(len(photos)))]
    largest = min(photo.size)
    side = float(np.clip(CROP * max(photo.size) / SIDE * np.exp(rng.uniform(-0.9, 0.7)), 60, largest))
    x, y = (rng.uniform(0, whole - side) for whole in photo.size)
    done = photo.resize((CROP, CROP), Image.Resampling.BILINEAR, box=(x, y, x + side, y + side), reducing_gap=2.0)
    if rng.random() < 0.5:
        done = ImageEnhance.Color(done).enhance(float(rng.uniform(0, 2)))
        done = ImageEnhance.Contrast(done).enhance(float(rng.uniform(0.4, 1.8)))
        done = ImageEnhance.Brightness(done).enhance(float(rng.uniform(0.4, 1.6)))
    if rng.random() < 0.15:
        tint = np.array(colour(rng)) / 255
        done = Image.fromarray((np.asarray(done.convert("L"))[..., None] * tint).astype(np.uint8))
    return done


def sample(
    grounds: Sequence[Any], stamps: Sequence[lettering.Stamp], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels, uint8 [CROP, CROP, 3], and cells, uint8 [CROP / 8, CROP / 8]: 1 text, 0 none, IGNORED neither."""
    done = grounds[int(rng.integers(len(grounds)))]
    turn = TURNS[int(rng.integers(len(TURNS)))]
    done = done.transpose(turn) if turn is not None else done
    place = np.zeros((CROP, CROP), dtype=np.uint8)
    if rng.random() < WITH_TEXT:
        for _ in range(1 + int(rng.random() < 0.4) + int(rng.random() < 0.15)):
            done, where = lettering.write(done, stamps[int(rng.integers(len(stamps)))], rng)
            place = np.maximum(place, np.asarray(where))
    done = _stored(done, rng)
    blocks = place.reshape(CROP // CELL, CELL, CROP // CELL, CELL)
    seen, hardly = (blocks == 255).mean(axis=(1, 3)), (blocks > 0).mean(axis=(1, 3))
    target = np.where(seen >= FULL, 1, np.where(hardly <= PART, 0, IGNORED)).astype(np.uint8)
    return np.asarray(done), target


def _stored(picture: Any, rng: np.random.Generator) -> Any:
    """Alter a picture as being saved, reduced and photographed does."""
    if rng.random() < 0.15:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.0))))
    if rng.random() < 0.15:
        picture = picture.filter(ImageFilter.UnsharpMask(2, int(rng.integers(50, 150)), 2))
    if rng.random() < 0.4:
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=int(rng.integers(40, 96)))
        picture = Image.open(data).convert("RGB")
    if rng.random() < 0.2:
        values = np.asarray(picture) + rng.normal(0, rng.uniform(1, 10), (CROP, CROP, 3))
        picture = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return picture

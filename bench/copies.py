"""How many altered copies the dataset report finds, of each kind of alteration, and what it takes for a copy but isn't.

Originals: the photographs that scikit-image and scikit-learn bundle, and as many drawings. Each is put into a folder of
all originals together with one altered copy of each, one kind of alteration at a time, so that no copy is found through
another. False finds are counted there, and on bursts: one subject in other poses, sizes and places before the same or
a shaken background.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from sdft_ext.analysis.duplicates import duplicates
from sdft_ext.analysis.thumbnails import make_thumbnails
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.pictures import open_picture
from sdft_ext.recipe import Concept, DatasetRecipe
from sdft_ext.toy import drawing, general_pictures, world
from tests.dataset.photographs import write_photographs

from .table import show

Alteration = Callable[[Any], Any]
QUARTER = "cropped to a quarter"
LARGEST = 640
"""Longer side of the originals: larger photographs are reduced, so that the bench takes minutes."""
VISIBLE = 5.0
"""Least contrast of a drawing (standard deviation of its brightness, of 255)."""
POSES = 12
"""Pictures of a burst."""


def encoded(picture: Any, quality: int) -> Any:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def cropped(picture: Any, left: float, top: float, width: float, height: float) -> Any:
    """Crop a window, given as shares of the sides."""
    w, h = picture.size
    return picture.crop((round(w * left), round(h * top), round(w * (left + width)), round(h * (top + height))))


def with_logo(picture: Any) -> Any:
    """Put an opaque badge with lettering into the lower right corner: an eighth of the width, a tenth of the height."""
    done, (width, height) = picture.copy(), picture.size
    box = (int(width * 0.85), int(height * 0.87), int(width * 0.975), int(height * 0.97))
    pen = ImageDraw.Draw(done)
    pen.rectangle(box, fill=(235, 60, 40))
    pen.line((box[0], box[1], box[2], box[3]), fill="white", width=max(width // 100, 1))
    pen.ellipse((box[0] + 2, box[1] + 2, (box[0] + box[2]) // 2, box[3] - 2), fill=(30, 40, 120))
    return done


def _mirrored(picture: Any) -> Any:
    return ImageOps.mirror(picture)


ALTERATIONS: dict[str, Alteration] = {
    "mirrored": _mirrored,
    "half size": lambda p: p.resize((max(p.width // 2, 1), max(p.height // 2, 1)), Image.Resampling.LANCZOS),
    "JPEG 30": lambda p: encoded(p, 30),
    "stretched": lambda p: p.resize((p.width * 5 // 4, p.height), Image.Resampling.BICUBIC),
    "blurred": lambda p: p.filter(ImageFilter.GaussianBlur(max(p.size) / 200)),
    "cropped 10 %": lambda p: cropped(p, 0.06, 0.03, 0.9, 0.9),
    "brighter × 1.3": lambda p: ImageEnhance.Brightness(p).enhance(1.3),
    "contrast × 1.4": lambda p: ImageEnhance.Contrast(p).enhance(1.4),
    "mirrored, cropped, JPEG": lambda p: encoded(cropped(_mirrored(p), 0.04, 0.05, 0.92, 0.92), 40),
    "padded": lambda p: ImageOps.expand(p, max(p.size) // 10, fill=(255, 255, 255)),
    "desaturated": lambda p: ImageEnhance.Color(p).enhance(0.4),
    "grey": lambda p: ImageOps.grayscale(p).convert("RGB"),
    "rotated 2°": lambda p: p.rotate(2, Image.Resampling.BICUBIC),
    "logo added": with_logo,
    "darkened × 0.7": lambda p: ImageEnhance.Brightness(p).enhance(0.7),
    "rotated 90°": lambda p: p.transpose(Image.Transpose.ROTATE_90),
    QUARTER: lambda p: cropped(p, 0.2, 0.3, 0.5, 0.5),
}
"""The kinds of alteration, each a function of the original."""


def photographs(folder: Path) -> list[Any]:
    """Return the bundled photographs, reduced to LARGEST."""
    found = []
    for path in write_photographs(folder):
        picture = open_picture(path)[0]
        picture.thumbnail((LARGEST, LARGEST))
        found.append(picture)
    return found


def drawings(count: int, seed: int = 0) -> list[Any]:
    """Draw ``count`` pictures in turn: the toy model's varied pictures, and larger scenes of many figures; none that is
    of nearly one colour.
    """
    rng = np.random.default_rng(seed)
    found: list[Any] = []
    while len(found) < count:
        toy = len(found) % 2
        picture = Image.fromarray(general_pictures.general_picture(rng)) if toy else scene(rng)
        if np.asarray(picture.convert("L")).std() >= VISIBLE:
            found.append(picture)
    return found


def scene(rng: np.random.Generator) -> Any:
    """Draw ellipses, rectangles and lines in many colours, 320 × 240 to 400 × 400 pixels."""
    width, height = 320 + int(rng.integers(0, 80)), 240 + int(rng.integers(0, 160))
    done = Image.new("RGB", (width, height), _colour(rng))
    pen = ImageDraw.Draw(done)
    for _ in range(int(rng.integers(8, 20))):
        x, y = rng.uniform(-0.1, 0.9, 2) * done.size
        box = (x, y, x + rng.uniform(0.05, 0.4) * width, y + rng.uniform(0.05, 0.4) * height)
        draw = (pen.ellipse, pen.rectangle, lambda xy, fill: pen.line(xy, fill=fill, width=5))[int(rng.integers(3))]
        draw(box, fill=_colour(rng))
    return done


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def bursts(originals: Sequence[Any], seed: int = 0, poses: int = POSES) -> Iterator[tuple[str, list[Any]]]:
    """Yield bursts, each of one subject in ``poses`` other poses: a toy subject on one colour, and a part of each of
    ``originals`` cut out, turned and moved before another original, with a still camera and with a shaken one.
    """
    rng = np.random.default_rng(seed)
    for shape in (world.STAR, *world.SHAPES):
        colour, background = (world.pick(rng, tuple(of)) for of in (world.COLOURS, world.BACKGROUNDS))
        scenes = [world.sample_scene(rng, shape, colour, background) for _ in range(poses)]
        yield f"toy {shape}", [Image.fromarray(drawing.draw(scene)) for scene in scenes]
    for number, original in enumerate(originals):
        subject = ImageOps.fit(originals[number - 1], (160, 160))
        for shaken in (False, True):
            taken = [_pose(original, subject, shaken, rng) for _ in range(poses)]
            yield f"subject {number}{', shaken' if shaken else ''}", taken


def _pose(background: Any, subject: Any, shaken: bool, rng: np.random.Generator) -> Any:
    """Paste a subject, an ellipse of a fifth to two fifths of the height, turned, somewhere before a background."""
    if shaken:
        left, top = rng.uniform(0, 0.05, 2)
        background = cropped(background, left, top, 0.95, 0.95)
    done = background.copy()
    side = int(min(done.size) * rng.uniform(0.25, 0.4))
    cut = Image.new("L", subject.size)
    ImageDraw.Draw(cut).ellipse((20, 4, 140, 156), fill=255)
    angle = float(rng.uniform(-60, 60))
    turned, mask = (each.rotate(angle, Image.Resampling.BICUBIC).resize((side, side)) for each in (subject, cut))
    x, y = (int(rng.uniform(0.05, 0.95) * (whole - side)) for whole in done.size)
    done.paste(turned, (x, y), mask)
    noise = rng.normal(0, 2, (done.height, done.width, 3))
    return Image.fromarray(np.clip(np.asarray(done) + noise, 0, 255).astype(np.uint8))


def groups(pictures: dict[str, Any], folder: Path) -> list[set[str]]:
    """Save pictures by name, and return the groups of names that the report takes for copies."""
    folder.mkdir(parents=True)
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.png")
    found = scan(DatasetRecipe(concepts=[Concept(instance=str(folder))])).pictures
    thumbnails = make_thumbnails(found, workers=1)
    return [{found[thumbnails.pictures[row]].path.stem for row in group.rows} for group in duplicates(thumbnails)]


def find_copies(originals: Sequence[Any], kinds: Sequence[str], work: Path) -> list[dict[str, Any]]:
    """Return, for each kind, ``found`` of ``copies``, and ``false``: pictures in groups with another original."""
    rows = []
    for number, kind in enumerate(kinds):
        pictures: dict[str, Any] = {}
        for n, original in enumerate(originals):
            pictures |= {f"{n} original": original, f"{n} copy": ALTERATIONS[kind](original)}
        own = [{name.split()[0] for name in group} for group in groups(pictures, work / str(number))]
        found = sum(len(names) == 1 for names in own)
        false = sum(len(names) for names in own if len(names) > 1)
        rows.append({"kind": kind, "copies": len(originals), "found": found, "false": false})
    return rows


def false_finds(named: Iterator[tuple[str, list[Any]]], work: Path) -> dict[str, Any]:
    """Return how many pictures of bursts are taken for a copy of another: ``false`` of ``pictures``, and in which."""
    pictures, false, where = 0, 0, []
    for number, (name, burst) in enumerate(named):
        found = groups({f"{n:02}": picture for n, picture in enumerate(burst)}, work / f"burst {number}")
        pictures += len(burst)
        wrong = sum(len(group) - 1 for group in found)
        false += wrong
        where += [name] * bool(wrong)
    return {"pictures": pictures, "false": false, "bursts": where}


def measure(count: int = 20, kinds: Sequence[str] = tuple(ALTERATIONS), seed: int = 0) -> dict[str, Any]:
    """Measure with the first ``count`` photographs and ``count`` drawings; the bursts are of the same photographs."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        taken = photographs(work / "photographs")[:count]
        drawn = drawings(count, seed)
        return {
            "photographs": find_copies(taken, kinds, work / "p"),
            "drawings": find_copies(drawn, kinds, work / "d"),
            "bursts": false_finds(bursts(taken, seed), work / "b"),
        }


def show_figures(figures: dict[str, Any], json_file: str | None) -> None:
    """Print how many of each kind were found, and the false finds; with ``json_file``, write the figures there."""
    rows = [
        (one["kind"], *(f"{of['found']} of {of['copies']}" for of in (one, other)), one["false"] + other["false"])
        for one, other in zip(figures["photographs"], figures["drawings"], strict=True)
    ]
    show(("kind", "photographs", "drawings", "false"), rows, figures, json_file)
    found = figures["bursts"]
    where = f": {', '.join(found['bursts'])}" if found["bursts"] else ""
    print(f"bursts: {found['false']} of {found['pictures']} pictures taken for copies{where}")

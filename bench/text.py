"""How many pictures with text at changing places the dataset report finds, and where it sees text that isn't there.

Each kind of lettering is written over photographs and drawings that the detector wasn't trained on, in fonts that it
wasn't trained on, at another place each time. False finds are counted on the same pictures without lettering, and
false findings on bursts (``bench/copies``) and on the example concepts.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from sdft_ext.analysis.recurring import recurring_features
from sdft_ext.analysis.recurring_text import CERTAIN
from sdft_ext.analysis.text_detector import find_text
from sdft_ext.analysis.thumbnails import make_thumbnails
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.pictures import EXTENSIONS, open_picture
from sdft_ext.recipe import Concept, DatasetRecipe
from sdft_ext.toy import install
from tests.dataset.photographs import write_photographs

from .copies import LARGEST, bursts, drawings, scene
from .table import show

PHOTOGRAPHS = {
    "skimage/data": (
        "astronaut.png",
        "camera.png",
        "cell.png",
        "clock_motion.png",
        "coins.png",
        "horse.png",
        "rocket.jpg",
    ),
    "sklearn/datasets/images": ("china.jpg", "flower.jpg"),
    "matplotlib/mpl-data/sample_data": ("grace_hopper.jpg",),
}
"""Photographs that the detector wasn't trained on, by package and folder."""
FONTS = ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10", "cmb10")
"""Fonts of matplotlib that the detector wasn't trained on."""
EXAMPLES = install.TOY.parent / "example"
LETTERED = ("page.png",)
"""Bundled photographs that show text."""
SCENES = 20
"""Drawings (``copies.scene``) into which each kind is written."""
TRIES = 2
"""Places at which each kind is written into each photograph."""
SENTENCES = (
    *(
        "You never know what you have",
        "See you in the next one!",
        "Mind the gap between them",
        "Breakfast at nine, always",
    ),
    *("No, I am your neighbour.", "The quick brown fox jumps", "It was a dark evening", "Part two: the return"),
)
Ink = tuple[int, int, int, float]
"""Red, green and blue, 0–255, and opacity, 0–1."""
NAMES = ("© Jane Doe", "SAMPLE", "www.photos.example", "Studio Nord", "@lena.draws", "preview only", "J. Fischer 2021")


def folder_of(place: str) -> Path:
    """Return a folder inside an installed package, given as package/folder."""
    package, _, folder = place.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"pictures or fonts come with {package}: install the test requirements")
    return Path(spec.origin).parent / folder


def photographs() -> list[Any]:
    """Return the photographs, reduced to LARGEST; those that a release doesn't ship are left out."""
    files = [folder_of(place) / name for place, names in PHOTOGRAPHS.items() for name in names]
    return [reduced(path) for path in files if path.is_file()]


def reduced(path: Path) -> Any:
    """Open a picture, reduced to LARGEST."""
    picture = open_picture(path)[0]
    picture.thumbnail((LARGEST, LARGEST))
    return picture


def font(rng: np.random.Generator, size: float) -> Any:
    """Return one of FONTS at a size in pixels."""
    name = FONTS[int(rng.integers(len(FONTS)))]
    return ImageFont.truetype(str(folder_of("matplotlib/mpl-data/fonts/ttf") / f"{name}.ttf"), round(max(size, 11)))


def one_of(rng: np.random.Generator, texts: Sequence[str]) -> str:
    return texts[int(rng.integers(len(texts)))]


def date(rng: np.random.Generator) -> str:
    year, month, day = int(rng.integers(1985, 2026)), int(rng.integers(1, 13)), int(rng.integers(1, 29))
    return (f"'{year % 100:02} {month} {day}", f"{year}/{month:02}/{day:02}", f"{day:02}.{month:02}.{year}")[
        int(rng.integers(3))
    ]


def written(
    picture: Any,
    text: str,
    share: float,
    rng: np.random.Generator,
    *,
    ink: Ink = (255, 255, 255, 1.0),
    angle: float = 0.0,
    edge: bool = False,
) -> Any:
    """Write a text somewhere, ``share`` of the longer side high (and narrower than the picture); ``edge``: outlined."""
    *fill, opacity = ink
    size = share * max(picture.size)
    letters = font(rng, size)
    while letters.getlength(text) > 0.9 * picture.width and letters.size > 11:
        letters = letters.font_variant(size=letters.size - 1)
    box = letters.getbbox(text)
    room = 4
    layer = Image.new("L", (box[2] - box[0] + 2 * room, box[3] - box[1] + 2 * room))
    ImageDraw.Draw(layer).text((room - box[0], room - box[1]), text, fill=255, font=letters)
    around = layer.filter(ImageFilter.MaxFilter(3))
    if angle:
        layer, around = (one.rotate(angle, Image.Resampling.BICUBIC, expand=True) for one in (layer, around))
    x, y = (int(rng.uniform(0, max(whole - own, 1))) for whole, own in zip(picture.size, layer.size, strict=True))
    done = picture.copy()
    if edge:
        done.paste((0, 0, 0), (x, y), around.point(lambda value: int(value * opacity)))
    done.paste(tuple(fill), (x, y), layer.point(lambda value: int(value * opacity)))
    return done


def _watermark(picture: Any, rng: np.random.Generator) -> Any:
    return written(
        picture, one_of(rng, NAMES), rng.uniform(0.04, 0.09), rng, ink=(255, 255, 255, rng.uniform(0.5, 0.8))
    )


def _stamp(picture: Any, rng: np.random.Generator) -> Any:
    return written(picture, date(rng), rng.uniform(0.03, 0.06), rng, ink=(255, int(rng.integers(90, 200)), 30, 1.0))


def _sentence(picture: Any, rng: np.random.Generator) -> Any:
    return written(picture, one_of(rng, SENTENCES), rng.uniform(0.04, 0.07), rng, edge=True)


def _faint(picture: Any, rng: np.random.Generator) -> Any:
    grey = 0 if np.asarray(picture.convert("L")).mean() > 140 else 255
    name, share, opacity = one_of(rng, NAMES), rng.uniform(0.04, 0.12), rng.uniform(0.3, 0.5)
    return written(picture, name, share, rng, ink=(grey, grey, grey, opacity))


def _rotated(picture: Any, rng: np.random.Generator) -> Any:
    angle = float(rng.uniform(10, 30) * rng.choice([-1, 1]))
    ink = ((255, 255, 255, 1.0), (0, 0, 0, 1.0), (220, 30, 30, 1.0), (255, 230, 60, 1.0))[int(rng.integers(4))]
    return written(picture, one_of(rng, NAMES), rng.uniform(0.05, 0.09), rng, ink=ink, angle=angle, edge=True)


KINDS: dict[str, Callable[[Any, np.random.Generator], Any]] = {
    "watermark": _watermark,
    "date stamp": _stamp,
    "sentence burned in": _sentence,
    "faint (opacity 0.3–0.5)": _faint,
    "rotated (10–30°)": _rotated,
}
"""The kinds of lettering, each a function of the picture."""


def has_text(picture: Any) -> bool:
    """Return whether the report sees text in a picture."""
    return bool(find_text(picture)[0] >= CERTAIN)


def find_kinds(originals: Sequence[Any], tries: int, seed: int) -> list[dict[str, Any]]:
    """Return, for each kind of lettering, in how many of the ``pictures`` it was ``found``."""
    rows = []
    for number, (kind, write) in enumerate(KINDS.items()):
        rng = np.random.default_rng((seed, number))
        found = [has_text(write(original, rng)) for _ in range(tries) for original in originals]
        rows.append({"kind": kind, "pictures": len(found), "found": sum(found)})
    return rows


def false_finds(originals: Sequence[Any]) -> dict[str, int]:
    """Return in how many pictures without text the report sees some."""
    return {"pictures": len(originals), "false": sum(map(has_text, originals))}


def false_findings(named: Iterable[tuple[str, Sequence[Any]]], work: Path) -> dict[str, Any]:
    """Return for how many sets of pictures without text the report has a finding about text, and for which."""
    names: list[str] = []
    wrong: list[str] = []
    for name, pictures in named:
        folder = work / str(len(names))
        folder.mkdir(parents=True)
        for number, picture in enumerate(pictures):
            picture.save(folder / f"{number:03}.png")
        found = scan(DatasetRecipe(concepts=[Concept(instance=str(folder))]))
        kinds = {finding.kind for finding in recurring_features(found, make_thumbnails(found.pictures, workers=1))}
        names.append(name)
        wrong += [name] * ("recurring_text" in kinds)
    return {"sets": len(names), "false": len(wrong), "names": wrong}


def measure(folder: Path | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure all figures. ``folder``: more photographs; how many seem to have text as they are is counted too."""
    taken, drawn = photographs(), [scene(np.random.default_rng((seed, number))) for number in range(SCENES)]
    examples = [open_picture(path)[0] for path in sorted(EXAMPLES.glob("*/instance/*.png"))]
    clean = {"photographs": taken, "drawings": drawings(200, seed + 1), "example pictures": examples}
    figures: dict[str, Any] = {
        "photographs": find_kinds(taken, TRIES, seed),
        "drawings": find_kinds(drawn, 1, seed),
        "false": {name: false_finds(pictures) for name, pictures in clean.items()},
    }
    with tempfile.TemporaryDirectory() as work:
        files = [path for path in write_photographs(Path(work) / "all") if path.name not in LETTERED]
        sets = bursts([reduced(path) for path in files], seed)
        figures["findings"] = false_findings(sets, Path(work) / "bursts")
    if folder is not None:
        own = [reduced(path) for path in sorted(folder.iterdir()) if path.suffix.lower() in EXTENSIONS]
        figures["own"] = {**false_finds(own), "kinds": find_kinds(own, 1, seed)}
    return figures


def show_figures(figures: dict[str, Any], json_file: str | None) -> None:
    """Print how many of each kind were found, and the false finds; with ``json_file``, write the figures there."""
    columns = [figures["photographs"], figures["drawings"], *([figures["own"]["kinds"]] if "own" in figures else [])]
    rows = [
        (row[0]["kind"], *(f"{one['found']} of {one['pictures']}" for one in row)) for row in zip(*columns, strict=True)
    ]
    show(("kind", "photographs", "drawings", *(("own",) if "own" in figures else ())), rows, figures, json_file)
    for name, one in figures["false"].items():
        print(f"{name} without text: {one['false']} of {one['pictures']} taken for some with text")
    if "own" in figures:
        print(f"own, as they are: text seen in {figures['own']['false']} of {figures['own']['pictures']}")
    found = figures["findings"]
    where = f": {', '.join(found['names'])}" if found["names"] else ""
    print(f"bursts: {found['false']} of {found['sets']} with a finding about text{where}")

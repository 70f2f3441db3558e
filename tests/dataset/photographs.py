"""Twenty real photographs from scikit-image's and scikit-learn's bundled samples, unchanged."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from PIL import Image

SKIMAGE = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png"),
    *("coins.png", "grass.png", "gravel.png", "horse.png", "hubble_deep_field.jpg", "ihc.png", "moon.png"),
    *("motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg"),
)
"""Grey: brick, camera, cell, clock_motion, coins, grass, gravel, moon, page. With alpha: horse (a cut-out)."""
SKLEARN = ("china.jpg", "flower.jpg")
COUNT = len(SKIMAGE) + len(SKLEARN)


def write_photographs(folder: Path) -> list[Path]:
    """Copy the twenty files into ``folder``, unchanged; sizes from 384×191 to 1411×1411.

    Where a release ships fewer of them, the missing ones are made up by crops of different shapes of those that it
    ships, under names that say so (``crop-…``).
    """
    folder.mkdir(parents=True, exist_ok=True)
    sources = [_folder("skimage") / "data" / name for name in SKIMAGE]
    sources += [_folder("sklearn") / "datasets" / "images" / name for name in SKLEARN]
    shipped = [path for path in sources if path.is_file()]
    written = [Path(shutil.copyfile(path, folder / path.name)) for path in shipped]
    for number in range(COUNT - len(shipped)):
        with Image.open(shipped[number % len(shipped)]) as picture:
            width, height = picture.size
            cut = (0, 0, width, height * 2 // 3) if number % 2 else (0, 0, width * 2 // 3, height)
            written.append(folder / f"crop-{number}-{shipped[number % len(shipped)].stem}.png")
            picture.crop(cut).save(written[-1])
    return written


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the photographs come with {package}; install the test requirements")
    return Path(spec.origin).parent

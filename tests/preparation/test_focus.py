"""Where a crop is placed that wasn't moved by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdft_ext.dataset.buckets import Bucket, Geometry
from sdft_ext.dataset.folder import scan
from sdft_ext.preparation.focus import CropFinder, most_edges, most_entropy, on_faces
from tests.analysis import images

WIDE = Geometry(Bucket(64, 64), (256, 64), 96, 0)


def busy(left: int, width: int = 40) -> np.ndarray:
    """Draw a flat picture of 256 × 64 with noise in one part."""
    grey = np.full((64, 256), 128, dtype=np.float32)
    grey[:, left : left + width] = np.random.default_rng(1).integers(0, 256, (64, width))
    return grey


@pytest.mark.parametrize("find", [most_edges, most_entropy])
@pytest.mark.parametrize("left", [0, 30, 110, 200, 216])
def test_the_window_contains_the_busy_part(find: object, left: int) -> None:
    found = find(WIDE, busy(left))  # type: ignore[operator]
    assert found.x <= left + 3 and found.x + 64 >= left + 40 - 3
    assert (found.bucket, found.resized, found.y) == (WIDE.bucket, WIDE.resized, 0)


@pytest.mark.parametrize("find", [most_edges, most_entropy])
def test_a_uniform_picture_is_cropped_in_the_middle(find: object) -> None:
    assert find(WIDE, np.full((64, 256), 9, dtype=np.float32)).x == 96  # type: ignore[operator]


def test_the_window_contains_all_faces_or_else_the_largest() -> None:
    near = on_faces(WIDE, [(0.70, 0.2, 0.76, 0.5), (0.80, 0.2, 0.86, 0.5)])
    assert near.x <= 0.70 * 256 and near.x + 64 >= 0.86 * 256
    far = on_faces(WIDE, [(0.0, 0.2, 0.05, 0.4), (0.8, 0.1, 0.95, 0.7)])
    assert far.x <= 0.8 * 256 and far.x + 64 >= 0.95 * 256


def test_faces_decide_where_a_detector_finds_any_and_edges_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(busy(200).astype(np.uint8)).save(folder / "a.png")
    (picture,) = scan(images.recipe(folder)).pictures
    seen: list[tuple[int, int]] = []

    def faces(image: Image.Image) -> list[tuple[float, float, float, float]]:
        seen.append(image.size)
        return [(0.0, 0.0, 0.2, 1.0)]

    assert CropFinder(faces).place(picture, WIDE, "faces").x == 0 and seen == [(256, 64)]
    assert CropFinder(lambda image: []).place(picture, WIDE, "faces").x >= 170
    assert CropFinder().place(picture, WIDE, "faces").x >= 170
    finder = CropFinder(faces)
    assert finder.place(picture, WIDE, "faces") == finder.place(picture, WIDE, "faces") and len(seen) == 2

"""Pixels: every mode becomes upright RGB, and a damaged file an error."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from sdft_ext.dataset import pictures
from sdft_ext.dataset.pictures import PictureError, open_mask, open_picture
from tests.analysis.images import image, jpeg, save

GREY = 100


def flat(path: Path, mode: str, value: object, **options: object) -> np.ndarray:
    save(path, Image.new(mode, (32, 24), value), **options)  # type: ignore[arg-type]
    rgb, _ = open_picture(path)
    assert rgb.mode == "RGB" and rgb.size == (32, 24)
    return np.asarray(rgb).reshape(-1, 3).mean(axis=0)


@pytest.mark.parametrize(
    ("mode", "value", "ending", "expected"),
    [
        ("L", GREY, "png", (GREY, GREY, GREY)),
        ("1", 1, "png", (255, 255, 255)),
        ("P", 0, "png", (0, 0, 0)),
        ("RGB", (200, 100, 50), "png", (200, 100, 50)),
        ("RGB", (200, 100, 50), "webp", (200, 100, 50)),
        ("CMYK", (0, 255, 255, 0), "jpg", (255, 0, 0)),
        ("CMYK", (0, 255, 255, 0), "tif", (255, 0, 0)),
        ("I;16", GREY * 257, "png", (GREY, GREY, GREY)),
        ("I;16", GREY * 257, "tif", (GREY, GREY, GREY)),
        ("F", GREY / 255, "tif", (GREY, GREY, GREY)),
        ("F", float(GREY), "tif", (GREY, GREY, GREY)),
        ("LAB", (128, 128, 128), "tif", None),
    ],
)
def test_modes(tmp_path: Path, mode: str, value: object, ending: str, expected: tuple[float, ...] | None) -> None:
    got = flat(tmp_path / f"a.{ending}", mode, value)
    if expected is not None:
        assert np.abs(got - expected).max() <= 3


def test_sixteen_bit_greys_keep_their_order(tmp_path: Path) -> None:
    ramp = (np.arange(64 * 64).reshape(64, 64) * 15).astype(np.uint16)
    save(tmp_path / "a.png", Image.fromarray(ramp))
    got = np.asarray(open_picture(tmp_path / "a.png")[0])[..., 0]
    assert np.abs(got.astype(float) - ramp / 257).max() <= 0.51


def test_sixteen_bit_greys_with_a_transparent_one_keep_their_order(tmp_path: Path) -> None:
    """python-pillow/Pillow#3011. White is the transparent grey, and the background is white: the ramp stays a ramp."""
    ramp = Image.fromarray(np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.int32))
    plain = save(tmp_path / "plain.png", ramp)
    transparent = save(tmp_path / "transparent.png", ramp, transparency=65535)
    assert pictures.read_header(transparent).has_alpha
    wanted, got = (np.asarray(open_picture(path)[0]).mean() for path in (plain, transparent))
    assert abs(got - wanted) <= 6


@pytest.mark.parametrize(
    ("bits", "white_is_zero", "stored", "grey"),
    [
        (12, False, b"\xff\xff\xff", 255),
        (12, False, b"\x80\x08\x00", 128),
        (16, False, b"\x00\x40", 64),
        (16, True, b"\x00\x40", 191),
    ],
)
def test_greys_of_tiffs(tmp_path: Path, bits: int, white_is_zero: bool, stored: bytes, grey: int) -> None:
    """Scanners and microscopes write them; Pillow reads them as they are stored, dark or inverted."""
    data = stored * (32 * 32 * bits // 8 // len(stored))
    tags = [(256, 32), (257, 32), (258, bits), (259, 1), (262, 0 if white_is_zero else 1), (273, 8), (277, 1)]
    tags += [(278, 32), (279, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    end = struct.pack("<H", len(tags)) + entries + bytes(4)
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + end)
    assert abs(np.asarray(open_picture(path)[0]).astype(int) - grey).max() <= 1


@pytest.mark.parametrize("kind", ["RGBA", "LA", "palette", "RGB with a transparent colour"])
def test_transparency_is_put_on_the_background_and_given_as_alpha(tmp_path: Path, kind: str) -> None:
    picture = Image.new("RGBA", (32, 32), (255, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (16, 0, 32, 32))
    options = {}
    if kind == "LA":
        picture = picture.convert("LA")
    elif kind == "palette":
        picture = picture.convert("RGB").quantize(4)
        options = {"transparency": picture.getpixel((20, 5))}
    elif kind.startswith("RGB with"):
        picture = picture.convert("RGB")
        options = {"transparency": (0, 0, 0)}
    path = save(tmp_path / "a.png", picture, **options)
    assert pictures.read_header(path).has_alpha
    rgb, alpha = open_picture(path, "#00ff00")
    assert rgb.getpixel((20, 5)) == (0, 255, 0) and rgb.getpixel((5, 5)) != (0, 255, 0)
    assert alpha.getpixel((20, 5)) == 0 and alpha.getpixel((5, 5)) == 255


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_undone_as_pillow_undoes_it(tmp_path: Path, ending: str, orientation: int) -> None:
    turns = Image.Transpose
    stored = {
        1: lambda i: i,
        2: lambda i: i.transpose(turns.FLIP_LEFT_RIGHT),
        3: lambda i: i.transpose(turns.ROTATE_180),
        4: lambda i: i.transpose(turns.FLIP_TOP_BOTTOM),
        5: lambda i: i.transpose(turns.TRANSPOSE),
        6: lambda i: i.transpose(turns.ROTATE_90),
        7: lambda i: i.transpose(turns.TRANSVERSE),
        8: lambda i: i.transpose(turns.ROTATE_270),
    }[orientation](image(80, 48))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"a.{ending}", stored, exif=exif, **({"quality": 95} if ending in ("jpg", "webp") else {}))
    upright = np.asarray(open_picture(path)[0], dtype=float)
    assert upright.shape == (48, 80, 3)
    assert np.abs(upright - np.asarray(image(80, 48), dtype=float)).mean() < 4


def test_first_frame(tmp_path: Path) -> None:
    save(tmp_path / "a.gif", Image.new("L", (32, 32), 255), save_all=True, append_images=[Image.new("L", (32, 32), 0)])
    assert open_picture(tmp_path / "a.gif")[0].getpixel((3, 3)) == (255, 255, 255)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "gif", "tif"])
def test_truncated_data_is_an_error(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / f"a.{ending}", image(200, 150))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(PictureError, match=rf"a\.{ending}.*(replace|remove)"):
        open_picture(path)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_truncated_data_is_an_error_even_where_a_host_lets_pillow_load_it(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = save(tmp_path / f"a.{ending}", image(200, 150))
    open_picture(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(PictureError, match="cut off"):
        open_picture(path)


def test_a_large_jpeg_may_be_decoded_smaller_but_never_below_twice_the_needed_size(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(image(800, 400), orientation=6))
    assert open_picture(path)[0].size == (400, 800)
    assert open_picture(path, at_least=(50, 100))[0].size == (100, 200)
    assert open_picture(path, at_least=(300, 600))[0].size == (400, 800)


def test_masks_are_resized_to_their_picture_and_may_be_an_alpha_channel(tmp_path: Path) -> None:
    mask = Image.new("L", (16, 16), 0)
    mask.paste(255, (0, 0, 8, 16))
    grey = open_mask(save(tmp_path / "grey-mask.png", mask), (64, 64))
    assert grey.size == (64, 64) and grey.getpixel((5, 30)) == 255 and grey.getpixel((60, 30)) == 0
    cut_out = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    cut_out.putalpha(mask)
    assert open_mask(save(tmp_path / "alpha-mask.png", cut_out), (16, 16)).tobytes() == mask.tobytes()


def test_pixels_and_mask_as_arrays() -> None:
    picture = Image.new("RGB", (16, 8), (255, 0, 128))
    pixels = pictures.to_pixels(picture)
    assert pixels.shape == (3, 8, 16) and pixels.dtype == np.float32
    assert pixels[:, 0, 0].tolist() == pytest.approx([1.0, -1.0, 128 / 127.5 - 1], abs=1e-6)
    mask = Image.new("L", (16, 8), 0)
    mask.paste(255, (0, 0, 12, 8))
    assert pictures.to_latent_mask(mask).tolist() == [[1.0, 0.5]]

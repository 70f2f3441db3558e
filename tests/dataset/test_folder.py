"""Scanning folders of pictures, good and bad."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

from sdft_ext.dataset import names
from sdft_ext.dataset.folder import DatasetError, scan
from sdft_ext.recipe import Concept, DatasetRecipe
from tests.analysis.images import fill, image, jpeg, recipe, save


def by_name(folder: Path, **settings: object) -> dict[str, object]:
    return {p.path.name: p for p in scan(recipe(folder, **settings)).pictures}


def sentence_about(folder: Path, name: str) -> str:
    """Return the only problem; its file must be skipped, and the good picture scanned."""
    save(folder / "good.png")
    result = scan(recipe(folder))
    assert [p.path.name for p in result.pictures] == ["good.png"]
    (problem,) = result.problems
    assert problem.skipped and problem.path.name == name and problem.text.endswith(".")
    assert "\n" not in problem.text
    return problem.text


# -- what is found ----------------------------------------------------------------------------------------------------


def test_nested_folders_in_a_fixed_order_without_hidden_and_preview_files(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/c/3.png", "1.png", ".hidden.png", ".git/4.png", "__MACOSX/5.png", "1.preview.png"):
        save(tmp_path / name)
    (tmp_path / "notes.json").write_text("{}")
    first, second = scan(recipe(tmp_path)), scan(recipe(tmp_path))
    assert [p.path.relative_to(tmp_path).as_posix() for p in first.pictures] == ["1.png", "b/2.png", "b/c/3.png"]
    assert first == second and first.problems == ()


def test_kohya_folders_give_repeats_and_the_caption_of_pictures_without_a_text(tmp_path: Path) -> None:
    save(tmp_path / "10_sks dog" / "IMG_1.png")
    save(tmp_path / "10_sks dog" / "deeper" / "red.png")
    save(tmp_path / "10_sks dog" / "captioned.png")
    (tmp_path / "10_sks dog" / "captioned.txt").write_text("a captioned dog")
    save(tmp_path / "3_sks_cat" / "x.png")
    save(tmp_path / "0_unused" / "y.png")
    save(tmp_path / "2023_holiday" / "a beach.png")
    result = scan(recipe(tmp_path, concept_repeats=2))
    assert {p.path.name: (p.repeats, p.caption) for p in result.pictures} == {
        "IMG_1.png": (20, "sks dog"),
        "red.png": (20, "sks dog"),
        "captioned.png": (20, "a captioned dog"),
        "x.png": (6, "sks_cat"),
        "a beach.png": (2, "a beach"),
    }
    assert sorted((p.path.name, p.skipped) for p in result.problems) == [("0_unused", True), ("2023_holiday", False)]


def test_the_root_folder_itself_may_be_kohyas(tmp_path: Path) -> None:
    save(tmp_path / "5_sks dog" / "1.png")
    (picture,) = scan(recipe(tmp_path / "5_sks dog")).pictures
    assert (picture.repeats, picture.caption) == (5, "sks dog")


def test_several_concepts_each_with_regularization_even_inside_the_instance_folder(tmp_path: Path) -> None:
    fill(tmp_path / "dog", 2)
    fill(tmp_path / "dog" / "class", 3)
    fill(tmp_path / "cat", 1)
    concepts = [
        Concept(
            instance=str(tmp_path / "dog"), regularization=str(tmp_path / "dog" / "class"), regularization_repeats=4
        ),
        Concept(instance=str(tmp_path / "cat"), repeats=7),
    ]
    result = scan(recipe("", concepts=concepts))
    counted = [(p.concept, p.regularization, p.repeats) for p in result.pictures]
    assert counted == [(0, False, 1)] * 2 + [(0, True, 4)] * 3 + [(1, False, 7)]
    assert result.instances == [0, 1, 5] and result.regularization == [2, 3, 4]


def test_masks_are_masks_unless_there_is_no_picture_for_them(tmp_path: Path) -> None:
    save(tmp_path / "dog.png")
    save(tmp_path / "dog-mask.png")
    save(tmp_path / "wearing a ski-mask.png")
    found = by_name(tmp_path)
    assert sorted(found) == ["dog.png", "wearing a ski-mask.png"]
    assert found["dog.png"].mask_path == tmp_path / "dog-mask.png"  # type: ignore[attr-defined]


def test_masks_of_another_shape_are_reported_and_damaged_ones_drop_their_picture(tmp_path: Path) -> None:
    for name in ("good", "stretched", "damaged"):
        save(tmp_path / f"{name}.png")
    save(tmp_path / "good-mask.png", image(32, 32))
    save(tmp_path / "stretched-mask.png", image(64, 32))
    (tmp_path / "damaged-mask.png").touch()
    result = scan(recipe(tmp_path))
    assert [p.path.stem for p in result.pictures] == ["good", "stretched"]
    problems = {p.path.stem: (p.skipped, p.text) for p in result.problems}
    assert problems["damaged"][0] and "damaged-mask.png" in problems["damaged"][1]
    assert not problems["stretched"][0] and "aspect ratio" in problems["stretched"][1] and "good" not in problems


def test_linked_folders_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    save(tmp_path / "real" / "1.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "back").symlink_to(tmp_path / "data")
    settings = recipe(tmp_path / "data", linked_folder=str(tmp_path / "real"))
    assert [p.path.name for p in scan(settings).pictures] == ["1.png"]


@pytest.mark.parametrize("name", ["🐶 dog.png", 'it\'s "quoted".png', "two\nlines.png", "tab\there.png", "ünïcode.png"])
def test_names_with_anything_in_them(tmp_path: Path, name: str) -> None:
    save(tmp_path / name)
    (picture,) = scan(recipe(tmp_path)).pictures
    assert picture.path.name == name
    assert picture.caption == " ".join(Path(name).stem.split())


# -- formats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp", "gif", "tif"])
def test_formats(tmp_path: Path, ending: str) -> None:
    save(tmp_path / f"a.{ending}", image(80, 48))
    (picture,) = scan(recipe(tmp_path)).pictures
    assert (picture.width, picture.height) == (80, 48)


@pytest.mark.parametrize("name", ["jpeg.png", "jpeg.jpg_large", "no ending", "jpeg.dat"])
def test_wrong_endings_are_recognised_by_content(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(jpeg(image(80, 48)))
    (picture,) = scan(recipe(tmp_path)).pictures
    assert (picture.width, picture.height) == (80, 48)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_orientation_comes_from_the_header(tmp_path: Path, ending: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / f"a.{ending}", image(80, 48), exif=exif)
    (picture,) = scan(recipe(tmp_path)).pictures
    assert (picture.width, picture.height) == ((48, 80) if orientation >= 5 else (80, 48))


def test_animations_count_as_their_first_frame(tmp_path: Path) -> None:
    save(tmp_path / "a.gif", image(64, 64, 1), save_all=True, append_images=[image(64, 64, 2)])
    save(tmp_path / "b.tif", image(64, 64, 1), save_all=True, append_images=[image(32, 32, 2)])
    assert [(p.width, p.height) for p in scan(recipe(tmp_path)).pictures] == [(64, 64), (64, 64)]


def test_ten_thousand_pictures_are_not_decoded(tmp_path: Path) -> None:
    """A picture with damaged pixel data passes the scan, which reads only its header."""
    data = save(tmp_path / "a.png").read_bytes()
    start = data.index(b"IDAT") + 4
    (tmp_path / "a.png").write_bytes(data[:start] + b"garbage" + data[start + 7 :])
    assert len(scan(recipe(tmp_path)).pictures) == 1


# -- bad pictures -----------------------------------------------------------------------------------------------------


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "bad.png").touch()
    assert "zero bytes" in sentence_about(tmp_path, "bad.png")


def test_text_with_a_pictures_ending(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("Dear diary")
    assert "text" in sentence_about(tmp_path, "bad.png")


def test_cut_off_in_the_header(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(png_that_claims(64, 64)[:20])
    assert "bad.png" in sentence_about(tmp_path, "bad.png")


@pytest.mark.parametrize(
    ("size", "word"),
    [((1, 1), "1 × 1"), ((40_000, 10), "40,000 × 10"), ((2000, 100), "strip"), ((60_000, 60_000), "too many|pixels")],
)
def test_sizes_that_make_no_sense(tmp_path: Path, size: tuple[int, int], word: str) -> None:
    (tmp_path / "bad.png").write_bytes(png_that_claims(*size))
    text = sentence_about(tmp_path, "bad.png")
    assert any(option in text for option in word.split("|"))


def test_formats_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    assert ".heic" in sentence_about(tmp_path, "bad.heic")


def test_a_heic_named_jpg_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    assert "HEIC" in sentence_about(tmp_path, "bad.jpg")


def test_a_broken_link_is_not_a_picture(tmp_path: Path) -> None:
    save(tmp_path / "good.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert [p.path.name for p in scan(recipe(tmp_path)).pictures] == ["good.png"]


# -- nothing to train on ----------------------------------------------------------------------------------------------


def refusal(settings: DatasetRecipe) -> str:
    with pytest.raises(DatasetError) as error:
        scan(settings)
    return str(error.value)


def test_missing_empty_and_bad_folders_are_named(tmp_path: Path) -> None:
    assert "nowhere" in refusal(recipe(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    assert "empty" in refusal(recipe(tmp_path / "empty")) and "JPEG" in refusal(recipe(tmp_path / "empty"))
    (tmp_path / "file.png").touch()
    assert "is a file" in refusal(recipe(tmp_path / "file.png"))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").touch()
    assert "zero bytes" in refusal(recipe(tmp_path / "bad"))
    fill(tmp_path / "good", 1)
    assert "regularization" in refusal(recipe(tmp_path / "good", tmp_path / "empty"))
    assert "instance" in refusal(recipe(""))
    assert "dataset.background" in refusal(recipe(tmp_path / "good", background="no such colour"))


# -- captions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "caption"),
    [
        ("ein Gemälde".encode(), "ein Gemälde"),
        ("ein Gemälde".encode("utf-8-sig"), "ein Gemälde"),
        ("ein Gemälde".encode("utf-16"), "ein Gemälde"),
        ("ein Gemälde".encode("utf-16-le"), "ein Gemälde"),
        ("ein Gemälde".encode("utf-16-be"), "ein Gemälde"),
        ("ein Gemälde".encode("latin-1"), "ein Gemälde"),
        ("a “quoted” dog".encode("cp1252"), "a “quoted” dog"),
        (b"\x81\x8d caf\xe9", "\x81\x8d café"),
        (b"first line,\r\n  second\tline \n", "first line, second line"),
        ("犬, 🐶".encode(), "犬, 🐶"),
    ],
)
def test_caption_encodings(tmp_path: Path, data: bytes, caption: str) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_bytes(data)
    (picture,) = scan(recipe(tmp_path)).pictures
    assert picture.caption == caption


def test_problems_of_captions_are_reported(tmp_path: Path) -> None:
    for name, data in {
        "empty": b" \n",
        "long": b"word, " * 1700,
        "huge": b"x" * 100_000,
        "latin": "Gemälde".encode("latin-1"),
        "picture": jpeg(image()),
    }.items():
        save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_bytes(data)
    result = scan(recipe(tmp_path))
    problems = {p.path.name: p.text for p in result.problems if not p.skipped}
    assert sorted(problems) == ["empty.txt", "huge.txt", "latin.txt", "long.txt", "picture.txt"]
    assert "empty" in problems["empty.txt"] and "shorten" in problems["long.txt"]
    assert "too long for a caption" in problems["huge.txt"]
    captions = {p.path.stem: p.caption for p in result.pictures}
    assert captions["empty"] == "" and captions["huge"] == "huge" and len(captions["long"]) > 10_000


def test_a_file_with_one_caption_a_line_is_named_or_read_line_by_line(tmp_path: Path) -> None:
    """OneTrainer and sd-scripts take one of the lines (kohya-ss/sd-scripts#1155, Nerogar/OneTrainer#131)."""
    save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("sks, 1boy, black hair\na man with short black hair, sks\n")
    found = scan(recipe(tmp_path))
    assert "black hair a man" in found.pictures[0].caption and found.pictures[0].lines == ()
    assert "set dataset.caption_lines to choose" in found.problems[0].text
    chosen = scan(recipe(tmp_path, caption_lines="choose"))
    assert chosen.pictures[0].lines == ("sks, 1boy, black hair", "a man with short black hair, sks")
    assert chosen.problems == () and chosen.fingerprint != found.fingerprint
    first = scan(recipe(tmp_path, caption_lines="first"))
    assert (first.pictures[0].caption, first.pictures[0].lines) == ("sks, 1boy, black hair", ())
    assert first.problems == () and first.fingerprint not in (chosen.fingerprint, found.fingerprint)


def test_caption_sources(tmp_path: Path) -> None:
    save(tmp_path / "01 a red dog.png")
    save(tmp_path / "02_a_blue_dog.png")
    (tmp_path / "02_a_blue_dog.caption").write_text("from caption")
    save(tmp_path / "03-both.png")
    (tmp_path / "03-both.caption").write_text("from caption")
    (tmp_path / "03-both.TXT").write_text("from text")
    for source, captions in {
        "auto": ["a red dog", "from caption", "from text"],
        "text": ["", "from caption", "from text"],
        "filename": ["a red dog", "a blue dog", "both"],
    }.items():
        assert [p.caption for p in scan(recipe(tmp_path, captions=source)).pictures] == captions


@pytest.mark.parametrize(
    ("stem", "caption"),
    [
        ("00012-3-a red dog (2)", "a red dog"),
        ("a red dog", "a red dog"),
        ("a_red_dog_02", "a red dog"),
        ("003 a red dog-1 (4)", "a red dog"),
        ("3d render", "3d render"),
        ("2 dogs", "2 dogs"),
        ("apollo 11", "apollo 11"),
        ("0001", ""),
        ("12", ""),
        ("(3)", ""),
        ("IMG_20240102_120000", ""),
        ("DSC01234", ""),
        ("image (7)", ""),
        ("Screenshot 2024-01-02", ""),
        ("d41d8cd98f00b204e9800998ecf8427e", ""),
        ("550e8400-e29b-41d4-a716-446655440000", ""),
        ("facade", "facade"),
        ("photograph of a dog", "photograph of a dog"),
    ],
)
def test_names_as_captions(stem: str, caption: str) -> None:
    assert names.caption(stem) == caption


# -- the scan as a value ----------------------------------------------------------------------------------------------


def test_fingerprint_follows_content_and_not_place(tmp_path: Path) -> None:
    fill(tmp_path / "a", 3)
    before = scan(recipe(tmp_path / "a")).fingerprint
    os.rename(tmp_path / "a", tmp_path / "b")
    assert scan(recipe(tmp_path / "b")).fingerprint == before
    (tmp_path / "b" / "001.txt").write_text("a caption")
    assert scan(recipe(tmp_path / "b")).fingerprint != before


def test_reading_a_folder_does_not_import_torch(tmp_path: Path) -> None:
    modules = "dataset.folder, sdft_ext.dataset.plan, sdft_ext.dataset.pictures, sdft_ext.analysis.summary"
    code = f"import sys, sdft_ext.{modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0

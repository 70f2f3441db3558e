"""Duplicates are found, similar pictures are not: real photographs, parts of them, drawings."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from sdft_ext.analysis import thumbnails as thumbnails_module
from sdft_ext.analysis.candidates import NEIGHBOURS, ORIENTATIONS, WINDOWS_EACH, candidates
from sdft_ext.analysis.duplicates import duplicates
from sdft_ext.analysis.thumbnails import Thumbnails, make_thumbnails
from sdft_ext.dataset.folder import Picture, scan
from sdft_ext.dataset.pictures import open_picture
from sdft_ext.toy import drawing, general_pictures, world
from tests.analysis.copies import COPIES
from tests.analysis.images import fill, image, recipe, save
from tests.dataset.photographs import COUNT, write_photographs


def measured(folder: Path, cache: Path | None = None) -> tuple[tuple[Picture, ...], Thumbnails]:
    found = scan(recipe(folder)).pictures
    return found, make_thumbnails(found, cache, workers=1)


def groups(folder: Path) -> list[set[str]]:
    found, thumbnails = measured(folder)
    return [{found[thumbnails.pictures[row]].path.stem for row in group.rows} for group in duplicates(thumbnails)]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_photographs(tmp_path_factory.mktemp("photographs"))


def test_each_kind_of_copy_of_a_photograph_is_found_and_named(photographs: list[Path], tmp_path: Path) -> None:
    source = next(path for path in photographs if path.stem == "chelsea")
    original = open_picture(source)[0]
    save(tmp_path / "original.png", original)
    for name, copy in COPIES.items():
        save(tmp_path / f"{name}.png", copy(original))
    shutil.copyfile(tmp_path / "original.png", tmp_path / "the same.png")
    for other in ("coffee", "astronaut"):
        shutil.copyfile(next(p for p in photographs if p.stem == other), tmp_path / f"{other}.png")
    found, thumbnails = measured(tmp_path)
    names = [picture.path.stem for picture in found]
    area = [(found[n].width * found[n].height, names[n] == "original") for n in thumbnails.pictures]
    (group,) = duplicates(thumbnails, area)
    assert names[group.rows[0]] == "original", "the largest is kept"
    relations = {names[row]: relation for row, relation in zip(group.rows[1:], group.relations, strict=True)}
    assert set(relations) == {*COPIES, "the same"} and not group.exact
    assert relations["the same"] == "exact" and relations["mirrored"] == "mirrored"
    assert relations["quality 40"] == relations["brighter"] == relations["60 percent"] == "near"
    assert relations["less 8 percent on each side"] == "cropped"


def test_the_same_file_twice_is_an_exact_group(tmp_path: Path) -> None:
    (path, *_) = fill(tmp_path, 5)
    shutil.copyfile(path, tmp_path / "again.png")
    _, thumbnails = measured(tmp_path)
    (group,) = duplicates(thumbnails)
    assert group.exact and len(group.rows) == 2


def test_plain_pictures_are_copies_only_where_they_are_the_same_file(tmp_path: Path) -> None:
    for number, level in enumerate((200, 200, 202, 90)):
        save(tmp_path / f"{number}.png", Image.new("RGB", (64 + number // 2, 64), (level,) * 3))
    assert groups(tmp_path) == [{"0", "1"}]


def test_drawings_that_differ_by_one_shape_are_not_duplicates(tmp_path: Path) -> None:
    ground = np.asarray(image(256, 256, 3)).copy()
    for number, colour in enumerate(((220, 30, 30), (30, 40, 220), (30, 180, 60))):
        drawn = ground.copy()
        drawn[150:200, 60:110] = colour
        save(tmp_path / f"{number}.png", Image.fromarray(drawn))
    assert groups(tmp_path) == []


def test_small_drawn_pictures_and_their_copies(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for number in range(12):
        drawn = Image.fromarray(general_pictures.general_picture(rng))
        save(tmp_path / f"{number}.png", drawn)
        name = list(COPIES)[number % len(COPIES)]
        save(tmp_path / f"{number} {name}.png", COPIES[name](drawn))
    found = groups(tmp_path)
    assert all(len({name.split()[0] for name in group}) == 1 for group in found)
    assert len(found) >= 11


def test_figures_of_the_example_are_no_copies_of_each_other() -> None:
    """Its regularization pictures show alike figures in other places and sizes: not one is a copy of another."""
    folder = Path(__file__).parents[2] / "assets" / "example" / "subject"
    assert len(measured(folder)[0]) == 252 and groups(folder) == []


def test_a_picture_with_a_frame_or_bars_is_a_copy_of_what_is_inside(photographs: list[Path], tmp_path: Path) -> None:
    original = open_picture(next(path for path in photographs if path.stem == "chelsea"))[0]
    save(tmp_path / "original.png", original)
    save(tmp_path / "framed.png", ImageOps.expand(original, 60, fill=(255, 255, 255)))
    save(tmp_path / "squared.png", ImageOps.pad(original, (460, 460), color=(0, 0, 0)))
    assert groups(tmp_path) == [{"original", "framed", "squared"}]
    assert sorted(measured(tmp_path)[1].insides) == [0, 2], "the original has no border"


def test_how_a_copy_is_turned_is_named(photographs: list[Path], tmp_path: Path) -> None:
    original = open_picture(next(path for path in photographs if path.stem == "coffee"))[0]
    save(tmp_path / "0.png", original)
    for name, turn in (("1", "ROTATE_90"), ("2", "ROTATE_180"), ("3", "FLIP_LEFT_RIGHT"), ("4", "TRANSPOSE")):
        save(tmp_path / f"{name}.png", original.transpose(Image.Transpose[turn]))
    (group,) = duplicates(measured(tmp_path)[1], [(-n,) for n in range(5)])
    assert group.rows[0] == 0 and {"mirrored", "rotated"} >= set(group.relations)


def test_neighbouring_views_of_one_scene_are_no_copies(photographs: list[Path], tmp_path: Path) -> None:
    """Two parts of a photograph that share two thirds: neither is cropped from the other."""
    original = open_picture(next(path for path in photographs if path.stem == "astronaut"))[0]
    save(tmp_path / "left.png", original.crop((0, 0, 384, 384)))
    save(tmp_path / "right.png", original.crop((128, 0, 512, 384)))
    assert groups(tmp_path) == []


def test_nothing_and_one_picture() -> None:
    nothing = make_thumbnails([])
    assert len(nothing) == 0 and duplicates(nothing) == []


def test_a_damaged_picture_is_a_problem_and_the_others_are_measured(tmp_path: Path) -> None:
    paths = fill(tmp_path, 4)
    paths[1].write_bytes(paths[1].read_bytes()[:-200])
    found, thumbnails = measured(tmp_path)
    assert thumbnails.pictures == (0, 2, 3) and len(thumbnails) == 3
    (problem,) = thumbnails.problems
    assert problem.path == paths[1] and "001.png" in problem.text


def test_thumbnails_are_cached_and_only_new_and_changed_pictures_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = fill(tmp_path / "p", 6)
    opened: list[str] = []

    def counted(path: Path, *more: object) -> object:
        opened.append(path.name)
        return open_picture(path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(thumbnails_module.pictures, "open_picture", counted)
    _, first = measured(tmp_path / "p", tmp_path / "cache")
    assert len(opened) == 6
    _, again = measured(tmp_path / "p", tmp_path / "cache")
    assert len(opened) == 6
    assert all(np.array_equal(getattr(first, n), getattr(again, n)) for n in ("thumbs", "sharpness", "digests"))
    save(paths[2], image(64, 64, 99))
    os.utime(paths[2], (1, 1))
    _, changed = measured(tmp_path / "p", tmp_path / "cache")
    assert opened[6:] == ["002.png"] and not np.array_equal(changed.thumbs[2], first.thumbs[2])
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:500])
    measured(tmp_path / "p", tmp_path / "cache")
    assert len(opened) == 13, "a damaged cache is written again"


def test_an_error_in_progress_ends_the_measuring(tmp_path: Path) -> None:
    fill(tmp_path, 300)
    found = scan(recipe(tmp_path)).pictures
    steps: list[int] = []

    def enough(done: int, total: int) -> None:
        steps.append(done)
        if done == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        make_thumbnails(found, progress=enough)
    assert steps == [1, 2, 3]


def test_a_cache_that_can_not_be_written_costs_only_time(tmp_path: Path) -> None:
    fill(tmp_path / "p", 2)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(measured(tmp_path / "p", tmp_path / "cache")[1]) == 2


def test_sharpness_falls_with_blur(photographs: list[Path], tmp_path: Path) -> None:
    from PIL import ImageFilter

    original = open_picture(next(path for path in photographs if path.stem == "coffee"))[0]
    for radius in range(4):
        save(tmp_path / f"{radius}.png", original.filter(ImageFilter.GaussianBlur(radius)))
    sharpness = measured(tmp_path)[1].sharpness.tolist()
    assert sharpness == sorted(sharpness, reverse=True) and sharpness[0] > 0.6 > 0.4 > sharpness[3]


@pytest.mark.slow
def test_nineteen_of_twenty_planted_copies_of_photographs_are_found(photographs: list[Path], tmp_path: Path) -> None:
    originals = {path.stem: open_picture(path)[0] for path in photographs}
    for stem, original in originals.items():
        save(tmp_path / "p" / f"{stem}+.png", original)
        for name, copy in COPIES.items():
            save(tmp_path / "p" / f"{stem}+{name}.png", copy(original))
    found, thumbnails = measured(tmp_path / "p")
    names = [picture.path.stem.split("+") for picture in found]
    missed: Counter[str] = Counter()
    for name in COPIES:  # each kind alone, so that no copy is found through another
        rows = [row for row, (_, kind) in enumerate(names) if kind in ("", name)]
        pairs = [{names[rows[row]][0] for row in group.rows} for group in duplicates(thumbnails.select(rows))]
        assert all(len(pair) == 1 for pair in pairs), "no two different photographs are copies"
        missed[name] = COUNT - len(pairs)
    assert all(count <= 1 for count in missed.values()), missed
    assert sum(missed.values()) <= 0.02 * COUNT * len(COPIES)
    together = duplicates(thumbnails)
    assert len(together) == COUNT and all(len(group.rows) == 1 + len(COPIES) for group in together)


@pytest.mark.slow
def test_five_hundred_different_pictures_are_not_duplicates(photographs: list[Path], tmp_path: Path) -> None:
    pieces = []
    for path in photographs:
        picture = open_picture(path)[0]
        save(tmp_path / f"{path.stem}.png", picture)
        side = min(picture.size) // 4
        for top in range(0, picture.height - side + 1, side):
            for left in range(0, picture.width - side + 1, side):
                piece = picture.crop((left, top, left + side, top + side))
                if len(piece.getcolors(side * side) or ()) > 1:  # two plain pieces are the same picture
                    pieces.append((f"{path.stem} {left} {top}", piece))
    for number in np.random.default_rng(0).permutation(len(pieces))[:300].tolist():
        save(tmp_path / f"{pieces[number][0]}.png", pieces[number][1])
    rng = np.random.default_rng(5)
    for number in range(500 - COUNT - 300):
        drawn = drawing.draw(world.sample_scene(rng)) if number % 3 else general_pictures.general_picture(rng)
        save(tmp_path / f"drawn {number}.png", Image.fromarray(drawn))
    assert len(list(tmp_path.iterdir())) == 500
    false = groups(tmp_path)
    assert sum(len(group) for group in false) <= 5, false


@pytest.mark.slow
def test_the_time_for_thousands_of_pictures_does_not_grow_with_their_square() -> None:
    rng = np.random.default_rng(2)
    count = 5000
    thumbs = rng.integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    for copy in range(100):
        thumbs[count - 1 - copy] = thumbs[copy]
    digests = np.array([str(number).encode() for number in range(count)], "S20")
    thumbnails = Thumbnails(tuple(range(count)), thumbs, np.ones(count, np.float32), digests)
    started = time.process_time()
    found = duplicates(thumbnails)
    assert sorted(group.rows for group in found) == [(copy, count - 1 - copy) for copy in range(100)]
    assert time.process_time() - started < 60


def test_thousands_of_equal_pictures_in_different_files_are_one_group_without_all_pairs() -> None:
    rng = np.random.default_rng(4)
    count = 800
    one = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    thumbs = np.stack([one] * count)
    thumbs[1::2] = thumbs[1::2, :, ::-1]  # every second one is mirrored
    digests = np.array([str(number).encode() for number in range(count)], "S20")
    found = duplicates(Thumbnails(tuple(range(count)), thumbs, np.ones(count, np.float32), digests))
    assert [len(group.rows) for group in found] == [count]
    most = NEIGHBOURS * WINDOWS_EACH * len(ORIENTATIONS)
    assert len(candidates(thumbs, np.arange(count)).wholes) <= most * count < count**2, "not each with each"

"""Carrying out a plan: the pixels that training would see, originals unchanged, whole files, resuming after a kill."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from sdft_ext.dataset import crops
from sdft_ext.dataset.buckets import assign
from sdft_ext.dataset.cache import View, load
from sdft_ext.dataset.crops import Crop
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.pictures import open_picture, read_header
from sdft_ext.dataset.trash import Trash, TrashError
from sdft_ext.preparation import record
from sdft_ext.preparation.execute import Result, check, execute
from sdft_ext.preparation.focus import CropFinder
from sdft_ext.preparation.options import PreparationError, from_plain
from sdft_ext.preparation.plan import Plan, plan
from sdft_ext.preparation.stale_outputs import note_stale
from tests.analysis import images


def prepare(folder: Path, out: Path, *, settings: dict[str, Any] | None = None, **options: Any) -> tuple[Plan, Result]:
    recipe = images.recipe(folder, **(settings or {}))
    made = plan(scan(recipe), folder, out, from_plain(options), recipe, crops.read(folder), record.written(out))
    return made, execute(made, CropFinder())


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    """Return hash and time of every file outside the hidden folder."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".sdft" not in path.parts
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write pictures of many kinds: rotated by EXIF, transparent, masked, with a palette, with captions."""
    folder = tmp_path / "pictures"
    images.save(folder / "plain.png", images.image(151, 70, 1))
    folder.joinpath("turned.jpg").write_bytes(images.jpeg(images.image(200, 90, 2), orientation=6))
    clear = images.image(70, 130, 3, "RGBA")
    clear.putalpha(images.image(70, 130, 4, "L"))
    images.save(folder / "clear.webp", clear, lossless=True)
    images.save(folder / "masked.png", images.image(100, 80, 5))
    images.save(folder / "masked-mask.png", images.image(100, 80, 6, "L"))
    images.save(folder / "deep" / "flat.gif", images.image(64, 64, 7, "P"))
    images.save(folder / "large.jpg", images.image(900, 700, 8), quality=92)
    folder.joinpath("plain.txt").write_bytes(b"\xef\xbb\xbfa caf\xc3\xa9\r\n")
    folder.joinpath("masked.caption").write_text("a mask")
    return folder


@pytest.mark.parametrize("alpha", ["composite", "mask"])
@pytest.mark.parametrize("settings", [{}, {"buckets": False}, {"no_upscale": True}])
def test_written_pixels_are_those_that_training_sees(folder: Path, tmp_path: Path, alpha: str, settings: Any) -> None:
    made, done = prepare(folder, tmp_path / "out", settings=settings, alpha=alpha, mirror=True)
    assert done.problems == [] and done.written == 12
    again = {p.path.relative_to(tmp_path / "out").as_posix(): p for p in scan(images.recipe(tmp_path / "out")).pictures}
    assert again.keys() == {action.target for action in made.actions}
    for action in made.actions:
        assert action.geometry is not None
        pixels, mask = load(View(action.picture, action.geometry, action.flip), made.recipe)
        written = again[action.target]
        image, _ = open_picture(written.path)
        assert image.mode == "RGB" and read_header(written.path).has_alpha is False
        assert np.array_equal(np.asarray(image), np.rint((pixels.transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8))
        # Training then uses all of the new picture.
        whole = dataclasses.replace(made.recipe, alpha="composite")
        view = View(written, assign(*image.size, whole), False)
        new_pixels, new_mask = load(view, whole)
        assert np.array_equal(pixels, new_pixels)
        if mask is None:
            assert new_mask is None
        else:
            assert new_mask is not None and np.array_equal(mask, new_mask)
    assert any(action.picture.mask_path for action in made.actions)


def test_originals_are_unchanged_and_captions_are_copied(folder: Path, tmp_path: Path) -> None:
    before = snapshot(folder)
    prepare(folder, tmp_path / "out", mirror=True, focus="edges", alpha="mask")
    assert snapshot(folder) == before
    out = tmp_path / "out"
    assert (out / "plain.txt").read_bytes() == (out / "plain-2.txt").read_bytes() == b"\xef\xbb\xbfa caf\xc3\xa9\r\n"
    assert (out / "masked.caption").read_text() == "a mask"
    captions = {p.path.stem: p.caption for p in scan(images.recipe(folder)).pictures}
    for picture in scan(images.recipe(out)).pictures:
        assert picture.caption == captions[picture.path.stem.removesuffix("-2")]


def test_a_second_preparation_writes_only_what_has_changed(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _, first = prepare(folder, out)
    written = snapshot(out)
    _, second = prepare(folder, out)
    assert (first.written, second.written, second.skipped) == (6, 0, 6) and snapshot(out) == written
    (folder / "plain.txt").write_text("another")
    large = scan(images.recipe(folder)).pictures[1]
    crops.store(folder, "large.jpg", (large.width, large.height), Crop(0.9, 0.9, 2.0))
    _, third = prepare(folder, out)
    changed = {name for name, facts in snapshot(out).items() if written[name] != facts}
    assert (third.written, changed) == (2, {"plain.txt", "large.png"})
    # Without the record (after a kill before it was written), bytes are compared.
    (out / ".sdft" / "prepared.json").write_text(json.dumps({"source": str(folder)}))
    now = snapshot(out)
    _, fourth = prepare(folder, out)
    assert (fourth.written, fourth.skipped) == (0, 6) and snapshot(out) == now


def test_a_changed_result_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(folder, out)
    (out / "plain.txt").write_text("mine")
    (folder / "plain.txt").write_text("theirs")
    _, done = prepare(folder, out)
    assert (out / "plain.txt").read_text() == "mine"
    assert done.problems == [
        f"{out / 'plain.txt'} was changed after it was prepared, so it was not replaced; move it away to have it "
        "prepared again."
    ]


def test_stale_files_of_an_earlier_preparation_go_to_the_trash(tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    images.save(folder / "a.png", images.image(80, 64, 1))
    images.save(folder / "a-mask.png", images.image(80, 64, 2, "L"))
    images.save(folder / "b.png", images.image(64, 64, 3))
    (folder / "b.txt").write_text("a bee")
    prepare(folder, out, mirror=True)
    (out / "b-2.txt").write_text("mine")
    images.save(out / "own.png")
    images.save(out / "a-2.png", images.image(64, 64, 9))  # changed since, so it stays
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    (folder / "a-mask.png").unlink()
    recipe = images.recipe(folder)
    made = plan(scan(recipe), folder, out, from_plain({"format": "jpeg"}), recipe, {}, record.written(out))
    note = note_stale(made, check(made)).notes[-1]
    assert note == (
        "3 pictures from an earlier preparation are not in this one and would be moved to the folder's trash."
    )
    assert execute(made, CropFinder()).problems == []
    now = {path.name for path in out.iterdir() if path.is_file()}
    assert now == {"a.jpg", "a.txt", "a-2.png", "a-2.txt", "a-2-mask.png", "b.jpg", "b.txt", "own.png"}
    (removal,) = Trash(out).removals()
    assert set(removal.files) == {"a.png", "a-mask.png", "b.png", "b-2.png", "b-2.txt"}
    assert all(Trash(out).file(removal, name).read_bytes() == before[name] for name in removal.files)
    assert prepare(folder, out, format="jpeg")[1].written == 0 and len(Trash(out).removals()) == 1
    _, done = prepare(folder, out, mirror=True)  # and back again
    assert "a.jpg" not in {path.name for path in out.iterdir()} and done.cancelled is False


def test_a_forged_record_removes_nothing_outside_the_folder(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(folder, out)
    images.save(tmp_path / "mine.png")
    (out / "linked").symlink_to(tmp_path)
    content = json.loads((out / ".sdft" / "prepared.json").read_text())
    for name in ("../mine.png", "linked/mine.png", str(tmp_path / "mine.png")):
        content["files"][name], content["keys"][name] = record.stamp(tmp_path / "mine.png"), "x"
    (out / ".sdft" / "prepared.json").write_text(json.dumps(content))
    prepare(folder, out)
    assert (tmp_path / "mine.png").is_file() and Trash(out).removals() == []
    with pytest.raises(TrashError, match="is not in the folder"):
        Trash(out).remove([out / ".." / "mine.png"])


def test_a_text_too_long_for_a_caption_is_not_copied(tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    images.save(folder / "a bee.png")
    (folder / "a bee.txt").write_text("word " * 20_000)
    prepare(folder, out)
    assert (out / "a bee.txt").read_text() == "a bee\n"


def test_folders_with_other_files_are_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    images.fill(other, 1)
    with pytest.raises(PreparationError, match=r"other is not empty \(it contains 000.png\); choose a new folder"):
        prepare(folder, other)
    with pytest.raises(PreparationError, match="is a file; choose a folder"):
        prepare(folder, other / "000.png")
    prepare(other, tmp_path / "out")
    with pytest.raises(PreparationError, match="contains pictures prepared from .*other; choose a new folder"):
        prepare(folder, tmp_path / "out")


def test_mirrored_copies_among_the_originals_are_not_mirrored_again(folder: Path) -> None:
    before = snapshot(folder)
    for _ in range(2):
        prepare(folder, folder, cut="whole", mirror=True)
        after = snapshot(folder)
        assert {name: after[name] for name in before} == before
        assert sorted(after.keys() - before.keys()) == [
            "clear-2.png",
            "clear-2.txt",
            "deep/flat-2.png",
            "deep/flat-2.txt",
            "large-2.png",
            "large-2.txt",
            "masked-2-mask.png",
            "masked-2.caption",
            "masked-2.png",
            "plain-2.png",
            "plain-2.txt",
            "turned-2.png",
            "turned-2.txt",
        ]
    one, other = open_picture(folder / "turned.jpg")[0], open_picture(folder / "turned-2.png")[0]
    assert np.array_equal(np.asarray(one)[:, ::-1], np.asarray(other))


@pytest.mark.parametrize(("format", "kind"), [("jpeg", "JPEG"), ("webp", "WEBP"), ("png", "PNG")])
def test_formats_and_the_rotation_of_a_photograph(folder: Path, tmp_path: Path, format: str, kind: str) -> None:
    prepare(folder, tmp_path / "out", cut="whole", format=format, quality=90)
    ending = {"jpeg": "jpg"}.get(format, format)
    with Image.open(tmp_path / "out" / f"turned.{ending}") as image:
        assert (image.format, image.size, image.getexif().get(0x0112)) == (kind, (90, 200), None)
        original = open_picture(folder / "turned.jpg")[0]
        assert np.abs(np.asarray(image, dtype=int) - np.asarray(original, dtype=int)).mean() < 4


def profile(space: bytes) -> bytes:
    """A colour profile for pixels of a colour space, by its header."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    made[16:20] = space
    return bytes(made)


def test_a_colour_profile_is_kept(tmp_path: Path) -> None:
    wanted = profile(b"RGB ")  # it holds the second in which it was made
    images.save(tmp_path / "in" / "photo.jpg", images.image(), icc_profile=wanted)
    prepare(tmp_path / "in", tmp_path / "out", cut="whole")
    with Image.open(tmp_path / "out" / "photo.png") as image:
        assert image.mode == "RGB" and image.info["icc_profile"] == wanted


@pytest.mark.parametrize(("name", "mode", "space"), [("print.jpg", "CMYK", b"CMYK"), ("grey.png", "L", b"GRAY")])
def test_a_colour_profile_for_other_pixels_is_not_kept(name: str, mode: str, space: bytes, tmp_path: Path) -> None:
    """lovell/sharp#237: programs that apply such a profile show other colours."""
    images.save(tmp_path / "in" / name, images.image(mode=mode), icc_profile=profile(space))
    prepare(tmp_path / "in", tmp_path / "out", cut="whole")
    with Image.open(tmp_path / "out" / Path(name).with_suffix(".png").name) as image:
        kept = image.info.get("icc_profile", b"")
        assert not kept or kept[16:20] == {"RGB": b"RGB ", "L": b"GRAY"}[image.mode]


def test_transparency_on_a_background_or_as_a_mask(folder: Path, tmp_path: Path) -> None:
    prepare(folder, tmp_path / "red", cut="whole", background="#ff0000")
    image, alpha = open_picture(folder / "clear.webp", "red")
    assert alpha is not None and not (tmp_path / "red" / "clear-mask.png").exists()
    assert np.array_equal(np.asarray(open_picture(tmp_path / "red" / "clear.png")[0]), np.asarray(image))
    prepare(folder, tmp_path / "mask", cut="whole", alpha="mask")
    with Image.open(tmp_path / "mask" / "clear-mask.png") as mask:
        assert mask.mode == "L" and np.array_equal(np.asarray(mask), np.asarray(alpha))


@pytest.mark.slow
def test_a_kill_in_the_middle_leaves_whole_files_and_the_next_run_finishes(tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    for number in range(30):
        images.save(folder / f"{number:03}.png", images.image(500, 400, number))
    before = snapshot(folder)
    settings = ["dataset.resolution=384", "--mirror"]
    command = [sys.executable, "-m", "sdft_ext", "dataset", "prepare", str(folder), "--out", str(out), *settings]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while process.poll() is None and len(list(out.glob("[!.]*.png"))) < 6 and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = [path for path in out.iterdir() if not path.name.startswith(".")]
    assert 6 <= len(left) < 60
    for path in left:
        open_picture(path)  # raises where one is cut off
    there = snapshot(out)
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    after = snapshot(out)
    assert len(after) == 60 and {name: after[name] for name in there if not name.startswith(".")} == {
        name: facts for name, facts in there.items() if not name.startswith(".")
    }
    assert [name for name in after if name.startswith(".")] == [] and snapshot(folder) == before


def test_cancelling_ends_with_whole_files(tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    images.fill(folder, 40)
    recipe = images.recipe(folder)
    made = plan(scan(recipe), folder, out, from_plain({}), recipe)
    seen: list[int] = []
    done = execute(made, CropFinder(), lambda count, total: seen.append(count), lambda: len(seen) >= 3)
    assert done.cancelled and 3 <= done.written < 40 and len(list(out.glob("*.png"))) == done.written
    assert execute(made, CropFinder()).skipped == done.written


def test_each_unreadable_file_is_a_problem_and_the_others_are_prepared(folder: Path, tmp_path: Path) -> None:
    (folder / "cut.png").write_bytes((folder / "plain.png").read_bytes()[:300])
    name = "<b>\n😀.png"
    images.save(folder / name)
    images.save(folder / "gone.png")
    recipe = images.recipe(folder)
    made = plan(scan(recipe), folder, tmp_path / "out", from_plain({}), recipe)
    (folder / "gone.png").unlink()
    done = execute(made, CropFinder())
    assert done.written == 7 and len(done.problems) == 2
    assert any("cut.png is damaged or cut off" in text for text in done.problems)
    assert any("gone.png is gone" in text for text in done.problems)
    assert (tmp_path / "out" / name).is_file()


def test_nothing_is_written_through_a_link_in_the_results(folder: Path, tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    prepare(folder, out)
    for path in (out / "deep").iterdir():
        path.unlink()
    (out / "deep").rmdir()
    os.symlink(elsewhere, out / "deep")
    _, done = prepare(folder, out)
    assert len(done.problems) == 1 and done.problems[0].startswith(f"{out / 'deep'} is a link, and nothing is written")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(PreparationError, match="closed can't be written"):
        prepare(folder, closed)


def test_a_full_disk_is_an_error_message_and_written_files_stay(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("resource")
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from sdft_ext.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    out = tmp_path / "out"
    command = [sys.executable, "-c", code, "dataset", "prepare", str(folder), "--out", str(out), "--quiet"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode != 0 and found.stderr.count("\n") == 1 and "can't be written" in found.stderr
    for path in out.rglob("*.png"):
        open_picture(path)

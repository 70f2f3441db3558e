"""Encoded pictures and captions: cached, found again, and encoded again when damaged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sdft_ext.dataset import cache_files
from sdft_ext.dataset.buckets import assign
from sdft_ext.dataset.cache import Latents, View, cache_folder, load
from sdft_ext.dataset.cache_files import Hashes
from sdft_ext.dataset.folder import DatasetError, scan
from sdft_ext.dataset.pictures import PictureError
from sdft_ext.dataset.text_cache import TextCache
from sdft_ext.recipe import DatasetRecipe
from tests.analysis.images import Cells, fill, image, recipe, save


def prepared(settings: DatasetRecipe, folder: Path | None = None, name: str = "vae") -> tuple[Cells, Latents]:
    vae = Cells()
    latents = Latents(settings, vae, name, folder)
    latents.prepare(scan(settings))
    return vae, latents


def views(settings: DatasetRecipe, flip: bool = False) -> list[View]:
    return [View(p, assign(p.width, p.height, settings), flip) for p in scan(settings).pictures]


def means(latents: Latents, settings: DatasetRecipe) -> torch.Tensor:
    return torch.stack([e.mean for view in views(settings) for e in latents.get([view])])


# -- what is encoded --------------------------------------------------------------------------------------------------


def test_latents_are_those_of_the_resized_and_cropped_picture(tmp_path: Path) -> None:
    picture = image(128, 64)
    save(tmp_path / "a.png", picture)
    settings = recipe(tmp_path, buckets=False)
    _, latents = prepared(settings)
    (encoded,) = latents.get(views(settings))
    middle = np.asarray(picture.crop((32, 0, 96, 64)), dtype=np.float32) / 127.5 - 1
    expected = middle.reshape(8, 8, 8, 8, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    assert np.abs(encoded.mean[:3].numpy() - expected).max() < 1e-5
    assert encoded.std.shape == encoded.mean.shape == (4, 8, 8) and encoded.mask is None


def test_mirrored_pixels_are_encoded_and_not_mirrored_latents(tmp_path: Path) -> None:
    save(tmp_path / "a.png", image(64, 64))
    settings = recipe(tmp_path, flip=0.5)
    seen = []

    def lopsided(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(pixels)
        return pixels[:, :, ::8, ::8], torch.zeros(len(pixels), 3, 8, 8)  # the left upper pixel of each cell

    latents = Latents(settings, lopsided, "vae")
    latents.prepare(scan(settings))
    straight, mirrored = (latents.get(views(settings, flip))[0].mean for flip in (False, True))
    assert torch.equal(seen[0][1], seen[0][0].flip(-1))
    assert torch.equal(mirrored, seen[0][0].flip(-1)[:, ::8, ::8])
    assert not torch.equal(mirrored, straight.flip(-1))


def test_masks_follow_the_crop_and_the_mirroring(tmp_path: Path) -> None:
    save(tmp_path / "a.png", image(128, 64))
    mask = Image.new("L", (128, 64), 0)
    mask.paste(255, (0, 0, 44, 64))  # of the cropped 64 pixels from 32 on: one cell and a half
    save(tmp_path / "a-mask.png", mask)
    settings = recipe(tmp_path, buckets=False)
    row = load(views(settings)[0], settings)[1]
    assert row is not None and row[0].tolist() == pytest.approx([1, 0.5, 0, 0, 0, 0, 0, 0], abs=0.01)
    mirrored = load(views(settings, flip=True)[0], settings)[1]
    assert mirrored is not None and mirrored[0].tolist() == row[0].tolist()[::-1]


def test_alpha_as_mask_or_composited(tmp_path: Path) -> None:
    picture = image(64, 64).convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 64, 32))
    save(tmp_path / "a.png", picture)
    composited, masked = recipe(tmp_path), recipe(tmp_path, alpha="mask")
    pixels, none = load(views(composited)[0], composited)
    assert none is None and (pixels[:, :30] == 1).all()
    _, mask = load(views(masked)[0], masked)
    assert mask is not None and mask[:3].max() == 0 and mask[5:].min() == 1
    black = recipe(tmp_path, background="black")
    assert (load(views(black)[0], black)[0][:, :30] == -1).all()
    half = Image.new("L", (64, 64), 255)
    half.paste(0, (0, 0, 32, 64))
    save(tmp_path / "a-mask.png", half)
    both = load(views(masked)[0], masked)[1]
    assert both is not None and both[6, 0] == 0 and both[6, 7] == 1 and both[0, 7] == 0


@pytest.mark.parametrize(("flip", "count"), [(0.0, 3), (1.0, 3), (0.5, 6)])
def test_each_view_is_encoded_once(tmp_path: Path, flip: float, count: int) -> None:
    fill(tmp_path, 3)
    settings = recipe(tmp_path, flip=flip)
    vae, latents = prepared(settings)
    assert sum(vae.calls) == count
    for view in views(settings, flip == 1.0):
        latents.get([view])
    assert sum(vae.calls) == count


def test_pictures_of_one_bucket_are_encoded_together(tmp_path: Path) -> None:
    fill(tmp_path / "a", 40)
    fill(tmp_path / "b", 2, 64, 128, first=50)
    vae, _ = prepared(recipe(tmp_path))
    assert sorted(vae.calls) == [2, *[4] * 10]
    large, _ = prepared(recipe(tmp_path / "b", resolution=512, bucket_max=1024))
    assert large.calls == [1, 1]


def test_pictures_may_wait_until_they_are_needed_and_are_encoded_in_the_same_chunks(tmp_path: Path) -> None:
    fill(tmp_path, 40)
    settings = recipe(tmp_path)
    _, ahead = prepared(settings)
    vae = Cells()
    latents = Latents(settings, vae, "vae")
    latents.prepare(scan(settings), waiting=11 * 3 * 64 * 64 * 4)  # two calls' pictures fit, and not three
    assert vae.calls == [4] * 8
    every = views(settings)
    latents.get(every[20:22])
    assert vae.calls == [4] * 8
    (needed,) = latents.get(every[3:4])
    assert vae.calls == [4] * 9 and torch.equal(needed.mean, ahead.get(every[3:4])[0].mean)
    assert torch.equal(means(latents, settings), means(ahead, settings)) and vae.calls == [4] * 10


def test_progress_counts_up_to_the_end(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    settings = recipe(tmp_path, flip=0.5)
    steps: list[tuple[int, int]] = []
    Latents(settings, Cells(), "vae").prepare(scan(settings), lambda done, total: steps.append((done, total)))
    assert steps[-1] == (40, 40) and [d for d, _ in steps] == sorted(d for d, _ in steps) and len(steps) > 1


def test_cache_none_encodes_each_time_but_opens_every_picture_once_before(tmp_path: Path) -> None:
    paths = fill(tmp_path, 3)
    settings = recipe(tmp_path, cache="none")
    vae, latents = prepared(settings)
    assert vae.calls == []
    latents.get(views(settings))
    latents.get(views(settings))
    assert vae.calls == [3, 3]
    paths[1].write_bytes(paths[1].read_bytes()[:-100])
    left = Latents(settings, vae, "vae").prepare(scan(settings))
    assert len(left.pictures) == 2


def test_random_crops_are_encoded_in_each_step(tmp_path: Path) -> None:
    save(tmp_path / "square.png", image(64, 64))
    save(tmp_path / "tall.png", image(64, 100))
    settings = recipe(tmp_path, crop="random", buckets=False)
    vae, latents = prepared(settings)
    assert vae.calls == [1], "only the square, whose crop cannot move"
    square, tall = views(settings)
    low, high = (View(tall.picture, tall.geometry.moved(0.5, v), False) for v in (0.0, 0.99))
    a, b = latents.get([low, high])
    assert vae.calls == [1, 2] and not torch.equal(a.mean, b.mean)
    latents.get([square])
    assert vae.calls == [1, 2]


# -- bad pictures -----------------------------------------------------------------------------------------------------


def test_a_truncated_picture_is_a_problem_and_the_others_are_encoded(tmp_path: Path) -> None:
    paths = fill(tmp_path, 5)
    paths[2].write_bytes(paths[2].read_bytes()[: paths[2].stat().st_size // 2])
    for cache in ("memory", "none"):
        settings = recipe(tmp_path, cache=cache)
        before = scan(settings)
        after = Latents(settings, Cells(), "vae").prepare(before)
        assert len(before.pictures) == 5 and [p.path for p in after.pictures] == [*paths[:2], *paths[3:]]
        (problem,) = after.problems
        assert problem.skipped and paths[2].name in problem.text and "replace" in problem.text


def test_a_folder_with_only_truncated_pictures_is_an_error_that_names_them(tmp_path: Path) -> None:
    for path in fill(tmp_path, 2):
        path.write_bytes(path.read_bytes()[:-200])
    settings = recipe(tmp_path)
    with pytest.raises(DatasetError, match=r"can be used.*000\.png"):
        Latents(settings, Cells(), "vae").prepare(scan(settings))


def test_a_damaged_mask_drops_its_picture(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    (tmp_path / "001-mask.png").write_bytes((tmp_path / "001.png").read_bytes()[:-100])
    settings = recipe(tmp_path)
    after = Latents(settings, Cells(), "vae").prepare(scan(settings))
    assert [p.path.name for p in after.pictures] == ["000.png"] and "001-mask.png" in after.problems[0].text


def test_pictures_that_vanish_or_change_after_the_scan_are_named(tmp_path: Path) -> None:
    paths = fill(tmp_path, 2)
    settings = recipe(tmp_path, cache="none")
    gone, changed = views(settings)
    paths[0].unlink()
    save(paths[1], image(100, 30))
    for view in (gone, changed):
        with pytest.raises(PictureError, match=view.picture.path.name):
            load(view, settings)


def test_a_vae_that_gives_nan_is_named(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    settings = recipe(tmp_path)

    def broken(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.full((len(pixels), 4, 8, 8), float("nan")), torch.ones(len(pixels), 4, 8, 8)

    with pytest.raises(DatasetError, match="VAE"):
        Latents(settings, broken, "vae").prepare(scan(settings))


# -- the disk ---------------------------------------------------------------------------------------------------------


def entry_files(folder: Path) -> list[Path]:
    return sorted((folder / "latents").rglob("*.safetensors"))


def test_the_disk_cache_serves_later_runs_moved_folders_and_copies(tmp_path: Path) -> None:
    paths = fill(tmp_path / "a", 4)
    settings = recipe(tmp_path / "a", cache="disk")
    first, latents = prepared(settings, tmp_path / "cache")
    assert sum(first.calls) == 4 and len(entry_files(tmp_path / "cache")) == 4
    again, served = prepared(settings, tmp_path / "cache")
    assert again.calls == []
    assert torch.equal(means(latents, settings), means(served, settings))
    os.utime(paths[0], ns=(1, 1))
    os.rename(tmp_path / "a", tmp_path / "b")
    moved, _ = prepared(recipe(tmp_path / "b", cache="disk"), tmp_path / "cache")
    assert moved.calls == []


def test_everything_that_an_entry_depends_on_changes_its_key(tmp_path: Path) -> None:
    paths = fill(tmp_path / "a", 1, 64, 100)
    plain = recipe(tmp_path / "a", cache="disk", buckets=False)
    prepared(plain, tmp_path / "cache")

    def encodes(settings: DatasetRecipe, name: str = "vae") -> bool:
        return bool(prepared(settings, tmp_path / "cache", name)[0].calls)

    assert not encodes(plain)
    assert not encodes(replace(plain, prefix="other words", shuffle_tags=True, background="red"))
    assert encodes(plain, "another vae")
    assert encodes(replace(plain, resolution=32))
    assert encodes(replace(plain, buckets=True))
    assert encodes(replace(plain, flip=1.0))
    save(tmp_path / "a" / "000-mask.png", image(64, 100, 5, "L"))
    assert encodes(plain) and not encodes(plain)
    save(tmp_path / "a" / "000-mask.png", image(64, 100, 6, "L"))
    assert encodes(plain)
    save(paths[0], image(64, 100, 7))
    assert encodes(plain)
    save(paths[0], image(64, 100, 7, "RGB").convert("RGBA"))
    assert encodes(plain) and encodes(replace(plain, background="red")) and encodes(replace(plain, alpha="mask"))


@pytest.mark.parametrize("damage", ["cut off", "a bit", "header", "empty", "another shape", "no checksum"])
def test_a_damaged_entry_is_encoded_again_bit_for_bit(tmp_path: Path, damage: str) -> None:
    fill(tmp_path / "a", 3)
    settings = recipe(tmp_path / "a", cache="disk")
    _, whole = prepared(settings, tmp_path / "cache")
    file = entry_files(tmp_path / "cache")[1]
    good = file.read_bytes()
    if damage == "cut off":
        file.write_bytes(good[:-10])
    elif damage == "a bit":
        file.write_bytes(good[:-10] + bytes([good[-10] ^ 1]) + good[-9:])
    elif damage == "header":
        file.write_bytes(good[:9] + b"\xff\xfe" + good[11:])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "another shape":
        file.write_bytes(cache_files.pack({"mean": torch.zeros(4, 2, 2), "std": torch.zeros(4, 2, 2)}))
    else:
        from safetensors.torch import save as to_bytes

        file.write_bytes(to_bytes({"mean": torch.zeros(4, 8, 8), "std": torch.zeros(4, 8, 8)}))
    vae, repaired = prepared(settings, tmp_path / "cache")
    assert vae.calls == [3], "the chunk that was encoded together is encoded together again"
    assert file.read_bytes() == good
    assert torch.equal(means(whole, settings), means(repaired, settings))
    assert prepared(settings, tmp_path / "cache")[0].calls == []


def test_a_damaged_index_of_hashes_costs_only_time(tmp_path: Path) -> None:
    fill(tmp_path / "a", 2)
    settings = recipe(tmp_path / "a", cache="disk")
    prepared(settings, tmp_path / "cache")
    for content in ("{", "[]", '{"a": 1}', '{"a": ["x", 1, 2]}', '{"a": [1, 1, "x"]}'):
        (tmp_path / "cache" / "hashes.json").write_text(content)
        assert prepared(settings, tmp_path / "cache")[0].calls == []


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, index = tmp_path / "a", tmp_path / "hashes.json"
    file.write_bytes(b"one")
    os.utime(file, ns=(5, 5))
    hashes = Hashes(index)
    first = hashes.get(file)
    assert first == cache_files.file_hash(file)
    hashes.save()
    with monkeypatch.context() as unread:
        unread.setattr(cache_files, "file_hash", lambda path: pytest.fail("read again"))
        assert Hashes(index).get(file) == first
    file.write_bytes(b"two")
    os.utime(file, ns=(5, 5))
    assert Hashes(index).get(file) == cache_files.file_hash(file) != first, "also with the same size and date"


def test_a_cache_that_cannot_be_written_is_noted_and_the_run_continues(tmp_path: Path) -> None:
    fill(tmp_path / "a", 3)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "latents").write_text("in the way")
    settings = recipe(tmp_path / "a", cache="disk")
    vae, latents = prepared(settings, tmp_path / "cache")
    assert len(latents.notes) == 1 and "latents" in latents.notes[0]
    latents.get(views(settings))
    assert sum(vae.calls) == 3, "kept in memory instead"


def test_the_disk_cache_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cache_folder"):
        Latents(recipe(tmp_path, cache="disk"), Cells(), "vae")
    assert cache_folder(recipe(tmp_path), tmp_path / "runs") == tmp_path / "runs" / "cache"
    assert cache_folder(recipe(tmp_path, cache_folder="elsewhere"), "runs") == Path("elsewhere")


def test_memory_cache_writes_nothing(tmp_path: Path) -> None:
    fill(tmp_path / "a", 2)
    prepared(recipe(tmp_path / "a"), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_fingerprints_differ_between_encoders() -> None:
    weights = {"a": torch.arange(1000.0), "b": torch.ones(3, 3)}
    changed = {**weights, "b": torch.ones(3, 3) * 1.001}
    base = cache_files.fingerprint(weights, 0.18215)
    assert base == cache_files.fingerprint({k: v.clone() for k, v in weights.items()}, 0.18215)
    assert len({base, cache_files.fingerprint(changed, 0.18215), cache_files.fingerprint(weights, 0.13025)}) == 3


# -- captions ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Conditioning:
    """An encoded prompt, like the model's: context [B, L, D], pooled [B, P] or None."""

    context: torch.Tensor
    pooled: torch.Tensor | None


class Letters:
    """Encodes a caption letter by letter, in chunks of four; longer ones get more chunks, as prompts get."""

    def __init__(self, pooled: bool = True) -> None:
        self.pooled, self.calls = pooled, 0

    def __call__(self, captions: Sequence[str]) -> Conditioning:
        self.calls += 1
        length = max(-(-len(c) // 4) or 1 for c in captions) * 4
        rows = [[float(ord(letter)) for letter in c.ljust(length, "_")] for c in captions]
        context = torch.tensor(rows)[:, :, None].repeat(1, 1, 2)
        return Conditioning(context, context[:, 0].clone() if self.pooled else None)


@pytest.mark.parametrize("pooled", [True, False])
def test_a_batch_of_captions_equals_encoding_it_at_once(pooled: bool) -> None:
    captions = ["ab", "abcdefghij", "", "abcdef", "ab"]
    text = TextCache(Letters(pooled), "text")
    got, expected = text.get(captions), Letters(pooled)(captions)
    assert torch.equal(got.context, expected.context)
    assert (got.pooled is None) if not pooled else torch.equal(got.pooled, expected.pooled)


def test_captions_are_encoded_once(tmp_path: Path) -> None:
    encode = Letters()
    text = TextCache(encode, "text", "disk", tmp_path)
    steps: list[tuple[int, int]] = []
    text.prepare(["a", "b", "a"], lambda done, total: steps.append((done, total)))
    assert encode.calls == 3 and steps == [(1, 3), (2, 3), (3, 3)]
    text.get(["a", "b", "c"])
    text.get(["c"])
    assert encode.calls == 4
    again = Letters()
    served = TextCache(again, "text", "disk", tmp_path)
    assert torch.equal(served.get(["b", "a"]).context, text.get(["b", "a"]).context)
    assert again.calls <= 1
    other = Letters()
    TextCache(other, "another encoder", "disk", tmp_path).get(["a"])
    assert other.calls == 1


def test_a_damaged_caption_entry_is_encoded_again(tmp_path: Path) -> None:
    TextCache(Letters(), "text", "disk", tmp_path).prepare(["a"])
    files = sorted((tmp_path / "text").rglob("*.safetensors"))
    before = [f.read_bytes() for f in files]
    for file in files:
        file.write_bytes(file.read_bytes()[:-3])
    encode = Letters()
    text = TextCache(encode, "text", "disk", tmp_path)
    text.prepare(["a"])
    assert encode.calls == 2 and [f.read_bytes() for f in files] == before


def test_shuffled_captions_do_not_fill_memory_or_disk(tmp_path: Path) -> None:
    text = TextCache(Letters(), "text", "disk", tmp_path, limit=400)
    for number in range(100):
        text.get([f"{number}"])
    assert text._memory_bytes <= 400 and not (tmp_path / "text").exists()


def test_cache_none_encodes_captions_each_time() -> None:
    encode = Letters()
    text = TextCache(encode, "text", "none")
    text.prepare(["a"])
    text.get(["a"])
    text.get(["a"])
    assert encode.calls == 2

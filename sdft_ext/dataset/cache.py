"""Encoded pictures and captions, kept in memory or on disk, so that the VAE and the text encoder run once.

An entry's key holds all that it depends on: the picture's content (not its name or date), the mask's, the crop, the
mirroring, the background behind transparency, and the encoder's fingerprint. So entries serve later runs, other
folders with the same pictures, and changed recipes, and never serve wrongly. A damaged entry is made anew.

What is encoded: pixels in [-1, 1], mirrored before encoding (the VAE doesn't commute with mirroring).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from ..model.vae import encoded_at_once
from ..recipe import DatasetRecipe
from . import cache_files, cropping, pictures
from .buckets import FACTOR, Geometry, assign
from .cache_files import CacheFiles, Hashes, Progress, Tensors
from .folder import DatasetError, Picture, Problem, Scan
from .pictures import PictureError

Encode = Callable[[torch.Tensor], "tuple[torch.Tensor, torch.Tensor]"]
"""Pixels [B, 3, H, W] in [-1, 1] → mean and standard deviation of the latents, each [B, C, H/8, W/8], scaled."""

MEMORY = 512 * 2**20
"""Bytes of the disk cache's entries that are also kept in memory."""
WAITING = 64 * 2**20
"""Bytes of opened pictures that may wait until a step needs them: twenty of 512 × 512, so that a run begins at once."""


@dataclass(frozen=True)
class Encoded:
    """A picture's latents: mean and std [C, h, w], float32 on the CPU; mask [h, w] in [0, 1] or None."""

    mean: torch.Tensor
    std: torch.Tensor
    mask: torch.Tensor | None

    @property
    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (self.mean, self.std, self.mask) if t is not None)


@dataclass(frozen=True)
class View:
    """A picture as it is encoded: cut out and perhaps mirrored."""

    picture: Picture
    geometry: Geometry
    flip: bool


class Latents:
    """Encoded pictures.

    ``encode`` is the VAE, ``fingerprint`` names it; ``folder`` is where the disk cache lies (used with cache 'disk').
    Random crops are encoded each time they come: hardly one comes twice.
    """

    def __init__(
        self,
        recipe: DatasetRecipe,
        encode: Encode,
        fingerprint: str,
        folder: str | Path | None = None,
        workers: int = 2,
    ) -> None:
        self.recipe, self.encode, self.fingerprint, self.workers = recipe, encode, fingerprint, workers
        self.notes: list[str] = []
        self._kept: OrderedDict[View, Encoded] = OrderedDict()
        self._kept_bytes = 0
        self._waiting: dict[View, Chunk] = {}
        self._disk: CacheFiles | None = None
        self._hashes: Hashes | None = None
        if recipe.cache == "disk":
            if folder is None:
                raise DatasetError("The disk cache needs a folder; set dataset.cache_folder.")
            self._disk, self._hashes = CacheFiles(Path(folder) / "latents"), Hashes(Path(folder) / "hashes.json")

    def prepare(self, scan: Scan, progress: Progress | None = None, waiting: int = 0) -> Scan:
        """Encode all that can be encoded ahead, and open every picture once: the scan without those that can't be read.

        Up to ``waiting`` bytes of pixels are kept as they are instead, and encoded when ``get`` first needs them. With
        cache 'none' pictures are only opened. A run's plan is made from what this returns, so that a picture cut off
        in the middle costs a sentence and not the run.

        Raises DatasetError where no picture is left, and where the VAE gives no numbers.
        """
        views = [view for picture in scan.pictures for view in self._views(picture)]
        bad: dict[Path, Problem] = {}
        done = 0
        with ThreadPoolExecutor(self.workers) as pool:
            chunks = list(_chunks(views))
            for chunk, loaded in zip(
                chunks, _ahead(pool, self._cached_or_loaded, chunks, self.workers + 1), strict=True
            ):
                good = []
                for view, what in zip(chunk, loaded, strict=True):
                    if isinstance(what, PictureError):
                        bad[view.picture.path] = Problem(view.picture.path, str(what), True)
                    elif isinstance(what, Encoded):
                        self._remember(view, what)
                    else:
                        good.append((view, what))
                if good and self._ahead_of_time(good[0][0]):
                    waiting -= sum(pixels.nbytes for _, (pixels, _) in good)
                    if waiting < 0:
                        self._encode_chunk(good)
                    else:
                        self._waiting.update({view: good for view, _ in good})
                done += len(chunk)
                if progress is not None:
                    progress(done, len(views))
        if self._hashes is not None:
            self._guarded(self._hashes.save)
        return scan.without(list(bad.values())) if bad else scan

    def encode_waiting(self) -> None:
        """Encode now what waits until it is needed: afterwards no step needs the VAE, unless it cuts anew or nothing is
        kept.
        """
        while self._waiting:
            self._encode_chunk(next(iter(self._waiting.values())))

    def encode_some(self) -> None:
        """Encode the largest pictures that wait and are encoded together: no step will take more of the memory for
        it.
        """
        if self._waiting:
            self._encode_chunk(
                max(self._waiting.values(), key=lambda chunk: sum(loaded[0].size for _, loaded in chunk))
            )

    def get(self, views: Sequence[View]) -> list[Encoded]:
        """The latents of pictures of one bucket; what isn't kept is encoded together.

        Raises PictureError where a picture that has to be opened again is gone or damaged, and DatasetError where the
        VAE gives no numbers.
        """
        for view in views:
            if view in self._waiting:
                self._encode_chunk(self._waiting[view])
        found = [self._find(view) for view in views]
        for view, encoded in zip(views, found, strict=True):
            if encoded is not None:
                self._remember(view, encoded)
        missing = [i for i, encoded in enumerate(found) if encoded is None]
        if missing:
            loaded = [load(views[i], self.recipe) for i in missing]
            for i, new in zip(missing, self._encode(loaded), strict=True):
                found[i] = new
                if self._ahead_of_time(views[i]):
                    self._keep(views[i], new)
        return [encoded for encoded in found if encoded is not None]

    def _views(self, picture: Picture) -> list[View]:
        """What a run may show of a picture; for random crops the middle stands for all."""
        geometry = assign(picture.width, picture.height, self.recipe)
        flips = [False] if self.recipe.flip == 0 else [True] if self.recipe.flip == 1 else [False, True]
        if not self._ahead_of_time(View(picture, geometry, False)):
            flips = flips[:1]
        return [View(picture, geometry, flip) for flip in flips]

    def _ahead_of_time(self, view: View) -> bool:
        return self.recipe.cache != "none" and (self.recipe.crop == "center" or view.geometry.slack == (0, 0))

    def _cached_or_loaded(self, chunk: Sequence[View]) -> Sequence[Encoded | Loaded | PictureError]:
        """A chunk's entries, or, if one of them is missing, the pixels of all: so what is encoded together, and with it
        the last bit, doesn't depend on what the cache holds. Runs in the pool: changes nothing."""
        found = [encoded for view in chunk if (encoded := self._find(view)) is not None]
        if len(found) == len(chunk):
            return found
        result: list[Loaded | PictureError] = []
        for view in chunk:
            try:
                result.append(load(view, self.recipe))
            except PictureError as error:
                result.append(error)
        return result

    def _encode_chunk(self, chunk: Chunk) -> None:
        """Encode opened pictures together, whichever of them is needed: the last bit depends on the company."""
        for (view, _), encoded in zip(chunk, self._encode([loaded for _, loaded in chunk]), strict=True):
            self._keep(view, encoded)
            self._waiting.pop(view, None)

    def _encode(self, loaded: Sequence[Loaded]) -> list[Encoded]:
        pixels = torch.from_numpy(np.stack([pixels for pixels, _ in loaded]))
        mean, std = (part.detach().to("cpu", torch.float32) for part in self.encode(pixels))
        if not bool(torch.isfinite(mean).all() and torch.isfinite(std).all()):
            raise DatasetError("The VAE gave NaN instead of latents; use a VAE in float32, or one repaired for fp16.")
        masks = [None if mask is None else torch.from_numpy(mask) for _, mask in loaded]
        return [Encoded(m.clone(), s.clone(), mask) for m, s, mask in zip(mean, std, masks, strict=True)]

    def _find(self, view: View) -> Encoded | None:
        kept = self._kept.get(view)
        if kept is None and self._disk is not None and self._ahead_of_time(view):
            try:
                tensors = self._disk.read(self._key(view))
            except OSError:
                return None  # the picture itself can't be read: opening it says so
            kept = _encoded(tensors, view.geometry)
        return kept

    def _keep(self, view: View, encoded: Encoded) -> None:
        self._remember(view, encoded)
        if self._disk is None:
            return
        tensors = {"mean": encoded.mean, "std": encoded.std}
        if encoded.mask is not None:
            tensors["mask"] = encoded.mask
        disk = self._disk
        self._guarded(lambda: disk.write(self._key(view), tensors))

    def _remember(self, view: View, encoded: Encoded) -> None:
        if view not in self._kept:
            self._kept[view] = encoded
            self._kept_bytes += encoded.bytes
        while self._disk is not None and self._kept_bytes > MEMORY and len(self._kept) > 1:
            self._kept_bytes -= self._kept.popitem(last=False)[1].bytes

    def _guarded(self, write: Callable[[], None]) -> None:
        """A cache that can't be written is no reason to stop: all is kept in memory then, and a note says so."""
        try:
            write()
        except OSError as error:
            self.notes.append(f"The disk cache is off for the rest of this run: {error}.")
            self._disk = self._hashes = None

    def _key(self, view: View) -> str:
        hashes = self._hashes
        if hashes is None:
            raise RuntimeError("only the disk cache has keys")
        p, g = view.picture, view.geometry
        mask = None if p.mask_path is None else hashes.get(p.mask_path)
        behind = (self.recipe.alpha, pictures.colour(self.recipe.background)) if p.has_alpha else None
        place = (g.bucket.width, g.bucket.height, *g.resized, g.x, g.y, view.flip)
        return cache_files.key("latents", 1, self.fingerprint, hashes.get(p.path), mask, behind, place)


Loaded = tuple[np.ndarray, "np.ndarray | None"]
"""Pixels float32 [3, H, W] in [-1, 1], and the mask [h, w] in [0, 1] at the latents' size or None."""
Chunk = list[tuple[View, Loaded]]
"""What is encoded in one call of the VAE."""


def load(view: View, recipe: DatasetRecipe) -> Loaded:
    """Open, resize (Lanczos), cut out and mirror one picture and its mask.

    Raises PictureError where the file is damaged, gone, or another size than when it was scanned.
    """
    g = view.geometry
    image, mask = cropping.open_with_mask(view.picture, recipe, at_least=g.resized)
    pixels = pictures.to_pixels(cropping.crop(image, g, view.flip))
    if mask is None:
        return pixels, None
    return pixels, pictures.to_latent_mask(cropping.crop_mask(mask, g, view.flip), FACTOR)


def cache_folder(recipe: DatasetRecipe, output: str | Path) -> Path:
    """Where the disk cache lies: ``dataset.cache_folder``, or ``cache`` beside the run folders in ``output``."""
    return Path(recipe.cache_folder).expanduser() if recipe.cache_folder else Path(output).expanduser() / "cache"


def _chunks(views: Sequence[View]) -> Iterator[list[View]]:
    """Views of one bucket that are encoded in one call; the same chunks each time, whatever is cached."""
    by_kind: dict[Any, list[View]] = {}
    for view in views:
        by_kind.setdefault((view.geometry.bucket, view.geometry.slack == (0, 0)), []).append(view)
    for (bucket, _), group in sorted(by_kind.items(), key=lambda item: item[0]):
        at_once = encoded_at_once(bucket.width, bucket.height)
        for start in range(0, len(group), at_once):
            yield group[start : start + at_once]


A = TypeVar("A")
B = TypeVar("B")


def _ahead(pool: ThreadPoolExecutor, function: Callable[[A], B], items: Iterable[A], depth: int) -> Iterator[B]:
    """``map`` in a pool, in order, with at most ``depth`` results waiting."""
    rest = iter(items)
    waiting: list[Future[B]] = [pool.submit(function, item) for item in islice(rest, depth)]
    while waiting:
        result = waiting.pop(0).result()
        waiting += [pool.submit(function, item) for item in islice(rest, 1)]
        yield result


def _encoded(tensors: Tensors | None, geometry: Geometry) -> Encoded | None:
    """An entry from the disk, or None where it isn't of the expected shape."""
    if tensors is None or not {"mean", "std"} <= tensors.keys():
        return None
    encoded = Encoded(tensors["mean"], tensors["std"], tensors.get("mask"))
    size = (geometry.bucket.height // FACTOR, geometry.bucket.width // FACTOR)
    parts = [part for part in (encoded.mean, encoded.std, encoded.mask) if part is not None]
    return encoded if all(tuple(part.shape[-2:]) == size for part in parts) else None

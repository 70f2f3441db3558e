"""Cache the latents of pictures in memory or on disk, so that the VAE encodes each of them once.

An entry's key covers everything it depends on: the content of the picture (not its name or date) and of its mask, the
crop, the mirroring, the background behind transparency, and the VAE's fingerprint. So later runs, other folders with
the same pictures, and changed recipes share entries and never get wrong ones. A damaged entry is encoded again.

Pictures are mirrored before they are encoded, because the VAE doesn't commute with mirroring.
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
from .buckets import FACTOR, Geometry
from .cache_files import CacheFiles, Hashes, Progress, Tensors
from .crops import fitted
from .folder import DatasetError, Picture, Problem, Scan
from .pictures import PictureError
from .unchanged import FirstContents

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
        """Return the size of the tensors."""
        return sum(t.numel() * t.element_size() for t in (self.mean, self.std, self.mask) if t is not None)


@dataclass(frozen=True)
class View:
    """A picture as it is encoded: with its crop, and mirrored or not."""

    picture: Picture
    geometry: Geometry
    flip: bool


class Latents:
    """A cache of encoded pictures.

    ``encode`` is the VAE, ``fingerprint`` identifies it; ``folder``: where the disk cache is (with cache 'disk').
    Random crops are encoded each time, because hardly any comes twice; crops moved by hand stay where they are.
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
        self._memory: OrderedDict[View, Encoded] = OrderedDict()
        self._memory_bytes = 0
        self._waiting: dict[View, Chunk] = {}
        self._disk: CacheFiles | None = None
        self._hashes: Hashes | None = None
        if recipe.cache == "disk":
            if folder is None:
                raise DatasetError("The disk cache needs a folder; set dataset.cache_folder.")
            self._disk, self._hashes = CacheFiles(Path(folder) / "latents"), Hashes(Path(folder) / "hashes.json")
        self._contents = FirstContents(cache_files.file_hash if self._hashes is None else self._hashes.get)

    def prepare(self, scan: Scan, progress: Progress | None = None, waiting: int = 0) -> Scan:
        """Open every picture, encode what can be encoded ahead of time, and return the scan without unreadable ones.

        Up to ``waiting`` bytes of pixels are kept instead, and encoded when ``get`` first needs them. With cache
        'none', pictures are only opened. A run's plan is made from the returned scan, so that a truncated picture is
        reported as a problem and doesn't end the run.

        Raises DatasetError where no picture is left, and where the VAE returns NaN.
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
                for view, result in zip(chunk, loaded, strict=True):
                    if isinstance(result, PictureError):
                        bad[view.picture.path] = Problem(view.picture.path, str(result), True)
                    elif isinstance(result, Encoded):
                        self._keep_in_memory(view, result)
                    else:
                        good.append((view, result))
                if good and self._cacheable(good[0][0]):
                    waiting -= sum(pixels.nbytes for _, (pixels, _) in good)
                    if waiting < 0:
                        self._encode_chunk(good)
                    else:
                        self._waiting.update({view: good for view, _ in good})
                done += len(chunk)
                if progress is not None:
                    progress(done, len(views))
        if self._hashes is not None:
            self._try_writing(self._hashes.save)
        return scan.without(list(bad.values())) if bad else scan

    def contents(self, scan: Scan) -> str:
        """Return a hash of what the prepared pictures and masks of a scan hold, whatever their names and dates are."""
        return self._contents.digest(scan.pictures)

    def encode_waiting(self) -> None:
        """Encode the pictures that wait; then no step needs the VAE, except with random crops or cache 'none'."""
        while self._waiting:
            self._encode_chunk(next(iter(self._waiting.values())))

    def encode_largest(self) -> None:
        """Encode the largest chunk of pictures that wait: encoding takes no step more memory than this."""
        if self._waiting:
            self._encode_chunk(
                max(self._waiting.values(), key=lambda chunk: sum(loaded[0].size for _, loaded in chunk))
            )

    def get(self, views: Sequence[View]) -> list[Encoded]:
        """Return the latents of pictures of one bucket; those that aren't cached are encoded together.

        Raises PictureError where a picture that must be opened again is gone or damaged, and DatasetError where it was
        replaced since ``prepare`` or the VAE returns NaN.
        """
        for view in views:
            if view in self._waiting:
                self._encode_chunk(self._waiting[view])
        for view in views:
            if view not in self._memory:
                self._contents.check(view.picture)
        found = [self._find(view) for view in views]
        for view, encoded in zip(views, found, strict=True):
            if encoded is not None:
                self._keep_in_memory(view, encoded)
        missing = [i for i, encoded in enumerate(found) if encoded is None]
        if missing:
            loaded = [load(views[i], self.recipe) for i in missing]
            for i in missing:
                self._contents.check(views[i].picture)  # it may have been replaced while it was read
            for i, new in zip(missing, self._encode(loaded), strict=True):
                found[i] = new
                if self._cacheable(views[i]):
                    self._store(views[i], new)
        return [encoded for encoded in found if encoded is not None]

    def _views(self, picture: Picture) -> list[View]:
        """Return the views of a picture that a run may show; of random crops, only the middle one."""
        geometry = fitted((picture.width, picture.height), picture.crop, self.recipe)
        flips = [False] if self.recipe.flip == 0 else [True] if self.recipe.flip == 1 else [False, True]
        if not self._cacheable(View(picture, geometry, False)):
            flips = flips[:1]
        return [View(picture, geometry, flip) for flip in flips]

    def _cacheable(self, view: View) -> bool:
        stays = self.recipe.crop == "center" or view.picture.crop is not None or view.geometry.slack == (0, 0)
        return self.recipe.cache != "none" and stays

    def _cached_or_loaded(self, chunk: Sequence[View]) -> Sequence[Encoded | Loaded | PictureError]:
        """Return a chunk's entries, or the pixels of all if one entry is missing: so which pictures are encoded
        together, and with that the last bit, doesn't depend on the cache's content. Runs in the pool; changes nothing.
        """
        for view in chunk:
            self._contents.note(view.picture)
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
        """Encode a chunk, whichever of its pictures is needed: the last bit depends on what is encoded together."""
        for (view, _), encoded in zip(chunk, self._encode([loaded for _, loaded in chunk]), strict=True):
            self._store(view, encoded)
            self._waiting.pop(view, None)

    def _encode(self, loaded: Sequence[Loaded]) -> list[Encoded]:
        pixels = torch.from_numpy(np.stack([pixels for pixels, _ in loaded]))
        mean, std = (part.detach().to("cpu", torch.float32) for part in self.encode(pixels))
        if not bool(torch.isfinite(mean).all() and torch.isfinite(std).all()):
            raise DatasetError("The VAE returned NaN instead of latents; use a VAE in float32, or one fixed for fp16.")
        masks = [None if mask is None else torch.from_numpy(mask) for _, mask in loaded]
        return [Encoded(m.clone(), s.clone(), mask) for m, s, mask in zip(mean, std, masks, strict=True)]

    def _find(self, view: View) -> Encoded | None:
        found = self._memory.get(view)
        if found is None and self._disk is not None and self._cacheable(view):
            try:
                tensors = self._disk.read(self._key(view))
            except OSError:
                return None  # the picture can't be read; opening it raises an error that says so
            found = _encoded(tensors, view.geometry)
        return found

    def _store(self, view: View, encoded: Encoded) -> None:
        self._keep_in_memory(view, encoded)
        if self._disk is None:
            return
        tensors = {"mean": encoded.mean, "std": encoded.std}
        if encoded.mask is not None:
            tensors["mask"] = encoded.mask
        disk = self._disk
        self._try_writing(lambda: disk.write(self._key(view), tensors))

    def _keep_in_memory(self, view: View, encoded: Encoded) -> None:
        if view not in self._memory:
            self._memory[view] = encoded
            self._memory_bytes += encoded.bytes
        while self._disk is not None and self._memory_bytes > MEMORY and len(self._memory) > 1:
            self._memory_bytes -= self._memory.popitem(last=False)[1].bytes

    def _try_writing(self, write: Callable[[], None]) -> None:
        """Write to the disk cache; if that fails, note it and keep everything in memory from then on."""
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
"""Pixels float32 [3, H, W] in [-1, 1], and the mask [h, w] in [0, 1] at the latents' size, or None."""
Chunk = list[tuple[View, Loaded]]
"""Pictures that are encoded in one call of the VAE."""


def load(view: View, recipe: DatasetRecipe) -> Loaded:
    """Open, resize (Lanczos), crop and mirror one picture and its mask.

    Raises PictureError where the file is damaged, gone, or has another size than when it was scanned.
    """
    g = view.geometry
    image, mask = cropping.open_with_mask(view.picture, recipe, at_least=g.resized)
    pixels = pictures.to_pixels(cropping.crop(image, g, view.flip))
    if mask is None:
        return pixels, None
    return pixels, pictures.to_latent_mask(cropping.crop_mask(mask, g, view.flip), FACTOR)


def cache_folder(recipe: DatasetRecipe, output: str | Path) -> Path:
    """Return the disk cache's folder: ``dataset.cache_folder``, or ``cache`` in the folder ``output`` of the runs."""
    return Path(recipe.cache_folder).expanduser() if recipe.cache_folder else Path(output).expanduser() / "cache"


def _chunks(views: Sequence[View]) -> Iterator[list[View]]:
    """Yield views of one bucket that are encoded in one call; always the same chunks, whatever is cached."""
    by_kind: dict[Any, list[View]] = {}
    for view in views:
        kind = view.geometry.bucket, view.geometry.slack == (0, 0), view.picture.crop is not None
        by_kind.setdefault(kind, []).append(view)
    for (bucket, *_), group in sorted(by_kind.items(), key=lambda item: item[0]):
        at_once = encoded_at_once(bucket.width, bucket.height)
        for start in range(0, len(group), at_once):
            yield group[start : start + at_once]


A = TypeVar("A")
B = TypeVar("B")


def _ahead(pool: ThreadPoolExecutor, function: Callable[[A], B], items: Iterable[A], depth: int) -> Iterator[B]:
    """Map in a pool and yield the results in order, with at most ``depth`` of them waiting."""
    rest = iter(items)
    waiting: list[Future[B]] = [pool.submit(function, item) for item in islice(rest, depth)]
    while waiting:
        result = waiting.pop(0).result()
        waiting += [pool.submit(function, item) for item in islice(rest, 1)]
        yield result


def _encoded(tensors: Tensors | None, geometry: Geometry) -> Encoded | None:
    """Make an entry of tensors from the disk, or return None where they don't have the expected shape."""
    if tensors is None or not {"mean", "std"} <= tensors.keys():
        return None
    encoded = Encoded(tensors["mean"], tensors["std"], tensors.get("mask"))
    size = (geometry.bucket.height // FACTOR, geometry.bucket.width // FACTOR)
    parts = [part for part in (encoded.mean, encoded.std, encoded.mask) if part is not None]
    return encoded if all(tuple(part.shape[-2:]) == size for part in parts) else None

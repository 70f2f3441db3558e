"""Scans of dataset folders, cached while nothing in them changes: typing a number mustn't read a thousand headers."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
from collections import OrderedDict
from pathlib import Path

from ..dataset.folder import Scan, scan, with_crops
from ..dataset.links import MayRead, readable
from ..dataset.pictures import EXTENSIONS
from ..recipe import Concept, DatasetRecipe
from .folders import walk

MOST_CACHED = 16


class Scans:
    """Scans as ``dataset.folder.scan`` makes them, cached while every file's name, size and time are the same."""

    def __init__(self) -> None:
        self._cached: OrderedDict[str, tuple[str, Scan]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, dataset: DatasetRecipe) -> Scan:
        """Scan a dataset. Raises DatasetError where a folder is missing or empty, DeskError where it is huge."""
        # Triggers and repeats don't change what is read: they are added afterwards.
        plain = [
            Concept(name=concept.name, instance=concept.instance, regularization=concept.regularization)
            for concept in dataset.concepts
        ]
        names = [(c.instance, c.regularization) for c in plain]
        key = repr((names, dataset.captions, dataset.caption_lines, dataset.background, dataset.linked_folder))
        folders = [Path(f).expanduser() for c in plain for f in (c.instance, c.regularization) if f]
        now = stamp(folders, readable(dataset))
        with self._lock:
            cached = self._cached.get(key)
        if cached is None or cached[0] != now:
            read = DatasetRecipe(
                concepts=plain,
                captions=dataset.captions,
                caption_lines=dataset.caption_lines,
                background=dataset.background,
                linked_folder=dataset.linked_folder,
            )
            cached = (now, scan(read))
            with self._lock:
                self._cached[key] = cached
                while len(self._cached) > MOST_CACHED:
                    self._cached.popitem(last=False)
        return _with_settings(with_crops(cached[1]), dataset.concepts)


def _with_settings(found: Scan, concepts: list[Concept]) -> Scan:
    """Return a scan with these concepts' triggers and repeats."""
    pictures = []
    for picture in found.pictures:
        concept = concepts[picture.concept]
        times = concept.regularization_repeats if picture.regularization else concept.repeats
        pictures.append(dataclasses.replace(picture, repeats=picture.repeats * times) if times != 1 else picture)
    return dataclasses.replace(found, concepts=tuple(concepts), pictures=tuple(pictures))


def stamp(folders: list[Path], may_read: MayRead) -> str:
    """Return a hash that changes when a file in the folders is added, removed, or gets another size or time."""
    digest = hashlib.blake2b(digest_size=16)
    for folder in folders:
        digest.update(repr(str(folder)).encode("utf-8", "surrogatepass"))
        for entry in sorted(walk(folder, may_read), key=lambda e: e.path):
            try:
                stat = entry.stat()
            except OSError:
                continue
            facts = (entry.path, stat.st_size, stat.st_mtime_ns)
            digest.update(repr(facts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def count_pictures(folder: Path) -> int:
    """Count the pictures directly in a folder, by their names."""
    try:
        with os.scandir(folder) as entries:
            return sum(os.path.splitext(entry.name)[1].lower() in EXTENSIONS for entry in entries)
    except OSError:
        return 0

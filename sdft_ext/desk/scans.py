"""Scans of dataset folders, kept while nothing in the folders changes: typing a number must not read a thousand
headers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
from collections import OrderedDict
from pathlib import Path

from ..dataset.folder import Scan, scan
from ..dataset.pictures import EXTENSIONS
from ..recipe import Concept, DatasetRecipe
from .folders import walk

KEPT = 16


class Scans:
    """``get`` gives what ``dataset.folder.scan`` gives, from memory where every file's name, size and time are the
    same.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, Scan]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, dataset: DatasetRecipe) -> Scan:
        """Raises DatasetError where a folder is missing or holds nothing, DeskError where it holds far too much."""
        # Words and repeats don't change what is read: they are put in afterwards.
        plain = [
            Concept(name=concept.name, instance=concept.instance, regularization=concept.regularization)
            for concept in dataset.concepts
        ]
        key = repr(([(c.instance, c.regularization) for c in plain], dataset.captions, dataset.background))
        folders = [Path(f).expanduser() for c in plain for f in (c.instance, c.regularization) if f]
        now = stamp(folders)
        with self._lock:
            kept = self._kept.get(key)
        if kept is None or kept[0] != now:
            read = DatasetRecipe(concepts=plain, captions=dataset.captions, background=dataset.background)
            kept = (now, scan(read))
            with self._lock:
                self._kept[key] = kept
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return _with_settings(kept[1], dataset.concepts)


def _with_settings(found: Scan, concepts: list[Concept]) -> Scan:
    """The scan as it is with these concepts' words and repeats."""
    pictures = []
    for picture in found.pictures:
        concept = concepts[picture.concept]
        times = concept.regularization_repeats if picture.regularization else concept.repeats
        pictures.append(dataclasses.replace(picture, repeats=picture.repeats * times) if times != 1 else picture)
    return Scan(tuple(concepts), tuple(pictures), found.problems)


def stamp(folders: list[Path]) -> str:
    """Changes when a file in the folders comes, goes, or gets another size or time."""
    digest = hashlib.blake2b(digest_size=16)
    for folder in folders:
        digest.update(repr(str(folder)).encode("utf-8", "surrogatepass"))
        for entry in sorted(walk(folder), key=lambda e: e.path):
            try:
                stat = entry.stat()
            except OSError:
                continue
            facts = (entry.path, stat.st_size, stat.st_mtime_ns)
            digest.update(repr(facts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def count_pictures(folder: Path) -> int:
    """Pictures that lie in a folder itself, by their names."""
    try:
        with os.scandir(folder) as entries:
            return sum(os.path.splitext(entry.name)[1].lower() in EXTENSIONS for entry in entries)
    except OSError:
        return 0

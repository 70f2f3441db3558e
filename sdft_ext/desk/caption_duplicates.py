"""The search for duplicates among the pictures of an open folder, in the background."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..captions.store import CaptionStore
from ..recipe import Concept, DatasetRecipe, Recipe
from .background import Job
from .scans import Scans

OUT_OF_MEMORY = "There is not enough memory to compare the pictures."


@dataclass
class Search:
    """One search. Its job's states: searching, finished or failed."""

    job: Job
    stamp: str = ""
    """Hash of the pictures that it compares."""
    groups: list[list[int]] = field(default_factory=list)
    """Ids of the pictures in each group of duplicates."""


class DuplicateSearches:
    """The searches, one a folder. ``thumbnail_folder`` returns the folder of the thumbnails that are compared."""

    def __init__(self, scans: Scans, thumbnail_folder: Callable[[Recipe], Path]) -> None:
        self._scans, self._thumbnail_folder = scans, thumbnail_folder
        self._searches: dict[str, Search] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            for search in self._searches.values():
                search.job.cancel()

    def status(self, found: CaptionStore, start: bool) -> dict[str, Any]:
        """Return a search's progress and results; with ``start``, search first, and again where pictures changed."""
        stamp = _stamp(found) if start else ""
        with self._lock:
            search = self._searches.get(found.opened)
            if start and (search is None or _outdated(search, stamp)):
                search = self._searches[found.opened] = self._begin(found, stamp)
        state, done, total, message = (search.job if search is not None else Job("none")).snapshot()
        groups = search.groups if search is not None else []
        return {"state": state, "done": done, "total": total, "groups": groups, "message": message}

    def found(self, opened: str) -> frozenset[int] | None:
        """Return the ids of the pictures with duplicates; None without a finished search."""
        search = self._searches.get(opened)
        if search is None or search.job.snapshot().state != "finished":
            return None
        return frozenset(id for group in search.groups for id in group)

    def forget(self, opened: str) -> None:
        with self._lock:
            self._searches.pop(opened, None)

    def _begin(self, found: CaptionStore, stamp: str) -> Search:
        search = Search(Job("searching", cancelled="failed", out_of_memory=OUT_OF_MEMORY), stamp)
        search.job.start("sdft-duplicates", lambda: self._find(found, search))
        return search

    def _find(self, found: CaptionStore, search: Search) -> None:
        from ..analysis.duplicates import duplicates
        from ..analysis.thumbnails import make_thumbnails

        recipe = Recipe(dataset=DatasetRecipe(concepts=[Concept(instance=str(found.root))]))
        pictures = self._scans.get(recipe.dataset).pictures
        thumbnails = make_thumbnails(pictures, self._thumbnail_folder(recipe), progress=search.job.progress)
        ids = {picture.path: picture.id for picture in found.in_order}
        groups = []
        for group in duplicates(thumbnails):
            paths = [pictures[thumbnails.pictures[row]].path for row in group.rows]
            known = [ids[path] for path in paths if path in ids]
            if len(known) > 1:
                groups.append(known)
        search.groups = groups


def _outdated(search: Search, stamp: str) -> bool:
    state = search.job.snapshot().state
    return state == "failed" or (state == "finished" and search.stamp != stamp)


def _stamp(found: CaptionStore) -> str:
    """Return a hash that changes when pictures are added, removed or changed."""
    found.refresh()
    with found.lock:
        files = [(picture.name, picture.size, picture.mtime_ns) for picture in found.in_order]
    return hashlib.blake2b(repr(files).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()

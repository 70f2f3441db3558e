"""Notice pictures that are replaced while a run trains: it would go on with others than it began with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from ..storage.stamp import Stamp, stamp
from ..storage.text import printable
from .folder import Picture
from .listing import DatasetError


class FirstContents:
    """What the files of pictures and masks held when they were noted. ``digest`` hashes a file's content.

    A check compares stamps, and reads a file again only where its size is the same and something else has changed.
    """

    def __init__(self, digest: Callable[[Path], str]) -> None:
        self._digest = digest
        self._known: dict[Path, tuple[Stamp, str]] = {}

    def note(self, picture: Picture) -> None:
        """Note what a picture's files hold, once. A file that can't be read is left to whoever opens it."""
        for path in _files(picture):
            if path not in self._known:
                try:
                    now = stamp(path)
                    self._known[path] = (now, self._digest(path))
                except OSError:
                    continue

    def digest(self, pictures: Iterable[Picture]) -> str:
        """Return a hash of what the files of these pictures, in their order, held when they were noted."""
        digest = hashlib.blake2b(digest_size=16)
        for picture in pictures:
            for path in _files(picture):
                digest.update((self._known[path][1] if path in self._known else "").encode() + b"\n")
        return digest.hexdigest()

    def check(self, picture: Picture) -> None:
        """Raise DatasetError where a file holds something else than when it was noted."""
        for path in _files(picture):
            known = self._known.get(path)
            if known is None:
                continue
            try:
                now = stamp(path)
                if now == known[0]:
                    continue
                if now[0] == known[0][0] and self._digest(path) == known[1]:
                    self._known[path] = (now, known[1])
                    continue
            except OSError:
                continue  # opening it says what is wrong
            raise DatasetError(
                f"{printable(path)} was replaced while the run trains: put the former file back, then resume the run, "
                "or start a new one."
            )


def _files(picture: Picture) -> list[Path]:
    return [picture.path] if picture.mask_path is None else [picture.path, picture.mask_path]

"""Thumbnails for a page, by tokens: a page never names a file.

Every picture is decoded and encoded again, so that a browser only ever gets a JPEG, whatever the file was.
"""

from __future__ import annotations

import hmac
import io
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from ..dataset.pictures import PictureError, open_picture
from .errors import NotAllowed, NotFound

MOST_SIDE = 512
LEAST_SIDE = 16
MOST_TOKENS = 50_000
MOST_BYTES = 64 * 2**20
AT_ONCE = 2
"""Pictures decoded at once: large ones take much memory."""


class Thumbnails:
    """Tokens of pictures, and a cache of JPEGs. ``may_show`` returns whether the picture at a path may be shown now."""

    def __init__(self, may_show: Callable[[Path], bool]) -> None:
        self._may_show = may_show
        self._key = secrets.token_bytes(32)
        self._paths: OrderedDict[str, Path] = OrderedDict()
        self._made: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._decoders = threading.Semaphore(AT_ONCE)

    def url(self, path: Path, size: int, mtime_ns: int) -> str:
        """Return a thumbnail's address, relative to ``/sdft/v1/``; a changed picture gets another one."""
        return f"pictures/{self._token(path, size, mtime_ns)}"

    def jpeg(self, token: str, side: int) -> bytes:
        """Return a picture as a JPEG whose longer side has at most ``side`` pixels.

        Raises NotFound for an unknown token or an unreadable picture, NotAllowed where it may no longer be shown.
        """
        side = min(max(side, LEAST_SIDE), MOST_SIDE)
        with self._lock:
            path, made = self._paths.get(token), self._made.get((token, side))
            if made is not None:
                self._made.move_to_end((token, side))
                return made
        if path is None:
            raise NotFound("This picture's address has expired; open its folder again.")
        if not self._may_show(path):
            raise NotAllowed("This picture is no longer in the allowed folders.")
        with self._decoders:
            made = _thumbnail(path, side)
        with self._lock:
            if (token, side) not in self._made:
                self._made[token, side] = made
                self._bytes += len(made)
            while self._bytes > MOST_BYTES:
                self._bytes -= len(self._made.popitem(last=False)[1])
        return made

    def _token(self, path: Path, size: int, mtime_ns: int) -> str:
        facts = repr((str(path), size, mtime_ns)).encode("utf-8", "surrogatepass")
        token = hmac.digest(self._key, facts, "sha256").hex()[:32]
        with self._lock:
            self._paths[token] = path
            self._paths.move_to_end(token)
            while len(self._paths) > MOST_TOKENS:
                self._paths.popitem(last=False)
        return token


def _thumbnail(path: Path, side: int) -> bytes:
    try:
        image, _ = open_picture(path, "white", (side, side))
        image.thumbnail((side, side))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=85)
        return buffer.getvalue()
    except PictureError as error:
        raise NotFound(str(error)) from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise NotFound(f"{path.name} is damaged ({error}); replace or remove it.") from error

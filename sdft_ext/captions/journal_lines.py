"""What stands in the lines of a journal, and how they are written and read.

Lines (JSON; long ones are compressed, under ``z``):

- ``edit``: ``id``, ``what`` as a phrase, ``changes`` [[caption, before, after], …]; null means no text file;
- ``undo``, ``redo``: the ``id`` of an edit; ``left`` are captions that another program has changed since, which stay;
- ``save``: ``names`` of captions that are about to be written, ``saved``: of captions that were;
- ``base``: ``texts`` that another program wrote, and the user has seen;
- ``autosave``: ``on``;
- ``past``, ``future``: an edit as above that can be undone or redone and changes nothing now; ``state``: ``texts``.
"""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..storage import json_file

COMPRESS_FROM = 4_096
"""Characters; a longer line is compressed."""
MAX_LINE_BYTES = 256 * 2**20
"""Of one line, decompressed."""

Text = str | None
"""A caption; None where it has no text file."""
Change = tuple[str, Text, Text]
Line = dict[str, Any]


def edit_line(id: str, what: str, changes: Sequence[Change]) -> Line:
    return {"do": "edit", "id": id, "what": what, "time": round(time.time(), 3), "changes": [list(c) for c in changes]}


def base_line(texts: Mapping[str, Text]) -> Line:
    return {"do": "base", "texts": dict(texts)}


def line_changes(line: Line) -> list[Change]:
    return [(name, before, after) for name, before, after in line["changes"]]


def encode(line: Line) -> bytes:
    text = json.dumps(line, separators=(",", ":"))
    if len(text) > COMPRESS_FROM:
        compressed = base64.b64encode(zlib.compress(text.encode("ascii"), 1)).decode("ascii")
        text = json.dumps({"z": compressed}, separators=(",", ":"))
    return text.encode("ascii") + b"\n"


def decompressed(raw: bytes) -> bytes | None:
    """Return a line as it was before it was compressed; None where it is cut off or damaged."""
    if not raw.endswith(b"\n"):
        return None
    try:
        if raw.startswith(b'{"z":'):
            return _inflate(base64.b64decode(json_file.parse(raw)["z"], validate=True))
    except (ValueError, TypeError, KeyError, zlib.error):
        return None
    return raw


def parse(text: bytes | None) -> Line | None:
    """Return a line; None where it isn't one of those above."""
    try:
        line = json_file.parse(text or b"")
        return line if isinstance(line, dict) and _is_valid(line) else None
    except ValueError:
        return None


_NEEDED: dict[str, dict[str, type]] = {
    "edit": {"id": str, "what": str, "changes": list},
    "past": {"id": str, "what": str, "changes": list},
    "future": {"id": str, "what": str, "changes": list},
    "undo": {"id": str, "left": list},
    "redo": {"id": str, "left": list},
    "save": {"names": list},
    "saved": {"names": list},
    "base": {"texts": dict},
    "autosave": {"on": bool},
    "state": {"texts": dict, "on": bool},
}


def _is_valid(line: Line) -> bool:
    needed = _NEEDED.get(str(line.get("do")))
    if needed is None or not all(isinstance(line.get(key), kind) for key, kind in needed.items()):
        return False
    if not all(isinstance(name, str) for key in ("names", "left") if key in needed for name in line[key]):
        return False
    if not all(
        isinstance(c, list) and len(c) == 3 and isinstance(c[0], str) and _is_text(c[1]) and _is_text(c[2])
        for c in (line["changes"] if "changes" in needed else ())
    ):
        return False
    texts = line["texts"].values() if "texts" in needed else ()
    if line["do"] != "state":
        return all(_is_text(text) for text in texts)
    return all(
        isinstance(t, list) and len(t) == 2 and isinstance(t[0], list) and all(_is_text(text) for text in (*t[0], t[1]))
        for t in texts
    )


def _is_text(value: Any) -> bool:
    """Return whether a value is a caption: None, or a text that a file can hold."""
    if value is None or not isinstance(value, str):
        return value is None
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _inflate(data: bytes) -> bytes:
    """Decompress; a folder may come from anywhere, so the size is limited. Raises ValueError."""
    reader = zlib.decompressobj()
    text = reader.decompress(data, MAX_LINE_BYTES)
    if reader.unconsumed_tail or not reader.eof:
        raise ValueError("too long, or cut off")
    return text

"""Describe a .safetensors file by its tensors and metadata, as text and as data."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from ..formats import kohya
from ..formats.lycoris import LABELS
from ..formats.tensor_file import NAMES, TensorFile
from ..storage import json_file
from ..storage.text import quantity

FIRST = ("modelspec.title", "modelspec.architecture", "ss_output_name", "ss_sd_model_name", "ss_network_module")
MAX_DEPTH = 20
"""Levels of a metadata value that is JSON; a deeper one is shown as text."""
SURROGATE = "[\ud800-\udfff]"
MAX_VALUE = 300
"""Characters of a metadata value that the text shows."""


def describe(path: str | Path) -> dict[str, Any]:
    """Return kind, sizes and metadata of a safetensors file; ``problem``: why it can't be used as that kind.

    Raises TensorFileError or OSError.
    """
    file = TensorFile(path)
    formats = Counter(NAMES[entry.dtype] for entry in file.entries.values())
    found: dict[str, Any] = {
        "file": str(file.path),
        "kind": _kind(file),
        "bytes": file.path.stat().st_size,
        "tensors": len(file),
        "numbers": sum(entry.length // entry.dtype.itemsize for entry in file.entries.values()),
        "formats": dict(formats.most_common()),
    }
    if found["kind"] in LABELS.values():
        try:
            found |= _layers(path)
        except (ValueError, RuntimeError) as error:
            found["problem"] = str(error)
    metadata = ((_encodable(name), _encodable(text)) for name, text in sorted(file.metadata.items(), key=_order))
    return {**found, "metadata": {name: _value(text) for name, text in metadata}}


def _layers(path: str | Path) -> dict[str, Any]:
    layers = kohya.read(path).layers.values()
    return {
        "layers": len(layers),
        "ranks": {str(rank): count for rank, count in Counter(layer.rank for layer in layers).most_common()},
        "alphas": {f"{alpha:g}": count for alpha, count in Counter(layer.alpha for layer in layers).most_common(8)},
    }


def text(found: dict[str, Any]) -> str:
    """Write a description as lines of text."""
    lines = [
        f"{found['file']}: {found['kind']}, {found['bytes'] / 2**20:,.1f} MB, {quantity(found['tensors'], 'tensor')}"
    ]
    for name in ("formats", "layers", "ranks", "alphas", "problem"):
        if name in found:
            value = found[name]
            shown = ", ".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, dict) else value
            lines.append(f"  {name:8} {shown}")
    for name, value in found["metadata"].items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        shown = "".join(character if character.isprintable() else " " for character in shown)
        lines.append(f"  {name} = {shown if len(shown) <= MAX_VALUE else shown[:MAX_VALUE] + ' …'}")
    if not found["metadata"]:
        lines.append("  no metadata")
    return "\n".join(lines)


def _kind(file: TensorFile) -> str:
    endings = {key.rpartition(".")[2] for key in file}
    if any(key.startswith("model.diffusion_model.") for key in file):
        return "checkpoint"
    if "hada_w1_a" in endings:
        return LABELS["loha"]
    if any(ending.startswith("lokr_") for ending in endings):
        return LABELS["lokr"]
    if "dora_scale" in endings:
        return LABELS["dora"]
    if any(kohya.is_lora_key(key) for key in file):
        return LABELS["lora"]
    if any(key in file for key in ("emb_params", "clip_l", "clip_g")):
        return "embedding"
    if any(key.endswith("encoder.conv_in.weight") for key in file):
        return "VAE"
    return "tensors of an unknown kind"


def _value(text: str) -> Any:
    """Parse a value that is JSON; return any other as text."""
    if text[:1] not in ("{", "["):
        return text
    try:
        value = json_file.parse(text, finite=True)
    except ValueError:
        return text
    return value if _plain(value) else text


def _plain(value: Any) -> bool:
    """Return whether a value can be written as JSON again: not nested deeply, of finite numbers and of characters."""
    level = [value]
    for _ in range(MAX_DEPTH):
        if any(isinstance(one, float) and not math.isfinite(one) for one in level):
            return False
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [one for values in inner for one in values]
        if not level:
            return not re.search(SURROGATE, json.dumps(value, ensure_ascii=False))
    return False


def _encodable(text: str) -> str:
    """Return a text without lone surrogates, which no encoding has."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _order(item: tuple[str, str]) -> tuple[int, str]:
    return (FIRST.index(item[0]) if item[0] in FIRST else len(FIRST), item[0])

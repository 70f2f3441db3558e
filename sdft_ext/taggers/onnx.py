"""Taggers as ONNX files, in the layout of the WD14 taggers: a folder with ``model.onnx`` and ``selected_tags.csv``.

The picture is put in the middle of a white square, shrunk or enlarged to the model's side, and given as BGR values from
0 to 255, [1, side, side, 3] (models that want the colours first get them first). Each output is the score of one line
of the table: category 0 general, 4 characters, 9 the rating. (SmilingWolf's taggers, and others made after them.)
"""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .base import Kind, Seen, Tag, TaggerError

MODEL, TAGS = "model.onnx", "selected_tags.csv"
RUNTIME = "onnxruntime"
KINDS: dict[str, Kind] = {"0": "general", "4": "character", "9": "rating"}
LEAST = 0.05
"""Scores below aren't told."""
MOST_SIDE = 2048
CSV_BYTES = 16 * 2**20


class OnnxTagger:
    """The tagger in a folder. Nothing is read until it is used."""

    sentences = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = f"onnx/{folder.name}"
        self.label = folder.name
        self._session: Any = None
        self._tags: list[tuple[str, Kind]] = []

    @property
    def why(self) -> str:
        for name in (MODEL, TAGS):
            if not (self.folder / name).is_file():
                return f"{self.label} has no {name}: put it into {self.folder}."
        if importlib.util.find_spec(RUNTIME) is None:
            return (
                f"{self.label} needs the package {RUNTIME}: install it with {sys.executable} -m pip install {RUNTIME}"
            )
        return ""

    def see(self, picture: Image.Image) -> Seen:
        self._load()
        given = self._session.get_inputs()[0]
        side, first = _side(given.shape, self.folder)
        values = _values(picture, side)
        if first:
            values = values.transpose(0, 3, 1, 2)
        try:
            scores = np.asarray(self._session.run(None, {given.name: values})[0]).reshape(-1)
        except Exception as error:  # the runtime's own errors have no common class
            raise TaggerError(f"{self.folder / MODEL} can't be run ({_first(error)}): is it a WD14 tagger?") from error
        if len(scores) != len(self._tags):
            raise TaggerError(
                f"{self.folder / MODEL} gives {len(scores)} scores, and {TAGS} names {len(self._tags)} tags: take "
                f"both files "
                "from the same place."
            )
        found = [
            Tag(name, float(score), kind)
            for (name, kind), score in zip(self._tags, scores, strict=True)
            if score >= LEAST
        ]
        return Seen(tuple(sorted(found, key=lambda tag: -tag.score)))

    def close(self) -> None:
        self._session = None

    def _load(self) -> None:
        if self._session is not None:
            return
        if self.why:
            raise TaggerError(self.why)
        self._tags = _tags(self.folder / TAGS)
        runtime = importlib.import_module(RUNTIME)
        try:
            self._session = runtime.InferenceSession(str(self.folder / MODEL), providers=_providers(runtime))
        except Exception as error:
            raise TaggerError(f"{self.folder / MODEL} can't be read ({_first(error)}): fetch it again.") from error


def onnx_taggers(folder: Path) -> list[OnnxTagger]:
    """Those in a folder: each sub-folder with a model or a table in it; the folder itself, where they lie in it
    directly.
    """
    try:
        inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []
    return [OnnxTagger(path) for path in (folder, *inside) if any((path / name).is_file() for name in (MODEL, TAGS))]


def _providers(runtime: Any) -> list[str]:
    """A GPU where the runtime has one, and always the CPU."""
    wanted = ("CUDAExecutionProvider", "ROCMExecutionProvider", "CoreMLExecutionProvider", "DmlExecutionProvider")
    there = runtime.get_available_providers()
    return [*(name for name in wanted if name in there), "CPUExecutionProvider"]


def _side(shape: Any, folder: Path) -> tuple[int, bool]:
    """The model's side in pixels, and whether it wants colours before rows."""
    sizes = list(shape)
    if len(sizes) == 4:
        first = sizes[1] == 3 and sizes[3] != 3
        side = sizes[2]
        if (sizes[1] == 3 or sizes[3] == 3) and isinstance(side, int) and 0 < side <= MOST_SIDE:
            return side, first
    raise TaggerError(f"{folder / MODEL} takes {sizes}, not one square picture: is it a WD14 tagger?")


def _values(picture: Image.Image, side: int) -> np.ndarray:
    """float32 [1, side, side, 3], blue first."""
    square = max(picture.size)
    sheet = Image.new("RGB", (square, square), "white")
    sheet.paste(picture, ((square - picture.width) // 2, (square - picture.height) // 2))
    small = sheet if square == side else sheet.resize((side, side), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(small, dtype=np.float32)[None, :, :, ::-1])


def _tags(path: Path) -> list[tuple[str, Kind]]:
    """Names and kinds, a line of the table each. Raises TaggerError."""
    try:
        if path.stat().st_size > CSV_BYTES:
            raise TaggerError(f"{path} is larger than a table of tags: fetch it again.")
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        return [(row["name"], KINDS.get(str(row.get("category", "0")).strip(), "general")) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise TaggerError(f"{path} can't be read ({error}): it needs the columns name and category.") from error


def _first(error: Exception) -> str:
    """The first line of what a runtime says."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]

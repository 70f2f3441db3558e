"""Taggers as ONNX files, in the layout of the WD14 taggers: a folder with ``model.onnx`` and ``selected_tags.csv``.

The picture is centred on a white square, resized to the model's side, and passed as BGR values from 0 to 255,
[1, side, side, 3], or [1, 3, side, side] to models that want the channels first. Each output is the score of one row of
the table: category 0 is general, 4 characters, 9 the rating. (SmilingWolf's taggers, and others modelled on them.)
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
MIN_SCORE = 0.05
"""Tags with lower scores are dropped."""
MAX_SIDE = 2048
CSV_BYTES = 16 * 2**20


class OnnxTagger:
    """The tagger in a folder. Its files are read when it is first used."""

    sentences = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = f"onnx/{folder.name}"
        self.label = folder.name
        self._session: Any = None
        self._tags: list[tuple[str, Kind]] = []

    @property
    def why(self) -> str:
        """Return which file or package is missing, and where to put it; '' if none is."""
        for name in (MODEL, TAGS):
            if not (self.folder / name).is_file():
                return f"{self.label} has no {name}: put it into {self.folder}."
        if importlib.util.find_spec(RUNTIME) is None:
            return (
                f"{self.label} needs the package {RUNTIME}: install it with {sys.executable} -m pip install {RUNTIME}"
            )
        return ""

    def see(self, picture: Image.Image) -> Seen:
        """Tag one RGB picture. Raises TaggerError where the model or its table can't be used."""
        self._load()
        model_input = self._session.get_inputs()[0]
        side, channels_first = _side(model_input.shape, self.folder)
        values = _values(picture, side)
        if channels_first:
            values = values.transpose(0, 3, 1, 2)
        try:
            scores = np.asarray(self._session.run(None, {model_input.name: values})[0]).reshape(-1)
        except Exception as error:  # the runtime's own errors have no common class
            raise TaggerError(
                f"{self.folder / MODEL} can't be run ({_first_line(error)}): is it a WD14 tagger?"
            ) from error
        if len(scores) != len(self._tags):
            raise TaggerError(
                f"{self.folder / MODEL} gives {len(scores)} scores, but {TAGS} names {len(self._tags)} tags: take "
                "both files from the same place."
            )
        found = [
            Tag(name, float(score), kind)
            for (name, kind), score in zip(self._tags, scores, strict=True)
            if score >= MIN_SCORE
        ]
        return Seen(tuple(sorted(found, key=lambda tag: -tag.score)))

    def close(self) -> None:
        """Free the model's memory."""
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
            raise TaggerError(
                f"{self.folder / MODEL} can't be read ({_first_line(error)}): download it again."
            ) from error


def onnx_taggers(folder: Path) -> list[OnnxTagger]:
    """Return the taggers in a folder: the folder itself and each subfolder that has a model or a table in it."""
    try:
        subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []
    return [
        OnnxTagger(path) for path in (folder, *subfolders) if any((path / name).is_file() for name in (MODEL, TAGS))
    ]


def _providers(runtime: Any) -> list[str]:
    """Return onnxruntime's providers in order of preference: a GPU if there is one, then the CPU."""
    wanted = ("CUDAExecutionProvider", "ROCMExecutionProvider", "CoreMLExecutionProvider", "DmlExecutionProvider")
    available = runtime.get_available_providers()
    return [*(name for name in wanted if name in available), "CPUExecutionProvider"]


def _side(shape: Any, folder: Path) -> tuple[int, bool]:
    """Return the model's side in pixels, and whether it wants the channels first. Raises TaggerError."""
    sizes = list(shape)
    if len(sizes) == 4:
        channels_first = sizes[1] == 3 and sizes[3] != 3
        side = sizes[2]
        if (sizes[1] == 3 or sizes[3] == 3) and isinstance(side, int) and 0 < side <= MAX_SIDE:
            return side, channels_first
    raise TaggerError(f"{folder / MODEL} takes {sizes}, not one square picture: is it a WD14 tagger?")


def _values(picture: Image.Image, side: int) -> np.ndarray:
    """Return the model's input: float32 [1, side, side, 3], BGR, 0 to 255."""
    longer = max(picture.size)
    square = Image.new("RGB", (longer, longer), "white")
    square.paste(picture, ((longer - picture.width) // 2, (longer - picture.height) // 2))
    resized = square if longer == side else square.resize((side, side), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(resized, dtype=np.float32)[None, :, :, ::-1])


def _tags(path: Path) -> list[tuple[str, Kind]]:
    """Read the table: a name and a kind for each row. Raises TaggerError."""
    try:
        if path.stat().st_size > CSV_BYTES:
            raise TaggerError(f"{path} is too large for a table of tags: download it again.")
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        return [(row["name"], KINDS.get(str(row.get("category", "0")).strip(), "general")) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise TaggerError(f"{path} can't be read ({error}): it needs the columns name and category.") from error


def _first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]

"""Read the settings files of other programs: TOML or JSON, from strangers, never executed."""

from __future__ import annotations

import codecs
import importlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import SdftError
from ..storage import json_file
from ..storage.text import printable

MAX_BYTES = 1_000_000
"""Of a settings file; the longest that these programs write are a tenth of it."""
MAX_DEPTH = 12
"""Of tables in tables."""
HIGHEST = 2.0**64
"""No program's setting is a larger number; seeds come nearest."""
EXPECTED = (
    "Choose a kohya dataset or settings file (TOML), the JSON of kohya_ss, or a OneTrainer config (JSON), with its "
    "concepts"
)
Kind = Literal["kohya settings", "kohya_ss settings", "kohya dataset", "OneTrainer config", "OneTrainer concepts"]
ONETRAINER = (
    "training_method",
    "model_type",
    "base_model_name",
    "concept_file_name",
    "output_model_destination",
    "output_model_format",
    "workspace_dir",
    "train_dtype",
)
KOHYA_GUI = ("LoRA_type", "max_resolution", "lr_warmup", "stop_text_encoder_training_pct", "optimizer")
KOHYA = (
    "pretrained_model_name_or_path",
    "network_module",
    "network_dim",
    "train_data_dir",
    "dataset_config",
    "max_train_steps",
    "max_train_epochs",
    "train_batch_size",
    "learning_rate",
    "unet_lr",
    "lr_scheduler",
    "optimizer_type",
    "output_name",
    "resolution",
    "token_string",
    "mixed_precision",
    "save_precision",
    "max_grad_norm",
)

_TEXTS = re.compile(
    r'''"""(?:[^"\\]+|\\[\s\S]|"(?!""))*(?:"{3,5})?|"(?:[^"\\\n]|\\.)*"?'''
    r"""|'''(?:[^']+|'(?!''))*(?:'{3,5})?|'[^'\n]*'?|#.*"""
)
"""TOML's texts and comments. Their ends are optional: a match never fails, so the search takes linear time."""


class SettingsFileError(SdftError, ValueError):
    """A file can't be imported; the message names it, says what it is, and what was expected."""


@dataclass(frozen=True)
class Source:
    """A settings file: its name for messages, what it contains, and its settings."""

    name: str
    kind: Kind
    values: Any


def source(name: str, content: bytes) -> Source:
    """Read a settings file and recognize whose it is. Raises SettingsFileError."""
    name = printable(name)
    values = parse(name, content)
    return Source(name, _kind(name, values), values)


def parse(name: str, content: bytes) -> Any:
    """Read a file's TOML or JSON. Raises SettingsFileError where it is neither, too large, or nested too deeply."""
    if len(content) > MAX_BYTES:
        raise SettingsFileError(f"{name} is larger than {MAX_BYTES // 1000:,} kB: it is no settings file. {EXPECTED}.")
    text = _decoded(name, content)
    start = text.lstrip()[:1]
    if not start:
        raise SettingsFileError(f"{name} is empty. {EXPECTED}.")
    try:
        values = _json(name, text) if start == "{" or (start == "[" and _is_json(name, text)) else _toml(name, text)
    except RecursionError as error:
        raise SettingsFileError(f"{name} is nested too deeply: it is no settings file. {EXPECTED}.") from error
    if _depth(values) > MAX_DEPTH:
        raise SettingsFileError(f"{name} is nested too deeply: it is no settings file. {EXPECTED}.")
    _check_numbers(name, values)
    return values


def _decoded(name: str, content: bytes) -> str:
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise SettingsFileError(f"{name} is no text file (byte {error.start}). {EXPECTED}.") from error
    if "\0" in text:
        raise SettingsFileError(f"{name} is no text file: it contains NUL characters. {EXPECTED}.")
    return text


def _is_json(name: str, text: str) -> bool:
    """Tell a JSON list from TOML, whose tables begin with a bracket, too."""
    return name.lower().endswith(".json") or re.match(r"\s*\[\s*[\[{\]]\s*[\"\]}]", text) is not None


def _json(name: str, text: str) -> Any:
    try:
        return json_file.parse(text)
    except ValueError as error:
        raise SettingsFileError(
            f"{name} is damaged, or cut off: {printable(str(error)).rstrip('.')[:200]}. Save it again in the program "
            "that made it."
        ) from error


def _toml(name: str, text: str) -> Any:
    reader = _toml_reader(name)
    text = text.replace("\r\n", "\n")
    if _most_dots(text) > MAX_DEPTH:  # a key of n parts takes the parser memory for n² of them
        raise SettingsFileError(f"{name} is nested too deeply: it is no settings file. {EXPECTED}.")
    try:
        return reader.loads(text)
    except ValueError as error:
        reason = printable(str(error)).rstrip(".")[:200]
        if re.search(r"(?m)^\w+:(\s|$)", text):
            raise SettingsFileError(
                f"{name} is YAML, neither TOML nor JSON. A recipe of this program needs no import: load it as it is. "
                f"Otherwise: {EXPECTED[0].lower()}{EXPECTED[1:]}."
            ) from error
        raise SettingsFileError(f"{name} is neither JSON nor sound TOML: {reason}. {EXPECTED}.") from error


def _most_dots(text: str) -> int:
    """Count the most dots in one key of a TOML text, without parsing it."""
    bare = _TEXTS.sub("", text)
    return max(piece.count(".") for piece in re.split(r"[=,\[\]{}\n]", bare))


def _toml_reader(name: str) -> Any:
    """Return Python's own reader of TOML (from 3.11 on), or the package that it was made from, which pip has, too."""
    for module in ("tomllib", "tomli", "pip._vendor.tomli"):
        try:
            return importlib.import_module(module)
        except ImportError:
            continue
    raise SettingsFileError(
        f"{name} is TOML, which Python reads from version 3.11 on. Install the package tomli (pip install tomli), or "
        "use the JSON of kohya_ss."
    )


def _depth(values: Any) -> int:
    """Count how deeply tables and lists are nested, up to a little more than allowed."""
    level, depth = [values], 0
    while level and depth <= MAX_DEPTH:
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
        depth += 1
    return depth


def _check_numbers(name: str, values: Any) -> None:
    """Raise SettingsFileError for a number beyond HIGHEST, which no calculation could use; infinities may remain."""
    waiting = [("", values)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(str(key), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [(place, item) for item in value]
        elif isinstance(value, int | float) and HIGHEST < abs(value) < math.inf:
            raise SettingsFileError(
                f"{name}: {printable(place[:40]) or 'a value'} is a number beyond 2^64, which no setting can have. "
                "Correct it and import again."
            )


def _kind(name: str, values: Any) -> Kind:
    """Recognize whose settings a file contains. Raises SettingsFileError for any other."""
    if isinstance(values, list):
        if values and all(isinstance(item, Mapping) and "path" in item for item in values):
            return "OneTrainer concepts"
        raise SettingsFileError(f"{name} is a list, but not of OneTrainer's concepts. {EXPECTED}.")
    if not isinstance(values, Mapping):
        raise SettingsFileError(f"{name} contains no settings. {EXPECTED}.")
    flat = flattened(values)
    is_dataset = isinstance(values.get("datasets"), list)
    if "network_module" not in flat and sum(key in values for key in ONETRAINER) >= 2:
        return "OneTrainer config"
    if "LoRA_type" in flat or sum(key in flat for key in KOHYA_GUI) >= 2:
        return "kohya_ss settings"
    if sum(key in flat for key in KOHYA) >= (3 if is_dataset else 2):
        return "kohya settings"
    if is_dataset:
        return "kohya dataset"
    found = ", ".join(printable(str(key)[:40]) for key in list(values)[:5])
    raise SettingsFileError(
        f"{name} has settings of another kind ({found or 'none at all'}): neither kohya's nor OneTrainer's. {EXPECTED}."
    )


def flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return kohya's settings without their sections, as sd-scripts reads a settings file."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= value
        else:
            flat[key] = value
    return flat

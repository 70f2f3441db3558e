"""The ``.yaml`` next to a checkpoint, from which programs read what isn't in the tensors."""

from __future__ import annotations

from pathlib import Path

import yaml

from ..storage import atomic


def copy_config(source: Path, target: Path) -> Path | None:
    """Copy the configuration of ``source`` for ``target``; return its path, or None where there is none.

    A relative path to a text encoder's folder becomes absolute in the copy. Raises OSError where it can't be written.
    """
    config, copied = source.with_suffix(".yaml"), target.with_suffix(".yaml")
    if not config.is_file():
        return None
    if copied.exists() and copied.samefile(config):
        return copied
    atomic.text(copied, config_text(source))
    return copied


def config_text(source: Path) -> str:
    """Return the text of the configuration of ``source``, with an absolute path to the text encoder's folder."""
    text = source.with_suffix(".yaml").read_text(encoding="utf-8")
    try:
        tokens = list(yaml.scan(text, yaml.SafeLoader))
    except yaml.YAMLError:
        return text  # the error is reported where the configuration is used
    for key, colon, value in reversed(list(zip(tokens, tokens[1:], tokens[2:], strict=False))):
        named = isinstance(key, yaml.ScalarToken) and key.value == "version" and isinstance(colon, yaml.ValueToken)
        if named and isinstance(value, yaml.ScalarToken) and value.value and (source.parent / value.value).is_dir():
            quoted = str((source.parent / value.value).resolve()).replace("'", "''")
            text = f"{text[: value.start_mark.index]}'{quoted}'{text[value.end_mark.index :]}"
    return text

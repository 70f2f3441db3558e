"""A configuration copied to another place still names the same text encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sdft_ext.formats.yaml_config import copy_config


@pytest.mark.parametrize(
    "written",
    [
        "cond_stage_config:\n  params:\n    version: NAME\n    other: 1\n",
        "cond_stage_config:\n  params:\n    version: 'NAME'   \n",
        'cond_stage_config:\n  params:\n    version: "NAME"\n',
        "cond_stage_config:\n  params:\n    version: NAME  # beside this file: see version: 2\n",
        "cond_stage_config: {params: {version: NAME, other: 1}}\n",
        "cond_stage_config: {params: {version: NAME}}\n",
        "cond_stage_config: {params: {other: 1, version: 'NAME'}}\n",
    ],
)
@pytest.mark.parametrize("name", ["clip", "my clip's"])
def test_a_folder_is_named_for_the_new_place(tmp_path: Path, written: str, name: str) -> None:
    def version(file: Path) -> Any:
        return yaml.safe_load(file.read_text())["cond_stage_config"]["params"]["version"]

    source = tmp_path / "from" / "model.ckpt"
    (source.parent / name).mkdir(parents=True)
    escaped = name.replace("'", "''") if "'NAME'" in written else name
    source.with_suffix(".yaml").write_text(written.replace("NAME", escaped))
    assert version(source.with_suffix(".yaml")) == name
    copied = copy_config(source, tmp_path / "to" / "new.safetensors")
    assert copied is not None and version(copied) == str(source.parent / name)
    again = copy_config(tmp_path / "to" / "new.safetensors", tmp_path / "third.safetensors")
    assert again is not None and again.read_text() == copied.read_text()


def test_everything_else_is_unchanged(tmp_path: Path) -> None:
    text = "# version: clip\nmodel:\n  params: {version: openai/clip-vit-large-patch14}\n  model_version: clip\n"
    (tmp_path / "clip").mkdir()
    (tmp_path / "model.yaml").write_text(text)
    copied = copy_config(tmp_path / "model.ckpt", tmp_path / "to" / "model.ckpt")
    assert copied is not None and copied.read_text() == text
    assert copy_config(tmp_path / "none.ckpt", tmp_path / "to" / "none.ckpt") is None

"""The toy model's files, and their installation into another program's folder (the WebUI's)."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..errors import ModelError

TOY = Path(__file__).resolve().parent.parent.parent / "assets" / "toy"
CHECKPOINT = TOY / "toy.safetensors"
CLIP_FOLDER = TOY / "clip"
"""The text encoder's configuration and CLIP's tokenizer."""


def require_toy() -> None:
    """Raise ModelError where the toy model's files are missing: the installed package doesn't contain them."""
    if not CHECKPOINT.is_file():
        raise ModelError(
            "The toy model isn't part of the installed package: run this in a clone of the repository, or use "
            "a checkpoint of your own."
        )


def install(models: Path, clip_folder: Path = CLIP_FOLDER) -> Path:
    """Copy the checkpoint and its yaml into a folder of checkpoints; return the copied checkpoint.

    LDM's code resolves ``cond_stage_config.params.version`` from the current folder, so the copy names ``clip_folder``
    absolutely. An existing ``toy.yaml`` or ``toy.safetensors`` there is replaced.
    """
    target = models / CHECKPOINT.name
    shutil.copyfile(CHECKPOINT, target)
    lines = CHECKPOINT.with_suffix(".yaml").read_text(encoding="utf-8").splitlines()
    quoted = "'" + str(clip_folder.resolve()).replace("'", "''") + "'"
    renamed = [
        line.partition("version:")[0] + f"version: {quoted}" if "version: clip" in line else line for line in lines
    ]
    target.with_suffix(".yaml").write_text("\n".join(renamed) + "\n", encoding="utf-8")
    return target

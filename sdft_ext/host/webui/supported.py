"""Which loaded models a WebUI can lend, and a sentence for each that it can't."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Loaded:
    """What decides whether a loaded model can be lent. ``options``: the command line's that move it in pieces."""

    name: str
    sd3: bool = False
    in_pieces: bool = False
    options: tuple[str, ...] = ()
    fp8: bool = False
    channels: int = 4
    unloaded: bool = False
    families: Collection[str] = ("sd1",)


def unsupported_reason(loaded: Loaded | None) -> str:
    """Say in a sentence why this model can't be trained and what to change; empty where it can."""
    if loaded is None:
        return "The WebUI has no checkpoint loaded: choose one, and check its console if that fails."
    if loaded.unloaded:
        return "The WebUI has unloaded its checkpoint: load it again."
    if loaded.sd3:
        return (
            f"{loaded.name} is Stable Diffusion 3, which can't be trained yet: choose an SD 1, SD 2 or SDXL checkpoint."
        )
    if not loaded.families:
        return f"{loaded.name} is of a kind that can't be trained: choose an SD 1, SD 2 or SDXL checkpoint."
    if loaded.in_pieces:
        options = " and ".join(loaded.options) or "--medvram or --lowvram"
        return f"The WebUI was started with {options}, which moves the model in pieces: start it without that to train."
    if loaded.fp8:
        return (
            "The WebUI keeps the model as FP8, which can't be trained: set Settings → Optimizations → FP8 weight "
            "to Disable."
        )
    if loaded.channels != 4:
        return (
            f"{loaded.name} is an inpainting, depth or editing model, which can't be trained yet: choose a "
            f"text-to-image model."
        )
    return ""

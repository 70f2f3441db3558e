"""What kind of model a file holds: the numbers that its skeleton is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

FamilyName = Literal["sd1", "sd2", "sdxl"]
Prediction = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True)
class Family:
    """All that the skeleton of a model needs to know, read off a file's own shapes.

    ``unet``, ``vae`` and ``text`` are keyword arguments of diffusers' and transformers' configurations.
    ``text_layer[i]`` is the layer (counted from the end, 1 is the last) whose output text encoder i gives when nothing
    is skipped.
    """

    name: FamilyName
    prediction: Prediction
    zero_terminal_snr: bool
    unet: dict[str, Any]
    vae: dict[str, Any]
    text: tuple[dict[str, Any], ...]
    text_layer: tuple[int, ...]
    latent_scale: float
    betas: tuple[float, float] = (0.00085, 0.012)

    @property
    def open_clip(self) -> tuple[bool, ...]:
        """Which text encoders are OpenCLIP towers: their files fuse q, k and v, and pad with 0."""
        return {"sd1": (False,), "sd2": (True,), "sdxl": (False, True)}[self.name]

    @property
    def left_out(self) -> int:
        """Text layers behind the last that an OpenCLIP tower had: diffusers leaves SD 2's unused one out."""
        return int(self.name == "sd2" and self.text_layer == (1,))

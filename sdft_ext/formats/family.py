"""The family of a model: the configuration that its skeleton is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

FamilyName = Literal["sd1", "sd2", "sdxl"]
Prediction = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True)
class Family:
    """The configuration of a model, detected from its file.

    ``unet``, ``vae`` and ``text`` are keyword arguments of diffusers' and transformers' configurations.
    ``text_layer[i]``: the layer of text encoder i (counted from the end, 1 is the last) whose output is used with clip
    skip 1.
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
        """Return which text encoders are OpenCLIP's: their files fuse q, k and v, and they pad with 0."""
        return {"sd1": (False,), "sd2": (True,), "sdxl": (False, True)}[self.name]

    @property
    def native_resolution(self) -> int:
        """Return the side, in pixels, of the pictures that such models were made for (SD 2 for 512 or, with v, 768)."""
        return {"sd1": 512, "sd2": 768 if self.prediction == "v_prediction" else 512, "sdxl": 1024}[self.name]

    @property
    def full_size(self) -> bool:
        """Return whether its UNet is as wide as those of the published models; models for tests are smaller."""
        return int(self.unet["block_out_channels"][0]) >= 320

    @property
    def missing_text_layers(self) -> int:
        """Return how many of OpenCLIP's last text layers are missing: one in SD 2 from diffusers, else none."""
        return int(self.name == "sd2" and self.text_layer == (1,))

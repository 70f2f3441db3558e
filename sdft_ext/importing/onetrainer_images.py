"""What OneTrainer's concepts do with pixels → the recipe's section ``dataset``."""

from __future__ import annotations

from collections.abc import Sequence

from .onetrainer_texts import differing
from .values import Values

_TURNED = "pictures aren't turned in training here"
_COLOURS = "colours aren't changed in training here"
LEFT = (
    ("random_rotate", "random_rotate_max_angle", _TURNED),
    ("fixed_rotate", "random_rotate_max_angle", _TURNED),
    ("random_brightness", "random_brightness_max_strength", _COLOURS),
    ("fixed_brightness", "random_brightness_max_strength", _COLOURS),
    ("random_contrast", "random_contrast_max_strength", _COLOURS),
    ("fixed_contrast", "random_contrast_max_strength", _COLOURS),
    ("random_saturation", "random_saturation_max_strength", _COLOURS),
    ("fixed_saturation", "random_saturation_max_strength", _COLOURS),
    ("random_hue", "random_hue_max_strength", _COLOURS),
    ("fixed_hue", "random_hue_max_strength", _COLOURS),
    ("random_circular_mask_shrink", "", "masks aren't changed in training here"),
    ("random_mask_rotate_crop", "", "pictures aren't cropped around masks in training here"),
    ("fixed_flip", "", "all pictures have the same share of mirrored showings here: see dataset.flip"),
)
"""Switches of a concept (``enable_…``), the strength without which one has no effect, and why it was left out."""


def set_images(concepts: Sequence[Values]) -> None:
    """Set what is done with pixels: the first concept's, as here it holds for all."""
    tables = [one.table("image") for one in concepts]
    flips = [table.flag("enable_random_flip") for table in tables]
    jitter = [table.flag("enable_crop_jitter", True) for table in tables]
    tables[0].set("dataset.flip", "enable_random_flip", 0.5 if flips[0] else 0.0)
    tables[0].set("dataset.crop", "enable_crop_jitter", "random" if jitter[0] else "center")
    for name, found in (("enable_random_flip", flips), ("enable_crop_jitter", jitter)):
        differing(tables, name, found)
    for table in tables:
        for name, strength, why in LEFT:
            without_effect = bool(strength) and table.has(strength) and not table.number(strength)
            if table.flag(f"enable_{name}") and not without_effect:
                table.leave(f"enable_{name}", f"{why}. Add altered copies of the pictures if you need them.")
        if table.flag("enable_resolution_override"):
            table.leave("enable_resolution_override", "all pictures have one resolution here. See dataset.resolution.")
        for name in table.values:
            table.raw(name)  # strengths of what was reported

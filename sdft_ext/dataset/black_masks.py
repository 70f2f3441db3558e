"""Find masks that leave nothing of their picture: with a masked loss, such a picture teaches nothing."""

from __future__ import annotations

from ..recipe import Recipe
from ..storage.text import printable
from . import cropping, pictures
from .folder import Picture, Scan
from .pictures import PictureError

MOST_NAMED = 3


def notes(scan: Scan, recipe: Recipe) -> list[str]:
    """Return a sentence about pictures whose mask is black all over; none where the loss isn't masked, or counts what a
    mask hides.
    """
    if not recipe.train.masked_loss or recipe.train.unmasked_weight:
        return []
    alpha = recipe.dataset.alpha == "mask"
    masked = [p for p in scan.pictures if p.mask_path is not None or (alpha and p.has_alpha)]
    black = [printable(p.path.name) for p in masked if _black(p, recipe)]
    if not black:
        return []
    named = ", ".join(black[:MOST_NAMED]) + (" …" if len(black) > MOST_NAMED else "")
    one = len(black) == 1
    return [
        f"The mask{'' if one else 's'} of {len(black):,} picture{'' if one else 's'} ({named}) "
        f"{'is' if one else 'are'} black all over, so nothing of {'it' if one else 'them'} is trained: paint white "
        "what is to be learned, or remove the masks."
    ]


def _black(picture: Picture, recipe: Recipe) -> bool:
    """Return whether a picture's mask is black. One that can't be read isn't: it is reported when it is encoded."""
    try:
        if recipe.dataset.alpha != "mask" and picture.mask_path is not None:
            mask = pictures.open_mask(picture.mask_path, (picture.width, picture.height))
        else:
            mask = cropping.open_with_mask(picture, recipe.dataset)[1]
    except PictureError:
        return False
    return mask is not None and mask.getextrema()[1] == 0

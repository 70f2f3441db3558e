"""The LoRA between two checkpoints: what one has learned since the other, at a rank or up to an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..formats import kohya
from ..formats.metadata import VERSIONS
from ..method.full import NOT_IN_FILES
from ..method.lowrank import approximated
from ..model.source import Source, open_source
from ..recipe import Precision
from .files import Progress, ToolError, layers, new_file


@dataclass(frozen=True)
class Extracted:
    """What an extraction made. ``error``: length of all that is missing ÷ length of all changes of layers' weights.

    ``left``: changed parameters that no LoRA holds (biases, norms, the tokens' table), ``left_share`` of the whole
    change's length.
    """

    path: Path
    layers: int
    largest_rank: int
    error: float
    left: int
    left_share: float

    @property
    def text(self) -> str:
        found = (
            f"{self.path}: {self.layers} layers, rank up to {self.largest_rank}; {self.error:.2%} of the change of "
            f"these weights "
            "is missing (by length)."
        )
        if self.left:
            found += (
                f" {self.left} other parameters differ too (biases, norms, the tokens' table), {self.left_share:.2%} "
                f"of the whole "
                "change, which a LoRA can't hold."
            )
        return found


@torch.no_grad()
def extract(
    base: str | Path,
    tuned: str | Path,
    target: str | Path,
    rank: int = 0,
    error: float = 0.0,
    precision: Precision = "fp16",
    progress: Progress | None = None,
) -> Extracted:
    """Write the LoRA that turns ``base`` into ``tuned``. Both checkpoints are read tensor by tensor.

    ``rank``: of each layer; ``error``: each layer gets the least rank whose error (a share of its change's length) is
    at most this; both: whichever is smaller; neither: full rank. Raises ToolError where the two are different kinds of
    models.
    """
    target = new_file(target)
    one, other = open_source(base), open_source(tuned)
    held = set(layers(one.family))
    found: dict[str, kohya.Layer] = {}
    missing = whole = outside = 0.0
    left = done = 0
    theirs = {place.name: (key, place) for key, places in other.places.items() for place in places}
    for key, places in one.places.items():
        done += 1
        if progress is not None:
            progress(done, len(one.places))
        if places[0].name.startswith("vae."):
            continue
        for place in places:
            if place.name not in theirs:
                if other.family.left_out and f".layers.{other.family.text[0]['num_hidden_layers']}." in place.name:
                    continue  # SD 2's unused last text layer
                raise ToolError(f"{tuned} lacks {place.name}: it is of another kind than {base}.")
            their_key, their_place = theirs[place.name]
            before, after = place.piece(one[key]), their_place.piece(other[their_key])
            if before.shape != after.shape:
                raise ToolError(f"{tuned} has another size of {place.name}: it is of another kind than {base}.")
            change = after.float() - before.float()
            length = float(change.double().square().sum())
            if not length:
                continue
            name = place.name.removesuffix(".weight")
            if name not in held or name == place.name or any(part in name for part in NOT_IN_FILES):
                left += 1
                outside += length
                continue
            layer = approximated(change, rank, error)
            product = (layer.up.flatten(1) @ layer.down.flatten(1)).reshape(change.shape)
            missing += float((change - product).double().square().sum())
            whole += length
            found[name] = layer
    if not found:
        raise ToolError(f"{base} and {tuned} have the same weights: there is nothing to extract.")
    ranks = [layer.rank for layer in found.values()]
    told = _metadata(one, other, target, ranks)
    kohya.write(target, found, one.family, told, precision)
    share = (outside / (outside + whole)) ** 0.5
    return Extracted(target, len(found), max(ranks), (missing / whole) ** 0.5, left, share)


def _metadata(one: Source, other: Source, target: Path, ranks: Sequence[int]) -> dict[str, str]:
    """What the file says of itself."""
    rank = str(ranks[0]) if len(set(ranks)) == 1 else "Dynamic"
    return {
        "ss_base_model_version": VERSIONS[one.family.name],
        "ss_v2": str(one.family.name == "sd2"),
        "ss_sd_model_name": one.path.name,
        "ss_output_name": target.stem,
        "ss_network_module": "networks.lora",
        "ss_network_dim": rank,
        "ss_network_alpha": rank,
        "sdft_extracted_from": other.path.name,
    }

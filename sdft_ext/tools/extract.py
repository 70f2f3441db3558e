"""Extract the difference between two checkpoints as a LoRA, at a rank or up to an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..formats import kohya
from ..formats.families import prediction_metadata
from ..formats.metadata import VERSIONS
from ..formats.tensor_file import PRECISIONS
from ..method.full import NOT_IN_FILES
from ..method.lowrank import approximated
from ..model.source import INPUTS_OF_TOOLS, Source, open_source
from ..recipe import Precision
from ..storage.text import quantity
from .files import Progress, ToolError, layers, new_file


@dataclass(frozen=True)
class Extracted:
    """The result of an extraction. ``error``: norm of what is missing ÷ norm of the change of the layers' weights.

    ``unsupported``: number of changed parameters that a LoRA can't contain (biases, norms, token embeddings);
    ``unsupported_share``: the norm of their change ÷ that of the total change.
    """

    path: Path
    layers: int
    largest_rank: int
    error: float
    unsupported: int
    unsupported_share: float

    @property
    def text(self) -> str:
        """Describe the result in sentences."""
        found = (
            f"{self.path}: {quantity(self.layers, 'layer')}, rank up to {self.largest_rank}; {self.error:.2%} "
            f"of the change of "
            "these weights is missing (by norm)."
        )
        if self.unsupported:
            found += (
                f" {self.unsupported} other parameters differ too (biases, norms, token embeddings), "
                f"{self.unsupported_share:.2%} of the total change, which a LoRA can't contain."
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

    ``rank``: of each layer; ``error``: each layer gets the lowest rank whose error (a share of the norm of its change)
    is at most this; both: the lower of the two ranks; neither: full rank. Raises ToolError where the two are different
    kinds of models, or the same.
    """
    target = new_file(target)
    one, other = (open_source(path, INPUTS_OF_TOOLS, vae=False) for path in (base, tuned))
    found: dict[str, kohya.Layer] = {}
    missing = total = outside = 0.0
    unsupported = done = 0
    theirs = {place.name: (key, place) for key, places in other.places.items() for place in places}
    our_places, supported = one.places, set(layers(one.family))
    unused = f".layers.{other.family.text[0]['num_hidden_layers']}."  # SD 2's last text layer
    for key, places in our_places.items():
        done += 1
        if progress is not None:
            progress(done, len(our_places))
        if places[0].name.startswith("vae."):
            continue
        for place in places:
            if place.name not in theirs:
                if other.family.missing_text_layers and unused in place.name:
                    continue
                raise ToolError(f"{tuned} lacks {place.name}: it is a different kind of model than {base}.")
            their_key, their_place = theirs[place.name]
            before, after = place.piece(one[key]), their_place.piece(other[their_key])
            change = _change(one, other, place.name, before, after)
            squared = float(change.double().square().sum())
            if not squared:
                continue
            name = place.name.removesuffix(".weight")
            if name not in supported or name == place.name or any(part in name for part in NOT_IN_FILES):
                unsupported += 1
                outside += squared
                continue
            layer = approximated(change, rank, error)
            up, down = (tensor.to(PRECISIONS[precision]).float().flatten(1) for tensor in (layer.up, layer.down))
            product = (up @ down).reshape(change.shape)
            missing += float((change - product).double().square().sum())
            total += squared
            found[name] = layer
    if not found:
        raise ToolError(f"{base} and {tuned} {_alike(one, other, unsupported)}: there is nothing to extract.")
    ranks = [layer.rank for layer in found.values()]
    kohya.write(target, found, one.family, _metadata(one, other, target, ranks), precision)
    share = (outside / (outside + total)) ** 0.5
    return Extracted(target, len(found), max(ranks), (missing / total) ** 0.5, unsupported, share)


def _change(one: Source, other: Source, name: str, before: Tensor, after: Tensor) -> Tensor:
    """Return the change of a parameter in float32. Raises ToolError where its sizes differ or it isn't finite."""
    if before.shape != after.shape:
        raise ToolError(f"{other.path} has a different {name}: it is a different kind of model than {one.path}.")
    change = after.float() - before.float()
    if not bool(change.isfinite().all()):
        raise ToolError(f"{one.path} or {other.path} has values in {name} that are not finite: choose another.")
    return change


def _alike(one: Source, other: Source, unsupported: int) -> str:
    """Return how two models differ of which a LoRA can't contain the difference, as the end of a sentence."""
    if unsupported:
        return f"differ only in {unsupported} biases, norms or token embeddings, which a LoRA can't contain"
    theirs = {place.name: (key, place) for key, places in other.places.items() for place in places}
    for key, places in one.places.items():
        for place in places:
            if place.name.startswith("vae.") and place.name in theirs:
                their_key, their_place = theirs[place.name]
                if not torch.equal(place.piece(one[key]).float(), their_place.piece(other[their_key]).float()):
                    return "differ only in their VAE, which a LoRA can't contain"
    return "have the same weights"


def _metadata(one: Source, other: Source, target: Path, ranks: Sequence[int]) -> dict[str, str]:
    """Return the metadata of the extracted file."""
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
        **prediction_metadata(other.family),
    }

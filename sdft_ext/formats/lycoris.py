"""Layers of LoHa, LoKr and DoRA files: the tensors' names, sizes and scales in LyCORIS.

- LoHa (Hyeon-Woo 2021): ``hada_w1_a`` [out, r], ``hada_w1_b`` [r, in·kernel], ``hada_w2_a``, ``hada_w2_b``; the effect
  is the elementwise product of w1_a·w1_b and w2_a·w2_b.
- LoKr (Yeh 2023): ``lokr_w1`` [o1, i1] and ``lokr_w2`` [o2, i2(, kh, kw)], each a full matrix or the product of its
  ``_a`` and ``_b``; the effect is their Kronecker product.
- DoRA (Liu 2024): a LoRA's ``lora_down.weight`` and ``lora_up.weight``, and ``dora_scale`` [1, in(, 1, 1)], the norm
  that each input's column of the changed weight gets. LoHa and LoKr files may have it too.

With ``hada_t1``, ``hada_t2`` and ``lokr_t2``, a convolution is in Tucker form; so is a LoCon with ``lora_mid.weight``
[r, r, kh, kw], which is read as the equal plain LoCon of the same rank. The effect is scaled by alpha/r, except for a
LoKr of two full matrices: by 1, whatever its alpha, as in all other readers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LOHA = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
LOHA_TUCKER = ("hada_t1", "hada_t2")
LOKR = ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")
LORA = ("lora_down.weight", "lora_up.weight")
CORE = "lora_mid.weight"
MAGNITUDE = "dora_scale"
NAMES = (*LOHA, *LOHA_TUCKER, *LOKR, MAGNITUDE)
"""Tensor names that a plain LoRA layer doesn't have."""
WITH_RANK = ("hada_w1_b", "lora_down.weight", "lokr_w2_b", "lokr_w1_b")
"""Tensors whose first size is the rank that alpha is divided by; of several, the first counts."""
LABELS = {"lora": "LoRA", "dora": "DoRA", "loha": "LoHa", "lokr": "LoKr"}
"""Kinds of files that programs load as LoRAs, and their names for users."""


@dataclass(frozen=True)
class LycorisLayer:
    """A layer: its tensors by their names in a file, and its alpha."""

    tensors: dict[str, Tensor]
    alpha: float

    @property
    def kind(self) -> str:
        """Return 'loha', 'lokr' or 'dora'."""
        return kind_of(self.tensors)

    @property
    def rank(self) -> int:
        """Return the rank that alpha is divided by; for full matrices, the largest that their product can have."""
        for name in WITH_RANK:
            if name in self.tensors:
                return int(self.tensors[name].shape[0])
        out, inputs = size(self.tensors)
        return min(out, inputs)

    @property
    def scale(self) -> float:
        """Return the factor of the effect."""
        return 1.0 if has_full_matrices(self.tensors) else self.alpha / self.rank

    @property
    def active(self) -> bool:
        """Return whether it has an effect."""
        return MAGNITUDE in self.tensors or all(bool(tensor.any()) for tensor in self.tensors.values())

    def fits(self, weight: Sequence[int]) -> bool:
        """Return whether it fits a weight [out, in(, kh, kw)]; a 1×1 convolution counts as a linear layer."""
        magnitude = self.tensors.get(MAGNITUDE)
        if magnitude is not None and (magnitude.ndim < 2 or magnitude.shape[0] != 1 or magnitude.numel() != weight[1]):
            return False
        out, inputs = size(self.tensors)
        return consistent(self.tensors) and out == weight[0] and inputs == math.prod(weight[1:])


def without_core(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Multiply a LoRA's Tucker core into its down weight, in float32; return {} where their sizes don't match."""
    found = dict(tensors)
    core = found.pop(CORE, None)
    if core is None:
        return found
    if any(name not in found or found[name].ndim < 2 for name in LORA) or core.ndim < 3:
        return {}
    down, up = (found[name].float().flatten(1) for name in LORA)
    if tuple(core.shape[:2]) != (up.shape[1], down.shape[0]):
        return {}
    product = torch.einsum("ab...,bi->ai...", core.float(), down)
    return {**found, LORA[0]: product, LORA[1]: up.reshape(*up.shape, *(1 for _ in core.shape[2:]))}


def kind_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the kind of layer that has these tensors; '' where some are missing."""
    if "hada_w1_a" in tensors:
        complete = all(name in tensors for name in LOHA) and len({name in tensors for name in LOHA_TUCKER}) == 1
        return "loha" if complete else ""
    if any(name in tensors for name in LOKR):
        sides = (_side(tensors, "lokr_w1"), _side(tensors, "lokr_w2"))
        return "lokr" if all(sides) else ""
    if all(name in tensors for name in LORA):
        return "dora" if MAGNITUDE in tensors else "lora"
    return ""


def surplus(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the tensors that programs leave out of a layer of this kind, or read instead of others."""
    kind = kind_of(tensors)
    used = (*{"loha": (*LOHA, *LOHA_TUCKER), "lokr": LOKR}.get(kind, LORA), MAGNITUDE)
    twice = [f"{part}_{side}" for part in ("lokr_w1", "lokr_w2") if part in tensors for side in ("a", "b")]
    return [name for name in tensors if name not in used or name in twice]


def has_full_matrices(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether this is a LoKr of two full matrices, whose effect doesn't depend on alpha."""
    return "lokr_w1" in tensors and "lokr_w2" in tensors


def size(tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return (out, in·kernel) of the weight that these tensors change."""
    kind = kind_of(tensors)
    if kind == "lokr":
        (o1, i1), (o2, i2) = _lokr_side(tensors, "lokr_w1"), _lokr_side(tensors, "lokr_w2")
        return o1 * o2, i1 * i2
    if kind == "loha":
        if "hada_t1" in tensors:  # Tucker: a is [r, out], b is [r, in]
            kernel = math.prod(tensors["hada_t1"].shape[2:])
            return tensors["hada_w1_a"].shape[1], tensors["hada_w1_b"].shape[1] * kernel
        return tensors["hada_w1_a"].shape[0], _columns(tensors["hada_w1_b"])
    return tensors["lora_up.weight"].shape[0], _columns(tensors["lora_down.weight"])


def consistent(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether the parts have matching ranks, and the two products the same size."""
    kind = kind_of(tensors)
    if kind == "loha":
        first, second = [(tensors[f"hada_w{n}_a"], tensors[f"hada_w{n}_b"]) for n in (1, 2)]
        side = 0 if "hada_t1" in tensors else 1
        cores = [tensors[name].shape for name in LOHA_TUCKER if name in tensors]
        ranks = all(a.shape[side] == b.shape[0] for a, b in (first, second))
        cored = all(core[0] == first[0].shape[0] and core[1] == first[1].shape[0] for core in cores)
        equal = first[0].shape == second[0].shape and first[1].shape == second[1].shape
        return ranks and cored and equal and len({tuple(core) for core in cores}) < 2
    if kind == "lokr":
        tucker = tensors.get("lokr_t2")
        for part in ("lokr_w1", "lokr_w2"):
            if part in tensors:
                continue
            a, b = tensors[f"{part}_a"], tensors[f"{part}_b"]
            cored = tucker is not None and part == "lokr_w2"
            if a.shape[0 if cored else 1] != b.shape[0]:
                return False
            if cored and tucker is not None and tuple(tucker.shape[:2]) != (a.shape[0], b.shape[0]):
                return False
        return True
    down, up = tensors["lora_down.weight"], tensors["lora_up.weight"]
    return down.shape[0] == up.shape[1] and up[0, 0].numel() == 1


def _side(tensors: Mapping[str, Tensor], part: str) -> bool:
    return part in tensors or (f"{part}_a" in tensors and f"{part}_b" in tensors)


def _lokr_side(tensors: Mapping[str, Tensor], part: str) -> tuple[int, int]:
    if part in tensors:
        return tensors[part].shape[0], _columns(tensors[part])
    if part == "lokr_w2" and "lokr_t2" in tensors:
        kernel = math.prod(tensors["lokr_t2"].shape[2:])
        return tensors[f"{part}_a"].shape[1], tensors[f"{part}_b"].shape[1] * kernel
    return tensors[f"{part}_a"].shape[0], _columns(tensors[f"{part}_b"])


def _columns(tensor: Tensor) -> int:
    return math.prod(tensor.shape[1:])

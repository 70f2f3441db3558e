"""LoKr: a weight change that is the Kronecker product of two small matrices (Yeh 2023, LyCORIS).

It makes the smallest files. If the rank is near half of the larger matrix's side, that matrix is trained whole;
``method.lora.factor`` says how the sides are split.
"""

from __future__ import annotations

from .lora import LoraMethod


class LokrMethod(LoraMethod):
    name = "lokr"
    continues = ("lokr",)

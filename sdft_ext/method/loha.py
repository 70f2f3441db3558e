"""LoHa: the element-wise product of two low-rank changes (Hyeon-Woo 2021, FedPara; LyCORIS).

Rank r reaches rank r² with twice a LoRA's numbers: much variety in a small file, for styles and several concepts.
"""

from __future__ import annotations

from .lora import LoraMethod


class LohaMethod(LoraMethod):
    name = "loha"
    continues = ("loha",)

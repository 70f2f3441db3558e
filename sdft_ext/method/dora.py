"""DoRA: a LoRA that also trains the column lengths of the changed weight (Liu 2024).

Direction and length of each input's column are trained apart, as full training moves them. The lengths lie on the input
axis, as the WebUI, Forge and LyCORIS' ``wd_on_out=False`` read them. A DoRA may begin as a LoRA file.
"""

from __future__ import annotations

from .lora import LoraMethod


class DoraMethod(LoraMethod):
    name = "dora"
    continues = ("dora", "lora")

"""DoRA: a LoRA whose changed weight gets trained column lengths (Liu 2024).

Direction and length of what each input gives are trained apart, as full training moves them. The lengths lie on the input axis:
the WebUI, Forge and LyCORIS' ``wd_on_out=False`` read it so. A DoRA may begin as a LoRA file.
"""

from __future__ import annotations

from .lora import LoraMethod


class DoraMethod(LoraMethod):
    name = "dora"
    continues = ("dora", "lora")

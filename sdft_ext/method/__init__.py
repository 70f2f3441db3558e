"""The training methods: one small file for each, behind one contract."""

from __future__ import annotations

from .base import Method
from .dora import DoraMethod
from .full import DreamboothMethod, FullMethod
from .hypernetwork import HypernetworkMethod
from .loha import LohaMethod
from .lokr import LokrMethod
from .lora import LoraMethod
from .pivotal import PivotalMethod
from .textual_inversion import TextualInversionMethod

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        LoraMethod,
        DoraMethod,
        LohaMethod,
        LokrMethod,
        TextualInversionMethod,
        PivotalMethod,
        HypernetworkMethod,
        DreamboothMethod,
        FullMethod,
    )
}

__all__ = ["METHODS"]

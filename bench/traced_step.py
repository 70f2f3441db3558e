"""Traces a forward and backward pass on the CPU: the bytes in use at each operation.

Models of published sizes aren't computed: torch's fake tensors, which have shapes and dtypes only, go through the same
code as in a run (method, loss, backward), and every block of memory that torch would allocate is counted from its
allocation until it is freed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from sdft_ext.formats.family import Family
from sdft_ext.method import METHODS
from sdft_ext.method.hypernetwork import HypernetworkMethod
from sdft_ext.model import borrow
from sdft_ext.model.base import Conditioning, Model, predict
from sdft_ext.recipe import Recipe

COMPUTE = {"fp32": None, "bf16": torch.bfloat16}
"""The dtype that each precision computes in; None for the weights' own. fp16 takes as much memory as bf16."""
LAYERS = {3: "1, 2, 1", 5: "1, 2, 2, 1"}
"""A hypernetwork's layer structure, by the sum of the widths whose outputs are kept."""


class Peak(TorchDispatchMode):
    """Counts the bytes in use at each operation (``trace``), without those of the tensors ``before``."""

    def __init__(self, *before: Tensor) -> None:
        super().__init__()
        self.now = self.most = self.gradients = 0
        self.trace: list[tuple[int, int]] = []
        """At each operation: bytes in use, and how many of them are finished gradients."""
        self._known: dict[int, Any] = {}
        self._before = {id(tensor.untyped_storage()) for tensor in before}
        self._kept = [tensor.untyped_storage() for tensor in before]

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for value in tree_flatten(result)[0]:
            if isinstance(value, Tensor):
                self._add(value)
        self.trace.append((self.now, self.gradients))
        return result

    def has_gradient(self, parameter: Tensor) -> None:
        assert parameter.grad is not None
        self.gradients += parameter.grad.untyped_storage().nbytes()

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self._known or key in self._before:
            return
        size = storage.nbytes()

        def gone(_: Any, key: int = key, size: int = size) -> None:
            if self._known.pop(key, None) is not None:
                self.now -= size

        self._known[key] = weakref.ref(storage, gone)
        self.now += size
        self.most = max(self.most, self.now)


@dataclass(frozen=True)
class Trace:
    """A forward and backward pass. ``moments``: at each operation the bytes in use without finished gradients, and the
    share of the gradients that is finished. ``kept``: the bytes in use between forward and backward.
    """

    moments: list[tuple[int, float]]
    kept: int

    @property
    def most(self) -> int:
        return max(moment[0] for moment in self.moments)


def recipe_of(kind: str, precision: str, checkpointing: bool, width: float = 0) -> Recipe:
    recipe = Recipe()
    method, _, which = kind.partition(" ")
    recipe.method.name = "textual_inversion" if method == "words" else method
    recipe.method.full.weights = "bf16" if which == "bf16" else "fp32"
    recipe.method.lora.layers = which if method == "lora" and which else "all"  # type: ignore[assignment]
    recipe.method.lora.rank = int(width) or recipe.method.lora.rank
    recipe.method.hypernetwork.layer_structure = LAYERS.get(int(width), LAYERS[3])
    recipe.train.precision, recipe.train.checkpointing = precision, checkpointing  # type: ignore[assignment]
    return recipe


def _fill(modules: Sequence[torch.nn.Module], dtype: torch.dtype) -> None:
    """Allocate the modules' tensors in ``dtype``; trained parameters in float32."""
    for part in [part for module in modules for part in module.modules()]:
        for name, parameter in part._parameters.items():
            if parameter is not None:
                made = torch.empty(parameter.shape, dtype=torch.float32 if parameter.requires_grad else dtype)
                part._parameters[name] = torch.nn.Parameter(made, requires_grad=parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype)


class Setting:
    """A model with a method attached, in fake tensors; with ``fake=False`` in real ones, to check the fakes' sizes."""

    def __init__(self, family: Family, recipe: Recipe, dtype: torch.dtype = torch.float32, fake: bool = True) -> None:
        from diffusers.models.attention_processor import AttnProcessor2_0

        self.family, self.recipe = family, recipe
        self.mode: Any = FakeTensorMode() if fake else nullcontext()
        unet, vae, *texts = borrow.skeletons(family)
        for module in (unet, vae, *texts):
            module.requires_grad_(False)
        self.model = Model(family, unet, vae, texts, [], torch.ones(1000, dtype=torch.float64), Path("base"))
        method, words = METHODS[recipe.method.name](), recipe.method.name == "textual_inversion"
        # These methods move modules between devices while they attach, which fake tensors can't do.
        moved = isinstance(method, HypernetworkMethod) or recipe.method.name == "lora"
        if moved:
            method.attach(self.model, recipe)
        networks: list[torch.nn.Module] = []
        if isinstance(method, HypernetworkMethod):
            networks = [network for both in method.networks.pairs.values() for network in both]
        with self.mode:
            _fill([*self.model.modules, *networks], dtype)
            if not moved and not words:
                method.attach(self.model, recipe)
        self.trained = [] if words else [value for group in method.groups() for value in group.parameters]
        unet.set_attn_processor(AttnProcessor2_0())
        if recipe.train.checkpointing:
            unet.enable_gradient_checkpointing()
        for module in (unet, *texts):
            module.train()

    @property
    def gradient_bytes(self) -> int:
        """The bytes of the gradients of the UNet's trained parameters."""
        ours = {id(value) for value in self.model.unet.parameters()}
        return sum(value.numel() * value.element_size() for value in self.trained if id(value) in ours)

    def unet_step(self, side: int, batch: int) -> Trace:
        """Trace a pass of the UNet; ``side`` in pixels."""
        with self.mode:
            return self._unet_step(side, batch)

    def _unet_step(self, side: int, batch: int) -> Trace:
        noisy = torch.zeros(batch, 4, side // 8, side // 8)
        # Where words or the text encoder are trained, gradients flow on into the text.
        reads = self.recipe.method.name != "hypernetwork"
        context = torch.zeros(batch, 77, self.family.unet["cross_attention_dim"], requires_grad=reads)
        pooled = torch.zeros(batch, 1280) if self.family.name == "sdxl" else None

        def forward() -> Tensor:
            timesteps = torch.zeros(batch, dtype=torch.long)
            conditioning = Conditioning(context, pooled)
            predicted = predict(self.model, noisy, timesteps, conditioning, torch.zeros(batch, 6))
            return ((predicted.float() - torch.zeros_like(noisy)) ** 2).mean()

        return self._trace(forward, noisy, context)

    def text_step(self, batch: int) -> Trace:
        """Trace a pass of the text encoders alone."""
        with self.mode:
            return self._text_step(batch)

    def _text_step(self, batch: int) -> Trace:
        tokens = torch.zeros(batch, 77, dtype=torch.long)
        if not self.trained:  # textual inversion: the encoder is frozen, and the vectors' gradients go through it
            for text in self.model.text_encoders:
                text.text_model.embeddings.token_embedding.weight.requires_grad_(True)

        def forward() -> Tensor:
            outputs = [text(tokens, output_hidden_states=True).hidden_states[-1] for text in self.model.text_encoders]
            total: Tensor = sum(output.float().mean() for output in outputs)
            return total

        return self._trace(forward, tokens)

    def _trace(self, forward: Callable[[], Tensor], *inputs: Tensor) -> Trace:
        compute = COMPUTE[self.recipe.train.precision]
        existing = [value for module in self.model.modules for value in (*module.parameters(), *module.buffers())]
        with Peak(*existing, *self.trained, *inputs) as peak:
            hooks = [value.register_post_accumulate_grad_hook(peak.has_gradient) for value in self.trained]
            with torch.autocast("cpu", dtype=compute) if compute else nullcontext():
                loss = forward()
            kept = peak.now
            loss.backward()
        for hook in hooks:
            hook.remove()
        for value in (*self.trained, *inputs):
            value.grad = None
        whole = max(peak.gradients, 1)
        return Trace([(now - gradients, gradients / whole) for now, gradients in peak.trace], kept)

    def coding_bytes(self, side: int, decode: bool) -> int:
        """Return the most bytes in use while the VAE encodes or decodes one picture; ``side`` in pixels."""
        vae, size = self.model.vae, (1, 4, side // 8, side // 8) if decode else (1, 3, side, side)
        with self.mode, torch.no_grad():
            values = torch.zeros(size, dtype=next(vae.parameters()).dtype)
            with Peak(*vae.parameters(), values) as peak:
                (vae.decode if decode else vae.encode)(values)
        return peak.most

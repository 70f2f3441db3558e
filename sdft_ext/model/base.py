"""The diffusion model that the rest of the program uses: its modules, flags, conditioning, and prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..formats.family import Family


@dataclass
class Model:
    """A model of diffusers and transformers modules. ``alphas_cumprod``: float64 [1000], the unmodified schedule ᾱ_t.

    ``views``: parameters that are views of a host's parameters, each with a function that renews it (``refresh``).
    """

    family: Family
    unet: Any
    vae: Any
    text_encoders: list[Any]
    tokenizers: list[Any]
    alphas_cumprod: Tensor
    path: Path | None = None
    views: list[tuple[nn.Parameter, Callable[[], Tensor]]] = field(default_factory=list, repr=False)

    def refresh(self) -> None:
        """Renew the views after the host has moved its modules; otherwise they would still refer to the old memory.

        The parameter objects stay the same; shared ones follow by themselves. Nothing is copied.
        """
        for parameter, view in self.views:
            parameter.data = view()
        for module in self.modules:
            device = next(module.parameters()).device
            for owner in module.modules():
                for name, buffer in list(owner._buffers.items()):
                    if buffer is not None:
                        owner._buffers[name] = buffer.to(device)

    @property
    def device(self) -> torch.device:
        """Return the UNet's device."""
        parameter: Tensor = next(self.unet.parameters())
        return parameter.device

    @property
    def dtype(self) -> torch.dtype:
        """Return the UNet's dtype."""
        parameter: Tensor = next(self.unet.parameters())
        return parameter.dtype

    @property
    def modules(self) -> list[nn.Module]:
        """Return the UNet, the VAE and the text encoders."""
        return [self.unet, self.vae, *self.text_encoders]


@dataclass(frozen=True)
class Conditioning:
    """Encoded prompts: context [B, L, D] (L = 77 × chunks) and, for SDXL, pooled [B, P]."""

    context: Tensor
    pooled: Tensor | None = None

    def rows(self, index: Sequence[int] | Tensor) -> Conditioning:
        """Select rows of the batch."""
        index = torch.as_tensor(index, device=self.context.device)
        return replace(self, context=self.context[index], pooled=None if self.pooled is None else self.pooled[index])

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Conditioning:
        """Move to a device, and to a dtype if one is given."""
        pooled = None if self.pooled is None else self.pooled.to(device, dtype or self.pooled.dtype)
        return replace(self, context=self.context.to(device, dtype or self.context.dtype), pooled=pooled)

    @staticmethod
    def cat(parts: Sequence[Conditioning]) -> Conditioning:
        """Join batches."""
        pooled = [part.pooled for part in parts if part.pooled is not None]
        return Conditioning(torch.cat([part.context for part in parts]), torch.cat(pooled) if pooled else None)


@dataclass
class Flags:
    """``requires_grad``, ``grad`` and ``training`` of modules at the time of creation, to be restored later."""

    modules: list[nn.Module]
    gradients: list[tuple[nn.Parameter, bool, Tensor | None]] = field(default_factory=list)
    training: list[tuple[nn.Module, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for module in self.modules:
            self.gradients += [
                (parameter, parameter.requires_grad, parameter.grad) for parameter in module.parameters()
            ]
            self.training += [(part, part.training) for part in module.modules()]

    def restore(self) -> None:
        """Restore the flags."""
        for parameter, wanted, gradient in self.gradients:
            parameter.requires_grad_(wanted)
            parameter.grad = gradient
        for part, mode in self.training:
            part.training = mode


def predict(
    model: Model,
    latents: Tensor,
    timesteps: Tensor,
    conditioning: Conditioning,
    time_ids: Tensor | None = None,
    unet: Any = None,
) -> Tensor:
    """Predict noise or velocity [B, C, h, w] with the UNet, for scaled latents of the same shape and timesteps [B].

    ``time_ids`` [B, 6]: SDXL's sizes and crops (Podell 2023 §2.2), which other families don't use. Raises ValueError if
    SDXL lacks them or a pooled prompt.
    """
    added = None
    if model.family.name == "sdxl":
        if time_ids is None or conditioning.pooled is None:
            raise ValueError("SDXL needs time_ids and a pooled prompt.")
        added = {"text_embeds": conditioning.pooled, "time_ids": time_ids}
    context = conditioning.context
    # Not `unet or …`: a compiled module has no truth value.
    result: Tensor = (model.unet if unet is None else unet)(
        latents, timesteps, encoder_hidden_states=context, added_cond_kwargs=added, return_dict=False
    )[0]
    return result


def innermost(module: nn.Module) -> nn.Module:
    """Return the borrowed module inside any number of adapters."""
    while isinstance(inner := module._modules.get("base_layer"), nn.Module):
        module = inner
    return module


def clean_alphas_cumprod(betas: tuple[float, float] = (0.00085, 0.012), steps: int = 1000) -> Tensor:
    """Compute ᾱ_t [steps] float64 of the scaled-linear schedule (Rombach 2022): √β is linear between ``betas``."""
    root = torch.linspace(betas[0] ** 0.5, betas[1] ** 0.5, steps, dtype=torch.float64)
    return torch.cumprod(1 - root**2, 0)

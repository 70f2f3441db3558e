"""Adam that finds its own step size (Defazio & Mishchenko 2023, "Learning-rate-free learning by D-adaptation").

pytorch-optimizer 3.4.0 has a DAdaptAdam too, but resets its means at every step, so that its estimate never leaves the
first guess: a loss of 8.838 was 8.824 after 300 steps at any learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


class DAdaptAdam(Optimizer):
    """Adam with D-adaptation. ``lr`` is a factor on the step size that it finds; 1 is usual.

    With λ = d·lr of each group, g the gradient, A = √v + eps the scale of each element, and β = √β₂:

        r ← β·r + (1 - β)·Σ λ·⟨g, s / A⟩                the numerator
        s ← β·s + (1 - β)·λ·g                          the weighted sum of gradients
        m ← β₁·m + (1 - β₁)·λ·g                        Adam's means, the step size already in m
        v ← β₂·v + (1 - β₂)·g²
        d ← max(d, min(r / ((1 - β)·‖s‖₁), growth_rate·d))
        p ← p - λ·weight_decay·p - m / A               with the new v

    ``d`` is a lower bound of the distance to the solution; it starts at ``d0`` and only grows.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        d0: float = 1e-6,
        growth_rate: float = math.inf,
    ) -> None:
        if not (0 <= betas[0] < 1 and 0 < betas[1] < 1):
            raise ValueError(f"betas are {betas}, but must lie from 0 to below 1")
        if lr < 0 or eps <= 0 or weight_decay < 0 or d0 <= 0 or growth_rate < 1:
            raise ValueError("lr and weight_decay must not be negative, eps and d0 above 0, growth_rate at least 1")
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "growth_rate": growth_rate}
        super().__init__(params, defaults)
        # Kept in the groups, so that they are part of the state; all groups share the first one's.
        self.param_groups[0].update(d=d0, numerator=0.0)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move all parameters that have a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        shared = self.param_groups[0]
        d = shared["d"]
        product, length = self._gather(d)
        if length == 0:
            return loss
        root = math.sqrt(shared["betas"][1])
        shared["numerator"] = root * shared["numerator"] + (1 - root) * product
        estimate = shared["numerator"] / ((1 - root) * length)
        shared["d"] = max(d, min(estimate, shared["growth_rate"] * d))
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                parameter.mul_(1 - d * group["lr"] * group["weight_decay"])
                scale = state["exp_avg_sq"].sqrt().add_(group["eps"])
                parameter.addcdiv_(state["exp_avg"], scale, value=-1.0)
        return loss

    def _gather(self, d: float) -> tuple[float, float]:
        """Update the means by the gradients; returns Σ λ·⟨g, s / A⟩ and ‖s‖₁ over all parameters."""
        products, lengths = [], []
        for group in self.param_groups:
            rate, (beta1, beta2) = d * group["lr"], group["betas"]
            root = math.sqrt(beta2)
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state.update({name: torch.zeros_like(parameter) for name in ("s", "exp_avg", "exp_avg_sq")})
                scale = state["exp_avg_sq"].sqrt().add_(group["eps"])
                products.append(rate * (gradient * state["s"] / scale).sum())
                state["s"].mul_(root).add_(gradient, alpha=rate * (1 - root))
                state["exp_avg"].mul_(beta1).add_(gradient, alpha=rate * (1 - beta1))
                state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
                lengths.append(state["s"].abs().sum())
        if not lengths:
            return 0.0, 0.0
        product, length = torch.stack([torch.stack(products).sum(), torch.stack(lengths).sum()]).tolist()  # waits once
        return product, length

"""Hypernetworks: small networks that change the inputs of the attention layers' keys and values.

As in the WebUI, there are two networks for each width of an attention input, one before all keys and one before all
values of that width, in self- and cross-attention alike; each adds its output to its input.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..formats import hypernetwork as files
from ..formats.family import Family
from ..formats.hypernetwork import HypernetworkFile, Structure, Weights
from ..model.base import Flags, Model
from ..model.skeleton import skeleton
from ..randomness import forked
from ..recipe import HypernetworkRecipe, Precision, Recipe
from .base import (
    EMBEDDINGS,
    MethodError,
    ParameterGroup,
    StepKind,
    TrainedNumbers,
    attached,
    check_detached,
    load_tensors,
)
from .sizes import network_numbers

KEYS, VALUES = re.compile(r"\.attn[12]\.to_k$"), re.compile(r"\.attn[12]\.to_v$")
NAMED = {"linear": nn.Identity, "swish": nn.Hardswish}
"""Activations that the WebUI names differently from torch."""


class Network(nn.Module):
    """Computes x + strength · layers(x); in training the strength is 1. Layers are numbered as in the WebUI's files."""

    def __init__(self, width: int, structure: Structure) -> None:
        super().__init__()
        self.strength = 1.0
        layers: list[nn.Module] = []
        last = len(structure.layers) - 2
        for number, (before, after) in enumerate(itertools.pairwise(structure.layers)):
            layers.append(nn.Linear(int(width * before), int(width * after)))
            if structure.activation != "linear" and (number < last or structure.activate_last):
                layers.append(activation(structure.activation))
            if structure.layer_norm:
                layers.append(nn.LayerNorm(int(width * after)))
            if structure.dropout[number + 1] > 0:
                layers.append(nn.Dropout(structure.dropout[number + 1]))
        self.linear = nn.Sequential(*layers)
        initialize(self.linear, structure)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.linear(x)
        return x + output * (1.0 if self.training else self.strength)


def activation(name: str) -> nn.Module:
    """Make an activation by the WebUI's name, which is one of torch's in lower case. Raises MethodError."""
    known = {kind.lower(): getattr(nn.modules.activation, kind) for kind in nn.modules.activation.__all__}
    kind: Any = NAMED.get(name) or known.get(name)
    if kind is None:
        raise MethodError(f"The activation {name!r} is unknown: use linear, relu, swish or another that the WebUI has.")
    found: nn.Module = kind()
    return found


@torch.no_grad()
def initialize(layers: nn.Sequential, structure: Structure) -> None:
    """Draw the first weights from torch's global state. Normal, and all layer norms: deviation 0.01, mean 0; biases
    0.
    """
    gain = "leaky_relu" if structure.activation == "leakyrelu" else "relu"
    draws: dict[str, Any] = {
        "XavierUniform": nn.init.xavier_uniform_,
        "XavierNormal": nn.init.xavier_normal_,
        "KaimingUniform": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity=gain),
        "KaimingNormal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity=gain),
    }
    for layer in layers:
        if isinstance(layer, nn.Linear | nn.LayerNorm):
            if isinstance(layer, nn.LayerNorm) or structure.init == "Normal":
                nn.init.normal_(layer.weight, 0.0, 0.01)
            else:
                draws[structure.init](layer.weight)
            nn.init.zeros_(layer.bias)


class AttachedNetworks:
    """Networks before the keys and values of a UNet, until ``remove``; ``pairs``: width → (for keys, for values)."""

    def __init__(self, model: Model, pairs: Mapping[int, tuple[Network, Network]]) -> None:
        self.pairs = dict(pairs)
        self.on = True
        self._handles = []
        for name, module in model.unet.named_modules():
            which = 0 if KEYS.search(name) else 1 if VALUES.search(name) else None
            if which is None or width_of(module) not in self.pairs:
                continue
            network = self.pairs[width_of(module)][which]
            self._handles.append(module.register_forward_pre_hook(self._hook(network)))

    def remove(self) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _hook(self, network: Network) -> Any:
        def before(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
            if not self.on:
                return None
            if network.training != module.training:
                network.train(module.training)
            first, *rest = arguments
            # In float32 on a half-precision base too, as the WebUI does.
            return (network(first.float()).to(first.dtype), *rest)

        return before


def width_of(module: nn.Module) -> int:
    """Return the width of a linear layer's input, 0 for other modules."""
    width: Any = getattr(module, "in_features", 0)
    return int(width)


def widths(model: Model) -> list[int]:
    """List the widths of all attention inputs of a UNet, the largest first."""
    found = {width_of(module) for name, module in model.unet.named_modules() if KEYS.search(name)}
    return sorted(found, reverse=True)


def structure_of(settings: HypernetworkRecipe) -> Structure:
    """Return how the recipe builds the networks. Raises ValueError for texts that ``recipe.rules`` refuses."""
    layers = tuple(numbers(settings.layer_structure))
    dropout = tuple(numbers(settings.dropout)) or (0.0,) * len(layers)
    return Structure(layers, settings.activation, settings.activate_last, settings.layer_norm, dropout, settings.init)


def numbers(text: str) -> list[float]:
    """Parse comma-separated numbers, whole ones as int. Raises ValueError."""
    found = [float(part) for part in text.split(",") if part.strip()]
    return [int(value) if value == int(value) else value for value in found]


def kept_widths(settings: HypernetworkRecipe) -> float:
    """Sum the widths of what a network keeps for its gradients, in multiples of its input's: of (1, 2, 1), 2 and 1."""
    try:
        structure = structure_of(settings)
    except ValueError:  # the recipe's own check says what is wrong
        return 3.0
    total, last = 1.0, len(structure.layers) - 1
    for number, width in enumerate(structure.layers[1:], start=1):
        behind = number < last or structure.activate_last
        # A ReLU's gradient is read off its answer, which the next layer keeps anyway.
        active = behind and structure.activation not in ("linear", "relu", "leakyrelu")
        mask = 0.25 if structure.dropout[number] else 0.0
        total += width * ((number < last) + active + structure.layer_norm + mask)
    return total


class HypernetworkMethod:
    """A hypernetwork in a run, between ``attach`` and ``detach``."""

    name = "hypernetwork"
    suffix = ".pt"

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._networks: AttachedNetworks | None = None
        self._flags: Flags | None = None
        self._recipe: Recipe | None = None
        self._structure = Structure()

    def trained_numbers(self, recipe: Recipe, family: Family) -> TrainedNumbers:
        settings, there = recipe.method.hypernetwork, widths(skeleton(family))
        try:
            wanted, layers = numbers(settings.sizes) or there, numbers(settings.layer_structure)
        except ValueError:  # the recipe's own check says what is wrong
            return TrainedNumbers(0)
        return TrainedNumbers(sum(network_numbers(int(width), layers, settings.layer_norm) for width in wanted))

    def step_kind(self, recipe: Recipe, family: Family) -> StepKind:
        if not recipe.method.unet:
            return StepKind(EMBEDDINGS, self.name)
        return StepKind(self.name, self.name, width=kept_widths(recipe.method.hypernetwork))

    @property
    def uses_global_rng(self) -> bool:
        return any(self._structure.dropout)

    def attach(self, model: Model, recipe: Recipe) -> None:
        """Put the networks in. Raises MethodError or HypernetworkFileError; the model is unchanged then."""
        check_detached(self._networks)
        settings, there = recipe.method.hypernetwork, widths(model)
        self.notes = []
        if settings.continue_from:
            file = files.read(settings.continue_from)
            self._structure, pairs = file.structure, built(settings.continue_from, file, there)
        else:
            self._structure = structure_of(settings)
            wanted = [int(value) for value in numbers(settings.sizes)] or there
            unknown = [width for width in wanted if width not in there]
            if unknown:
                raise MethodError(
                    f"method.hypernetwork.sizes names {unknown[0]}, which no attention of this model has: use some of "
                    f"{', '.join(map(str, there))}, or leave it empty."
                )
            with forked(recipe.train.seed, "hypernetwork"):
                pairs = {width: (Network(width, self._structure), Network(width, self._structure)) for width in wanted}
        self._flags = Flags(model.modules)
        for module in model.modules:
            module.requires_grad_(False)
        for both in pairs.values():
            for network in both:
                network.to(model.device).train().requires_grad_(True)
        self._networks, self._recipe = AttachedNetworks(model, pairs), recipe

    def detach(self) -> None:
        if self._networks is not None and self._flags is not None:
            self._networks.remove()
            self._flags.restore()
        self._networks = self._flags = None

    def groups(self) -> list[ParameterGroup]:
        assert self._recipe is not None
        return [ParameterGroup("unet", list(self._tensors().values()), self._recipe.train.learning_rate)]

    def after_step(self, texts: bool = True) -> None:
        """Do nothing."""

    def state(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self._tensors().items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        load_tensors(self.state(), state)

    @contextmanager
    def without(self) -> Iterator[None]:
        self.networks.on = False
        try:
            yield
        finally:
            self.networks.on = True

    def save(self, path: Path, metadata: Mapping[str, str], precision: Precision) -> None:
        """Write the WebUI's file."""
        weights = {width: (_weights(keys), _weights(values)) for width, (keys, values) in self.networks.pairs.items()}
        about = {
            "sd_checkpoint": metadata.get("ss_new_sd_model_hash", "")[:10] or None,
            "sd_checkpoint_name": Path(metadata.get("ss_sd_model_name", "")).stem or None,
            "optional_info": metadata.get("modelspec.usage_hint"),
        }
        files.write(
            path, HypernetworkFile(self._structure, weights, int(metadata.get("ss_steps", 0)), about), precision
        )

    @contextmanager
    def applied(self, path: Path, model: Model, weight: float = 1.0) -> Iterator[None]:
        pairs = built(path, files.read(path), widths(model))
        for both in pairs.values():
            for network in both:
                network.to(model.device).eval().requires_grad_(False)
                network.strength = weight
        applied = AttachedNetworks(model, pairs)
        try:
            yield
        finally:
            applied.remove()

    @property
    def networks(self) -> AttachedNetworks:
        return attached(self._networks)

    def _tensors(self) -> dict[str, nn.Parameter]:
        return {
            f"{width}.{part}.{name}": value
            for width, both in self.networks.pairs.items()
            for part, network in zip(("keys", "values"), both, strict=True)
            for name, value in network.named_parameters()
        }


def built(path: str | Path, file: HypernetworkFile, there: list[int]) -> dict[int, tuple[Network, Network]]:
    """Build a file's networks; those of widths that the model doesn't have are left out, as in the WebUI.

    Raises HypernetworkFileError if none is left, or one isn't what the file says.
    """
    pairs = {}
    for width, both in file.weights.items():
        if width not in there:
            continue
        with forked(0, "hypernetwork"):  # first weights, which aren't kept
            made = (Network(width, file.structure), Network(width, file.structure))
        for network, weights in zip(made, both, strict=True):
            try:
                network.load_state_dict(weights)
            except RuntimeError as error:
                raise files.HypernetworkFileError(
                    f"{path} is damaged: its network for width {width} isn't built as the file says."
                ) from error
        pairs[width] = made
    if not pairs:
        raise files.HypernetworkFileError(
            f"{path} was made for another kind of model: it is for the widths {', '.join(map(str, file.weights))}, "
            f"and this "
            f"one has {', '.join(map(str, there))}."
        )
    return pairs


def _weights(network: Network) -> Weights:
    return {name: value.detach() for name, value in network.state_dict().items()}

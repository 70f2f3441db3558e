"""LoRA and LoCon: low-rank additions to the layers of UNet and text encoders (Hu 2021). Which layers: see
``lora_layers``.

Every layer has the recipe's alpha ÷ rank, whatever its own rank (convolutions may have a strength of their own). A rank
that is more than a small layer can have is lowered to the layer's, and the report says so.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor, nn

from ..formats import kohya, lycoris
from ..formats.family import Family
from ..formats.tensor_file import TensorFile
from ..model.base import Model
from ..recipe import LoraRecipe, Precision, Recipe
from ..storage.text import quantity
from . import lora_layers
from .adapters import AdapterConfig, Adapters, weight_shape, wrappable
from .base import (
    MethodError,
    ParameterGroup,
    StepKind,
    TrainedNumbers,
    attached,
    check_detached,
    learning_rates,
    load_tensors,
)

SHORT = dict(zip(lycoris.LORA, ("down", "up"), strict=True))
"""Names in a run's state."""
FP16_ON_CPU = (
    "A WebUI that runs on a CPU can't compute this {} in fp16 and leaves it out: set save.precision to fp32 or bf16 "
    "to use it "
    "there; on a GPU it works."
)
WORDS_LEFT_OUT = (
    "{} also holds the new {}, which this run's saves don't: to go on training and saving them, choose method "
    "pivotal and name "
    "them in method.embedding.words."
)


class LoraMethod:
    """LoRA in a run, between ``attach`` and ``detach``; its relatives differ in the kind of their layers."""

    name = "lora"
    suffix = ".safetensors"
    continues: tuple[str, ...] = ("lora",)
    """Kinds of layers that it can continue from."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._adapters: Adapters | None = None
        self._model: Model | None = None
        self._recipe: Recipe | None = None

    @property
    def kind(self) -> str:
        """The kind of its layers, by ``formats.lycoris``' name."""
        return self.name if self.name in lycoris.LABELS else "lora"

    def trained_numbers(self, recipe: Recipe, family: Family) -> TrainedNumbers:
        return lora_layers.trained_numbers(recipe, family, self.kind)

    def step_kind(self, recipe: Recipe, family: Family) -> StepKind:
        return lora_layers.step_kind(recipe, family, self.kind)

    @property
    def uses_global_rng(self) -> bool:
        return self.recipe.method.lora.dropout > 0 or self.recipe.method.lora.rank_dropout > 0

    def attach(self, model: Model, recipe: Recipe) -> None:
        """Put adapters on the layers that the recipe names. Raises MethodError; the model is unchanged then."""
        check_detached(self._adapters)
        lora, self.notes = recipe.method.lora, []
        chosen = self._chosen(model, recipe)
        start: dict[str, kohya.Layer] = {}
        if lora.continue_from:
            start = read(lora.continue_from, model).trained()
            chosen = self._continued(chosen, start, lora)
            found = kohya.new_words(TensorFile(lora.continue_from))
            left = [word for word in found if word not in self.words(recipe)]
            if left:
                named = f"{'words' if len(left) > 1 else 'word'} {', '.join(left)}"
                self.notes.append(WORDS_LEFT_OUT.format(Path(lora.continue_from).name, named))
        if not chosen:
            raise MethodError(
                "Nothing is left to train: switch on method.unet or method.text_encoder, or give blocks a rank above 0."
            )
        if self.name in ("loha", "lokr") and recipe.save.precision == "fp16" and model.device.type == "cpu":
            self.notes.append(FP16_ON_CPU.format(lycoris.LABELS[self.name]))
        self._adapters, self._model, self._recipe = Adapters(model, chosen, recipe.train.seed, start), model, recipe

    def words(self, recipe: Recipe) -> Collection[str]:
        """Return the new words that a run of this method trains."""
        return ()

    def detach(self) -> None:
        if self._adapters is not None:
            self._adapters.remove()
        self._adapters = self._model = None

    def groups(self) -> list[ParameterGroup]:
        """Return UNet and text encoder; with LoRA+, the up-weights of each apart, at their own rate (Hayou 2024)."""
        rates, ratio = learning_rates(self.recipe), self.recipe.method.lora.up_ratio
        found: dict[tuple[str, bool], list[nn.Parameter]] = {}
        for name, tensors in self.adapters.tensors().items():
            part = "unet" if name.startswith("unet.") else "text_encoder"
            for suffix, tensor in tensors.items():
                faster = suffix == lycoris.LORA[1] and ratio != 1
                found.setdefault((part, faster), []).append(tensor)
        return [
            ParameterGroup(
                f"{part}_up" if faster else part, found[part, faster], rates[part] * (ratio if faster else 1)
            )
            for part in rates
            for faster in (False, True)
            if (part, faster) in found
        ]

    def after_step(self, texts: bool = True) -> None:
        if self.recipe.method.lora.norm_cap:
            self.adapters.cap_norms(self.recipe.method.lora.norm_cap, texts)

    def state(self) -> dict[str, Tensor]:
        return {
            f"{name}.{SHORT.get(suffix, suffix)}": tensor.detach()
            for name, tensors in self.adapters.tensors().items()
            for suffix, tensor in tensors.items()
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        load_tensors(self.state(), state)

    @contextmanager
    def without(self) -> Iterator[None]:
        with self.adapters.off():
            yield

    def save(self, path: Path, metadata: Mapping[str, str], precision: Precision) -> None:
        """Write the kohya file; its metadata also say what the adapters are (``ss_network_*``)."""
        kohya.write(
            path,
            self.adapters.for_file(),
            self.model.family,
            {**metadata, **self._network()},
            precision,
            self.bundle(precision),
        )

    def bundle(self, precision: Precision) -> dict[str, Tensor]:
        """Return tensors that the file holds besides the layers: none."""
        return {}

    @contextmanager
    def applied(self, path: Path, model: Model, weight: float = 1.0) -> Iterator[None]:
        with applied([(path, weight)], model):
            yield

    @property
    def adapters(self) -> Adapters:
        return attached(self._adapters)

    @property
    def model(self) -> Model:
        return attached(self._model)

    @property
    def recipe(self) -> Recipe:
        return attached(self._recipe)

    def _chosen(self, model: Model, recipe: Recipe) -> dict[str, AdapterConfig]:
        """Configure an adapter for each layer that the recipe trains."""
        layers = {name: weight_shape(module) for name, module in wrappable(model)}
        lora_layers.check_block_names(recipe.method.lora, list(layers))
        chosen, lowered = lora_layers.chosen(layers, recipe, self.kind)
        if lowered:
            self.notes.append(
                f"The rank asked for is more than {lowered} of {len(chosen)} layers can have; they got the rank of "
                "the layer itself, at the same alpha ÷ rank. A lower method.lora.rank makes a smaller file."
            )
        return chosen

    def _continued(
        self, chosen: Mapping[str, AdapterConfig], start: Mapping[str, kohya.Layer], lora: LoraRecipe
    ) -> dict[str, AdapterConfig]:
        """Return ``chosen`` with the ranks and strengths of the file.

        Raises MethodError if the file is of another kind, or has layers that the recipe doesn't train.
        """
        foreign = next((layer.kind for layer in start.values() if layer.kind not in self.continues), None)
        if foreign:
            raise MethodError(
                f"{lora.continue_from} is a {lycoris.LABELS[foreign]}, which method {self.name} can't go on with: set "
                f"method.name to {foreign}, or choose another file."
            )
        extra = [name for name in start if name not in chosen]
        if extra:
            raise MethodError(
                f"{lora.continue_from} holds {quantity(len(extra), 'layer')} that this recipe doesn't train, "
                f"such as {extra[0]}: "
                "set method.lora.layers to 'all', method.unet and method.text_encoder to what it was trained with, and "
                "no rank in method.lora.block_ranks to 0."
            )
        own = {
            name: dataclasses.replace(_of_file(layer, self.kind), dropout=lora.dropout, rank_dropout=lora.rank_dropout)
            for name, layer in start.items()
        }
        # Whole matrices have no rank to differ in.
        ranked = [name for name, layer in start.items() if not lycoris.has_full_matrices(layer.tensors)]
        other = [name for name in ranked if not _alike(own[name], chosen[name])]
        if other:
            shape = own[other[0]]
            self.notes.append(
                f"{quantity(len(other), 'layer has', 'layers have')} the rank and alpha of "
                f"{lora.continue_from}, not those of the recipe: "
                f"{other[0]} has rank {shape.rank} and alpha {shape.alpha:g}."
            )
        return {**chosen, **own}

    def _network(self) -> dict[str, str]:
        """Describe the adapters as kohya and LyCORIS do; 'Dynamic' where layers differ. Alphas are those of the
        file.
        """
        shapes, lora = self.adapters.shapes, self.recipe.method.lora
        spatial = {name for name, shape in self.adapters.weight_shapes().items() if math.prod(shape[2:]) > 1}
        others = [shape for name, shape in shapes.items() if name not in spatial]
        arguments: dict[str, str] = {"algo": self.name} if self.name in ("loha", "lokr") else {}
        if self.name == "dora":
            arguments |= {"algo": "lora", "dora_wd": "True", "wd_on_out": "False"}
        if self.name == "lokr":
            arguments["factor"] = str(lora.factor or -1)
        if spatial:
            convolutions = [shapes[name] for name in sorted(spatial)]
            arguments["conv_dim"] = _one([shape.rank for shape in convolutions])
            arguments["conv_alpha"] = _one([self._file_alpha(shape) for shape in convolutions])
        if lora.rslora:
            arguments["rs_lora"] = "alpha is multiplied by the root of the rank"
        if lora.rank_dropout:
            arguments["rank_dropout"] = f"{lora.rank_dropout:g}"
        if lora.up_ratio != 1 and self.kind in ("lora", "dora"):
            arguments["loraplus_lr_ratio"] = f"{lora.up_ratio:g}"
        described = others or list(shapes.values())
        return {
            "ss_network_module": "networks.lora" if self.kind == "lora" else "lycoris.kohya",
            "ss_network_dim": _one([shape.rank for shape in described]),
            "ss_network_alpha": _one([self._file_alpha(shape) for shape in described]),
            "ss_network_dropout": str(lora.dropout or None),
            "ss_scale_weight_norms": str(lora.norm_cap or None),
            "ss_network_args": json.dumps(arguments),
        }

    def _file_alpha(self, shape: AdapterConfig) -> float:
        """Return the alpha in the file; of LoHa and LoKr it is the rank, for their matrices hold the strength."""
        return shape.rank if self.name in ("loha", "lokr") else shape.file_alpha


@contextmanager
def applied(files: Sequence[tuple[Path, float]], model: Model) -> Iterator[None]:
    """Run the model with LoRA files applied, each at its weight; afterwards the model is as before.

    Raises LoraFileError if a file is no LoRA for this model.
    """
    stack: list[Adapters] = []
    try:
        for path, weight in files:
            file = read(path, model)
            shapes = {name: _of_file(layer, layer.kind) for name, layer in file.layers.items()}
            adapters = Adapters(model, shapes, start=file.layers)
            stack.append(adapters)
            adapters.fill(file.layers, weight)
            for layer in adapters.layers.values():
                layer.requires_grad_(False)
        yield
    finally:
        for adapters in reversed(stack):
            adapters.remove()


def read(path: str | Path, model: Model) -> kohya.LoraFile:
    """Read a LoRA file and check its layers against the model's. Raises LoraFileError, which names the file."""
    return read_for(path, model.family, {name: weight_shape(module) for name, module in wrappable(model)})


def read_for(path: str | Path, family: Family, shapes: Mapping[str, tuple[int, ...]]) -> kohya.LoraFile:
    """Read a LoRA file and check its layers against these weight shapes, by diffusers' names. Raises LoraFileError."""
    file = kohya.read(path, kohya.known_names(list(shapes), family))
    wrong = [name for name, layer in file.layers.items() if not layer.fits(shapes[name])]
    if wrong:
        raise kohya.LoraFileError(
            f"{path} was made for another kind of model: {len(wrong)} of its {len(file.layers)} layers "
            f"{'has another size' if len(wrong) == 1 else 'have other sizes'}, such as {wrong[0]}. Choose a "
            f"LoRA for {family.name.upper()}, or another base model."
        )
    return file


def _of_file(layer: kohya.Layer, kind: str) -> AdapterConfig:
    """Return the rank and strength of a file's layer."""
    return AdapterConfig(layer.rank, layer.scale * layer.rank, kind=kind)


def _alike(one: AdapterConfig, other: AdapterConfig) -> bool:
    """Whether two are equal but for the rounding of a file's alpha."""
    return one.rank == other.rank and math.isclose(one.scale, other.scale, rel_tol=1e-5)


def _one(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else "Dynamic"

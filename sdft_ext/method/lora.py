"""LoRA and LoCon: low-rank additions to the layers of UNet and text encoders (Hu 2021).

Every layer has the recipe's alpha ÷ rank, whatever rank of its own it gets (convolutions may have a strength of theirs). A rank
that a layer can't use, because the layer is smaller, is lowered to the layer's and noted. Which layers: see ``lora_layers``.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from ..formats import kohya, lycoris
from ..formats.family import Family
from ..formats.tensor_file import TensorFile
from ..model.base import Model
from ..recipe import LoraRecipe, Precision, Recipe
from . import lora_layers
from .adapters import AdapterConfig, Adapters, weight_shape, wrappable
from .base import MethodError, ParameterGroup, StepKind, TrainedNumbers

SHORT = dict(zip(lycoris.LORA, ("down", "up"), strict=True))
"""Names in a run's state."""
HALVES = (
    "A WebUI that runs on a CPU can't multiply this {}'s halves and leaves it out: set save.precision to fp32 or bf16 to use it "
    "there; on a GPU it works."
)
LEFT = (
    "{} also holds the new {}, which this run's saves don't: they are trained on and saved by method pivotal, with their names in "
    "method.embedding.words."
)


class LoraMethod:
    """LoRA in a run, between ``attach`` and ``detach``; its relatives differ in the kind of their layers."""

    name = "lora"
    suffix = ".safetensors"
    continues: tuple[str, ...] = ("lora",)
    """Kinds of layers that it can start from."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._adapters: Adapters | None = None
        self._model: Model | None = None
        self._recipe: Recipe | None = None

    @property
    def kind(self) -> str:
        """Of its layers: see ``formats.lycoris``."""
        return self.name if self.name in lycoris.LABELS else "lora"

    def trained_numbers(self, recipe: Recipe, family: Family) -> TrainedNumbers:
        return lora_layers.trained_numbers(recipe, family, self.kind)

    def step_kind(self, recipe: Recipe, family: Family) -> StepKind:
        return lora_layers.step_kind(recipe, family, self.kind)

    @property
    def uses_global_rng(self) -> bool:
        return self.recipe.method.lora.dropout > 0 or self.recipe.method.lora.rank_dropout > 0

    def attach(self, model: Model, recipe: Recipe) -> None:
        """Put adapters on the layers that the recipe names. Raises MethodError; the model is then unchanged."""
        if self._adapters is not None:
            raise RuntimeError("this method is attached already")
        lora, self.notes = recipe.method.lora, []
        chosen = self._chosen(model, recipe)
        start: dict[str, kohya.Layer] = {}
        if lora.continue_from:
            start = read(lora.continue_from, model).trained()
            chosen = self._continued(chosen, start, lora)
            held = kohya.new_words(TensorFile(lora.continue_from))
            left = [word for word in held if word not in self.words(recipe)]
            if left:
                told = f"{'words' if len(left) > 1 else 'word'} {', '.join(left)}"
                self.notes.append(LEFT.format(Path(lora.continue_from).name, told))
        if not chosen:
            raise MethodError(
                "Nothing is left to train: switch on method.unet or method.text_encoder, or give blocks a rank above 0."
            )
        if self.name in ("loha", "lokr") and recipe.save.precision == "fp16" and model.device.type == "cpu":
            self.notes.append(HALVES.format(lycoris.LABELS[self.name]))
        self._adapters, self._model, self._recipe = Adapters(model, chosen, recipe.train.seed, start), model, recipe

    def words(self, recipe: Recipe) -> Collection[str]:
        """The new words that a run of this method trains."""
        return ()

    def detach(self) -> None:
        if self._adapters is not None:
            self._adapters.remove()
        self._adapters = self._model = None

    def groups(self) -> list[ParameterGroup]:
        """UNet and text encoder; with LoRA+, the up-weights of each apart, at their own rate (Hayou 2024)."""
        train, ratio = self.recipe.train, self.recipe.method.lora.up_ratio
        rates = {"unet": train.learning_rate, "text_encoder": train.text_encoder_learning_rate or train.learning_rate}
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

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        own = self.state()
        for name in sorted(own.keys() | state.keys()):
            if name not in own or name not in state or state[name].shape != own[name].shape:
                raise MethodError(f"The saved state doesn't fit this recipe at {name}: it is another run's.")
        for name, tensor in own.items():
            tensor.copy_(state[name])

    @contextmanager
    def without(self) -> Iterator[None]:
        with self.adapters.off():
            yield

    def save(self, path: Path, metadata: Mapping[str, str], precision: Precision) -> None:
        """Write the kohya file. To ``metadata`` it adds what the adapters are (``ss_network_*``)."""
        kohya.write(
            path,
            self.adapters.for_file(),
            self.model.family,
            {**metadata, **self._told()},
            precision,
            self.bundle(precision),
        )

    def bundle(self, precision: Precision) -> dict[str, Tensor]:
        """Tensors that the file holds beside the layers: none."""
        return {}

    @contextmanager
    def applied(self, path: Path, model: Model, weight: float = 1.0) -> Iterator[None]:
        with applied([(path, weight)], model):
            yield

    @property
    def adapters(self) -> Adapters:
        if self._adapters is None:
            raise RuntimeError("this method is not attached")
        return self._adapters

    @property
    def model(self) -> Model:
        assert self._model is not None
        return self._model

    @property
    def recipe(self) -> Recipe:
        assert self._recipe is not None
        return self._recipe

    def _chosen(self, model: Model, recipe: Recipe) -> dict[str, AdapterConfig]:
        """The layers that the recipe trains, each with its adapter's size."""
        layers = {name: weight_shape(module) for name, module in wrappable(model)}
        lora_layers.check_block_names(recipe.method.lora, list(layers))
        chosen, lowered = lora_layers.chosen(layers, recipe, self.kind)
        if lowered:
            self.notes.append(
                f"The rank asked for is more than {lowered} of {len(chosen)} layers can hold; they got the rank of "
                "the layer itself, at the same alpha ÷ rank. A lower method.lora.rank makes a smaller file."
            )
        return chosen

    def _continued(
        self, chosen: Mapping[str, AdapterConfig], start: Mapping[str, kohya.Layer], lora: LoraRecipe
    ) -> dict[str, AdapterConfig]:
        """``chosen`` with the sizes and strengths of the file. Raises MethodError where it is of another kind or holds
        more than is trained."""
        foreign = next((layer.kind for layer in start.values() if layer.kind not in self.continues), None)
        if foreign:
            raise MethodError(
                f"{lora.continue_from} is a {lycoris.LABELS[foreign]}, which method {self.name} can't go on with: set "
                f"method.name to {foreign}, or choose another file."
            )
        extra = [name for name in start if name not in chosen]
        if extra:
            raise MethodError(
                f"{lora.continue_from} holds {len(extra)} layers that this recipe doesn't train, such as {extra[0]}: "
                "set method.lora.layers to 'all', method.unet and method.text_encoder to what it was trained with, and "
                "no rank in method.lora.block_ranks to 0."
            )
        own = {
            name: dataclasses.replace(_of_file(layer, self.kind), dropout=lora.dropout, rank_dropout=lora.rank_dropout)
            for name, layer in start.items()
        }
        # Whole matrices have no rank to differ in.
        ranked = [name for name, layer in start.items() if not lycoris.whole(layer.tensors)]
        other = [name for name in ranked if not _alike(own[name], chosen[name])]
        if other:
            shape = own[other[0]]
            self.notes.append(
                f"{len(other)} layers have the rank and alpha of {lora.continue_from}, not those of the recipe: "
                f"{other[0]} has rank {shape.rank} and alpha {shape.alpha:g}."
            )
        return {**chosen, **own}

    def _told(self) -> dict[str, str]:
        """kohya's and LyCORIS' words for what was built; 'Dynamic' where layers differ. Alphas are those of the file."""
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
        told = others or list(shapes.values())
        return {
            "ss_network_module": "networks.lora" if self.kind == "lora" else "lycoris.kohya",
            "ss_network_dim": _one([shape.rank for shape in told]),
            "ss_network_alpha": _one([self._file_alpha(shape) for shape in told]),
            "ss_network_dropout": str(lora.dropout or None),
            "ss_scale_weight_norms": str(lora.norm_cap or None),
            "ss_network_args": json.dumps(arguments),
        }

    def _file_alpha(self, shape: AdapterConfig) -> float:
        """LoHa's and LoKr's strength lies in their matrices: their alpha is their rank."""
        return shape.rank if self.name in ("loha", "lokr") else shape.file_alpha


@contextmanager
def applied(files: Sequence[tuple[Path, float]], model: Model) -> Iterator[None]:
    """Run the model with LoRA files inside, each with its weight; the model is as before after.

    Raises LoraFileError where a file is no LoRA for this model.
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
    """A LoRA file whose layers are checked against the model's. Raises LoraFileError, in a sentence that names the file."""
    return read_for(path, model.family, {name: weight_shape(module) for name, module in wrappable(model)})


def read_for(path: str | Path, family: Family, shapes: Mapping[str, tuple[int, ...]]) -> kohya.LoraFile:
    """A LoRA file whose layers are checked against these sizes, of diffusers names. Raises LoraFileError."""
    file = kohya.read(path, kohya.known_names(list(shapes), family))
    wrong = [name for name, layer in file.layers.items() if not layer.fits(shapes[name])]
    if wrong:
        raise kohya.LoraFileError(
            f"{path} was made for another kind of model: {len(wrong)} of its {len(file.layers)} layers have other sizes, "
            f"such as {wrong[0]}. Choose a LoRA for {family.name.upper()}, or another base model."
        )
    return file


def _of_file(layer: kohya.Layer, kind: str) -> AdapterConfig:
    """Size and strength that a file's layer has."""
    return AdapterConfig(layer.rank, layer.scale * layer.rank, kind=kind)


def _alike(one: AdapterConfig, other: AdapterConfig) -> bool:
    """Equal but for the rounding of a file's alpha."""
    return one.rank == other.rank and math.isclose(one.scale, other.scale, rel_tol=1e-5)


def _one(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else "Dynamic"

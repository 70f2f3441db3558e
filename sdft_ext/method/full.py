"""Full fine-tuning and DreamBooth: training a copy of the model's own weights.

Between ``attach`` and ``detach``, copies of the weights that train stand in for the borrowed ones; the host's stay as
they are. A module computes in one dtype, so frozen weights beside trained ones are cast to theirs. A save is a
checkpoint in the base file's own layout, written tensor by tensor, or the LoRA nearest to what was learned (see
``lowrank``). DreamBooth (Ruiz 2022) is the same with regularization pictures that hold the class in place: dataset and
loop take care of its prior-preservation loss.

A LoRA holds only weights of linear layers and convolutions: if one is to be saved, only those train, and at full rank
nothing is lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..formats import checkpoint, kohya
from ..formats.family import Family
from ..formats.tensor_file import TensorFile
from ..formats.yaml_config import copy_config
from ..model.base import Flags, Model
from ..model.borrow import Place, places
from ..model.copies import Copied, Copies, parameters, part_names
from ..model.skeleton import skeleton
from ..model.source import Source, open_source
from ..recipe import Precision, Recipe
from .adapters import wrappable
from .base import (
    EMBEDDINGS,
    MethodError,
    ParameterGroup,
    StepKind,
    TrainedNumbers,
    attached,
    check_detached,
    learning_rates,
    load_tensors,
)
from .lora import applied as lora_applied
from .lowrank import approximated

NOT_IN_FILES = ("text_projection", "token_embedding", "position_embedding")
"""Layers that other programs don't look for in a LoRA."""


class FullMethod:
    """A model's own weights in a run, between ``attach`` and ``detach``."""

    name = "full"
    suffix = ".safetensors"
    extra_kind = "full"
    uses_global_rng = False

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._copies: Copies | None = None
        self._casts: Copies | None = None
        self._flags: Flags | None = None
        self._model: Model | None = None
        self._recipe: Recipe | None = None

    def attach(self, model: Model, recipe: Recipe) -> None:
        """Put copies in place of the weights that the recipe trains. Raises MethodError; the model is unchanged
        then.
        """
        check_detached(self._copies)
        names = self.trained_names(model, recipe)
        if model.path is None:
            raise MethodError("The base model has no file whose layout a checkpoint could take: choose another method.")
        flags = Flags(model.modules)
        dtype = _dtype(recipe)
        for module in model.modules:
            module.requires_grad_(False)
        try:
            self._copies = Copies(model, names, dtype)
            self._casts = Copies(model, frozen_of_other_dtype(model, names, dtype), dtype, trained=False)
        except BaseException:
            if self._copies is not None:
                self._copies.remove()
                self._copies = None
            flags.restore()
            raise
        self._flags, self._model, self._recipe = flags, model, recipe
        self.notes = []
        if recipe.method.full.save_as == "lora":
            self.notes.append(
                f"Saved as the LoRA of rank {recipe.method.full.lora_rank} that is nearest to what was learned: the "
                f"largest "
                "difference in the output shows what it leaves out."
            )
        elif recipe.save.precision != "fp32":
            self.notes.append("The checkpoint keeps the base's own precision, whatever save.precision says.")

    def trained_names(self, model: Model, recipe: Recipe) -> list[str]:
        """List the parameters ('part.path.leaf') that the recipe trains. Raises MethodError if there are none.

        If the run is saved as a LoRA, only the weights that such a file holds train. A method that trains fewer
        overrides this.
        """
        method, settings = recipe.method, recipe.method.full
        wanted = [
            name
            for name, _ in parameters(model)
            if (name.startswith("unet.") and method.unet) or (name.startswith("text_encoder") and method.text_encoder)
        ]
        for text in settings.frozen:
            if not any(text in name for name, _ in parameters(model)):
                raise MethodError(
                    f"method.full.frozen names {text!r}, but no parameter's name contains it. Names are like "
                    f"{wanted[0]} and {wanted[len(wanted) // 2]}: use a part of one, such as down_blocks or attn2."
                )
        wanted = [name for name in wanted if not any(text in name for text in settings.frozen)]
        if settings.save_as == "lora":
            layers = {f"{name}.weight" for name, _ in wrappable(model)}
            wanted = [name for name in wanted if name in layers and not any(part in name for part in NOT_IN_FILES)]
        if not wanted:
            raise MethodError(
                "Nothing is left to train: switch on method.unet or method.text_encoder, or freeze less in "
                "method.full.frozen."
            )
        return wanted

    def detach(self) -> None:
        if self._copies is not None and self._flags is not None:
            if self._casts is not None:
                self._casts.remove()
            self._copies.remove()
            self._flags.restore()
        self._copies = self._casts = self._flags = self._model = None

    def trained_numbers(self, recipe: Recipe, family: Family) -> TrainedNumbers:
        model = skeleton(family)
        try:
            wanted = set(self.trained_names(model, recipe))
        except MethodError:  # the run itself says what is wrong
            wanted = set()
        shapes = {name: tuple(value.shape) for name, value in parameters(model) if name in wanted}
        counts = {name: math.prod(shape) for name, shape in shapes.items()}
        unet = sum(count for name, count in counts.items() if name.startswith("unet."))
        return TrainedNumbers(unet, sum(counts.values()) - unet, _dtype(recipe).itemsize, shapes)

    def step_kind(self, recipe: Recipe, family: Family) -> StepKind:
        kind = "full bf16" if _dtype(recipe) == torch.bfloat16 else "full"
        return StepKind(kind if recipe.method.unet else EMBEDDINGS, kind)

    def groups(self) -> list[ParameterGroup]:
        rates = learning_rates(self.recipe)
        found: dict[str, list[nn.Parameter]] = {}
        for name, value in self.copies.values.items():
            found.setdefault("unet" if name.startswith("unet.") else "text_encoder", []).append(value)
        return [ParameterGroup(part, found[part], rate) for part, rate in rates.items() if part in found]

    def after_step(self, texts: bool = True) -> None:
        """Do nothing: the copies are the model."""

    def state(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self.copies.values.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        load_tensors(self.state(), state)

    @contextmanager
    def without(self) -> Iterator[None]:
        with self.copies.off(), nullcontext() if self._casts is None else self._casts.off():
            yield

    def save(self, path: Path, metadata: Mapping[str, str], precision: Precision) -> None:
        """Write the checkpoint in the base file's layout and dtypes, or the LoRA. Raises CheckpointError too."""
        assert self.model.path is not None
        source = open_source(self.model.path, vae=False)
        if self.recipe.method.full.save_as == "lora":
            self._save_lora(path, source, metadata, precision)
            return
        values = self.copies.values

        def changed(key: str, tensor: Tensor) -> Tensor | None:
            moved = [
                place
                for place in source.places.get(key, ())
                if place.name in values
                and not torch.equal(values[place.name], self._first(values[place.name], place, tensor))
            ]
            if not moved:
                return None
            whole = tensor.to(torch.float32, copy=True)
            for place in moved:
                place.piece(whole).copy_(values[place.name].detach())
            return whole

        written = checkpoint.model_metadata(metadata, source.metadata)
        with torch.no_grad():
            checkpoint.write(path, source.entries, source.__getitem__, changed, written)

    def save_extra(self, path: Path, folder: Path, metadata: Mapping[str, str], precision: Precision) -> list[Path]:
        """Copy the configuration beside the base file to beside the checkpoint."""
        assert self.model.path is not None
        copied = None if self.recipe.method.full.save_as == "lora" else copy_config(self.model.path, path)
        return [] if copied is None else [copied]

    def _save_lora(self, path: Path, source: Source, metadata: Mapping[str, str], precision: Precision) -> None:
        values, layers = self.copies.values, dict[str, kohya.Layer]()
        for key, found in source.places.items():
            for place in found:
                if place.name not in values:
                    continue
                value = values[place.name]
                change = value.detach().float() - self._first(value, place, source[key]).float()
                if bool(change.any()):
                    layers[place.name.removesuffix(".weight")] = approximated(change, self.recipe.method.full.lora_rank)
        if not layers:
            first = next(name for name in values)
            layers[first.removesuffix(".weight")] = approximated(torch.zeros(values[first].shape), 1)
        rank = str(self.recipe.method.full.lora_rank)
        network = {"ss_network_module": "networks.lora", "ss_network_dim": rank, "ss_network_alpha": rank}
        kohya.write(path, layers, self.model.family, {**metadata, **network}, precision)

    def _first(self, value: Copied, place: Place, tensor: Tensor) -> Tensor:
        """Return what a copy was before it trained: the file's numbers, rounded to the host's dtype and then to the
        run's.

        A copy that equals it hasn't moved, and stays as the file has it. The host's own weights aren't asked: it may
        have unloaded its checkpoint by now.
        """
        return place.piece(tensor).to(value.device, value.borrowed.dtype).to(_dtype(self.recipe)).to(value.dtype)

    @contextmanager
    def applied(self, path: Path, model: Model, weight: float = 1.0) -> Iterator[None]:
        """Run the model with the checkpoint's weights (``weight``: how far on the way to them), or with the LoRA."""
        file = TensorFile(path)
        if is_lora(file):
            with lora_applied([(path, weight)], model):
                yield
            return
        with checkpoint_applied(file, model, weight):
            yield

    @property
    def copies(self) -> Copies:
        return attached(self._copies)

    @property
    def model(self) -> Model:
        return attached(self._model)

    @property
    def recipe(self) -> Recipe:
        return attached(self._recipe)


class DreamboothMethod(FullMethod):
    """Full fine-tuning that expects regularization pictures beside the concept's."""

    name = "dreambooth"
    extra_kind = "dreambooth"

    def attach(self, model: Model, recipe: Recipe) -> None:
        super().attach(model, recipe)
        if not any(concept.regularization for concept in recipe.dataset.concepts):
            self.notes.append(
                "There were no regularization pictures (dataset.concepts.0.regularization), which hold the class in "
                "place: "
                "expect the concept to show in everything of its class."
            )


def frozen_of_other_dtype(model: Model, trained: list[str], dtype: torch.dtype) -> list[str]:
    """List the frozen parameters of another dtype in the parts that train: a module computes in one dtype."""
    parts, names = {name.partition(".")[0] for name in trained}, set(trained)
    return [
        name
        for name, value in parameters(model)
        if name.partition(".")[0] in parts and value.dtype != dtype and name not in names
    ]


def _dtype(recipe: Recipe) -> torch.dtype:
    """Return the dtype of the copies."""
    return torch.bfloat16 if recipe.method.full.weights == "bf16" else torch.float32


def is_lora(file: TensorFile) -> bool:
    """Whether a file is a LoRA rather than a whole model."""
    return not any(key.startswith("model.diffusion_model.") for key in file)


@contextmanager
def checkpoint_applied(file: TensorFile, model: Model, weight: float = 1.0) -> Iterator[None]:
    """Run the model with a checkpoint's UNet and text encoders; weights that equal the model's own aren't held twice.

    It may last several turns, between which the host may replace the model's parameters.
    Raises CheckpointError if the file is for another kind of model.
    """
    try:
        placed = places(model.family, file)
    except ModelError as error:
        raise checkpoint.CheckpointError(f"{file.path} is for another kind of model: {error}") from error
    owners = _owners(model)
    before: list[tuple[nn.Module, str, Copied]] = []
    missing = owners.keys() - {place.name for found in placed.values() for place in found}
    if missing:
        raise checkpoint.CheckpointError(f"{file.path} lacks {sorted(missing)[0]}: it is for another kind of model.")
    try:
        for key, found in placed.items():
            wanted = [place for place in found if place.name in owners]
            tensor = file[key] if wanted else None
            for place in wanted:
                owner, leaf = owners[place.name]
                own = owner._parameters[leaf]
                assert own is not None and tensor is not None
                value = place.piece(tensor).to(own.device, own.dtype)
                if value.shape != own.shape:
                    raise checkpoint.CheckpointError(
                        f"{file.path}: {key} has another size: the file is for another kind of model."
                    )
                if torch.equal(value, own.detach()):
                    continue
                if weight != 1.0:
                    value = torch.lerp(own.detach().float(), value.float(), weight).to(own.dtype)
                before.append((owner, leaf, Copied.instead(own, value)))
                owner._parameters[leaf] = before[-1][2]
        yield
    finally:
        for owner, leaf, copied in before:
            owner._parameters[leaf] = copied.borrowed


def _owners(model: Model) -> dict[str, tuple[nn.Module, str]]:
    """Map each parameter of UNet and text encoders to the module that owns it and its name there."""
    found = {}
    for part, module in zip(part_names(model), model.modules, strict=True):
        if part == "vae":
            continue
        for path, owner in module.named_modules():
            for leaf in owner._parameters:
                if owner._parameters[leaf] is not None:
                    found[f"{part}.{path}.{leaf}" if path else f"{part}.{leaf}"] = (owner, leaf)
    return found

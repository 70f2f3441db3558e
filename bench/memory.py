"""python -m bench memory [--write | --check] [--json FILE]: what a run takes of the memory, beside its weights.

Without options, coefficients are counted at every model's true size. The toy's are
computed; nothing of the others' size is: torch's fake tensors go
through the same code as a run's (the method, loss, backward) and carry shapes and types only, as on the CPU. Every block of
memory that torch would hand out is counted from its birth to its death, at each moment of the step; a moment grows in
proportion to pixels × batch, so two sizes give it for all. ``--write`` puts what can be the highest of them into
``sdft_ext/memory/coefficients.json``, where the page's forecast takes them from. ``--check`` has real runs measured against that
forecast (see ``bench.peaks``), and writes docs/memory.md.
"""

from __future__ import annotations

import argparse
import json
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from sdft_ext.formats import reference_families
from sdft_ext.formats.family import Family
from sdft_ext.method import METHODS
from sdft_ext.method.hypernetwork import HypernetworkMethod
from sdft_ext.model import borrow
from sdft_ext.model.base import Conditioning, Model, predict
from sdft_ext.model.load import load
from sdft_ext.recipe import Recipe
from sdft_ext.storage import json_file

ROOT = Path(__file__).resolve().parent.parent
TOY = ROOT / "assets" / "toy" / "toy.safetensors"
TARGET = ROOT / "sdft_ext" / "desk" / "coefficients.json"
SIDES = {"toy": (64, 128), "sd1": (256, 512), "sdxl": (512, 1024)}
"""Pixels; the line through two sizes. (SD 2 has SD 1's widths.)"""
CODERS = {"fp32": torch.float32, "fp16": torch.float16}
"""Number formats of a VAE: on the CPU, and as a WebUI on a GPU holds it."""
COMPUTE = {"fp32": None, "bf16": torch.bfloat16}
"""Precisions of a run: bf16 computes from a copy of the base's weights. (Computing in fp16 takes no more.)"""
KINDS = (
    "lora", "dora", "loha", "lokr", "hypernetwork", "full", "full bf16", "words", "lora linear", "lora attention"
)  # fmt: skip
"""What trains in the UNet: layers of a kind (all of them, or fewer), networks, its own weights (kept in float32 or bf16), or
nothing (words do)."""
WIDTHS: dict[str, tuple[float, float]] = {"lora": (8, 24), "hypernetwork": (3, 5)}
"""What more is kept in each place of a picture grows with: a LoRA's rank, a hypernetwork's layers (see ``desk.moments``); two
tell how. The others' change of weight is as large as the weight."""
LAYERS = {3: "1, 2, 1", 5: "1, 2, 2, 1"}
BATCHES = (2, 4)
"""Each picture brings its caption, however small it is. (One picture alone goes through other operations here and there.)"""
GRID = tuple(
    (cells, width) for cells in (4, 16, 64, 256, 1024, 4096, 16384, 65536, 2**18) for width in (1, 8, 32, 128, 512)
)
MB = 2**20


class Peak(TorchDispatchMode):
    """Counts the bytes that live, at each operation (``trace``). Tensors that were there before don't count."""

    def __init__(self, *before: Tensor) -> None:
        super().__init__()
        self.now = self.most = self.gradients = 0
        self.trace: list[tuple[int, int]] = []
        """(bytes, those of finished gradients among them)"""
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
    """One pass forward and back. ``moments``: (bytes, share of the gradients that is there, their bytes not in it);
    ``held``: bytes between the two."""

    moments: list[tuple[int, float]]
    held: int

    @property
    def most(self) -> int:
        return max(moment[0] for moment in self.moments)


def family(name: str) -> Family:
    return load(TOY).family if name == "toy" else reference_families.family(name)


def recipe_of(kind: str, precision: str, checkpointing: bool, width: float = 0) -> Recipe:
    recipe = Recipe()
    method, _, which = kind.partition(" ")
    recipe.method.name = "textual_inversion" if method == "words" else method  # type: ignore[assignment]
    recipe.method.full.weights = "bf16" if which == "bf16" else "fp32"
    recipe.method.lora.layers = which if method == "lora" and which else "all"  # type: ignore[assignment]
    recipe.method.lora.rank = int(width) or recipe.method.lora.rank
    recipe.method.hypernetwork.layer_structure = LAYERS.get(int(width), LAYERS[3])
    recipe.train.precision, recipe.train.checkpointing = precision, checkpointing  # type: ignore[assignment]
    return recipe


def _fill(modules: Sequence[torch.nn.Module], dtype: torch.dtype) -> None:
    """Give modules memory; what trains is float32."""
    for part in [part for module in modules for part in module.modules()]:
        for name, parameter in part._parameters.items():
            if parameter is not None:
                made = torch.empty(parameter.shape, dtype=torch.float32 if parameter.requires_grad else dtype)
                part._parameters[name] = torch.nn.Parameter(made, requires_grad=parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype)


class Setting:
    """A model with what trains in it, without memory. Without ``fake`` everything is real, to see that the fakes tell the truth."""

    def __init__(self, family: Family, recipe: Recipe, dtype: torch.dtype = torch.float32, fake: bool = True) -> None:
        from diffusers.models.attention_processor import AttnProcessor2_0

        self.family, self.recipe = family, recipe
        self.mode: Any = FakeTensorMode() if fake else nullcontext()
        unet, vae, *texts = borrow.skeletons(family)
        for module in (unet, vae, *texts):
            module.requires_grad_(False)
        self.model = Model(family, unet, vae, texts, [], torch.ones(1000, dtype=torch.float64), Path("base"))
        method, words = METHODS[recipe.method.name](), recipe.method.name == "textual_inversion"
        # Modules that are moved about while they are made can't hold fake tensors yet.
        moved = isinstance(method, HypernetworkMethod) or recipe.method.name == "lora"
        if moved:
            method.attach(self.model, recipe)
        networks: list[torch.nn.Module] = []
        if isinstance(method, HypernetworkMethod):
            networks = [network for both in method.hung.pairs.values() for network in both]
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
        """Of what trains in the UNet."""
        ours = {id(value) for value in self.model.unet.parameters()}
        return sum(value.numel() * value.element_size() for value in self.trained if id(value) in ours)

    def unet_step(self, side: int, batch: int) -> Trace:
        """A pass of the UNet."""
        with self.mode:
            return self._unet_step(side, batch)

    def _unet_step(self, side: int, batch: int) -> Trace:
        noisy = torch.zeros(batch, 4, side // 8, side // 8)
        # Where words or the text encoder train, gradients go on into the captions.
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
        """A pass of the text encoders alone."""
        with self.mode:
            return self._text_step(batch)

    def _text_step(self, batch: int) -> Trace:
        tokens = torch.zeros(batch, 77, dtype=torch.long)
        if not self.trained:  # words: the encoder stands still, and their vectors' gradients go through it
            for text in self.model.text_encoders:
                text.text_model.embeddings.token_embedding.weight.requires_grad_(True)

        def forward() -> Tensor:
            outputs = [text(tokens, output_hidden_states=True).hidden_states[-1] for text in self.model.text_encoders]
            total: Tensor = sum(output.float().mean() for output in outputs)  # type: ignore[assignment]
            return total

        return self._trace(forward, tokens)

    def _trace(self, forward: Callable[[], Tensor], *inputs: Tensor) -> Trace:
        compute = COMPUTE[self.recipe.train.precision]
        there = [value for module in self.model.modules for value in (*module.parameters(), *module.buffers())]
        with Peak(*there, *self.trained, *inputs) as peak:
            hooks = [value.register_post_accumulate_grad_hook(peak.has_gradient) for value in self.trained]
            with torch.autocast("cpu", dtype=compute) if compute else nullcontext():
                loss = forward()
            held = peak.now
            loss.backward()
        for hook in hooks:
            hook.remove()
        for value in (*self.trained, *inputs):
            value.grad = None
        whole = max(peak.gradients, 1)
        return Trace([(now - gradients, gradients / whole) for now, gradients in peak.trace], held)

    def coding_bytes(self, side: int, decode: bool) -> int:
        """The most that lives while the VAE encodes or decodes one picture."""
        vae, size = self.model.vae, (1, 4, side // 8, side // 8) if decode else (1, 3, side, side)
        with self.mode, torch.no_grad():
            values = torch.zeros(size, dtype=next(vae.parameters()).dtype)
            with Peak(*vae.parameters(), values) as peak:
                (vae.decode if decode else vae.encode)(values)
        return peak.most


Line = list[float]
"""[fixed MB, KB by cell, MB by picture, MB by width, KB by cell and width, share of the gradients]: a cell is one of the latent
picture's, the width a LoRA's rank or a hypernetwork's layers."""


@dataclass(frozen=True)
class Passes:
    """The same pass at two sizes and in two batches, and (where there is a second width) at two sizes with that."""

    small: Trace
    large: Trace
    several: Trace
    wider: tuple[Trace, Trace] | None

    @property
    def all(self) -> list[Trace]:
        return [self.small, self.large, self.several, *(self.wider or ())]


def lines(found: Passes, cells: tuple[int, int], widths: tuple[float, float]) -> tuple[list[Line], Line]:
    """Those moments that are the highest somewhere, and what is held between forward and backward."""
    held = _fit([trace.held for trace in found.all], cells, widths)
    count = len(found.small.moments)
    if not len(found.large.moments) == len(found.several.moments) == count:
        raise RuntimeError("The step isn't the same at every size.")
    same = all(len(trace.moments) == count for trace in found.all)
    moments = []
    for i in range(count):
        traces = found.all if same else found.all[:3]
        line = _fit([trace.moments[i][0] for trace in traces], cells, widths)
        if not same:
            # A network with more layers goes through more operations: what it keeps goes as the rest does.
            there = min(max(line[1] / held[1], 0.0), 1.0)
            line = [
                *(number - widths[0] * more * there for number, more in zip(line[:2], held[3:], strict=True)),
                line[2],
                *(more * there for more in held[3:]),
            ]
        moments.append([*line, found.small.moments[i][1]])
    # Gradients that aren't in a moment's bytes are worth something: a moment with more of them may be the highest.
    kept: list[Line] = []
    for gradients in (0.0, 16.0, 256.0, 4096.0):
        for size, width in GRID:
            highest = max(moments, key=lambda line: value(line, size, width, gradients))
            most = value(highest, size, width, gradients)
            if most > 1.01 * max((value(line, size, width, gradients) for line in kept), default=0.0):
                kept.append(highest)
    return [_rounded(line) for line in kept], _rounded([*held, 0.0])


def value(line: Line, cells: float, width: float, gradients_mb: float) -> float:
    """Megabytes of a line for one picture."""
    fixed, cell, picture, wide, both, share = line
    return fixed + picture + wide * width + (cell + both * width) * cells / 1024 + share * gradients_mb


def _fit(found: list[int], cells: tuple[int, int], widths: tuple[float, float]) -> Line:
    small, large, several, *wider = found
    cells = (BATCHES[0] * cells[0], BATCHES[0] * cells[1])
    fixed, cell = _line(small, large, cells)
    picture = (several - small) / (BATCHES[1] - BATCHES[0]) - cell * cells[0] / BATCHES[0]
    wide = both = 0.0
    if wider:
        fixed_2, cell_2 = _line(wider[0], wider[1], cells)
        step = widths[1] - widths[0]
        wide, both = (fixed_2 - fixed) / step, (cell_2 - cell) / step
    fixed, cell = fixed - BATCHES[0] * picture - widths[0] * wide, cell - widths[0] * both
    return [fixed / MB, cell / 1024, picture / MB, wide / MB, both / 1024]


def _line(small: float, large: float, cells: tuple[int, int]) -> tuple[float, float]:
    each = (large - small) / (cells[1] - cells[0])
    return small - each * cells[0], each


def _rounded(line: Line) -> Line:
    return [round(number, 4) for number in line]


def cases(kinds: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    for kind in kinds:
        for precision in COMPUTE:
            for checkpointing in (False, True):
                if kind != "full bf16" or precision == "bf16":
                    yield kind, precision, checkpointing


def measure(name: str, kinds: Sequence[str] = KINDS) -> Iterator[tuple[str, Any]]:
    """(case, figures) of one family."""
    sort, sides = family(name), SIDES[name]
    cells = ((sides[0] // 8) ** 2, (sides[1] // 8) ** 2)
    for kind, precision, checkpointing in cases(kinds):
        widths = WIDTHS.get(kind.partition(" ")[0], (0, 0))
        made, *wider = [
            Setting(sort, recipe_of(kind, precision, checkpointing, width), fake=name != "toy")
            for width in dict.fromkeys(widths)
        ]
        small, large = sides
        passes = Passes(
            made.unet_step(small, BATCHES[0]),
            made.unet_step(large, BATCHES[0]),
            made.unet_step(small, BATCHES[1]),
            (wider[0].unet_step(small, BATCHES[0]), wider[0].unet_step(large, BATCHES[0])) if wider else None,
        )
        moments, held = lines(passes, cells, widths)
        case = f"{kind} {precision}{' checkpointing' if checkpointing else ''}"
        yield f"step {case}", {"moments": moments, "held": held}
        if not checkpointing and kind != "hypernetwork":
            one, three = (made.text_step(batch).held for batch in (1, 3))
            figures = {"fixed_mb": round((3 * one - three) / 2 / MB, 2), "caption_mb": round((three - one) / 2 / MB, 2)}
            yield f"text {case}", figures
    for precision, dtype in CODERS.items():
        coder = Setting(sort, recipe_of("words", "fp32", False), dtype, fake=name != "toy")
        for decode in (True, False):
            small, large = (coder.coding_bytes(side, decode) for side in sides)
            fixed, each = _line(small, large, cells)
            figures = {"fixed_mb": round(max(fixed, 0) / MB, 2), "cell_kb": round(each / 1024, 3)}
            yield f"{'decode' if decode else 'encode'} {precision}", figures


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench memory", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument(
        "--family", choices=tuple(SIDES), action="append", help="only this one; may be given several times"
    )
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this one; may be given several times")
    parser.add_argument("--write", action="store_true", help="write the forecast's coefficients")
    parser.add_argument("--check", action="store_true", help="measure runs against the forecast; write docs/memory.md")
    options = parser.parse_args(argv)
    if options.check:
        from . import peaks

        return peaks.check(options.family or ["toy", "sd1"], options.json)
    table: dict[str, dict[str, Any]] = {}
    for name in options.family or SIDES:
        for case, figures in measure(name, options.kind or KINDS):
            print(name, case, figures, flush=True)
            table.setdefault(name, {})[case] = figures
            if options.write:
                kept = json_file.read(TARGET, missing={})
                kept.setdefault(name, {})[case] = figures
                TARGET.write_text(_json(kept), encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps({"memory": table}, indent=1) + "\n", encoding="utf-8")
    return 0


def _json(table: dict[str, dict[str, Any]]) -> str:
    """A line for each case."""
    families = [
        f'"{name}": {{\n' + ",\n".join(f' "{case}": {json.dumps(figures)}' for case, figures in cases.items()) + "\n}"
        for name, cases in table.items()
    ]
    return "{\n" + ",\n".join(families) + "\n}\n"

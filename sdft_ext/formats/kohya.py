"""LoRA files in kohya's layout, which the WebUI, Forge, ComfyUI and diffusers read; LoHa, LoKr and DoRA in LyCORIS'.

A layer has three tensors: ``NAME.lora_down.weight``, ``NAME.lora_up.weight``, ``NAME.alpha``; the effect is
up·down·alpha/rank. For LoHa, LoKr and DoRA see ``lycoris``. Files for SD 1 and SD 2 use diffusers' names
(``lora_unet_down_blocks_0_…``), those for SDXL LDM's (``lora_unet_input_blocks_4_1_…``), like kohya's scripts and as
the WebUI expects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import SdftError
from ..recipe import Precision
from ..storage import atomic
from ..storage.text import printable
from . import lycoris
from .adapter_config import PEFT_PREFIX, AdapterStrength
from .family import Family
from .ldm_keys import RESNET, inverse, translate, unet_prefixes
from .lycoris import LycorisLayer
from .metadata import with_hashes
from .tensor_file import MAX_SHOWN, PRECISIONS, TensorFile, TensorFileError

BUNDLE = "bundle_emb."
"""Key prefix of the tensors of new words in a LoRA file (see ``formats.embedding``)."""
FUSED = ("q_proj", "k_proj", "v_proj", "out_proj")
"""OpenCLIP's attention is one module in the WebUI, which applies these together or not at all."""


def new_words(keys: Iterable[str]) -> list[str]:
    """Return the new words among a LoRA file's keys."""
    return list(dict.fromkeys(key[len(BUNDLE) :].rpartition(".")[0] for key in keys if key.startswith(BUNDLE)))


class LoraFileError(SdftError, ValueError):
    """A file is not a LoRA for this model, or can't be written in this format; the message names it."""


@dataclass(frozen=True)
class LoraLayer:
    """down [r, in(, kh, kw)], up [out, r(, 1, 1)]; the effect is up·down·alpha/rank."""

    down: Tensor
    up: Tensor
    alpha: float

    kind = "lora"

    @property
    def rank(self) -> int:
        """Return the rank r."""
        return int(self.down.shape[0])

    @property
    def scale(self) -> float:
        """Return alpha/rank."""
        return self.alpha / self.rank

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by their names in a file, without alpha."""
        return {"lora_down.weight": self.down, "lora_up.weight": self.up}

    @property
    def active(self) -> bool:
        """Return whether it has an effect."""
        return bool(self.down.any() and self.up.any())

    def fits(self, weight: Sequence[int]) -> bool:
        """Return whether it fits a weight of this shape; linear layers and 1×1 convolutions are interchangeable."""
        kernel = tuple(weight[2:]) or (1, 1)
        return (
            self.down.shape[1] == weight[1]
            and (tuple(self.down.shape[2:]) or (1, 1)) == kernel
            and tuple(self.up.shape[:2]) == (weight[0], self.rank)
            and self.up[0, 0].numel() == 1
        )


Layer = LoraLayer | LycorisLayer


@dataclass(frozen=True)
class LoraFile:
    """A LoRA file: its layers by 'part.path' (diffusers' names), and its metadata."""

    layers: dict[str, Layer]
    metadata: dict[str, str]

    def trained(self) -> dict[str, Layer]:
        """Return the layers that have an effect."""
        return {name: layer for name, layer in self.layers.items() if layer.active}


def write(
    path: Path,
    layers: Mapping[str, Layer],
    family: Family,
    metadata: Mapping[str, str],
    precision: Precision,
    bundle: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a LoRA with its hashes and the tensors of ``bundle``.

    DoRA's magnitudes stay float32: rounded, they would change the entire weight. Raises OSError where the file can't be
    written, LoraFileError where a value is too large for the number format.
    """
    named = {file_name(name, family): layer for name, layer in complete(layers, family).items()}
    write_named(path, named, metadata, precision, bundle)


def write_named(
    path: Path,
    layers: Mapping[str, Layer],
    metadata: Mapping[str, str],
    precision: Precision,
    bundle: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a LoRA, like ``write``, with layers by their names in the file."""
    tensors: dict[str, Tensor] = dict(bundle or {})
    for root, layer in layers.items():
        for part, tensor in layer.tensors.items():
            dtype = torch.float32 if part == lycoris.MAGNITUDE else PRECISIONS[precision]
            tensors[f"{root}.{part}"] = written = tensor.to(dtype).contiguous()
            if not torch.isfinite(written).all():
                raise LoraFileError(
                    f"{path} can't be written: {root} has values that are not finite in {precision}. Set "
                    "save.precision to fp32, or train again with a lower learning rate."
                )
        tensors[f"{root}.alpha"] = torch.tensor(layer.alpha, dtype=torch.float32)
    header = with_hashes(tensors, metadata)
    atomic.tensors(path, tensors, header)


def read(path: str | Path, known: Mapping[str, str] | None = None) -> LoraFile:
    """Read a LoRA. ``known`` maps the names that a file may use to 'part.path' (see ``known_names``); with None, they
    are kept.

    Supports kohya's layout, peft's and diffusers' older ones, and LyCORIS' LoHa, LoKr and DoRA. Raises LoraFileError
    where the file is something else, or has layers that aren't known.
    """
    path = Path(path)
    if not path.is_file():
        raise LoraFileError(f"{path} doesn't exist: name a LoRA file.")
    try:
        file = TensorFile(path)
        tensors = {key: _computable(file[key]) for key in file if not key.startswith(BUNDLE)}
    except OSError as error:
        raise LoraFileError(f"{path} can't be read ({error.strerror or error}): choose another file.") from error
    except TensorFileError as error:
        raise LoraFileError(str(error)) from error
    found, foreign = _by_layer(path, tensors)
    if foreign:
        raise LoraFileError(
            f"{path} contains {_shown(foreign[0])}, which isn't part of a LoRA: only LoRA, LoCon, DoRA, LoHa and LoKr "
            "files can be used (no checkpoints, and no other kinds of LyCORIS)."
        )
    known = {root: root for root in found} if known is None else known
    unknown = [root for root in found if root not in known]
    if unknown:
        raise LoraFileError(
            f"{path} was made for another kind of model: {len(unknown)} of its {len(found)} layers "
            f"{'isn' if len(unknown) == 1 else 'aren'}'t in this one, such as {_shown(unknown[0])}. Choose the "
            f"base model that it was made for, or another LoRA."
        )
    layers: dict[str, Layer] = {}
    for root, parts in _with_alphas(path, file, found).items():
        if known[root] in layers:
            raise _twice(path, root)
        layers[known[root]] = _layer(path, root, parts)
    if not layers:
        raise LoraFileError(f"{path} is not a LoRA: it is empty. Choose another file.")
    return LoraFile(layers, file.metadata)


def _twice(path: Path, root: str) -> LoraFileError:
    return LoraFileError(
        f"{path} has the layer {_shown(root)} twice, under two names: programs use one, the other or both. Save or "
        "download it again."
    )


def _shown(name: str) -> str:
    return printable(name[:MAX_SHOWN])


def _with_alphas(path: Path, file: TensorFile, found: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """Return the layers with the alphas that are only in peft's configuration. Raises LoraFileError."""
    try:
        strength = AdapterStrength(path, file.metadata, any(key.startswith(PEFT_PREFIX) for key in file))
        for root, parts in found.items():
            if "alpha" in parts:
                continue
            rank = next((len(parts[name]) for name in lycoris.WITH_RANK if name in parts and parts[name].ndim), None)
            if rank is not None:
                parts["alpha"] = torch.tensor(strength.alpha(root, rank), dtype=torch.float64)
            elif lycoris.has_full_matrices(parts) and (rank := strength.rank(root)) is not None:
                # All other programs' LoKr of full matrices has the strength 1.
                parts["lokr_w1"] = parts["lokr_w1"].float() * (strength.alpha(root, rank) / rank)
    except (OSError, ValueError) as error:
        raise LoraFileError(
            f"{path}: its strength can't be read from peft's configuration ({error}). Save or download it again."
        ) from error
    return found


def _layer(path: Path, root: str, parts: dict[str, Tensor]) -> Layer:
    """Make a layer of its tensors. Raises LoraFileError where some are missing, empty, or of another layout."""
    tensors = lycoris.without_core({name: tensor for name, tensor in parts.items() if name != "alpha"})
    root, magnitude = _shown(root), tensors.get(lycoris.MAGNITUDE)
    empty = any(tensor.ndim < 2 or not tensor.numel() for tensor in tensors.values())
    kind = "" if empty else lycoris.kind_of(tensors)
    if not kind:
        raise LoraFileError(f"{path} is damaged: {root} isn't complete. Save or download it again.")
    one_alpha = "alpha" not in parts or parts["alpha"].numel() == 1
    if not one_alpha or lycoris.surplus(tensors) or not lycoris.consistent(tensors):
        raise LoraFileError(f"{path} is damaged: the parts of {root} don't fit together. Save or download it again.")
    if not all(tensor.is_floating_point() for tensor in parts.values() if tensor.numel() > 1):
        raise LoraFileError(f"{path} is quantized to whole numbers ({root}): choose the file in fp16, bf16 or fp32.")
    if not all(bool(tensor.isfinite().all()) for tensor in parts.values()):
        raise LoraFileError(
            f"{path} has values that are not finite (NaN or infinite) in {root}: its training failed. Choose another "
            "save."
        )
    if magnitude is not None and magnitude.shape[0] != 1:
        raise LoraFileError(
            f"{path} is a DoRA with a magnitude for each output of {root}, which the WebUI misreads: only those with "
            "one for each input can be used (LyCORIS' wd_on_out=False)."
        )
    if kind == "lora":
        down, up = tensors["lora_down.weight"], tensors["lora_up.weight"]
        return LoraLayer(down, up, float(parts["alpha"]) if "alpha" in parts else float(down.shape[0]))
    rank = LycorisLayer(tensors, 1.0).rank
    return LycorisLayer(tensors, float(parts["alpha"]) if "alpha" in parts else float(rank))


def _computable(tensor: Tensor) -> Tensor:
    """Return a tensor in a number format that torch computes in: fp8 as float32."""
    return tensor.float() if tensor.is_floating_point() and tensor.dtype.itemsize == 1 else tensor


def file_name(name: str, family: Family) -> str:
    """Return the name of the layer 'part.path' in a file.

    For UNets whose blocks aren't arranged like SD 1's (two residual blocks per level, no attention on the last), it is
    LDM's name in SD 1 and SD 2 too: the WebUI would take diffusers' for another layer.
    """
    part, _, path = name.partition(".")
    if part != "unet":
        prefix = {"text_encoder": "te1" if family.name == "sdxl" else "te", "text_encoder_2": "te2"}[part]
        return f"lora_{prefix}_{path.replace('.', '_')}"
    ldm = (translate(path, inverse(unet_prefixes(family.unet))) or path).replace(".", "_")
    own = path.replace(".", "_")
    return f"lora_unet_{own if family.name != 'sdxl' and webui_layer(own) == ldm else ldm}"


def webui_layer(name: str) -> str:
    """Translate a UNet layer's diffusers name to LDM's as the WebUI (1.10) does; both with underscores for dots.

    The WebUI assumes three blocks per level, as in SD 1; it leaves names that it doesn't know unchanged.
    """
    if match := re.fullmatch(r"conv_in(.*)", name):
        return f"input_blocks_0_0{match[1]}"
    if match := re.fullmatch(r"conv_out(.*)", name):
        return f"out_2{match[1]}"
    if match := re.fullmatch(r"time_embedding_linear_(\d+)(.*)", name):
        return f"time_embed_{2 * int(match[1]) - 2}{match[2]}"
    if match := re.fullmatch(r"(down|up)_blocks_(\d+)_(attentions|resnets)_(\d+)_(.+)", name):
        number = 3 * int(match[2]) + int(match[4])
        block = f"input_blocks_{number + 1}" if match[1] == "down" else f"output_blocks_{number}"
        return f"{block}_{_in_block(match[3], match[5])}"
    if match := re.fullmatch(r"mid_block_attentions_(\d+)_(.+)", name):
        return f"middle_block_1_{match[2]}"
    if match := re.fullmatch(r"mid_block_resnets_(\d+)_(.+)", name):
        return f"middle_block_{2 * int(match[1])}_{_in_block('resnets', match[2])[2:]}"
    if match := re.fullmatch(r"down_blocks_(\d+)_downsamplers_0_conv", name):
        return f"input_blocks_{3 + 3 * int(match[1])}_0_op"
    if match := re.fullmatch(r"up_blocks_(\d+)_upsamplers_0_conv", name):
        return f"output_blocks_{2 + 3 * int(match[1])}_{2 if int(match[1]) else 1}_conv"
    return name


def _in_block(kind: str, rest: str) -> str:
    """Return the rest of a name: '1_…' in an attention block, '0_…' in a residual block."""
    return f"1_{rest}" if kind == "attentions" else f"0_{_RESNET.get(rest, rest)}"


_RESNET = {new.replace(".", "_"): old.replace(".", "_") for old, new in RESNET.items()}


def known_names(names: Iterable[str], family: Family) -> dict[str, str]:
    """Map every name that a file may use for these layers, diffusers' or LDM's, to the layer."""
    back = inverse(unet_prefixes(family.unet))
    known: dict[str, str] = {}
    for name in names:
        part, _, path = name.partition(".")
        known[name] = name
        known[file_name(name, family)] = name
        if part == "text_encoder":
            known["lora_te1_" + path.replace(".", "_")] = name
        if part == "unet":
            known["lora_unet_" + path.replace(".", "_")] = name
            known["lora_unet_" + (translate(path, back) or path).replace(".", "_")] = name
    return known


def complete(layers: Mapping[str, Layer], family: Family) -> dict[str, Layer]:
    """Return the layers; where an OpenCLIP attention has only some of q, k, v and out, with zeros for the others."""
    result: dict[str, Layer] = dict(layers)
    for name, layer in layers.items():
        part, _, _ = name.partition(".")
        number = {"text_encoder": 0, "text_encoder_2": 1}.get(part)
        root, _, leaf = name.rpartition(".")
        if number is None or not family.open_clip[number] or leaf not in FUSED:
            continue
        for other in FUSED:
            if f"{root}.{other}" not in result:
                result[f"{root}.{other}"] = _without_effect(layer)
    return result


def _without_effect(layer: Layer) -> Layer:
    """Return a layer of zeros of the same sizes; for a DoRA, a LoRA's, because a magnitude always has an effect."""
    zeros = {name: torch.zeros_like(tensor) for name, tensor in layer.tensors.items() if name != lycoris.MAGNITUDE}
    if lycoris.kind_of(zeros) == "lora":
        return LoraLayer(zeros["lora_down.weight"], zeros["lora_up.weight"], layer.alpha)
    return LycorisLayer(zeros, layer.alpha)


_UNET = ("down_blocks.", "up_blocks.", "mid_block.", "conv_in", "conv_out", "time_embedding.", "add_embedding.")


def _with_part(root: str) -> str:
    """Return a layer's name with its part, which peft leaves out in the folder of one model."""
    if root.startswith(_UNET):
        return f"unet.{root}"
    return f"text_encoder.{root}" if root.startswith("text_model.") else root


DOWN, UP = lycoris.LORA
SIDES = {"down": DOWN, "A": DOWN, "up": UP, "B": UP, "mid": lycoris.CORE}
LAYER = re.compile(r"(?P<root>.+)\.lora(?:_|\.|_linear_layer\.)(?P<side>down|up|mid|A|B)(?:\.default)?\.weight")
PROCESSOR = re.compile(r"(?P<root>.+)\.processor\.(?P<leaf>to_q|to_k|to_v|to_out)_lora\.(?P<side>down|up)\.weight")
"""Names in early diffusers, where an attention's LoRA is in its processor."""


def is_lora_key(key: str) -> bool:
    """Return whether this is the key of one of a LoRA's two matrices, in any of the layouts."""
    return LAYER.fullmatch(key) is not None or PROCESSOR.fullmatch(key) is not None


def _by_layer(path: Path, tensors: Mapping[str, Tensor]) -> tuple[dict[str, dict[str, Tensor]], list[str]]:
    """Group tensors by layer and name (lora_down.weight, alpha …); also return the keys of all other tensors.

    Raises LoraFileError where a layer has one of them twice.
    """
    found: dict[str, dict[str, Tensor]] = {}
    foreign = []
    for key, tensor in tensors.items():
        if key.endswith(".alpha"):
            root, kind = key[: -len(".alpha")], "alpha"
        elif (last := key.rpartition("."))[2] in lycoris.NAMES:
            root, kind = last[0], last[2]
        elif match := LAYER.fullmatch(key):
            root, kind = match["root"], SIDES[match["side"]]
        elif match := PROCESSOR.fullmatch(key):
            leaf = match["leaf"].replace("to_out", "to_out.0")
            root, kind = f"{match['root']}.{leaf}", SIDES[match["side"]]
        else:
            foreign.append(key)
            continue
        parts = found.setdefault(_with_part(root.removeprefix(PEFT_PREFIX)), {})
        if kind in parts:
            raise _twice(path, root)
        parts[kind] = tensor
    return found, foreign

"""Build diffusers modules over the tensors of a host or a file, without copying a weight.

The modules are built on the meta device, without memory and initialization. Then each parameter is replaced with an
LDM-layout tensor: the same ``Parameter`` object where shapes match (so it follows the host's ``.to()``), or a view of
it where they don't (1×1 convolutions of the VAE's attention, OpenCLIP's fused ``in_proj`` and transposed projection).
Views don't follow the host's ``.to()``: ``Model.refresh`` renews them.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..formats.families import text_prefixes
from ..formats.family import Family
from ..formats.ldm_keys import UNET, VAE, open_clip_prefixes, translate, unet_prefixes, vae_prefixes
from ..storage.text import quantity
from .base import Model, clean_alphas_cumprod

CLIP_FOLDER = Path(__file__).resolve().parent / "clip"
"""CLIP's vocabulary."""


def build(
    family: Family, tensors: Mapping[str, Tensor], path: Path | None = None, alphas_cumprod: Tensor | None = None
) -> Model:
    """Build a model over LDM-layout tensors: a file's, or the live parameters of a WebUI's module tree.

    ``tensors`` may be lazy: each is read once. Keys of hijacked modules (``.wrapped.``) are supported. For a live tree,
    pass ``dict(named_parameters())``, not its state dict, whose tensors aren't Parameters and don't follow it. Raises
    ModelError where a tensor is missing or its shape doesn't match the family.
    """
    unet, vae, *texts = skeletons(family, path)
    keys = {file_key(key): key for key in tensors}
    views: list[tuple[nn.Parameter, Callable[[], Tensor]]] = []
    for module, places in zip((unet, vae, *texts), _places(family, keys, vae), strict=True):
        views += _place_parameters(module, places, lambda key: tensors[keys[key]], path)
    model = finish(family, unet, vae, texts, path, alphas_cumprod)
    model.views = views
    return model


def vae(family: Family, tensors: Mapping[str, Tensor], path: Path | None = None) -> Any:
    """Build only a VAE, over tensors whose keys begin with ``first_stage_model.``. Raises ModelError like ``build``."""
    from diffusers import AutoencoderKL

    with torch.device("meta"):
        module = AutoencoderKL(**family.vae)
    _place_parameters(module, _vae_places(family, tensors, module), tensors.__getitem__, path)
    return _complete(module, path).eval()


def skeletons(family: Family, path: Path | None = None) -> list[Any]:
    """Make the UNet, VAE and text encoders on the meta device. Raises ModelError, which names ``path``, where no model
    can have these sizes.
    """
    try:
        return _skeletons(family)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise ModelError(
            f"{path or 'The model'} has sizes or settings that no Stable Diffusion has ({error}): it is damaged or of "
            "an unknown kind; copy or download it again."
        ) from error


def _skeletons(family: Family) -> list[Any]:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    with torch.device("meta"):
        modules: list[Any] = [UNet2DConditionModel(**family.unet), AutoencoderKL(**family.vae)]
        for number, config in enumerate(family.text):
            pooled = family.name == "sdxl" and number == 1
            modules.append((CLIPTextModelWithProjection if pooled else CLIPTextModel)(CLIPTextConfig(**config)))
    return modules


def finish(
    family: Family, unet: Any, vae: Any, texts: list[Any], path: Path | None, alphas_cumprod: Tensor | None = None
) -> Model:
    """Complete a model: create its buffers, set evaluation mode; shared parameters keep their ``requires_grad``.

    Raises ModelError where a tensor is missing.
    """
    for text in texts:
        embeddings = text.text_model.embeddings
        device = embeddings.token_embedding.weight.device
        embeddings.position_ids = torch.arange(embeddings.position_embedding.num_embeddings, device=device).expand(
            (1, -1)
        )
    for module in (unet, vae, *texts):
        _complete(module, path).eval()
    schedule = clean_alphas_cumprod(family.betas) if alphas_cumprod is None else alphas_cumprod
    return Model(family, unet, vae, texts, [tokenizer() for _ in texts], schedule, path)


def _complete(module: Any, path: Path | None) -> Any:
    """Return the module. Raises ModelError where a tensor is still on the meta device."""
    left = [name for name, tensor in [*module.named_parameters(), *module.named_buffers()] if tensor.is_meta]
    if left:
        raise ModelError(
            f"{path or 'The model'} lacks {quantity(len(left), 'tensor')}, such as {left[0]}: the file is incomplete."
        )
    return module


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    """Return CLIP's tokenizer, with the included vocabulary; it gives the same tokens with and without ftfy.

    Without that package, which the WebUI has, transformers splits text differently: "dog's" into three, and é without
    its accent.
    """
    from transformers import CLIPTokenizer

    found = CLIPTokenizer.from_pretrained(CLIP_FOLDER, local_files_only=True, model_max_length=1_000_000)
    if found.fix_text is None:
        found.fix_text = tidy
    return found


_STRAIGHT = dict.fromkeys(map(ord, "ʼ‘’‚‛"), "'") | dict.fromkeys(map(ord, "“”„‟"), '"')


def tidy(text: str) -> str:
    """Normalize text like ftfy: unescape entities, compose accents, straighten quotes, and replace ligatures and
    full-width forms.
    """
    text = text if "<" in text else html.unescape(text)
    wide = (unicodedata.normalize("NFKC", c) if "ﬀ" <= c <= "ﬆ" or "！" <= c <= "￯" or c == "　" else c for c in text)
    return unicodedata.normalize("NFC", "".join(wide).translate(_STRAIGHT))


def file_key(key: str) -> str:
    """Return a key as in files: without the WebUI's wrappers, and with the ``text_model`` that old files lack."""
    key = key.replace(".wrapped.", ".")
    old = "cond_stage_model.transformer."
    if key.startswith(old) and key[len(old) :].split(".")[0] in ("embeddings", "encoder", "final_layer_norm"):
        key = f"{old}text_model.{key[len(old) :]}"
    return key


View = Callable[[Tensor], Tensor]


class Place(NamedTuple):
    """A parameter by 'part.path.leaf', and the view of a file's tensor that it is (None: all of it)."""

    name: str
    view: View | None

    def piece(self, tensor: Tensor) -> Tensor:
        """Return the parameter's part of the tensor, as a view of it."""
        return tensor if self.view is None else self.view(tensor)


def places(family: Family, keys: Iterable[str], path: Path | None = None) -> dict[str, list[Place]]:
    """Map a file's keys to the parameters that they contain: one, or several (OpenCLIP's fused q, k, v).

    Raises ModelError where the file has other text encoders than the family.
    """
    keys = list(keys)
    if len(text_prefixes(dict.fromkeys(map(file_key, keys), ()))) != len(family.text):
        raise ModelError(f"The file is not {family.name.upper()}: choose another file, or another base model.")
    modules = skeletons(family, path)
    parts = ["unet", "vae", *(f"text_encoder{f'_{n + 1}' if n else ''}" for n in range(len(family.text)))]
    named = {file_key(key): key for key in keys}
    found: dict[str, list[Place]] = {}
    for part, module, its_places in zip(parts, modules, _places(family, named, modules[1]), strict=True):
        known = {name for name, _ in module.named_parameters()}
        for name, key, view in its_places:
            if name in known:
                found.setdefault(named[key], []).append(Place(f"{part}.{name}", view))
    return found


def complete_places(
    family: Family, shapes: Mapping[str, tuple[int, ...]], path: Path | None = None
) -> dict[str, list[Place]]:
    """Return the places of a complete model's keys, with or without a VAE. Raises ModelError where a parameter is
    missing or has another size.
    """
    found = places(family, shapes, path)
    without_vae = not any(file_key(key).startswith(VAE) for key in shapes)
    where = {place.name: (key, place) for key, ones in found.items() for place in ones}
    parts = ["unet", "vae", *(f"text_encoder{f'_{n + 1}' if n else ''}" for n in range(len(family.text)))]
    for part, module in zip(parts, skeletons(family, path), strict=True):
        if part == "vae" and without_vae:
            continue
        for name, parameter in module.named_parameters():
            if f"{part}.{name}" not in where:
                raise ModelError(f"{path or 'The model'} lacks {part}.{name}: the file is incomplete.")
            key, place = where[f"{part}.{name}"]
            _check_shape(key, place.piece(torch.empty(shapes[key], device="meta")), parameter, path)
    return found


def _check_shape(key: str, tensor: Tensor, parameter: Tensor, path: Path | None) -> None:
    if tensor.shape != parameter.shape:
        raise ModelError(
            f"{path or 'The model'}: {key} has the shape {tuple(tensor.shape)} where {tuple(parameter.shape)} is "
            "expected; the file is damaged or of an unknown kind."
        )


def _places(family: Family, keys: Mapping[str, str], vae: nn.Module) -> Iterator[list[tuple[str, str, View | None]]]:
    """Yield, for each module, its parameters' names, each with the LDM key and the view of that tensor."""
    names = unet_prefixes(family.unet)
    yield [
        (new, key, None)
        for key in keys
        if key.startswith(UNET) and (new := translate(key[len(UNET) :], names)) is not None
    ]
    yield _vae_places(family, keys, vae)
    prefixes = text_prefixes(dict.fromkeys(keys, ()))
    for prefix, open_clip, config in zip(prefixes, family.open_clip, family.text, strict=True):
        if open_clip:
            yield list(_open_clip(keys, prefix, config["num_hidden_layers"], config["hidden_size"]))
        else:
            yield [(k[len(prefix) :], k, None) for k in keys if k.startswith(prefix) and not k.endswith("position_ids")]


def _vae_places(family: Family, keys: Iterable[str], vae: nn.Module) -> list[tuple[str, str, View | None]]:
    names = vae_prefixes(family.vae)
    wanted = {name: parameter.ndim for name, parameter in vae.named_parameters()}
    return [
        (new, key, _squeeze if wanted[new] == 2 else None)
        for key in keys
        if key.startswith(VAE) and (new := translate(key[len(VAE) :], names)) is not None and new in wanted
    ]


def _squeeze(tensor: Tensor) -> Tensor:
    return tensor[:, :, 0, 0] if tensor.ndim == 4 else tensor


def _transposed(tensor: Tensor) -> Tensor:
    return tensor.t() if tensor.ndim <= 2 else tensor


def _third(number: int, width: int) -> View:
    return lambda tensor: tensor[number * width : (number + 1) * width] if tensor.ndim else tensor


def _open_clip(keys: Mapping[str, str], prefix: str, layers: int, width: int) -> Iterator[tuple[str, str, View | None]]:
    names = open_clip_prefixes(layers)
    for key in keys:
        if not key.startswith(prefix):
            continue
        rest = key[len(prefix) :]
        if rest == "positional_embedding":
            yield "text_model.embeddings.position_embedding.weight", key, None
        elif rest == "text_projection":
            yield "text_projection.weight", key, _transposed
        elif ".attn.in_proj_" in rest:
            layer, kind = rest.split(".")[2], rest.rpartition("_")[2]
            for number, part in enumerate(("q_proj", "k_proj", "v_proj")):
                yield f"text_model.encoder.layers.{layer}.self_attn.{part}.{kind}", key, _third(number, width)
        elif (new := translate(rest, names)) is not None:
            yield new, key, None


def _place_parameters(
    module: nn.Module, places: list[tuple[str, str, View | None]], get: Callable[[str], Tensor], path: Path | None
) -> list[tuple[nn.Parameter, Callable[[], Tensor]]]:
    """Replace a module's parameters with tensors; return those that are views of a host's parameter, and how to renew
    them.

    Names that the module doesn't have are skipped (logit_scale …). Raises ModelError where a shape doesn't match.
    """
    last: tuple[str, Tensor] | None = None
    views: list[tuple[nn.Parameter, Callable[[], Tensor]]] = []
    parameters = dict(module.named_parameters())
    for name, key, view in places:
        if name not in parameters:
            continue
        if last is None or last[0] != key:
            last = (key, get(key))
        source = tensor = last[1]
        if view is not None:
            tensor = view(source.detach())
        _check_shape(key, tensor, parameters[name], path)
        owner_name, _, leaf = name.rpartition(".")
        parameter = tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor, requires_grad=False)
        module.get_submodule(owner_name)._parameters[leaf] = parameter
        if view is not None and isinstance(source, nn.Parameter):
            views.append((parameter, _view_of(source, view)))
    return views


def _view_of(source: nn.Parameter, view: View) -> Callable[[], Tensor]:
    return lambda: view(source.detach())

"""The WebUI's loaded model: what a loan needs to know of it, and what each turn puts in order."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...formats import families
from ...formats.family import Family
from ...model.base import Model
from .supported import Loaded


def current() -> Any:
    """Give the loaded model, or None. Loads nothing."""
    from modules import sd_models

    return sd_models.model_data.sd_model


def busy() -> bool:
    """Return whether something holds the WebUI's lock, such as the loading of another checkpoint. Waits for nothing."""
    from modules.call_queue import queue_lock

    free: bool = queue_lock.acquire(blocking=False)
    if free:
        queue_lock.release()
    return not free


def loaded(lent: Any) -> Loaded | None:
    """Describe what decides whether a model can be lent."""
    from modules import devices, shared

    if lent is None:
        return None
    options = shared.cmd_opts
    named = {"--lowvram": "lowvram", "--medvram": "medvram", "--medvram-sdxl": "medvram_sdxl"}
    sd3 = bool(getattr(lent, "is_sd3", False))
    return Loaded(
        Path(lent.sd_checkpoint_info.filename).name,
        sd3=sd3,
        in_pieces=bool(getattr(lent, "lowvram", False)),
        options=tuple(option for option, name in named.items() if getattr(options, name, False)),
        fp8=bool(getattr(devices, "fp8", False)) or any("float8" in str(p.dtype) for p in lent.parameters()),
        channels=4 if sd3 else lent.model.diffusion_model.in_channels,
        unloaded=any(parameter.is_meta for parameter in lent.parameters()),
        families=[family_name(lent)] if family_name(lent) else [],
    )


def family_name(lent: Any) -> str:
    """Name the family: sd1, sd2 or sdxl; empty for others."""
    return next((name for name in ("sdxl", "sd2", "sd1") if getattr(lent, f"is_{name}", False)), "")


def bring_back(checkpoint: str) -> None:
    """Load the chosen checkpoint again, where a grid or an API call has left another one loaded.

    The WebUI does the same before its next generation. Call it with the lock held.
    """
    from modules import sd_models, sd_vae, shared

    lent = current()
    if lent is None or lent.sd_checkpoint_info.filename == checkpoint:
        return
    chosen = sd_models.get_closet_checkpoint_match(shared.opts.sd_model_checkpoint or "")
    if chosen is not None and chosen.filename == checkpoint:
        with torch.no_grad():
            sd_models.reload_model_weights(info=chosen)
            sd_vae.reload_vae_weights()


def family_of(lent: Any, shapes: families.Shapes, path: Path) -> Family:
    """Detect the family of a loaded LDM or sgm model: sizes from its parameters, the rest from its modules'
    attributes.
    """
    from modules import shared

    unet = lent.model.diffusion_model
    velocity = getattr(lent, "parameterization", "eps") == "v"
    params: dict[str, Any] = {
        "scale_factor": float(lent.scale_factor),
        "parameterization": "v" if velocity else "eps",
        "unet_config": {"params": {"num_heads": unet.num_heads, "num_head_channels": unet.num_head_channels}},
    }
    found = families.detect(shapes, {}, {"model": {"params": params}}, path.name)
    text = tuple(config | tower_config(module) for config, module in zip(found.text, text_encoders(lent), strict=True))
    zero = velocity and shared.opts.sd_noise_schedule == "Zero Terminal SNR"
    return replace(found, text=text, zero_terminal_snr=zero)


def text_encoders(lent: Any) -> list[nn.Module]:
    """Find the text towers inside the WebUI's wrappers: CLIPTextModel or open_clip's."""
    outer = list(lent.conditioner.embedders) if getattr(lent, "is_sdxl", False) else [lent.cond_stage_model]
    inner = [getattr(wrapper, "wrapped", wrapper) for wrapper in outer]
    towers = [getattr(part, "transformer", None) or getattr(part, "model", None) for part in inner]
    return [tower for tower in towers if isinstance(tower, nn.Module)]


def tower_config(tower: nn.Module) -> dict[str, Any]:
    """Read what a text tower's shapes don't show."""
    config: Any = getattr(tower, "config", None)
    if config is not None:
        return {"num_attention_heads": config.num_attention_heads, "hidden_act": config.hidden_act}
    blocks: Any = tower.get_submodule("transformer.resblocks")
    return {"num_attention_heads": blocks[0].attn.num_heads}


def sharing(model: Model, host: Iterable[nn.Parameter]) -> dict[str, float]:
    """Count how many of the model's parameters are the host's own objects, or views of their memory, and the bytes
    copied.
    """
    theirs = list(host)
    objects, storages = {id(p) for p in theirs}, {p.untyped_storage().data_ptr() for p in theirs}
    ours = [parameter for module in model.modules for parameter in module.parameters()]
    unet = list(model.unet.parameters())
    copied = [p for p in ours if p.untyped_storage().data_ptr() not in storages]
    return {
        "unet_parameters": len(unet),
        "unet_shared": sum(id(p) in objects for p in unet),
        "parameters": len(ours),
        "shared": sum(id(p) in objects for p in ours),
        "views": sum(id(p) not in objects for p in ours) - len(copied),
        "copied_bytes": sum(p.numel() * p.element_size() for p in copied),
    }


@contextmanager
def own_unet() -> Iterator[None]:
    """Use the checkpoint's own UNet inside the block: a compiled one (TensorRT) has moved it to the CPU."""
    from modules import sd_unet

    foreign = sd_unet.current_unet is not None
    if foreign:
        sd_unet.apply_unet("None")
    try:
        yield
    finally:
        if foreign:
            sd_unet.apply_unet()


@torch.no_grad()
def remove_loras(lent: Any) -> None:
    """Restore the weights that the last generation's ``<lora:…>`` is still merged into, bit for bit.

    The WebUI keeps a copy of each such weight and restores it at the next generation; this does it now. (Its layers
    with ``network_current_names`` are those with something merged.)
    """
    networks: Any = sys.modules.get("networks")
    if not hasattr(networks, "network_apply_weights"):
        return
    for network in networks.loaded_networks:
        _remove_words(network, lent)
    networks.loaded_networks.clear()
    for module in lent.modules():
        if getattr(module, "network_current_names", ()):
            networks.network_apply_weights(module)


def _remove_words(network: Any, lent: Any) -> None:
    """Remove a LoRA's own words: the WebUI removes them only while it knows the LoRA as loaded."""
    from modules import sd_hijack

    for word, embedding in getattr(network, "bundle_embeddings", {}).items():
        if embedding.loaded:
            sd_hijack.model_hijack.embedding_db.register_embedding_by_name(None, lent, word)
            embedding.loaded = None


def on_device(lent: Any, model: Model) -> None:
    """Move the model back to its device: the WebUI's "Unload checkpoint" moves it to the CPU at any time."""
    from modules import devices, sd_models

    wanted = torch.device(devices.device).type
    if any(parameter.device.type != wanted for parameter in lent.parameters()):
        sd_models.send_model_to_device(lent)
    model.refresh()

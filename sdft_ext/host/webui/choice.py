"""Chooses a checkpoint and a VAE in the WebUI, as its user does, and chooses the former ones again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..base import Files, HostError
from .files import checkpoint_name
from .model import current

CHECKPOINT, VAE = "sd_model_checkpoint", "sd_vae"


def load(files: Files) -> Callable[[], None]:
    """Load a checkpoint and a VAE; returns a function that loads those of before. Call it without the lock.

    The options change only in memory: the WebUI's settings file stays. Raises HostError where the WebUI doesn't list
    the checkpoint, or can't load it; then the options are as they were.
    """
    from modules import shared
    from modules.call_queue import queue_lock

    with queue_lock:
        title = checkpoint_name(Path(files.base))
    before = {name: shared.opts.data.get(name) for name in (CHECKPOINT, VAE)}
    try:
        _choose(title, before[VAE])
        if _vae() != _resolved(files.vae):
            _choose(title, Path(files.vae).name or "None")
        reason = "" if _loaded() == (_resolved(files.base), _resolved(files.vae)) else "its console may say why"
    except Exception as error:  # whatever a damaged file makes the WebUI's loader raise
        reason = str(error) or type(error).__name__
    if reason:
        try:
            # Forced, as the loader may have failed with the model before half taken down.
            _choose(before[CHECKPOINT], before[VAE], forced=True)
        except Exception as again:
            reason += f"; nor {before[CHECKPOINT]} again: {str(again) or type(again).__name__}"
        what = files.base + (f" with the VAE {files.vae}" if files.vae else "")
        raise HostError(f"The WebUI can't load {what} ({reason}): choose it yourself.")

    def put_back() -> None:
        try:
            _choose(before[CHECKPOINT], before[VAE])
        except Exception as error:
            raise HostError(
                f"The WebUI can't load {before[CHECKPOINT]} again ({error}): choose it yourself."
            ) from error

    return put_back


def _choose(title: Any, vae: Any, forced: bool = False) -> None:
    """Set both options, and load what they name; ``forced``: from its file, even where it counts as loaded."""
    from modules import sd_models, sd_vae, shared
    from modules.call_queue import queue_lock

    shared.opts.set(VAE, vae, run_callbacks=False)
    if title is None:
        return
    shared.opts.set(CHECKPOINT, title, run_callbacks=False)
    info = sd_models.get_closet_checkpoint_match(title)
    with queue_lock, torch.no_grad():
        sd_models.reload_model_weights(info=info, **({"forced_reload": True} if forced else {}))
        sd_vae.reload_vae_weights()


def _loaded() -> tuple[str, str]:
    lent = current()
    return (_resolved(lent.sd_checkpoint_info.filename) if lent is not None else "", _vae())


def _vae() -> str:
    from modules import sd_vae

    return _resolved(str(sd_vae.loaded_vae_file or ""))


def _resolved(path: str) -> str:
    return str(Path(path).expanduser().resolve()) if path else ""

"""Tries steps before the first one, to measure how much of the GPU's memory they take; after that all is as before, bit
for bit.

Forward pass, backward pass and optimizer run at the run's largest bucket, on random latents and the longest captions:
no picture is read, and none of the run's random numbers is used. Two steps are tried where the optimizer has no state
yet: the second step's peak includes that state. Memory counted on a CPU (the forecast) knows nothing of a GPU's
kernels; this does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ..dataset.batches import Batch
from ..dataset.plan import Plan
from ..errors import SdftError
from ..out_of_memory import clear_frames, gigabytes, out_of_memory, step_does_not_fit
from ..randomness import forked, generator
from ..train.loop import Loop, NotFinite
from ..train.processes import ALONE
from ..train.weights import copy

MB = 2**20


class DoesNotFit(SdftError, RuntimeError):
    """The step ran out of memory; the message says what to lower."""


@dataclass(frozen=True)
class Measured:
    """Megabytes that one step took at its peak, and that were free before it; ``width`` and ``height`` in pixels."""

    width: int
    height: int
    batch: int
    needed_mb: float
    free_mb: float

    @property
    def text(self) -> str:
        """The measurement as a sentence."""
        batches = f" in batches of {self.batch}" if self.batch > 1 else ""
        return (
            f"Memory, measured by one step at {self.width}×{self.height}{batches}: {gigabytes(self.needed_mb)} of "
            f"{gigabytes(self.free_mb)} free."
        )

    def facts(self) -> dict[str, Any]:
        """Give the measurement in JSON types."""
        return {**asdict(self), "needed_mb": round(self.needed_mb, 1), "free_mb": round(self.free_mb, 1)}


def needed(device: torch.device) -> bool:
    """Tell whether a step is tried first on this device: a CPU's memory is forecast within a tenth."""
    return device.type == "cuda"


def measure(
    loop: Loop, plan: Plan, step: int, free_mb: float, alongside: Callable[[], None] = lambda: None
) -> Measured:
    """Take step number ``step`` (0-based) of the run on a made-up batch (twice at a run's beginning), and undo it.

    ``alongside``: work that steps do besides, which is done now and stays. Raises DoesNotFit where the memory doesn't
    suffice; then too, everything is as before.
    """
    batch = largest(loop, plan)
    height, width = (8 * side for side in batch.latents.shape[-2:])
    before = allocated(loop.device)
    batches, loop.batches = loop.batches, Always(batch)
    # Each of several processes tries what its own GPU holds.
    processes, loop.processes = loop.processes, ALONE
    try:
        alongside()
        # NotFinite: the first real step reports a loss that is no number.
        with unchanged(loop), forked(loop.recipe.train.seed, "trial"), suppress(NotFinite):
            # A scale so low that no step is skipped for an overflow.
            loop.precision.load_state({**loop.precision.state(), "scale": 1.0} if loop.precision.scaler else {})
            if not loop.optimizer.state:
                loop.step(step)  # the optimizer's state exists from the second step on
            loop.step(step)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        clear_frames(error)
        raise DoesNotFit(step_does_not_fit(loop.recipe, len(batch.latents), (width, height), free_mb)) from error
    finally:
        loop.batches, loop.processes = batches, processes
        peak = allocated(loop.device, peak=True)
        if loop.device.type == "cuda":
            torch.cuda.empty_cache()
    return Measured(width, height, len(batch.latents), (peak - before) / MB, free_mb)


def allocated(device: torch.device, peak: bool = False) -> int:
    """Give the bytes that torch has allocated on a GPU, or the ``peak`` since the last call; 0 on a CPU, where none are
    counted.
    """
    if device.type != "cuda":
        return 0
    if peak:
        return int(torch.cuda.max_memory_allocated(device))
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    return int(torch.cuda.memory_allocated(device))


@dataclass(frozen=True)
class Always:
    """The same batch at every step."""

    batch: Batch

    def at(self, step: int, micro: int) -> Batch:
        """Give the batch."""
        return self.batch


def largest(loop: Loop, plan: Plan) -> Batch:
    """Make a full batch of random latents [B, C, h, w] in the bucket with the most pixels, with the plan's longest
    captions.
    """
    bucket = max(
        (queue.bucket for queue in plan.queues), key=lambda bucket: (bucket.width * bucket.height, bucket.width)
    )
    count, channels = loop.recipe.train.batch_size, loop.model.family.vae["latent_channels"]
    shape = (count, channels, bucket.height // 8, bucket.width // 8)
    size = [bucket.height, bucket.width, 0, 0, bucket.height, bucket.width]
    captions = {plan.fixed_sample(picture).caption for picture in range(len(plan.scan.pictures))}
    longest = sorted(captions, key=len, reverse=True)[:count]
    return Batch(
        latents=torch.randn(shape, generator=generator(loop.recipe.train.seed, "trial")),
        captions=[longest[number % len(longest)] for number in range(count)],
        weight=torch.ones(count),
        mask=torch.ones(count, 1, *shape[2:]) if loop.recipe.train.masked_loss else None,
        regularization=torch.zeros(count, dtype=torch.bool),
        time_ids=torch.tensor([size] * count, dtype=torch.float32),
        pictures=[],
    )


@contextmanager
def unchanged(loop: Loop) -> Iterator[None]:
    """Put back, bit for bit, all that a step changes. Meanwhile the copies are in the computer's memory, not in the
    GPU's.
    """
    optimizer = loop.optimizer
    weights = [parameter.detach().to("cpu", copy=True) for parameter in loop.parameters]
    state = {parameter: _copied(values) for parameter, values in optimizer.state.items()}
    groups = [
        _copied({name: value for name, value in group.items() if name != "params"}) for group in optimizer.param_groups
    ]
    scaler = loop.precision.state()
    mean = None if loop.ema is None else ([value.to("cpu", copy=True) for value in loop.ema.mean], loop.ema.updates)
    try:
        yield
    except BaseException as error:
        clear_frames(error)  # what is put back needs the room
        raise
    finally:
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            copy(weights, loop.parameters)
        # The memory of the step's state is free before the old state comes back.
        optimizer.state.clear()
        for parameter, values in state.items():
            optimizer.state[parameter] = _restored(values)
        for group, before in zip(optimizer.param_groups, groups, strict=True):
            for name in group.keys() - before.keys() - {"params"}:
                del group[name]
            group.update(_restored(before))
        loop.precision.load_state(scaler)
        if loop.ema is not None and mean is not None:
            loop.ema.load(*mean)


@dataclass(frozen=True)
class _Copy:
    """A tensor's values on the CPU, and the device that they belong to."""

    values: Tensor
    device: torch.device


def _copied(value: Any) -> Any:
    """Copy nested containers, with their tensors on the CPU."""
    if isinstance(value, Tensor):
        return _Copy(value.detach().to("cpu", copy=True), value.device)
    return _map(value, _copied)


def _restored(value: Any) -> Any:
    """Undo ``_copied``."""
    if isinstance(value, _Copy):
        return value.values.to(value.device)
    return _map(value, _restored)


def _map(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {name: change(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [change(inner) for inner in value]
    if isinstance(value, tuple):
        return tuple(change(inner) for inner in value)
    return value

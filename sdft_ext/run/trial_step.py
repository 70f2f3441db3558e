"""Steps before the first one, to see what the run takes of the GPU's memory; after them everything is bit for bit as before.

Forward, backward and optimizer at the run's largest bucket, on random latents and the longest captions: no picture is read, and
no draw of the run is used. Two, where the optimizer keeps nothing yet: the second has its highest moment with all that it will
keep. Coefficients counted on a CPU know nothing of a GPU's kernels; this does.
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
from ..out_of_memory import gigabytes, let_go, out_of_memory, step_does_not_fit
from ..randomness import forked, generator
from ..train.loop import Loop, NotFinite
from ..train.processes import ALONE
from ..train.weights import copy

MB = 2**20


class DoesNotFit(SdftError, RuntimeError):
    """The step ran out of memory; the message says what to lower."""


@dataclass(frozen=True)
class Measured:
    """Megabytes that one step took at its highest moment, and that were free before it; sides in pixels."""

    width: int
    height: int
    batch: int
    needed_mb: float
    free_mb: float

    @property
    def text(self) -> str:
        of = f" in batches of {self.batch}" if self.batch > 1 else ""
        return (
            f"Memory, measured by one step at {self.width}×{self.height}{of}: {gigabytes(self.needed_mb)} of "
            f"{gigabytes(self.free_mb)} free."
        )

    def facts(self) -> dict[str, Any]:
        return {**asdict(self), "needed_mb": round(self.needed_mb, 1), "free_mb": round(self.free_mb, 1)}


def wanted(device: torch.device) -> bool:
    """Whether a run there is tried first: what a CPU takes is forecast within a tenth."""
    return device.type == "cuda"


def measure(loop: Loop, plan: Plan, step: int, free_mb: float, also: Callable[[], None] = lambda: None) -> Measured:
    """Do optimizer step number ``step`` (0-based) of the run on made-up pictures (twice at a run's beginning), and undo it.

    ``also``: what steps do beside, to be done now and to stay. Raises DoesNotFit where the memory doesn't suffice; everything is
    as before then too.
    """
    batch = largest(loop, plan)
    height, width = (8 * side for side in batch.latents.shape[-2:])
    before = allocated(loop.device)
    batches, loop.batches = loop.batches, Always(batch)
    # Each of several processes tries what its own GPU holds.
    processes, loop.processes = loop.processes, ALONE
    try:
        also()
        # The first real step says so where its loss is no number.
        with unchanged(loop), forked(loop.recipe.train.seed, "trial"), suppress(NotFinite):
            # A scale so low that no step is left out for an overflow.
            loop.precision.load_state({**loop.precision.state(), "scale": 1.0} if loop.precision.scaler else {})
            if not loop.optimizer.state:
                loop.step(step)  # what the optimizer keeps is there from the second step on
            loop.step(step)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        let_go(error)
        raise DoesNotFit(step_does_not_fit(loop.recipe, len(batch.latents), (width, height), free_mb)) from error
    finally:
        loop.batches, loop.processes = batches, processes
        highest = allocated(loop.device, most=True)
        if loop.device.type == "cuda":
            torch.cuda.empty_cache()
    return Measured(width, height, len(batch.latents), (highest - before) / MB, free_mb)


def allocated(device: torch.device, most: bool = False) -> int:
    """Bytes that torch has handed out on a GPU, or the most since the last look; 0 on a CPU, which keeps no such count."""
    if device.type != "cuda":
        return 0
    if most:
        return int(torch.cuda.max_memory_allocated(device))
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    return int(torch.cuda.memory_allocated(device))


@dataclass(frozen=True)
class Always:
    """The same batch at every step."""

    batch: Batch

    def at(self, step: int, micro: int) -> Batch:
        return self.batch


def largest(loop: Loop, plan: Plan) -> Batch:
    """A full batch of random latents in the bucket with the most pixels, with the longest captions that may come."""
    bucket = max(
        (queue.bucket for queue in plan.queues), key=lambda bucket: (bucket.width * bucket.height, bucket.width)
    )
    count, channels = loop.recipe.train.batch_size, loop.model.family.vae["latent_channels"]
    shape = (count, channels, bucket.height // 8, bucket.width // 8)
    size = [bucket.height, bucket.width, 0, 0, bucket.height, bucket.width]
    captions = {plan.fixed_sample(picture).caption for picture in range(len(plan.scan.pictures))}
    words = sorted(captions, key=len, reverse=True)[:count]
    return Batch(
        latents=torch.randn(shape, generator=generator(loop.recipe.train.seed, "trial")),
        captions=[words[number % len(words)] for number in range(count)],
        weight=torch.ones(count),
        mask=torch.ones(count, 1, *shape[2:]) if loop.recipe.train.masked_loss else None,
        regularization=torch.zeros(count, dtype=torch.bool),
        time_ids=torch.tensor([size] * count, dtype=torch.float32),
        pictures=[],
    )


@contextmanager
def unchanged(loop: Loop) -> Iterator[None]:
    """After it, whatever a step moves is bit for bit what it was. Copies wait in the computer's memory, not in the GPU's."""
    optimizer = loop.optimizer
    weights = [parameter.detach().to("cpu", copy=True) for parameter in loop.parameters]
    state = {parameter: _kept(values) for parameter, values in optimizer.state.items()}
    groups = [
        _kept({name: value for name, value in group.items() if name != "params"}) for group in optimizer.param_groups
    ]
    scaler = loop.precision.state()
    mean = None if loop.ema is None else ([value.to("cpu", copy=True) for value in loop.ema.mean], loop.ema.updates)
    try:
        yield
    except BaseException as error:
        let_go(error)  # what was there before needs the room
        raise
    finally:
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            copy(weights, loop.parameters)
        # Memory that the step's state took is free before the old state comes back.
        optimizer.state.clear()
        for parameter, values in state.items():
            optimizer.state[parameter] = _back(values)
        for group, before in zip(optimizer.param_groups, groups, strict=True):
            for name in group.keys() - before.keys() - {"params"}:
                del group[name]
            group.update(_back(before))
        loop.precision.load_state(scaler)
        if loop.ema is not None and mean is not None:
            loop.ema.load(*mean)


@dataclass(frozen=True)
class _Tensor:
    """A tensor's values on the CPU, and where they belong."""

    values: Tensor
    device: torch.device


def _kept(value: Any) -> Any:
    """The same, with copies of tensors on the CPU."""
    if isinstance(value, Tensor):
        return _Tensor(value.detach().to("cpu", copy=True), value.device)
    return _through(value, _kept)


def _back(value: Any) -> Any:
    if isinstance(value, _Tensor):
        return value.values.to(value.device)
    return _through(value, _back)


def _through(value: Any, change: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: change(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [change(inner) for inner in value]
    if isinstance(value, tuple):
        return tuple(change(inner) for inner in value)
    return value

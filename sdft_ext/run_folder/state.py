"""The state that a killed run is resumed from: every number of the training, exactly, in safetensors and JSON.

(No pickles: the WebUI replaces torch.load, and a pickle is a program.)

A state is a folder ``step-000100``: ``tensors.safetensors`` holds the tensors by number, ``state.json`` the step, the
tree around the tensors, and checksums of all three. It is written under a hidden name, flushed to the disk, and
renamed; the state before it is kept, so that a kill at any moment, or a damaged file, costs at most the steps since
that one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import SdftError
from ..formats import tensor_file
from ..storage import json_file

KEEP = 2
"""States kept: the newest, and the one before in case the newest is damaged."""
TENSORS, VALUES = "tensors.safetensors", "state.json"
_NAME = re.compile(r"step-(\d+)|\.step-(\d+)\.old", re.ASCII)
_UNFINISHED = re.compile(r"\.step-\d+\.tmp", re.ASCII)


_NOT_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""A part of a state is missing, or something else has its name."""


class StateError(SdftError, ValueError):
    """A state that doesn't fit the run; the message says why and what to do."""


def write(folder: Path, step: int, tree: Mapping[str, Any]) -> Path:
    """Write ``tree`` (nested dicts and lists of tensors, numbers, texts) as ``folder/step-000100``, whole or not at
    all.

    It is written tensor by tensor, so that a whole model's weights and optimizer state are never copied in memory.
    When the new one is complete, older states are deleted, and so is what is left of later ones: damaged ones, which
    the run couldn't go on from, and unfinished ones. Raises OSError that names the folder where it can't be written;
    the existing states stay then.
    """
    target, temporary, replaced = (
        folder / name.format(step) for name in ("step-{:06d}", ".step-{:06d}.tmp", ".step-{:06d}.old")
    )
    tensors: dict[str, Tensor] = {}
    values = _flatten(tree, "", tensors)
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        entries = {name: tensor_file.Entry(tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
        tensor_file.write_in_place(temporary / TENSORS, tensor_file.aligned(entries), tensors.__getitem__)
        sums = {"tensors": _file_sum(temporary / TENSORS), "values": _sum(values), "step": _sum(step)}
        content = {"step": step, **{f"{name}_crc32": number for name, number in sums.items()}}
        (temporary / VALUES).write_text(json.dumps({**content, "values": values}), encoding="utf-8")
        for path in (temporary / TENSORS, temporary / VALUES, temporary):
            _flush(path)
        if target.exists():
            # A resumed run repeats the step: the old state can still be read until the new one has its name.
            shutil.rmtree(replaced, ignore_errors=True)
            os.replace(target, replaced)
        os.replace(temporary, target)
        _flush(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise OSError(
            f"can't write the state {target}: {error.strerror or error}; free space or make the folder writable"
        ) from error
    shutil.rmtree(replaced, ignore_errors=True)
    for later in [path for path in states(folder) if step_of(path) > step]:
        _remove(later)
    remove_old(folder, step)
    remove_unfinished(folder)
    return target


def states(folder: Path) -> list[Path]:
    """List the states of a run, oldest first."""
    return sorted((path for path in folder.glob("*step-*") if _NAME.fullmatch(path.name)), key=_order)


def step_of(path: Path) -> int:
    """Return after how many steps a state was written, by its folder's name."""
    return _order(path)[0]


def read_last(folder: Path, skipped: Callable[[str], None] = lambda text: None) -> tuple[int, dict[str, Any]] | None:
    """Read the newest state that is undamaged, as (finished steps, tree); None where none was ever written.

    ``skipped`` is called with a sentence for each damaged state that is newer. Raises StateError where all are damaged,
    OSError where one can't be read at present (a network folder that is away): the run must not go on without it.
    """
    damaged: list[str] = []
    for path in reversed(states(folder)):
        try:
            found = read(path)
        except StateError as error:
            damaged.append(path.name)
            reason = str(error)
            continue
        if damaged:
            skipped(f"{reason} The run goes on from the state before it, that of step {found[0]}.")
        return found
    if damaged:
        raise StateError(
            f"No state of this run can be read: {' and '.join(reversed(damaged))} in {folder} are damaged. Put the "
            f"folder back from a backup; or delete it, and the run begins again at step 0."
        )
    return None


def read(path: Path) -> tuple[int, dict[str, Any]]:
    """Read one state, as (finished steps, tree). Raises OSError where it can't be read at present, StateError where it
    is damaged, or a part of it is missing.
    """
    try:
        content = json_file.parse((path / VALUES).read_text(encoding="utf-8"))
        step, values = int(content["step"]), content["values"]
        # Version 0.1.0 wrote no sum of the step: the folder's name must agree with it.
        sound = (
            content["values_crc32"] == _sum(values)
            and content.get("step_crc32", _sum(step)) == _sum(step)
            and step == step_of(path)
            and content["tensors_crc32"] == _file_sum(path / TENSORS)
        )
        if sound:
            return step, _unflatten(values, load_file(path / TENSORS))
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError, *_NOT_THERE) as error:
        raise StateError(f"The state {path} is damaged ({error or type(error).__name__}).") from error
    raise StateError(f"The state {path} is damaged (its checksums don't agree).")


def _order(path: Path) -> tuple[int, bool]:
    number, replaced = _NAME.fullmatch(path.name).groups()  # type: ignore[union-attr]
    return int(number or replaced), bool(number)


def remove_old(folder: Path, step: int) -> None:
    """Delete older states than that of ``step``, so that ``KEEP`` are left.

    A resumed run calls it too: it may have been killed just before the older ones were deleted. Later states exist only
    where they couldn't be read; they stay until the run has written its next one.
    """
    for old in [path for path in states(folder) if _order(path)[0] <= step][:-KEEP]:
        _remove(old)


def remove_unfinished(folder: Path) -> None:
    """Delete states that a killed program left half written: each may take as much of the disk as a whole one."""
    for path in folder.glob(".step-*.tmp"):
        if _UNFINISHED.fullmatch(path.name):
            _remove(path)


def _remove(path: Path) -> None:
    """Delete a state's folder, or the file or link that has its name; one that can't be deleted stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _flush(path: Path) -> None:
    """Flush a file's content to the disk, or a folder's names (where the system lets folders be flushed)."""
    folder = path.is_dir()
    if folder and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sum(values: Any) -> int:
    return zlib.crc32(json.dumps(values).encode())


def _file_sum(path: Path) -> int:
    total = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            total = zlib.crc32(block, total)
    return total


def _flatten(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Turn a tree into JSON types, with names for tensors. Keys keep their type, tuples stay tuples, floats are exact
    (hex).
    """
    if isinstance(value, Tensor):
        if value.dtype not in tensor_file.NAMES:
            raise TypeError(f"{path}: {str(value.dtype).removeprefix('torch.')} can't be kept in a state")
        name = f"{len(tensors)}{path}"
        tensors[name] = value
        return {"tensor": [name, value.device.type, _strides(value)]}
    if isinstance(value, Mapping):
        return {"map": [[_flatten(k, "", tensors), _flatten(v, f"{path}/{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, tuple | list):
        parts = [_flatten(part, f"{path}/{i}", tensors) for i, part in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": parts}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    raise TypeError(f"{path}: {type(value).__name__} can't be kept in a state")


def _unflatten(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        name, device, strides = content
        tensor = tensors[name]
        if strides is not None:
            tensor = torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype).copy_(tensor)
        return tensor.to(device) if _available(device) else tensor
    if kind == "float":
        return float.fromhex(content)
    if kind == "map":
        return {_unflatten(k, tensors): _unflatten(v, tensors) for k, v in content}
    parts = [_unflatten(part, tensors) for part in content]
    return tuple(parts) if kind == "tuple" else parts


def _available(device: str) -> bool:
    return torch.cuda.is_available() if device == "cuda" else device == "mps" and torch.backends.mps.is_available()


def _strides(value: Tensor) -> list[int] | None:
    """Give the strides of a tensor that fills its memory in another order (channels last): fused optimizers rely on
    them.
    """
    if value.is_contiguous():
        return None
    step = 1
    for size, stride in sorted(zip(value.shape, value.stride(), strict=True), key=lambda pair: (pair[1], pair[0])):
        if size != 1 and stride != step:
            return None  # gaps or overlaps: its elements are kept, in plain order
        step *= size
    return list(value.stride())


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Give ``optimizer.state_dict()`` with the name of its class."""
    return {"name": type(optimizer).__name__, **optimizer.state_dict()}


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Put back what ``optimizer_state`` gave, bit for bit.

    ``Optimizer.load_state_dict`` casts the state's tensors to the parameters' dtype; here they keep their own.
    Raises StateError for another optimizer's state and for other parameters: the recipe has changed since.
    """
    if state["name"] != type(optimizer).__name__:
        raise StateError(
            f"The state was written with the optimizer {state['name']}: restore train.optimizer, or start a new run."
        )
    parameters = [[parameter for parameter in group["params"]] for group in optimizer.param_groups]
    if [len(group) for group in parameters] != [len(group["params"]) for group in state["param_groups"]]:
        raise StateError(
            "The state was written with other trained parameters: restore recipe.yaml, or start a new run."
        )
    for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        group.update({key: value for key, value in saved.items() if key != "params"})
    optimizer.state.clear()
    ordered = [parameter for group in parameters for parameter in group]
    for number, entry in state["state"].items():
        parameter = ordered[int(number)]
        optimizer.state[parameter] = _on_device_of(parameter, entry)


def _on_device_of(parameter: Tensor, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Move a parameter's state to its device where none of it is there (step counters may stay on the CPU beside a
    GPU).
    """
    tensors = [value for value in entry.values() if isinstance(value, Tensor)]
    if any(value.device == parameter.device for value in tensors):
        return dict(entry)
    return {k: v.to(parameter.device) if isinstance(v, Tensor) else v for k, v in entry.items()}

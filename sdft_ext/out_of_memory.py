"""What a GPU whose memory is full says, in whose words ever, and what must go before anything else finds room."""

from __future__ import annotations

import traceback

import torch

SAYINGS = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""Of the driver and of libraries that take memory past torch's allocator: no OutOfMemoryError then. cuBLAS says that it isn't
initialized where there is no room for its own."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the GPU's memory is full."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error) for saying in SAYINGS)


def let_go(error: BaseException) -> None:
    """Drop what an error's finished frames hold: of a step that ran out of memory, all that it had computed."""
    found: BaseException | None = error
    while found is not None:
        traceback.clear_frames(found.__traceback__)
        found = found.__cause__ or found.__context__

"""The tools, their fields and what they write. The page's panel is built from this list; nothing heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..recipe import Precision

Kind = Literal["checkpoint", "lora", "loras", "any", "pickle", "rank", "error", "choice", "switch"]
"""Kind of a field: a file of some kind (``any``: any kind), LoRA files with weights, or a value."""
Makes = Literal["checkpoint", "lora", "folder"]


@dataclass(frozen=True)
class Field:
    """A field of a tool, named like the function's parameter. ``when``: shown if another field has this value."""

    name: str
    label: str
    kind: Kind
    help: str = ""
    default: Any = ""
    choices: tuple[tuple[str, str], ...] = ()
    when: tuple[str, str] | None = None


@dataclass(frozen=True)
class Tool:
    """A tool. ``makes``: what it writes, or None if it only reads; ``ending``: appended to a suggested name."""

    name: str
    label: str
    help: str
    fields: tuple[Field, ...]
    makes: Makes | None = None
    ending: str = ""


FORMATS = tuple((name, name) for name in get_args(Precision))
KEPT = Field("precision", "Number format", "choice", choices=(("", "As it is"), *FORMATS))
WRITTEN = Field("precision", "Number format", "choice", default="fp16", choices=FORMATS)


def _size(rank: int, otherwise: str) -> tuple[Field, Field]:
    return (
        Field("rank", "Rank", "rank", f"Of each layer. {otherwise}", rank),
        Field(
            "error",
            "Error",
            "error",
            "The lowest rank that loses at most this share of each layer's change, such as 0.05.",
            0.0,
        ),
    )


TOOLS = (
    Tool(
        "merge",
        "Merge into a checkpoint",
        "Merge LoRA, LoHa, LoKr and DoRA files into a checkpoint, one after the other, each at its weight.",
        (
            Field("base", "Checkpoint", "checkpoint", "A file or a diffusers folder; it isn't changed."),
            Field("loras", "LoRAs and their weights", "loras"),
            KEPT,
        ),
        "checkpoint",
        "merged",
    ),
    Tool(
        "extract",
        "Extract a LoRA",
        "Extract the difference between two checkpoints as a LoRA.",
        (
            Field("base", "Before", "checkpoint", "The checkpoint before training."),
            Field("tuned", "After", "checkpoint", "The checkpoint after training."),
            *_size(32, "Without a rank and an error: full rank."),
            WRITTEN,
        ),
        "lora",
        "extracted",
    ),
    Tool(
        "resize",
        "Resize a LoRA",
        "Write a LoRA at another rank. A LoHa or LoKr becomes a LoRA.",
        (Field("source", "LoRA", "lora"), *_size(8, "Set a rank, an error, or both."), WRITTEN),
        "lora",
        "resized",
    ),
    Tool(
        "merge-loras",
        "Merge LoRAs into one",
        "Merge several LoRAs into one, each at its weight.",
        (
            Field("files", "LoRAs and their weights", "loras"),
            *_size(0, "Without a rank and an error: exact, with the sum of the ranks."),
            WRITTEN,
        ),
        "lora",
        "merged",
    ),
    Tool(
        "metadata",
        "Inspect a file",
        "Show the tensors and the metadata of a .safetensors file.",
        (Field("file", "File", "any"),),
    ),
    Tool(
        "scan",
        "Scan a .ckpt",
        "List what an old checkpoint would import if it were loaded unsafely. Nothing in it is run.",
        (Field("file", "File", "pickle"),),
    ),
    Tool(
        "convert",
        "Convert",
        "Convert a .ckpt to .safetensors, a diffusers folder to a single file, or a single file to a diffusers folder.",
        (
            Field("source", "Model", "checkpoint", "A file or a diffusers folder; it isn't changed."),
            Field(
                "form",
                "Convert to",
                "choice",
                default="checkpoint",
                choices=(("checkpoint", "A .safetensors file"), ("folder", "A diffusers folder")),
            ),
            KEPT,
            Field(
                "keep_ema",
                "Keep the EMA copy of the weights",
                "switch",
                "Only for a .ckpt.",
                False,
                when=("form", "checkpoint"),
            ),
        ),
        "checkpoint",
        "converted",
    ),
)


def makes(tool: Tool, values: dict[str, Any]) -> Makes | None:
    """Return what a tool writes with these values."""
    return "folder" if tool.makes is not None and values.get("form") == "folder" else tool.makes

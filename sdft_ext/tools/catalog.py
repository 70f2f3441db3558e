"""The tools by name: what each asks for and what it makes. The page's panel is drawn from this list; nothing heavy is
imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..recipe import Precision

Kind = Literal["checkpoint", "lora", "loras", "any", "pickle", "rank", "error", "choice", "switch"]
"""Of a field: a file of this kind (``any``: whatever it holds), LoRA files with weights, or a value."""
Makes = Literal["checkpoint", "lora", "folder"]


@dataclass(frozen=True)
class Field:
    """One thing that a tool asks for, named as in the function that does it. ``when``: another field and its value."""

    name: str
    label: str
    kind: Kind
    help: str = ""
    default: Any = ""
    choices: tuple[tuple[str, str], ...] = ()
    when: tuple[str, str] | None = None


@dataclass(frozen=True)
class Tool:
    """``makes``: what is written, or None for a tool that only looks; ``ending`` comes behind a suggested name."""

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
            "error", "Error", "error", "The least ranks that miss at most this share of each layer, such as 0.05.", 0.0
        ),
    )


TOOLS = (
    Tool(
        "merge",
        "Merge into a checkpoint",
        "LoRA, LoHa, LoKr and DoRA files become part of a checkpoint, one after the other, each at its weight.",
        (
            Field("base", "Checkpoint", "checkpoint", "A file or a diffusers folder; it stays as it is."),
            Field("loras", "LoRAs and their weights", "loras"),
            KEPT,
        ),
        "checkpoint",
        "merged",
    ),
    Tool(
        "extract",
        "Extract a LoRA",
        "The LoRA between two checkpoints: what one has learned since the other.",
        (
            Field("base", "Before", "checkpoint", "The checkpoint that was trained from."),
            Field("tuned", "After", "checkpoint", "What was trained from it."),
            *_size(32, "Empty, with no error either: full rank."),
            WRITTEN,
        ),
        "lora",
        "extracted",
    ),
    Tool(
        "resize",
        "Resize a LoRA",
        "The same LoRA at another rank. A LoHa or LoKr becomes a LoRA.",
        (Field("source", "LoRA", "lora"), *_size(8, "Or say an error instead, or both."), WRITTEN),
        "lora",
        "resized",
    ),
    Tool(
        "merge-loras",
        "Merge LoRAs into one",
        "One LoRA with the effect of several, each at its weight.",
        (
            Field("files", "LoRAs and their weights", "loras"),
            *_size(0, "Empty, with no error either: exact, with the sum of the ranks."),
            WRITTEN,
        ),
        "lora",
        "merged",
    ),
    Tool(
        "metadata",
        "Look into a file",
        "What a .safetensors file holds, and what it says of itself.",
        (Field("file", "File", "any"),),
    ),
    Tool(
        "scan",
        "Scan a .ckpt",
        "What an old checkpoint would import when it is opened carelessly. Nothing of it is run.",
        (Field("file", "File", "pickle"),),
    ),
    Tool(
        "convert",
        "Convert",
        ".ckpt to .safetensors, a diffusers folder to a single file, or a single file to a diffusers folder.",
        (
            Field("source", "Model", "checkpoint", "A file or a diffusers folder; it stays as it is."),
            Field(
                "form",
                "Becomes",
                "choice",
                default="checkpoint",
                choices=(("checkpoint", "A .safetensors file"), ("folder", "A diffusers folder")),
            ),
            KEPT,
            Field(
                "keep_ema",
                "Keep the EMA copy of the weights",
                "switch",
                "Of a .ckpt.",
                False,
                when=("form", "checkpoint"),
            ),
        ),
        "checkpoint",
        "converted",
    ),
)


def makes(tool: Tool, values: dict[str, Any]) -> Makes | None:
    """What a tool writes with these values."""
    return "folder" if tool.makes is not None and values.get("form") == "folder" else tool.makes

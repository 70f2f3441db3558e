"""The training methods as pages, presets, rules and hosts know them: what each trains, saves and starts with.

A new method needs one entry here, its class in ``sdft_ext.method``, and settings in ``recipe.method`` if it has its
own. Every set of methods, the recipe's choices, the presets and the page follow from the entry.

The numbers to start with are those that trainers and guides agree on for SD 1, SD 2 and SDXL; those for the toy model
are measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SavedAs = Literal["lora", "checkpoint", "embedding", "hypernetwork"]
Difficulty = Literal["easy", "medium", "hard"]
Rating = Literal["fair", "good", "very good", "excellent"]


@dataclass(frozen=True)
class MethodInfo:
    """What is known of a method without importing it."""

    name: str
    label: str
    help: str
    difficulty: Difficulty
    subject: Rating
    """How well it learns a subject, as the guide judges it."""
    style: Rating
    memory: str
    saved_as: SavedAs = "lora"
    """What kind of file a save is: it decides the host's folder for it, and how a prompt calls it."""
    low_rank: bool = False
    """Whether the settings of ``method.lora`` are its own."""
    trains_words: bool = False
    """Whether it trains vectors of new words: the settings of ``method.embedding`` are its own."""
    trains_parts: bool = True
    """Whether ``method.unet`` and ``method.text_encoder`` decide what trains."""
    removable: bool = True
    """Whether its trained weights can be taken out for a step, so that the base's own prediction is available."""
    needs_text: bool = True
    """Whether a word has to call up what it learned; not where the file acts on every picture once it is loaded, and
    is not meant for a single subject.
    """
    start: Mapping[str, Any] = field(default_factory=dict)
    """Settings to start with, by path, where they differ from a LoRA's; empty: no preset of its own."""
    toy_start: Mapping[str, Any] = field(default_factory=dict)
    """The same for the toy model, over ``start``."""

    @property
    def whole_model(self) -> bool:
        """Whether copies of the model's own weights train: a save is a checkpoint, or a LoRA taken out of it."""
        return self.saved_as == "checkpoint"

    def described(self) -> dict[str, Any]:
        """Return what the page shows of it, and what it decides there."""
        return {
            "name": self.name,
            "label": self.label,
            "help": self.help,
            "difficulty": self.difficulty,
            "subject": self.subject,
            "style": self.style,
            "memory": self.memory,
            "whole_model": self.whole_model,
        }


# Ruiz 2022 and diffusers' DreamBooth: 2e-6 to 5e-6. A LoRA's rate would break the model's own weights, and each save is
# as large as a model.
WHOLE_MODEL: dict[str, Any] = {
    "train.learning_rate": 2e-6,
    "train.text_encoder_learning_rate": 1e-6,
    "save.keep_last": 2,
}
WHOLE_TOY_MODEL: dict[str, Any] = {
    "train.learning_rate": 1e-3,
    "train.text_encoder_learning_rate": 1e-3,
    "save.keep_last": 0,
}

_LISTED = (
    MethodInfo(
        "lora",
        "LoRA",
        "A small file that changes the model while it is loaded. Works with every checkpoint of the same kind, and "
        "several can be mixed.",
        difficulty="easy",
        subject="very good",
        style="very good",
        memory="6 GB for SD 1, 12 GB for SDXL",
        low_rank=True,
    ),
    MethodInfo(
        "dora",
        "DoRA",
        "A LoRA that learns direction and strength of each change apart: closer to full training at a small rank. "
        "Slower than LoRA.",
        difficulty="easy",
        subject="very good",
        style="very good",
        memory="a little more than LoRA",
        low_rank=True,
    ),
    MethodInfo(
        "loha",
        "LoHa",
        "Two small changes multiplied: much variety from a low rank (4–8), for styles and several concepts. Needs more "
        "steps than LoRA.",
        difficulty="medium",
        subject="good",
        style="very good",
        memory="a little more than LoRA",
        low_rank=True,
        # LyCORIS' guidelines: a rank up to 32 (the change's rank can be its square), an alpha of half of it or less.
        start={"method.lora.rank": 8, "method.lora.alpha": 4.0},
        toy_start={"method.lora.alpha": 8.0},
    ),
    MethodInfo(
        "lokr",
        "LoKr",
        "The smallest files, made of two small matrices. Learns a subject quickly; try several factors and learning "
        "rates.",
        difficulty="medium",
        subject="very good",
        style="good",
        memory="a little more than LoRA",
        low_rank=True,
        # LyCORIS' guidelines for a likeness: a factor of 4 to 8, and a rank at which the large matrix stays whole.
        start={"method.lora.rank": 128, "method.lora.alpha": 128.0, "method.lora.factor": 8},
        toy_start={"method.lora.rank": 16, "method.lora.alpha": 16.0, "method.lora.factor": 4},
    ),
    MethodInfo(
        "textual_inversion",
        "Textual inversion",
        "A new word, in a file of a few kilobytes. No weight of the model changes, so nothing can bleed. "
        "Recombines what the model knows already.",
        difficulty="easy",
        subject="fair",
        style="fair",
        memory="6 GB for SD 1, 12 GB for SDXL",
        saved_as="embedding",
        trains_words=True,
        trains_parts=False,
        removable=False,
        # Gal 2022 and the WebUI's own trainer: 5e-3. Only the word's vectors train: they need no weight decay and no
        # SNR weighting, and regularization pictures, which lack the word, would take half of each batch and teach
        # nothing.
        start={
            "method.embedding.vectors": 4,
            "train.learning_rate": 5e-3,
            "train.schedule": "constant_with_warmup",
            "train.warmup": 20,
            "train.weight_decay": 0.0,
            "train.snr_weighting": "none",
            "train.prior_loss_weight": 0.0,
        },
        # The toy's text encoder expresses little that the base doesn't know: even with its output itself trained
        # instead of words, within its last layer norm, at all 77 tokens, the star is in 0.11 of the pictures and the
        # style in none.
        toy_start={
            "train.learning_rate": 1e-1,
            "method.embedding.vectors": 8,
            "train.snr_weighting": "min_snr",
        },
    ),
    MethodInfo(
        "pivotal",
        "Pivotal tuning",
        "A LoRA and a new word in one run: a likeness close to DreamBooth's from a small file.",
        difficulty="medium",
        subject="very good",
        style="very good",
        memory="a little more than LoRA",
        low_rank=True,
        trains_words=True,
        # diffusers' advanced training script: the words stop training after half of the run, the LoRA goes on.
        start={
            "method.text_encoder": False,
            "method.embedding.vectors": 2,
            "method.embedding.learning_rate": 1e-3,
            "train.text_encoder_stop": 0.5,
        },
        toy_start={"method.embedding.learning_rate": 2e-2, "train.text_encoder_learning_rate": 0.0},
    ),
    MethodInfo(
        "hypernetwork",
        "Hypernetwork",
        "Small networks in front of the attention layers, from the time before LoRA. Only the WebUI reads the file; "
        "it breaks easily at high learning rates.",
        difficulty="hard",
        subject="fair",
        style="good",
        memory="8 GB for SD 1",
        saved_as="hypernetwork",
        trains_parts=False,
        needs_text=False,
        # The WebUI's discussion 2670: 5e-5 and falling, 1-2-1 to 1-2-2-1. Warm-up and gradient clipping keep it from
        # diverging.
        start={
            "method.hypernetwork.layer_structure": "1, 2, 1",
            "train.learning_rate": 5e-5,
            "train.warmup": 100,
            "train.clip_norm": 1.0,
            "train.weight_decay": 0.0,
        },
        toy_start={
            "method.hypernetwork.layer_structure": "1, 4, 1",
            "train.learning_rate": 3e-3,
            "train.warmup": 30,
        },
    ),
    MethodInfo(
        "dreambooth",
        "DreamBooth",
        "Trains the whole model on a subject, with regularization pictures that hold its class in place. The strongest "
        "likeness; saved as a checkpoint of the model's own size, or as a LoRA taken out of it.",
        difficulty="medium",
        subject="excellent",
        style="good",
        memory="24 GB for SD 1; 12 GB with bf16 weights, checkpointing and an 8-bit optimizer",
        saved_as="checkpoint",
        start=WHOLE_MODEL,
        toy_start=WHOLE_TOY_MODEL,
    ),
    MethodInfo(
        "full",
        "Full fine-tune",
        "Trains the whole model on a large dataset, hundreds of pictures or more: for styles and whole domains. With "
        "few pictures it forgets what it knew.",
        difficulty="hard",
        subject="very good",
        style="excellent",
        memory="24 GB for SD 1; 12 GB with bf16 weights, checkpointing and an 8-bit optimizer",
        saved_as="checkpoint",
        needs_text=False,
        start=WHOLE_MODEL,
        toy_start=WHOLE_TOY_MODEL,
    ),
)

METHOD_INFO: dict[str, MethodInfo] = {info.name: info for info in _LISTED}
"""Every method by its name, in the order in which the page lists them."""

LORA_FAMILY = tuple(info.name for info in _LISTED if info.low_rank)
"""Methods with low-rank layers beside the model's own: the settings of ``method.lora`` are theirs."""

WORDS = tuple(info.name for info in _LISTED if info.trains_words)
"""Methods that train the vectors of new words."""

FULL = tuple(info.name for info in _LISTED if info.whole_model)
"""Methods that train the model's own weights, on a copy."""

ADAPTERS = tuple(info.name for info in _LISTED if info.removable)
"""Methods whose trained weights can be taken out, so that the base's own prediction is available."""

IN_PARTS = tuple(info.name for info in _LISTED if info.trains_parts)
"""Methods for which ``method.unet`` and ``method.text_encoder`` decide what trains."""

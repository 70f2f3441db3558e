"""The training methods as pages, presets, rules and hosts know them: what each trains, saves and starts with.

A new method needs one entry here, its class in ``sdft_ext.method``, and settings in ``recipe.method`` if it has its
own. Every set of methods, the recipe's choices, the presets and the page follow from the entry.

The numbers to start with are those that trainers and guides agree on for SD 1, SD 2 and SDXL; those for the toy model
are measured.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..storage import json_file

SavedAs = Literal["lora", "checkpoint", "embedding", "hypernetwork"]
FIGURES = Path(__file__).with_name("method_figures.json")
"""What ``bench methods`` measured on the toy model: method → kind of concept → shares, seconds and size of the file."""


@dataclass(frozen=True)
class GuideValues:
    """What Guizmus' "sd-training-intro" says of a method: difficulty, how well it trains a subject and a style, and the
    memory of the graphics card that it asks for.
    """

    difficulty: str
    subject: str
    style: str
    memory: str


@dataclass(frozen=True)
class MethodInfo:
    """What is known of a method without importing it."""

    name: str
    label: str
    help: str
    source: tuple[str, str]
    """Where it was published: label and address."""
    guide: GuideValues | None = None
    """None where the guide doesn't name it."""
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
            "guide": None if self.guide is None else asdict(self.guide),
            "measured": _figures().get(self.name, {}),
            "source": {"label": self.source[0], "url": self.source[1]},
            "whole_model": self.whole_model,
        }


@functools.cache
def _figures() -> dict[str, Any]:
    found: dict[str, Any] = json_file.read(FIGURES)
    return found


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
        source=("LoRA (Hu 2021)", "https://arxiv.org/abs/2106.09685"),
        guide=GuideValues("easy to hard", "good", "good", "8 GB or more"),
        low_rank=True,
    ),
    MethodInfo(
        "dora",
        "DoRA",
        "A LoRA that learns direction and strength of each change apart: closer to full training at a small rank. "
        "Slower than LoRA.",
        source=("DoRA (Liu 2024)", "https://arxiv.org/abs/2402.09353"),
        low_rank=True,
    ),
    MethodInfo(
        "loha",
        "LoHa",
        "Two small changes multiplied: much variety from a low rank (4–8), for styles and several concepts. Needs more "
        "steps than LoRA.",
        source=("LoHa (LyCORIS, Yeh 2023)", "https://arxiv.org/abs/2309.14859"),
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
        source=("LoKr (LyCORIS, Yeh 2023)", "https://arxiv.org/abs/2309.14859"),
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
        source=("Textual inversion (Gal 2022)", "https://arxiv.org/abs/2208.01618"),
        guide=GuideValues("easy", "medium", "good", "8 GB or more"),
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
        source=("Pivotal tuning (cloneofsimo/lora)", "https://github.com/cloneofsimo/lora"),
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
        source=(
            "Hypernetworks (AUTOMATIC1111)",
            "https://github.com/AUTOMATIC1111/stable-diffusion-webui/discussions/2670",
        ),
        guide=GuideValues("easy to medium", "medium", "good", "8 GB or more"),
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
        source=("DreamBooth (Ruiz 2022)", "https://arxiv.org/abs/2208.12242"),
        guide=GuideValues("easy (one subject) to very hard", "very good", "very good", "12 GB or more"),
        saved_as="checkpoint",
        start=WHOLE_MODEL,
        toy_start=WHOLE_TOY_MODEL,
    ),
    MethodInfo(
        "full",
        "Full fine-tune",
        "Trains the whole model on a large dataset, hundreds of pictures or more: for styles and whole domains. With "
        "few pictures it forgets what it knew.",
        source=("EveryDream 2", "https://github.com/victorchall/EveryDream2trainer"),
        guide=GuideValues("medium to hard", "very good", "very good", "16 GB or more"),
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

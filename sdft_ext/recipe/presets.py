"""Presets: settings that are known to work for a kind of concept, a method and a family of models.

The numbers for SD 1, SD 2 and SDXL are those that trainers and guides agree on; those for the toy model were measured.
"""

from __future__ import annotations

from typing import Any

from .concept import Kind
from .method import FULL, Precision

METHODS: list[dict[str, Any]] = [
    {
        "name": "lora",
        "label": "LoRA",
        "help": "A small file that changes the model while it is loaded. Works with every checkpoint of the same "
        "kind, and "
        "several can be mixed.",
        "difficulty": "easy",
        "subject": "very good",
        "style": "very good",
        "memory": "6 GB for SD 1, 12 GB for SDXL",
    },
    {
        "name": "dora",
        "label": "DoRA",
        "help": "A LoRA that learns direction and strength of each change apart: closer to full training at a small "
        "rank. "
        "Slower than LoRA.",
        "difficulty": "easy",
        "subject": "very good",
        "style": "very good",
        "memory": "a little more than LoRA",
    },
    {
        "name": "loha",
        "label": "LoHa",
        "help": "Two small changes multiplied: much variety from a low rank (4–8), for styles and several concepts. "
        "Needs more "
        "steps than LoRA.",
        "difficulty": "medium",
        "subject": "good",
        "style": "very good",
        "memory": "a little more than LoRA",
    },
    {
        "name": "lokr",
        "label": "LoKr",
        "help": "The smallest files, made of two small matrices. Learns a subject quickly; try several factors and "
        "learning rates.",
        "difficulty": "medium",
        "subject": "very good",
        "style": "good",
        "memory": "a little more than LoRA",
    },
    {
        "name": "textual_inversion",
        "label": "Textual inversion",
        "help": "A new word, in a file of a few kilobytes, and not a weight of the model changed: nothing can bleed. "
        "Recombines what "
        "the model knows already.",
        "difficulty": "easy",
        "subject": "fair",
        "style": "fair",
        "memory": "6 GB for SD 1, 12 GB for SDXL",
    },
    {
        "name": "pivotal",
        "label": "Pivotal tuning",
        "help": "A LoRA and a new word in one run: a likeness close to DreamBooth's from a small file.",
        "difficulty": "medium",
        "subject": "very good",
        "style": "very good",
        "memory": "a little more than LoRA",
    },
    {
        "name": "hypernetwork",
        "label": "Hypernetwork",
        "help": "Small networks beside the attention layers, as the WebUI had them before LoRA. Only the WebUI reads "
        "the file; it "
        "breaks easily at high learning rates.",
        "difficulty": "hard",
        "subject": "fair",
        "style": "good",
        "memory": "8 GB for SD 1",
    },
    {
        "name": "dreambooth",
        "label": "DreamBooth",
        "help": "Trains the whole model on a subject, with regularization pictures that hold its class in place. The "
        "strongest "
        "likeness; saved as a checkpoint of the model's own size, or as a LoRA taken out of it.",
        "difficulty": "medium",
        "subject": "excellent",
        "style": "good",
        "memory": "24 GB for SD 1; 12 GB with bf16 weights, checkpointing and an 8-bit optimizer",
    },
    {
        "name": "full",
        "label": "Full fine-tune",
        "help": "Trains the whole model on a large dataset, hundreds of pictures or more: for styles and whole "
        "domains. With few "
        "pictures it forgets what it knew.",
        "difficulty": "hard",
        "subject": "very good",
        "style": "excellent",
        "memory": "24 GB for SD 1; 12 GB with bf16 weights, checkpointing and an 8-bit optimizer",
    },
]
"""The methods there are, as the guide judges them."""

KINDS: dict[Kind, tuple[str, str]] = {
    "subject": ("Subject", "A person, an animal or a thing that should look the same in every picture: 5–20 pictures."),
    "style": ("Style", "A way of drawing that any motif can take on: 50–200 pictures."),
}

RANKS: dict[Kind, int] = {"subject": 16, "style": 32}

COMMON: dict[str, dict[str, Any]] = {
    "sd1": {"train.learning_rate": 1e-4, "train.text_encoder_learning_rate": 5e-5, "train.batch_size": 2},
    "sd2": {"train.learning_rate": 1e-4, "train.text_encoder_learning_rate": 5e-5, "train.batch_size": 2},
    "sdxl": {"train.learning_rate": 1e-4, "train.batch_size": 1, "train.accumulation": 2},
}

# Ruiz 2022 and diffusers' DreamBooth: 2e-6 to 5e-6. A LoRA's rate would break the model's own weights, and each save is
# as large as a model.
WHOLE: dict[str, Any] = {
    "train.learning_rate": 2e-6,
    "train.text_encoder_learning_rate": 1e-6,
    "save.keep_last": 2,
}
WHOLE_TOY: dict[str, Any] = {
    "train.learning_rate": 1e-3,
    "train.text_encoder_learning_rate": 1e-3,
    "save.keep_last": 0,
}
OTHERS: dict[str, dict[str, Any]] = {
    # LyCORIS' guidelines: a rank up to 32 (the change's rank can be its square), an alpha of half of it or less.
    "loha": {"method.lora.rank": 8, "method.lora.alpha": 4.0},
    # LyCORIS' guidelines for a likeness: a factor of 4 to 8, and a rank at which the large matrix stays whole.
    "lokr": {"method.lora.rank": 128, "method.lora.alpha": 128.0, "method.lora.factor": 8},
    # Gal 2022 and the WebUI's own trainer: 5e-3. Only the word's vectors train: they need no weight decay and no SNR
    # weighting, and regularization pictures, which lack the word, would take half of each batch and teach nothing.
    "textual_inversion": {
        "method.embedding.vectors": 4,
        "train.learning_rate": 5e-3,
        "train.schedule": "constant_with_warmup",
        "train.warmup": 20,
        "train.weight_decay": 0.0,
        "train.snr_weighting": "none",
        "train.prior_loss_weight": 0.0,
    },
    # diffusers' advanced training script: the words stop training after half of the run, the LoRA goes on.
    "pivotal": {
        "method.text_encoder": False,
        "method.embedding.vectors": 2,
        "method.embedding.learning_rate": 1e-3,
        "train.text_encoder_stop": 0.5,
    },
    # The WebUI's discussion 2670: 5e-5 and falling, 1-2-1 to 1-2-2-1. Warm-up and gradient clipping keep it from
    # diverging.
    "hypernetwork": {
        "method.hypernetwork.layer_structure": "1, 2, 1",
        "train.learning_rate": 5e-5,
        "train.warmup": 100,
        "train.clip_norm": 1.0,
        "train.weight_decay": 0.0,
    },
    "dreambooth": WHOLE,
    "full": WHOLE,
}
"""Settings in which a method's preset differs from a LoRA's, and why."""
TOY_OTHERS: dict[str, dict[str, Any]] = {
    "loha": {"method.lora.alpha": 8.0},
    "lokr": {"method.lora.rank": 16, "method.lora.alpha": 16.0, "method.lora.factor": 4},
    # The toy's text encoder expresses little that the base doesn't know: even with its output itself trained instead of
    # words, within its last layer norm, at all 77 tokens, the star is in 0.11 of the pictures and the style in none.
    "textual_inversion": {
        "train.learning_rate": 1e-1,
        "method.embedding.vectors": 8,
        "train.snr_weighting": "min_snr",
    },
    "pivotal": {"method.embedding.learning_rate": 2e-2, "train.text_encoder_learning_rate": 0.0},
    "hypernetwork": {
        "method.hypernetwork.layer_structure": "1, 4, 1",
        "train.learning_rate": 3e-3,
        "train.warmup": 30,
    },
    "dreambooth": WHOLE_TOY,
    "full": WHOLE_TOY,
}
"""The same for the toy model, measured."""

STEPS = {"quick": 500, "normal": 1500, "thorough": 3000}
TOY_STEPS = {"quick": 150, "normal": 450, "thorough": 900}
THOROUGH = {
    "quick": ("Quick", "A first look: shows whether the pictures teach anything."),
    "normal": ("Normal", "Enough for most concepts."),
    "thorough": ("Thorough", "For difficult concepts; compare the saves, an earlier one may be better."),
}
SAVES = 5
"""Saves of a run, evenly spread, to choose from."""


def presets(family: str, resolution: int, precision: Precision) -> list[dict[str, Any]]:
    """List the presets for a model: for each kind of concept a LoRA's, then those of methods that differ from it.

    ``family``: ``sd1``, ``sd2``, ``sdxl`` or ``toy``; ``precision``: the best one for runs on the device (see
    ``host.base.suited``).
    """
    labels = {method["name"]: method["label"] for method in METHODS}
    found = []
    for method in ("lora", *OTHERS):
        for kind, (label, help_) in KINDS.items():
            settings = _settings(kind, family, resolution, precision)
            if method != "lora":
                settings |= {"method.name": method, **_of_method(method, kind, family)}
                if method in FULL:
                    settings = _whole(settings, family)
                label = f"{label} · {labels[method]}"
            found.append({"name": f"{kind}-{method}", "label": label, "help": help_, "settings": settings})
    return found


def thorough(family: str) -> list[dict[str, Any]]:
    """List the three lengths of training, with their settings."""
    steps = TOY_STEPS if family == "toy" else STEPS
    return [
        {
            "name": name,
            "label": label,
            "help": help_,
            "settings": {
                "train.length": steps[name],
                "train.length_unit": "steps",
                "save.every": steps[name] // SAVES,
                "save.every_unit": "steps",
            },
        }
        for name, (label, help_) in THOROUGH.items()
    ]


def start(method: str, kind: Kind, family: str, resolution: int, precision: Precision = "fp32") -> dict[str, Any]:
    """Return the settings that a recipe starts with, as on the page: the method's preset, or else a LoRA's, and the
    normal length.
    """
    settings = {preset["name"]: preset["settings"] for preset in presets(family, resolution, precision)}
    preset = settings.get(f"{kind}-{method}", settings[f"{kind}-lora"])
    length = next(length["settings"] for length in thorough(family) if length["name"] == "normal")
    return {**preset, **length, "method.name": method}


def _settings(kind: Kind, family: str, resolution: int, precision: Precision) -> dict[str, Any]:
    common: dict[str, Any] = {
        "dataset.concepts.0.kind": kind,
        "dataset.resolution": resolution,
        "method.name": "lora",
        "method.unet": True,
        "method.lora.layers": "all",
    }
    if family == "toy":
        return {**common, **_toy(kind)}
    rank = RANKS[kind]
    return {
        **common,
        **COMMON[family],
        "dataset.bucket_max": resolution * 2,
        "dataset.bucket_min": resolution // 2,
        "method.lora.rank": rank,
        "method.lora.alpha": float(rank),
        # SDXL's two text encoders take much memory and add little; a style needs no new word.
        "method.text_encoder": family != "sdxl" and kind == "subject",
        "train.optimizer": "adamw",
        "train.schedule": "cosine",
        "train.snr_weighting": "min_snr",
        "train.snr_gamma": 5.0,
        "train.precision": precision,
        "train.checkpointing": family == "sdxl" and precision != "fp32",
    }


def _of_method(method: str, kind: Kind, family: str) -> dict[str, Any]:
    """Return the settings in which a method differs from a LoRA."""
    found = {**OTHERS[method], **(TOY_OTHERS[method] if family == "toy" else {})}
    if "method.embedding.vectors" in found and kind == "style":
        found["method.embedding.vectors"] = 2 * found["method.embedding.vectors"]
    return found


def _whole(settings: dict[str, Any], family: str) -> dict[str, Any]:
    """Drop a LoRA's own settings; keep SDXL's weights in bf16 where the device computes in half precision."""
    found = {path: value for path, value in settings.items() if not path.startswith("method.lora.")}
    if family == "sdxl" and found["train.precision"] != "fp32":
        found["train.precision"] = found["method.full.weights"] = "bf16"
    return found


def _toy(kind: Kind) -> dict[str, Any]:
    return {
        "method.lora.rank": 16,
        "method.lora.alpha": 16.0,
        "method.lora.text_rank": 8,
        "method.text_encoder": True,
        "train.batch_size": 12,
        "train.learning_rate": 4e-3 if kind == "subject" else 2e-3,
        "train.text_encoder_learning_rate": 1e-2 if kind == "subject" else 0.0,
        "train.snr_weighting": "min_snr",
        "train.snr_gamma": 1.0,
        "train.prior_loss_weight": 0.7,
        "dataset.bucket_min": 32,
        "dataset.bucket_max": 128,
        "dataset.bucket_step": 16,
        "watch.guidance": 2.5,
    }

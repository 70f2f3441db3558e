"""kohya's network, or whole model, or new words → the recipe's method.

networks.lora trains the transformer blocks, and the residual blocks too where conv_dim is given; lycoris.kohya all, or
what its preset says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .draft import shown
from .optimizers import arguments
from .source import SettingsFileError
from .values import Values

OTHER_MODELS = ("flux", "sd3", "lumina", "hunyuan", "anima", "chroma", "oft_flux")
"""In a network module's name: it trains a model of a kind that isn't trained here."""
ALGORITHMS = {"lora": "lora", "locon": "lora", "loha": "loha", "lokr": "lokr"}
"""LyCORIS' algorithms, and the methods here."""
PRESETS = {
    "full": "all",
    "full-lin": "linear",
    "attn-mlp": "linear",
    "attn-only": "attention",
    "unet-transformer-only": "linear",
}
"""LyCORIS' presets, and the layers here."""
MOST_RANK = 1024
NOT_HERE = {
    "block_dims": "ranks by block are written by the names of blocks here. Set method.lora.block_ranks",
    "block_alphas": "each layer's strength is that of method.lora.alpha here. Set it",
    "conv_block_dims": "ranks by block are written by the names of blocks here. Set method.lora.block_ranks",
    "conv_block_alphas": "each layer's strength is that of method.lora.alpha here. Set it",
    "down_lr_weight": "all blocks have one learning rate here. Leave blocks out with a rank of 0 in "
    "method.lora.block_ranks",
    "mid_lr_weight": "all blocks have one learning rate here. Leave blocks out with a rank of 0 in "
    "method.lora.block_ranks",
    "up_lr_weight": "all blocks have one learning rate here. Leave blocks out with a rank of 0 in "
    "method.lora.block_ranks",
    "module_dropout": "whole layers aren't left out at random here. method.lora.rank_dropout is similar",
    "use_tucker": "convolutions aren't factorized by Tucker here. The result is a little larger",
    "use_cp": "convolutions aren't factorized by Tucker here. The result is a little larger",
    "use_conv_cp": "convolutions aren't factorized by Tucker here. The result is a little larger",
    "use_scalar": "there is no trained scale here. No action is needed",
    "train_norm": "norm layers aren't trained here. Use full fine-tuning for them",
    "decompose_both": "LoKr's larger factor alone is split into low rank here. Lower method.lora.factor for a "
    "smaller file",
    "full_matrix": "LoKr's larger factor has the rank of method.lora.rank here. Raise it",
    "rank_dropout_scale": "the rest isn't scaled up where ranks are left out. Lower method.lora.rank_dropout a little",
    "loraplus_text_encoder_lr_ratio": "LoRA+ has one ratio for both parts here. Set method.lora.up_ratio",
}
HARMLESS = ("bypass_mode", "block_lr_zero_threshold", "unit", "wd_on_output", "constraint", "rescaled")
IGNORED_VALUES = (None, "", False, 0, 0.0, "0", "False", "None")


def set_method(values: Values) -> str:
    """Set the recipe's method from kohya's settings; return its name.

    Raises SettingsFileError where they train a model of a kind that isn't trained here.
    """
    module = values.text("network_module")
    if any(name in module.lower() for name in OTHER_MODELS):
        raise SettingsFileError(
            f"The settings train another kind of model (network_module is {shown(module)}). This program trains "
            "Stable Diffusion 1, 2 and XL: choose settings for one of them."
        )
    if module:
        return _network(values, module)
    if values.has("token_string"):
        return _words(values)
    return _whole(values)


def _network(values: Values, module: str) -> str:
    given = arguments(values, "network_args")
    lycoris = "lycoris" in module.lower() or "locon" in module.lower()
    algorithm = str(given.pop("algo", "lora")).lower() if lycoris else module.rpartition(".")[2].lower()
    method = ALGORITHMS.get(algorithm, "lora")
    if algorithm not in ALGORITHMS:
        values.leave(
            "network_module", f"{shown(algorithm)} isn't trained here, so a plain LoRA was chosen. Check method.name."
        )
    if given.pop("dora_wd", False) is True:
        if method == "lora":
            method = "dora"
        else:
            values.leave(
                "network_args", f"the weight decomposition (dora_wd) is only made with a LoRA here, not with {method}."
            )
    values.set("method.name", "network_module", method)
    rank, alpha = values.whole("network_dim", 4) or 4, values.number("network_alpha", 1.0)
    if rank > MOST_RANK:  # LyCORIS' way to say that a layer's change isn't split at all
        values.leave("network_dim", f"ranks end at {MOST_RANK:,} here, so that was taken.")
        rank, alpha = MOST_RANK, float(MOST_RANK)
    values.set("method.lora.rank", "network_dim", rank)
    values.set("method.lora.alpha", "network_alpha", alpha)
    _convolutions(values, given, lycoris, (rank, alpha))
    _network_options(values, given, method)
    values.set("method.lora.norm_cap", "scale_weight_norms", values.number("scale_weight_norms", 0.0))
    if values.has("network_weights"):
        values.set("method.lora.continue_from", "network_weights", values.text("network_weights"))
    values.flag("dim_from_weights")  # a file's own rank is kept here, always
    return method


def _convolutions(values: Values, given: dict[str, Any], lycoris: bool, linear: tuple[int, float | None]) -> None:
    """Set which layers are trained, and the convolutions' rank and alpha."""
    dim, alpha = given.pop("conv_dim", None), given.pop("conv_alpha", None)
    preset = str(given.pop("preset", "full")) if lycoris else ""
    if lycoris and preset not in PRESETS:
        values.leave(
            "network_args",
            f"LyCORIS' preset {shown(preset)} isn't known here, so all layers are trained. Set method.lora.layers.",
        )
    layers = PRESETS.get(preset, "all") if lycoris else "all" if dim not in (None, 0) else "linear"
    values.draft.set("method.lora.layers", layers, values.name("network_args"), preset or f"conv_dim {shown(dim)}")
    if layers != "all":
        return
    # LyCORIS' convolutions have the other layers' rank and alpha unless theirs are given; networks.lora's alpha is 1.
    rank = min(int(dim), MOST_RANK) if _is_number(dim) and dim else linear[0]
    strength = float(alpha) if _is_number(alpha) and alpha else (linear[1] or 0.0) if lycoris else 1.0
    for name, given_value in (("conv_dim", dim), ("conv_alpha", alpha)):
        if given_value is not None and not _is_number(given_value):
            values.draft.leave(
                _of_arguments(values, name), given_value, "this isn't a usable number, so it was left out."
            )
    values.draft.set("method.lora.conv_rank", rank, _of_arguments(values, "conv_dim"), dim)
    values.draft.set("method.lora.conv_alpha", strength, _of_arguments(values, "conv_alpha"), alpha)


def _network_options(values: Values, given: Mapping[str, Any], method: str) -> None:
    """Set what else the network's arguments say; report what has no setting here."""
    dropout = given.get("dropout", values.number("network_dropout", 0.0))
    own = {
        "dropout": ("method.lora.dropout", dropout),
        "rank_dropout": ("method.lora.rank_dropout", given.get("rank_dropout")),
        "rs_lora": ("method.lora.rslora", given.get("rs_lora")),
        "loraplus_lr_ratio": ("method.lora.up_ratio", given.get("loraplus_lr_ratio")),
        "loraplus_unet_lr_ratio": ("method.lora.up_ratio", given.get("loraplus_unet_lr_ratio")),
        "factor": ("method.lora.factor", max(given["factor"], 0) if _is_number(given.get("factor")) else None),
    }
    for name, (path, value) in own.items():
        if value not in IGNORED_VALUES and (name != "factor" or method == "lokr"):
            values.draft.set(path, value, _of_arguments(values, name), value)
    if dropout not in IGNORED_VALUES:
        values.draft.note(
            f"network_dropout is {shown(dropout)}: kohya leaves out some of the down-matrix's output, this program "
            "some of its input. The effect is similar; no action is needed."
        )
    for name, value in given.items():
        if name in own or name in HARMLESS or value in IGNORED_VALUES:
            continue
        text = NOT_HERE.get(name, "this program has no such argument. No action is needed unless you rely on it")
        values.draft.leave(_of_arguments(values, name), value, f"{text}.")


def _words(values: Values) -> str:
    values.set("method.name", "token_string", "textual_inversion")
    word = values.text("token_string")
    values.set("method.embedding.words", "token_string", {word: values.text("init_word")})
    values.set("method.embedding.vectors", "num_vectors_per_token", values.whole("num_vectors_per_token", 1))
    if values.has("weights"):
        values.set("method.embedding.continue_from", "weights", values.text("weights"))
    for name in ("use_object_template", "use_style_template"):
        if values.flag(name):
            values.set(
                "dataset.template", name, f"{'a photo of' if 'object' in name else 'a painting in the style of'} [name]"
            )
            values.leave(name, "kohya changes between several sentences; one is used here. Change dataset.template.")
    return "textual_inversion"


def _whole(values: Values) -> str:
    """Set a method that trains the model itself: DreamBooth, unless there are captions in one file (fine_tune.py)."""
    method = "full" if values.has("in_json") or values.has("train_text_encoder") else "dreambooth"
    name = "in_json" if values.has("in_json") else "network_module"
    values.draft.set("method.name", method, values.name(name), values.raw(name))
    if values.flag("full_bf16"):
        values.set("method.full.weights", "full_bf16", "bf16")
    return method


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _of_arguments(values: Values, name: str) -> str:
    """Name one of the network's arguments, which kohya_ss has as settings of their own."""
    place = values.name("network_args")
    return f"{place}'s {name}" if place == "network_args" else name

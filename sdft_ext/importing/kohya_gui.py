"""The JSON of kohya_ss, the interface of sd-scripts → the arguments that it would start sd-scripts with.

Empty texts and zeros mean that an argument isn't given (kohya_gui/lora_gui.py, ``train_model``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .draft import shown
from .source import SettingsFileError
from .values import finite

RENAMED = {
    "max_resolution": "resolution",
    "optimizer": "optimizer_type",
    "lora_network_weights": "network_weights",
    "noise_offset_type": "",
    "sample_every_n_epochs": "sample_every_n_epochs",
}
"""Names of kohya_ss, and the arguments that they become."""
ZERO_IS_NOTHING = frozenset(
    {
        "max_train_steps",
        "max_train_epochs",
        "save_every_n_steps",
        "save_every_n_epochs",
        "save_last_n_steps",
        "save_last_n_epochs",
        "sample_every_n_steps",
        "sample_every_n_epochs",
        "seed",
        "clip_skip",
        "min_snr_gamma",
        "min_timestep",
        "max_timestep",
        "stop_text_encoder_training",
        "multires_noise_iterations",
        "multires_noise_discount",
        "ip_noise_gamma",
        "noise_offset",
        "adaptive_noise_scale",
        "scale_weight_norms",
        "network_dropout",
        "lr_scheduler_num_cycles",
        "lr_scheduler_power",
        "min_bucket_reso",
        "max_bucket_reso",
        "learning_rate_te",
        "learning_rate_te1",
        "learning_rate_te2",
        "vae_batch_size",
        "huber_c",
    }
)
LYCORIS = {
    "locon": "locon",
    "lycoris/locon": "locon",
    "lycoris/loha": "loha",
    "lycoris/lokr": "lokr",
    "lycoris/dylora": "dylora",
    "lycoris/glora": "glora",
    "lycoris/ia3": "ia3",
    "lycoris/diag-oft": "diag-oft",
    "lycoris/boft": "boft",
    "lycoris/native fine-tuning": "full",
}
NETWORKS = {
    "standard": "networks.lora",
    "kohya locon": "networks.lora",
    "kohya loha": "networks.loha",
    "kohya lokr": "networks.lokr",
    "kohya dylora": "networks.dylora",
    "kohya lora-fa": "networks.lora_fa",
    "lora-fa": "networks.lora_fa",
}
ARGUMENTS = {
    "LyCORIS_preset": "preset",
    "conv_dim": "conv_dim",
    "conv_alpha": "conv_alpha",
    "use_tucker": "use_tucker",
    "use_cp": "use_cp",
    "rank_dropout": "rank_dropout",
    "module_dropout": "module_dropout",
    "rank_dropout_scale": "rank_dropout_scale",
    "dora_wd": "dora_wd",
    "use_scalar": "use_scalar",
    "train_norm": "train_norm",
    "decompose_both": "decompose_both",
    "factor": "factor",
    "bypass_mode": "bypass_mode",
    "block_dims": "block_dims",
    "block_alphas": "block_alphas",
    "conv_block_dims": "conv_block_dims",
    "conv_block_alphas": "conv_block_alphas",
    "down_lr_weight": "down_lr_weight",
    "mid_lr_weight": "mid_lr_weight",
    "up_lr_weight": "up_lr_weight",
    "loraplus_lr_ratio": "loraplus_lr_ratio",
    "loraplus_unet_lr_ratio": "loraplus_unet_lr_ratio",
    "loraplus_text_encoder_lr_ratio": "loraplus_text_encoder_lr_ratio",
}
"""Settings of kohya_ss that become arguments of the network."""
ONLY_LYCORIS = ("LyCORIS_preset", "use_tucker", "use_cp", "dora_wd", "use_scalar", "train_norm", "bypass_mode")
ONLY_LOKR = ("factor", "decompose_both", "use_cp")
"""LyCORIS' settings that kohya_ss stores with every file, and uses with LoKr alone."""
QUIET_HERE = frozenset(
    {
        "unit",
        "block_lr_zero_threshold",
        "train_on_input",
        "create_caption",
        "create_buckets",
        "full_path",
        "use_latent_files",
        "latent_metadata_filename",
        "train_dir",
        "batch_size",
        "conv_dims",
        "conv_alphas",
        "constrain",
        "rescaled",
    }
)
OTHER_MODELS = (
    "flux1",
    "flux1_checkbox",
    "sd3_checkbox",
    "lumina_checkbox",
    "hunyuan_image_checkbox",
    "anima_checkbox",
)


def as_arguments(gui: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the arguments, and the names of those that have another one in the file.

    Raises SettingsFileError where the file trains a model of a kind that isn't trained here.
    """
    kind = str(gui.get("LoRA_type") or "").lower()
    other = next((name for name in OTHER_MODELS if gui.get(name) is True), "")
    if other or any(name in kind for name in ("flux", "anima", "lumina", "hunyuan")):
        raise SettingsFileError(
            f"The settings train another kind of model ({other or shown(gui.get('LoRA_type'))}). This program trains "
            "Stable Diffusion 1, 2 and XL: choose settings for one of them."
        )
    found: dict[str, Any] = {}
    names: dict[str, str] = {}
    for key, value in gui.items():
        if value in ("", None) or (key in ZERO_IS_NOTHING and _is_zero(value)):
            continue
        name = RENAMED.get(key, key)
        if name and key not in ARGUMENTS and key not in QUIET_HERE:
            found[name] = value
            names[name] = key
    if gui.get("image_folder"):  # fine-tuning, whose captions are in one file
        found["train_data_dir"], names["train_data_dir"] = found.pop("image_folder"), "image_folder"
        found["in_json"] = gui.get("caption_metadata_filename") or "meta_cap.json"
        names["in_json"] = "caption_metadata_filename"
        found.pop("caption_metadata_filename", None)
    template = str(found.pop("template", "")).partition(" ")[0]
    if template in ("object", "style"):
        found[f"use_{template}_template"], names[f"use_{template}_template"] = True, "template"
    if kind:
        _set_network(gui, kind, found, names)
    _set_lora_rates(gui, found, bool(kind))
    _set_times(found, names)
    _set_noise(gui, found)
    found.pop("LoRA_type", None)
    return found, names


def _is_zero(value: Any) -> bool:
    return value is False or finite(value) == 0


def _set_network(gui: Mapping[str, Any], kind: str, found: dict[str, Any], names: dict[str, str]) -> None:
    algorithm = LYCORIS.get(kind, "")
    arguments = [f"algo={algorithm}"] if algorithm else []
    for key, name in ARGUMENTS.items():
        value = gui.get(key)
        skipped = (
            (key in ONLY_LYCORIS and not algorithm)
            or (key in ONLY_LOKR and algorithm != "lokr")
            or (key in ("conv_dim", "conv_alpha") and not algorithm and kind != "kohya locon")
        )
        if value not in (None, "", False) and not skipped and not (key not in ("factor",) and _is_zero(value)):
            arguments.append(f"{name}={value}")
    found["network_module"] = "lycoris.kohya" if algorithm else NETWORKS.get(kind, f"networks.{kind.replace(' ', '_')}")
    found["network_args"] = arguments
    names["network_module"], names["network_args"] = "LoRA_type", "LoRA_type"


def _set_lora_rates(gui: Mapping[str, Any], found: dict[str, Any], lora: bool) -> None:
    """Set which parts train: of a LoRA, a rate of 0 leaves a part out where the other has one."""
    if not lora:
        return
    unet, text = (not _is_zero(gui.get(name) or 0) for name in ("unet_lr", "text_encoder_lr"))
    found["network_train_unet_only"] = unet and not text
    found["network_train_text_encoder_only"] = text and not unet
    for name, given in (("unet_lr", unet), ("text_encoder_lr", text)):
        if not given:
            found.pop(name, None)


def _set_times(found: dict[str, Any], names: dict[str, str]) -> None:
    """Set warm-up and the text encoder's end, which are percents here, and epochs."""
    percent = found.pop("lr_warmup", None)
    if percent is not None and _is_zero(found.get("lr_warmup_steps", 0)):
        found["lr_warmup_steps"], names["lr_warmup_steps"] = _share(percent), "lr_warmup"
        if "dataset_config" in found and "max_train_steps" in found:
            found["lr_warmup_steps"] = _rounded(found["lr_warmup_steps"], found["max_train_steps"])
    stop = found.pop("stop_text_encoder_training_pct", None)
    stop = found.pop("stop_text_encoder_training", stop)
    if stop is not None and not _is_zero(stop):
        found["stop_text_encoder_share"] = _share(stop)
        names["stop_text_encoder_share"] = "stop_text_encoder_training"


def _share(percent: Any) -> Any:
    number = finite(percent)
    return percent if number is None else number / 100


def _rounded(share: Any, steps: Any) -> Any:
    """Return a share of the steps as kohya_ss rounds it, where a dataset file is given."""
    first, second = finite(share), finite(steps)
    return share if first is None or second is None else round(first * int(second))


def _set_noise(gui: Mapping[str, Any], found: dict[str, Any]) -> None:
    """Leave out the noise that isn't of the chosen type: kohya_ss stores both."""
    kind = str(gui.get("noise_offset_type") or "")
    if kind == "Original":
        for name in ("multires_noise_iterations", "multires_noise_discount"):
            found.pop(name, None)
    elif kind == "Multires":
        for name in ("noise_offset", "adaptive_noise_scale"):
            found.pop(name, None)

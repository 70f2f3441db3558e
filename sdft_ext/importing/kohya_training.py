"""kohya's learning rates, schedule, length, loss and noise → the recipe's section ``train``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .draft import shown
from .kohya_dataset import batches
from .kohya_subsets import Dataset
from .optimizers import arguments, set_optimizer
from .values import Values

RATE = 2e-6
"""sd-scripts' learning rate where none is given."""
STEPS = 1600
"""sd-scripts' steps where no length is given."""
SCHEDULES = ("constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial")
PRECISIONS = {"no": "fp32", "fp16": "fp16", "bf16": "bf16", "float": "fp32", "fp32": "fp32"}
ONE_RATE = ("prodigy",)
"""Optimizers that have a single rate here; sd-scripts uses the first, the text encoder's."""


def set_rates(values: Values, method: str) -> None:
    """Set the learning rates, and which parts are trained."""
    rate = values.number("learning_rate", RATE)
    if not values.has("network_module"):
        _whole_model_rates(values, method, rate)
        return
    unet, text = values.number("unet_lr", rate), _text_rate(values, "text_encoder_lr", rate)
    unet_only, text_only = values.flag("network_train_unet_only"), values.flag("network_train_text_encoder_only")
    trains_unet, trains_text = not text_only and unet != 0, not unet_only and text != 0
    values.set("method.unet", "network_train_text_encoder_only", trains_unet)
    values.set("method.text_encoder", "network_train_unet_only", trains_text)
    own = "unet_lr" if values.has("unet_lr") else "learning_rate"
    values.set("train.learning_rate", own if trains_unet else "text_encoder_lr", unet if trains_unet else text)
    if trains_unet and trains_text and text != unet:
        _set_text_rate(values, "text_encoder_lr", text)


def _whole_model_rates(values: Values, method: str, rate: float | None) -> None:
    values.set("train.learning_rate", "learning_rate", rate)
    if method == "textual_inversion":
        return
    stop = values.whole("stop_text_encoder_training")
    trains = stop is None or stop >= 0
    if method == "full":
        trains = values.flag("train_text_encoder")
    names = (
        ("learning_rate_te1", "learning_rate_te") if values.flag("sdxl") else ("learning_rate_te", "learning_rate_te1")
    )
    name = next((one for one in names if values.has(one)), "learning_rate_te")
    values.has(names[1])
    text = _text_rate(values, name, rate)
    second = values.number("learning_rate_te2")
    if name == "learning_rate_te1" and second is not None and second != text:
        values.leave("learning_rate_te2", "both text encoders have one rate here: learning_rate_te1 was taken.")
    values.draft.set("method.text_encoder", trains and text != 0, values.name(name), text)
    if trains and text not in (0, rate):
        _set_text_rate(values, name, text)


def _text_rate(values: Values, name: str, rate: float | None) -> float | None:
    """Return the text encoder's rate; of several, for SDXL's two, the first."""
    given = values.raw(name)
    if isinstance(given, list):
        if len(set(map(str, given))) > 1:
            values.leave(name, "both text encoders have one rate here: the first was taken.")
        return Values({name: given[0]}, values.draft, values.prefix).number(name, rate)
    return values.number(name, rate)


def _set_text_rate(values: Values, name: str, rate: float | None) -> None:
    if values.draft.recipe.train.optimizer in ONE_RATE:
        values.leave(name, "Prodigy has one rate for both parts here: that of the UNet was taken.")
        return
    values.set("train.text_encoder_learning_rate", name, rate)


def set_kohya_optimizer(values: Values) -> str:
    """Set the optimizer and its options; return its name here."""
    given = arguments(values, "optimizer_args")
    for flag, name in (("use_8bit_adam", "AdamW8bit"), ("use_lion_optimizer", "Lion")):
        if values.flag(flag) and not values.has("optimizer_type"):
            values = Values({**values.values, "optimizer_type": name}, values.draft, names={"optimizer_type": flag})
    if "adafactor" in values.text("optimizer_type").lower():
        given.setdefault("relative_step", True)
    return set_optimizer(values, "optimizer_type", given)


def set_length(values: Values, datasets: Sequence[Dataset]) -> int | None:
    """Set how long to train; return the steps, as sd-scripts counts them, or None where they can't be counted."""
    accumulation = max(values.whole("gradient_accumulation_steps", 1) or 1, 1)
    values.set("train.accumulation", "gradient_accumulation_steps", accumulation)
    epochs, steps = values.whole("max_train_epochs"), values.whole("max_train_steps")
    gui_epochs = values.whole("epoch")
    if not epochs and not steps and gui_epochs and not values.has("dataset_config"):
        return _set_gui_length(values, gui_epochs, datasets)
    if not epochs:
        values.set("train.length", "max_train_steps", steps or STEPS)
        values.set("train.length_unit", "max_train_steps", "steps")
        if not steps:
            values.draft.note(f"No length is given: {STEPS:,} steps were taken, as kohya does. Set train.length.")
        return steps or STEPS
    if steps:
        values.leave("max_train_steps", f"max_train_epochs decides, there and here: {epochs}.")
    count = batches(datasets)
    if count is None:
        set_epochs(values, "max_train_epochs", epochs)
        return None
    per_epoch = math.ceil(count / accumulation)
    _set_counted(values, epochs, per_epoch, datasets)
    return epochs * per_epoch


def _set_gui_length(values: Values, epochs: int, datasets: Sequence[Dataset]) -> int | None:
    """Set the length that kohya_ss counts: pictures × repeats ÷ batch × epochs, doubled where there is a folder of
    regularization pictures.
    """
    train = values.draft.recipe.train
    counted = [one.counted(False) for one in datasets]
    if not counted or any(one is None for one in counted):
        set_epochs(values, "epoch", epochs)
        return None
    pictures = sum(showing.repeats for own in counted for showing in own or ())
    factor = 2 if values.has("reg_data_dir") else 1
    steps = math.ceil(pictures / train.batch_size / train.accumulation * epochs * factor)
    values.set("train.length", "epoch", steps)
    values.set("train.length_unit", "epoch", "steps")
    return steps


def set_epochs(values: Values, name: str, epochs: int) -> None:
    """Set a length in epochs whose steps can't be counted."""
    values.set("train.length", name, epochs)
    values.set("train.length_unit", name, "epochs")
    values.draft.note(
        f"{values.name(name)} is {epochs}: its steps couldn't be counted, as the pictures weren't found here. Check "
        "the folders; the steps are the same where each bucket's pictures fill whole batches."
    )


def _set_counted(values: Values, epochs: int, per_epoch: int, datasets: Sequence[Dataset]) -> None:
    """Set a length whose steps are known: in epochs where these have as many steps here."""
    train = values.draft.recipe.train
    counts = [(one.counted(False), one.counted(True)) for one in datasets]
    shown_pictures = sum(sum(showing.repeats for showing in own or ()) * (2 if others else 1) for own, others in counts)
    here = math.ceil(shown_pictures / (train.batch_size * train.accumulation))
    if here == per_epoch:
        values.set("train.length", "max_train_epochs", epochs)
        values.set("train.length_unit", "max_train_epochs", "epochs")
        return
    values.set("train.length", "max_train_epochs", epochs * per_epoch)
    values.set("train.length_unit", "max_train_epochs", "steps")
    values.draft.note(
        f"{values.name('max_train_epochs')} is {epochs}: in kohya these are {epochs * per_epoch:,} steps, as each "
        f"bucket ends with a smaller batch. All batches are full here, so {epochs} epochs would be {epochs * here:,} "
        "steps. The steps were taken; set train.length and train.length_unit for as many pictures instead."
    )


def set_schedule(values: Values, optimizer: str, steps: int | None) -> None:
    """Set the schedule and its warm-up."""
    given = values.text("lr_scheduler", "constant")
    name = given.partition(":")[0].lower()
    if optimizer == "adamw_schedule_free":
        name = "constant"
    if values.has("lr_scheduler_type"):
        values.leave("lr_scheduler_type", "schedules of other packages aren't run. Choose one in train.schedule.")
    if values.has("lr_scheduler_args"):
        values.leave("lr_scheduler_args", "the schedules have no such arguments here. Choose one in train.schedule.")
    chosen = name if name in SCHEDULES else "cosine" if "cosine" in name else "constant_with_warmup"
    if chosen != name:
        values.leave("lr_scheduler", f"there is no such schedule here, so {chosen} was chosen. See train.schedule.")
    values.set("train.schedule", "lr_scheduler", chosen)
    if chosen != "constant":
        _set_warmup(values, steps)
    else:
        values.raw("lr_warmup_steps")  # there, too, 'constant' has none
    cycles, power = values.whole("lr_scheduler_num_cycles", 1), values.number("lr_scheduler_power", 1.0)
    if chosen == "cosine_with_restarts":
        values.set("train.cycles", "lr_scheduler_num_cycles", cycles)
    if chosen == "polynomial":
        values.set("train.power", "lr_scheduler_power", power)


def _set_warmup(values: Values, steps: int | None) -> None:
    """Set the warm-up: below 1 it is a share of the run."""
    warmup = values.number("lr_warmup_steps", 0.0) or 0.0
    if 0 < warmup < 1:
        if steps is None:
            values.leave(
                "lr_warmup_steps",
                f"it is a share of the run, whose steps couldn't be counted. Set train.warmup to {warmup:g} of them.",
            )
            return
        warmup = int(warmup * steps)
    values.set("train.warmup", "lr_warmup_steps", int(warmup))


def set_text_stop(values: Values, steps: int | None) -> None:
    """Set when the text encoder stops: there after steps, here after a share of the run."""
    share = values.number("stop_text_encoder_share")
    if share:
        values.set("train.text_encoder_stop", "stop_text_encoder_share", share)
    stop = values.whole("stop_text_encoder_training")
    if stop is None or stop <= 0:
        return
    if steps is None:
        values.leave(
            "stop_text_encoder_training",
            "the run's steps couldn't be counted. Set train.text_encoder_stop to its share.",
        )
    else:
        values.set("train.text_encoder_stop", "stop_text_encoder_training", round(min(stop / steps, 1.0), 6))


def set_loss_and_noise(values: Values) -> None:
    """Set loss, its weights, noise and timesteps."""
    values.set("train.prior_loss_weight", "prior_loss_weight", values.number("prior_loss_weight", 1.0))
    values.set("train.clip_norm", "max_grad_norm", values.number("max_grad_norm", 1.0))
    _set_loss(values)
    if values.number("min_snr_gamma", 0.0):
        values.set("train.snr_weighting", "min_snr_gamma", "min_snr")
        values.set("train.snr_gamma", "min_snr_gamma", values.number("min_snr_gamma"))
    if values.flag("debiased_estimation_loss"):
        if values.number("min_snr_gamma", 0.0):
            values.leave("debiased_estimation_loss", "it can't be combined with min_snr_gamma here: that was taken.")
        else:
            values.set("train.snr_weighting", "debiased_estimation_loss", "debiased")
    iterations = values.whole("multires_noise_iterations", 0)
    values.set("train.noise_offset", "noise_offset", values.number("noise_offset", 0.0))
    values.set("train.multires_iterations", "multires_noise_iterations", iterations)
    discount = values.number("multires_noise_discount", 0.3)
    if iterations:
        values.set("train.multires_discount", "multires_noise_discount", discount)
    values.set("train.input_perturbation", "ip_noise_gamma", values.number("ip_noise_gamma", 0.0))
    values.set("train.timestep_min", "min_timestep", values.whole("min_timestep", 0))
    # sd-scripts draws timesteps below max_timestep (library/train_util.py, get_timesteps).
    values.set("train.timestep_max", "max_timestep", (values.whole("max_timestep", 1000) or 1000) - 1)
    values.set("train.zero_terminal_snr", "zero_terminal_snr", values.flag("zero_terminal_snr"))
    if values.flag("masked_loss"):
        values.set("train.masked_loss", "masked_loss", True)
        values.leave(
            "masked_loss",
            "masks are read from NAME-mask.png next to each picture here. Move those of conditioning_data_dir.",
        )


def _set_loss(values: Values) -> None:
    """Set the loss. sd-scripts' huber is the pseudo-Huber loss; smooth_l1 is the same, divided by its delta."""
    given, schedule = values.text("loss_type", "l2"), values.text("huber_schedule", "snr")
    delta = values.number("huber_c", 0.1)
    names: dict[str, str] = {"l2": "l2", "l1": "l1", "huber": "pseudo_huber", "smooth_l1": "pseudo_huber"}
    if given not in names:
        values.leave("loss_type", "there is no such loss here, so l2 was kept. See train.loss.")
        return
    values.set("train.loss", "loss_type", names[given])
    if names[given] != "pseudo_huber":
        return
    values.set("train.huber_delta", "huber_c", delta)
    if schedule != "constant":
        values.leave(
            "huber_schedule",
            f"the delta is {shown(delta)} at every timestep here, and another at each timestep there. See "
            "train.huber_delta.",
        )
    if given == "smooth_l1":
        values.leave(
            "loss_type",
            "this is the same loss divided by huber_c: only gradient clipping notices. No action is needed.",
        )


def set_computation(values: Values) -> None:
    """Set precision, checkpointing, cache and seed."""
    precision: Any = values.text("mixed_precision", "no")
    values.set("train.precision", "mixed_precision", PRECISIONS.get(precision, precision))
    values.set("train.checkpointing", "gradient_checkpointing", values.flag("gradient_checkpointing"))
    to_disk, cached = values.flag("cache_latents_to_disk"), values.flag("cache_latents")
    values.set("dataset.cache", "cache_latents_to_disk", "disk" if to_disk else "memory")
    # Cached latents are one draw for the whole run there; the mean of all draws comes nearest.
    values.set("dataset.latents", "cache_latents", "mean" if cached or to_disk else "random")
    if values.has("seed"):
        values.set("train.seed", "seed", values.whole("seed", 1))
    if values.has("clip_skip"):
        values.set("model.clip_skip", "clip_skip", values.whole("clip_skip", 1))

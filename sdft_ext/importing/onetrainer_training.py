"""OneTrainer's learning rates, schedule, loss and noise → the recipe's section ``train``."""

from __future__ import annotations

import math

from .draft import shown
from .optimizers import set_optimizer
from .values import Values

RATE = 3e-6
"""OneTrainer's learning rate where none is given."""
SCHEDULES = {
    "CONSTANT": "constant_with_warmup",
    "LINEAR": "linear",
    "COSINE": "cosine",
    "COSINE_WITH_HARD_RESTARTS": "cosine_with_restarts",
}
PRECISIONS = {"FLOAT_32": "fp32", "TFLOAT_32": "fp32", "FLOAT_16": "fp16", "BFLOAT_16": "bf16"}
NOT_OPTIONS = frozenset({"optimizer", "fused", "foreach", "fused_back_pass", "stochastic_rounding", "capturable"})
"""Of an optimizer's settings: those that change speed and rounding alone."""
ADAFACTOR = ("clip_threshold", "decay_rate", "scale_parameter", "relative_step", "warmup_init", "beta1")
OPTIONS: dict[str, tuple[str, ...]] = {
    "ADAFACTOR": ADAFACTOR,
    "PRODIGY": ("beta3", "d0", "d_coef", "decouple", "growth_rate", "safeguard_warmup", "use_bias_correction", "eps"),
    "DADAPT_ADAM": ("d0", "growth_rate", "decouple", "eps"),
    "SCHEDULE_FREE_ADAMW": ("r", "weight_lr_power", "eps"),
    "ADAMW": ("amsgrad", "eps"),
    "ADAMW_8BIT": ("eps",),
}
"""The settings that each optimizer uses, besides betas and weight decay; the file stores those of all."""


def set_optimizer_and_rates(values: Values, method: str) -> str:
    """Set the optimizer, its options, and the learning rates of the parts that train; return the optimizer's name."""
    table = values.table("optimizer")
    chosen = table.text("optimizer", "ADAMW")
    options = {name: table.raw(name) for name in OPTIONS.get(chosen.upper(), ("eps",)) if table.has(name)}
    if table.has("weight_decay"):
        options["weight_decay"] = table.number("weight_decay")
    betas = [table.number(name) for name in ("beta1", "beta2", "beta3")]
    if chosen.upper() not in ("ADAFACTOR",) and betas[0] is not None and betas[1] is not None:
        options["betas"] = tuple(betas[:3] if chosen.upper().startswith("CAME") and betas[2] is not None else betas[:2])
    if chosen.upper() == "SCHEDULE_FREE_ADAMW":
        options.setdefault("weight_decay", 0.01)
        options["warmup_steps"] = int(values.number("learning_rate_warmup_steps", 200) or 0)
    for name in table.values:
        table.raw(name)
    optimizer = set_optimizer(table, "optimizer", options)
    _set_rates(values, method, optimizer)
    return optimizer


def _scale(values: Values) -> float:
    """Return the factor on all learning rates: the root of the number of pictures that it is scaled by."""
    train, scaler = values.draft.recipe.train, values.text("learning_rate_scaler", "NONE").upper()
    factors = {
        "BATCH": train.batch_size,
        "GLOBAL_BATCH": train.batch_size,
        "GRADIENT_ACCUMULATION": train.accumulation,
        "BOTH": train.batch_size * train.accumulation,
        "GLOBAL_BOTH": train.batch_size * train.accumulation,
    }
    return math.sqrt(factors.get(scaler, 1))


def _set_rates(values: Values, method: str, optimizer: str) -> None:
    scale, rate = _scale(values), values.number("learning_rate", RATE) or 0.0
    note = f"{rate:g} × {scale:g}" if scale != 1 else rate
    if method == "textual_inversion":
        own = values.number("embedding_learning_rate")
        values.draft.set("train.learning_rate", (rate if own is None else own) * scale, "learning_rate", note)
        return
    unet, text = values.table("unet"), values.table("text_encoder")
    unet_rate, text_rate = unet.number("learning_rate", rate) or 0.0, text.number("learning_rate", rate) or 0.0
    trains_unet = unet.flag("train", True)
    trains_text = text.flag("train", True)
    if values.text("model_type").startswith("STABLE_DIFFUSION_XL"):
        trains_text = _second_encoder(values, text_rate, trains_text)
    values.draft.set("method.unet", trains_unet, "unet.train", unet.raw("train"))
    values.draft.set("method.text_encoder", trains_text, "text_encoder.train", text.raw("train"))
    chosen = unet_rate if trains_unet else text_rate
    values.draft.set("train.learning_rate", chosen * scale, "learning_rate", note)
    if trains_unet and trains_text and text_rate != unet_rate:
        if optimizer == "prodigy":
            values.draft.note(
                "text_encoder.learning_rate: Prodigy has one rate for both parts here: that of the UNet was taken."
            )
        else:
            values.draft.set(
                "train.text_encoder_learning_rate", text_rate * scale, "text_encoder.learning_rate", text_rate
            )
    if method == "pivotal":
        own = values.number("embedding_learning_rate")
        if own is not None:
            values.set("method.embedding.learning_rate", "embedding_learning_rate", own * scale)


def _second_encoder(values: Values, rate: float, trains: bool) -> bool:
    """Return whether the text encoders train: both or none, as here they can't be told apart."""
    second = values.table("text_encoder_2")
    both = second.flag("train", True)
    if both != trains:
        second.leave("train", "both text encoders train here, or none: both were chosen. Set method.text_encoder.")
    own = second.number("learning_rate", rate)
    if both and own != rate:
        second.leave("learning_rate", "both text encoders have one rate here: text_encoder.learning_rate was taken.")
    for name in second.values:
        second.raw(name)
    return trains or both


def set_schedule(values: Values, optimizer: str, steps: int | None) -> None:
    """Set the schedule and its warm-up, which OneTrainer counts in batches, or as a share of the run."""
    given = values.text("learning_rate_scheduler", "CONSTANT").upper()
    cycles = values.number("learning_rate_cycles", 1.0) or 1.0
    chosen = SCHEDULES.get(given, "")
    if given == "COSINE_WITH_RESTARTS" and cycles == 0.5:
        chosen = "cosine"  # its cosine goes through so many whole waves: half of one is the plain schedule
    if not chosen:
        chosen = "cosine" if given.startswith("COSINE") else "linear" if given == "REX" else "constant_with_warmup"
        values.leave(
            "learning_rate_scheduler", f"there is no such schedule here, so {chosen} was chosen. See train.schedule."
        )
    if optimizer == "adamw_schedule_free":
        chosen = "constant"
    warmup = values.number("learning_rate_warmup_steps", 200.0) or 0.0
    if chosen == "constant_with_warmup" and not warmup:
        chosen = "constant"
    values.set("train.schedule", "learning_rate_scheduler", chosen)
    if chosen != "constant":
        _set_warmup(values, warmup, steps)
    if chosen == "cosine_with_restarts":
        if cycles != int(cycles):
            values.leave("learning_rate_cycles", "cycles are whole numbers here. See train.cycles.")
        values.set("train.cycles", "learning_rate_cycles", max(int(cycles), 1))
    least = values.number("learning_rate_min_factor", 0.0)
    if least and chosen not in ("constant", "constant_with_warmup"):
        values.leave(
            "learning_rate_min_factor", "the rate falls to 0 here. Set train.schedule to steps for an end of your own."
        )


def _set_warmup(values: Values, warmup: float, steps: int | None) -> None:
    if 0 < warmup <= 1:
        if steps is None:
            values.leave(
                "learning_rate_warmup_steps",
                f"it is a share of the run, whose steps couldn't be counted. Set train.warmup to {warmup:g} of them.",
            )
            return
        warmup = int(warmup * steps)
    else:
        warmup = int(warmup / values.draft.recipe.train.accumulation)
    values.set("train.warmup", "learning_rate_warmup_steps", int(warmup))


def set_text_stop(values: Values, epochs: int, batches: int | None) -> None:
    """Set when the text encoder stops, as a share of the run; report where the UNet does."""
    if values.draft.recipe.method.name == "textual_inversion":
        return
    for part in ("text_encoder", "unet"):
        table = values.table(part)
        after, unit = table.whole("stop_training_after"), table.text("stop_training_after_unit").upper()
        if part == "text_encoder" and after is None and not unit:
            after, unit = 30, "EPOCH"
        total = epochs if unit == "EPOCH" else epochs * batches if unit == "STEP" and batches else 0
        if not after or unit in ("NEVER", "") or (total and after >= total):
            continue
        if part == "unet" or not total:
            table.leave(
                "stop_training_after",
                "only the text encoder can stop earlier here, after a share of the run. See train.text_encoder_stop.",
            )
        elif values.draft.recipe.method.text_encoder and values.draft.recipe.method.unet:
            values.draft.set(
                "train.text_encoder_stop", round(after / total, 6), table.name("stop_training_after"), after
            )


def set_loss_and_noise(values: Values) -> None:
    """Set loss, weights, noise, timesteps, masks and the mean of the weights."""
    _set_loss(values)
    weight, strength = values.text("loss_weight_fn", "CONSTANT").upper(), values.number("loss_weight_strength", 5.0)
    if weight == "MIN_SNR_GAMMA":
        values.set("train.snr_weighting", "loss_weight_fn", "min_snr")
        values.set("train.snr_gamma", "loss_weight_strength", strength)
    elif weight == "DEBIASED_ESTIMATION":
        values.set("train.snr_weighting", "loss_weight_fn", "debiased")
    elif weight != "CONSTANT":
        values.leave("loss_weight_fn", "there is no such weighting here. See train.snr_weighting.")
    clip = values.number("clip_grad_norm", 1.0)
    values.set(
        "train.clip_norm",
        "clip_grad_norm",
        0.0 if "clip_grad_norm" in values.values and values.values["clip_grad_norm"] is None else clip,
    )
    values.set("train.noise_offset", "offset_noise_weight", values.number("offset_noise_weight", 0.0))
    values.set("train.input_perturbation", "perturbation_noise_weight", values.number("perturbation_noise_weight", 0.0))
    zero_snr = values.flag("rescale_noise_scheduler_to_zero_terminal_snr")
    values.set("train.zero_terminal_snr", "rescale_noise_scheduler_to_zero_terminal_snr", zero_snr)
    _set_timesteps(values)
    values.set("train.masked_loss", "masked_training", values.flag("masked_training"))
    outside, chance = values.number("unmasked_weight", 0.1), values.number("unmasked_probability", 0.1)
    if values.flag("masked_training"):
        values.set("train.unmasked_weight", "unmasked_weight", outside)
        if chance:
            values.leave(
                "unmasked_probability", "masks are used in each showing here. Raise train.unmasked_weight a little."
            )
    if values.text("ema", "OFF").upper() != "OFF":
        _set_ema(values)
    dropout = values.table("text_encoder").number("dropout_probability", 0.0)
    values.draft.set("dataset.caption_dropout", dropout, "text_encoder.dropout_probability", dropout or None)
    checkpointing = values.table("unet").flag("gradient_checkpointing", True)
    values.draft.set(
        "train.checkpointing",
        checkpointing,
        "unet.gradient_checkpointing",
        values.table("unet").raw("gradient_checkpointing"),
    )


def _set_loss(values: Values) -> None:
    delta = values.number("huber_delta", 1.0)
    strengths = {
        "l2": values.number("mse_strength", 1.0),
        "l1": values.number("mae_strength", 0.0),
        "huber": values.number("huber_strength", 0.0),
        "log_cosh": values.number("log_cosh_strength", 0.0),
    }
    used = {name: strength for name, strength in strengths.items() if strength}
    name = max(used, key=lambda one: used[one] or 0.0, default="l2")
    if len(used) != 1 or list(used.values()) != [1.0] or name == "log_cosh":
        values.draft.note(
            f"The loss is a sum ({shown(used)}): one is used here, with a strength of 1. Check train.loss and "
            "train.huber_delta."
        )
    values.draft.set("train.loss", "huber" if name == "log_cosh" else name, f"{name}'s strength", used.get(name))
    if name == "huber":
        values.set("train.huber_delta", "huber_delta", delta)


def _set_timesteps(values: Values) -> None:
    low, high = values.number("min_noising_strength", 0.0) or 0.0, values.number("max_noising_strength", 1.0) or 1.0
    values.set("train.timestep_min", "min_noising_strength", int(1000 * low))
    values.set("train.timestep_max", "max_noising_strength", int(1000 * high) - 1)
    kind = values.text("timestep_distribution", "UNIFORM").upper()
    bias, weight = values.number("noising_bias", 0.0) or 0.0, values.number("noising_weight", 0.0) or 0.0
    if kind == "LOGIT_NORMAL":
        values.set("train.timestep_distribution", "timestep_distribution", "logit_normal")
        values.set("train.logit_mean", "noising_bias", bias)
        values.set("train.logit_std", "noising_weight", weight + 1.0)
    elif kind != "UNIFORM" and not (kind == "SIGMOID" and not weight):
        values.leave(
            "timestep_distribution",
            "there is no such distribution here, so all timesteps are alike. See train.timestep_distribution.",
        )


def _set_ema(values: Values) -> None:
    """Set the mean's decay of a step: OneTrainer updates it every few steps."""
    decay, interval = values.number("ema_decay", 0.999) or 0.0, values.whole("ema_update_step_interval", 5) or 1
    if interval < 1:
        values.leave("ema_update_step_interval", "the shortest interval is 1, so that was taken.")
        interval = 1
    if not 0 <= decay <= 1:
        values.leave("ema_decay", "a decay is from 0 to 1, so it was left out. Set train.ema.")
        return
    each = decay ** (1 / interval)
    values.set("train.ema", "ema_decay", round(each, 6))
    if interval != 1:
        values.leave(
            "ema_update_step_interval", f"the mean follows each step here: a decay of {each:.6g} has the same length."
        )

"""What OneTrainer trains → the recipe's method: LoRA and its relatives, an embedding, or the whole model."""

from __future__ import annotations

from typing import Any

from .draft import shown
from .values import Values

PEFT = {"LORA": "lora", "LOHA": "loha", "LOKR": "lokr"}
PRESETS = {"full": "all", "attn-mlp": "linear", "attn-only": "attention"}
"""OneTrainer's choices of layers (LAYER_PRESETS), and the layers here."""


def set_method(values: Values) -> str:
    """Set the recipe's method; return its name."""
    training = values.text("training_method", "FINE_TUNE")
    further = [one for one in values.tables("additional_embeddings") if one.flag("train", True)]
    if training == "EMBEDDING":
        method = _embedding(values)
    elif training == "FINE_TUNE":
        method = "full"
        values.set("method.name", "training_method", method)
        if values.table("unet").text("weight_dtype") == "BFLOAT_16":
            values.draft.set("method.full.weights", "bf16", "unet.weight_dtype", "BFLOAT_16")
    else:
        method = _adapter(values, further)
    if further and method != "pivotal":
        values.leave(
            "additional_embeddings", f"words are trained together with a LoRA alone here (pivotal), not with {method}."
        )
    return method


def _adapter(values: Values, further: list[Values]) -> str:
    peft = values.text("peft_type", "LORA").upper()
    method = PEFT.get(peft, "lora")
    if peft not in PEFT:
        values.leave("peft_type", "this isn't trained here, so a plain LoRA was chosen. Check method.name.")
    if values.flag("lora_decompose") and method == "lora":
        method = "dora"
    if further and method in ("lora", "dora"):
        if method == "dora":
            values.leave("lora_decompose", "words are trained together with a plain LoRA here.")
        method = "pivotal"
        _set_words(values, further)
    values.set("method.name", "peft_type", method)
    rank = values.whole("lokr_dim" if method == "lokr" else "lora_rank", 16)
    values.set("method.lora.rank", "lokr_dim" if method == "lokr" else "lora_rank", rank)
    values.set("method.lora.alpha", "lora_alpha", values.number("lora_alpha", 1.0))
    values.set("method.lora.dropout", "dropout_probability", values.number("dropout_probability", 0.0))
    if method == "lokr":
        values.set(
            "method.lora.factor", "lokr_decompose_factor", max(values.whole("lokr_decompose_factor", -1) or 0, 0)
        )
    if values.has("lora_model_name"):
        values.set("method.lora.continue_from", "lora_model_name", values.text("lora_model_name"))
    _set_layers(values)
    return method


def _set_layers(values: Values) -> None:
    preset, pattern = values.text("layer_filter_preset", "full"), values.text("layer_filter")
    if preset not in PRESETS:
        values.leave(
            "layer_filter_preset", "these layers aren't known here, so all are trained. Set method.lora.layers."
        )
    values.set("method.lora.layers", "layer_filter_preset", PRESETS.get(preset, "all"))
    if pattern and preset not in PRESETS:
        values.leave("layer_filter", "layers are chosen by method.lora.layers and method.lora.block_ranks here.")
    values.flag("layer_filter_regex")


def _embedding(values: Values) -> str:
    values.set("method.name", "training_method", "textual_inversion")
    _set_words(values, [values.table("embedding")])
    inner = values.table("embedding")
    if inner.has("model_name"):
        inner.set("method.embedding.continue_from", "model_name", inner.text("model_name"))
    return "textual_inversion"


def _set_words(values: Values, embeddings: list[Values]) -> None:
    """Set the words, their vectors and the pull on their lengths."""
    words: dict[str, str] = {}
    counts: list[Any] = []
    for one in embeddings:
        placeholder, initial = one.text("placeholder", "<embedding>"), one.text("initial_embedding_text", "*")
        words[placeholder] = "" if initial == "*" else initial
        counts.append(one.whole("token_count", 1))
        for name in ("uuid", "train", "stop_training_after", "stop_training_after_unit", "is_output_embedding"):
            one.raw(name)
    values.draft.set("method.embedding.words", words, "embedding", words)
    values.draft.set("method.embedding.vectors", counts[0], embeddings[0].name("token_count"), counts[0])
    if len(set(counts)) > 1:
        values.draft.note(
            f"The embeddings have {shown(counts)} tokens: all words have as many vectors here, the first's."
        )
    if values.flag("preserve_embedding_norm"):
        values.set("method.embedding.norm_pull", "preserve_embedding_norm", 1.0)

"""Encode captions like the WebUI encodes prompts: in any number of chunks of 75 tokens.

Captions are literal: the WebUI's emphasis, ``(word:1.2)``, and its keyword BREAK are not parsed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError
from .base import Conditioning, Model

START, END, COMMA = 49406, 49407, 267
CHUNK = 75
BACKTRACK = 20
"""A chunk ends at a comma among its last 20 tokens rather than within a phrase (the WebUI's default)."""

MAX_WORD = 400
"""Letters of a word that is tokenized as a whole."""
_LONG_WORD = re.compile(rf"\S{{{MAX_WORD}}}(?=\S)")

Ids = list[int]


def tokens(tokenizer: Any, prompt: str) -> Ids:
    """Return the token ids of a prompt, without start and end. Words of more than ``MAX_WORD`` letters are split: the
    tokenizer's time grows with the square of a word's length.
    """
    prompt = _LONG_WORD.sub(r"\g<0> ", prompt)
    ids: Ids = tokenizer(prompt, add_special_tokens=False, truncation=False).input_ids
    return ids


def chunks(ids: Sequence[int], word_lengths: Mapping[int, int] | None = None) -> list[Ids]:
    """Split ids into chunks of at most 75, at a comma if one is near the end; an empty prompt is one empty chunk.

    ``word_lengths``: first id of a word that must not be split → its number of ids (see ``model.trained_tokens``).
    """
    result: list[Ids] = [[]]
    comma = -1
    for token in ids:
        current = result[-1]
        if word_lengths and token in word_lengths and len(current) + word_lengths[token] > CHUNK:
            result.append([])
            comma = -1
            current = result[-1]
        if token == COMMA:
            comma = len(current)
        elif len(current) == CHUNK and comma != -1 and len(current) - comma <= BACKTRACK:
            result[-1], moved = current[: comma + 1], current[comma + 1 :]
            result.append(moved)
            comma = -1
        if len(result[-1]) == CHUNK:
            result.append([])
            comma = -1
        result[-1].append(token)
    return result


def prompt_chunks(tokenizer: Any, prompt: str) -> list[Ids]:
    """Return the chunks of a prompt, with no new word of the tokenizer split."""
    return chunks(tokens(tokenizer, prompt), getattr(tokenizer, "word_lengths", None))


def padded(chunk: Sequence[int], pad: int) -> Ids:
    """Return start, the chunk, end, and ``pad`` up to 77 ids."""
    return [START, *chunk, END, *([pad] * (CHUNK - len(chunk)))]


def chunk_count(model: Model, prompt: str) -> int:
    """Return the number of chunks of 75 tokens that a prompt takes, at least 1."""
    return len(prompt_chunks(model.tokenizers[0], prompt))


def encode(model: Model, prompts: Sequence[str], clip_skip: int = 1, least_chunks: int = 1) -> Conditioning:
    """Encode prompts to conditioning [B, 77·chunks, D]; differentiable. Equal prompts are encoded once.

    Shorter prompts are padded with empty chunks, to ``least_chunks`` or the longest prompt. ``clip_skip`` 1 is the
    layer that the model was trained with (the last of SD 1, the one before of SD 2 and SDXL); 2 and more count from the
    end. SDXL concatenates both encoders' features, and pools the first chunk. Raises ModelError where ``clip_skip`` is
    more than the text encoder's layers.
    """
    unique = list(dict.fromkeys(prompts))
    context, pooled = [], None
    for number, (encoder, tokenizer) in enumerate(zip(model.text_encoders, model.tokenizers, strict=True)):
        open_clip = model.family.open_clip[number]
        rows = [prompt_chunks(tokenizer, prompt) for prompt in unique]
        length = max(least_chunks, *(len(row) for row in rows))
        ids = [[padded(chunk, 0 if open_clip else END) for chunk in row + [[]] * (length - len(row))] for row in rows]
        batch = torch.tensor(ids, device=encoder.device).flatten(0, 1)
        layer = _layer(model, number, clip_skip)
        features, last = _run(encoder, batch, layer, final_norm=model.family.name != "sdxl")
        context.append(features.unflatten(0, (len(unique), length)).flatten(1, 2))
        if hasattr(encoder, "text_projection"):
            pooled = _pooled(encoder, batch, last)[::length]
    result = Conditioning(torch.cat(context, -1), pooled)
    if len(unique) == len(prompts):
        return result
    return result.rows([unique.index(prompt) for prompt in prompts])


def check_clip_skip(model: Model, clip_skip: int) -> None:
    """Raise ModelError where ``clip_skip`` is more than a text encoder's layers."""
    for number in range(len(model.text_encoders)):
        _layer(model, number, clip_skip)


def _layer(model: Model, number: int, clip_skip: int) -> int:
    """Return the layer of a text encoder whose output is used, counted from the end. Raises ModelError."""
    layer = max(model.family.text_layer[number], clip_skip - model.family.missing_text_layers)
    layers = model.text_encoders[number].config.num_hidden_layers
    if layer > layers:
        raise ModelError(
            f"model.clip_skip is {clip_skip}, more than the {layers} layers of this model's text encoder: lower it."
        )
    return layer


def _run(encoder: Any, ids: Tensor, layer: int, final_norm: bool) -> tuple[Tensor, Tensor]:
    """Return the features of a layer (1 is the last), and the last layer's normalized output."""
    output = encoder.text_model(input_ids=ids, output_hidden_states=True, return_dict=True)
    if layer == 1 and final_norm:
        return output.last_hidden_state, output.last_hidden_state
    features = output.hidden_states[-layer]
    if final_norm:
        features = encoder.text_model.final_layer_norm(features)
    return features, output.last_hidden_state


def _pooled(encoder: Any, ids: Tensor, last: Tensor) -> Tensor:
    """Return OpenCLIP's pooled text, [B, P]: the projected feature at the end token."""
    end = (ids == END).int().argmax(-1)
    result: Tensor = encoder.text_projection(last[torch.arange(len(ids), device=ids.device), end])
    return result

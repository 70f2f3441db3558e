"""Captions to conditioning, as the WebUI reads prompts: 75 tokens a chunk, any number of chunks.

Captions are literal: the WebUI's emphasis syntax, ``(word:1.2)``, and its word BREAK are not parsed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError
from .base import Conditioning, Model

START, END, COMMA = 49406, 49407, 267
CHUNK = 75
BACKTRACK = 20
"""A chunk that would break a phrase is ended at a comma among its last so many tokens (the WebUI's default)."""

Ids = list[int]


def tokens(tokenizer: Any, prompt: str) -> Ids:
    """Token ids of a prompt, without start and end."""
    ids: Ids = tokenizer(prompt, add_special_tokens=False, truncation=False).input_ids
    return ids


def chunks(ids: Sequence[int], whole: Mapping[int, int] | None = None) -> list[Ids]:
    """Ids cut into chunks of at most 75, at a comma where one is near the end; the empty prompt is one empty chunk.

    ``whole``: first id of a word that isn't cut → how many ids it has (see ``model.trained_tokens``).
    """
    result: list[Ids] = [[]]
    comma = -1
    for token in ids:
        current = result[-1]
        if whole and token in whole and len(current) + whole[token] > CHUNK:
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
    """The chunks of a prompt; new words that a tokenizer knows stay in one piece."""
    return chunks(tokens(tokenizer, prompt), getattr(tokenizer, "whole", None))


def padded(chunk: Sequence[int], pad: int) -> Ids:
    """Start, the chunk, end, and ``pad`` up to 77."""
    return [START, *chunk, END, *([pad] * (CHUNK - len(chunk)))]


def token_count(model: Model, prompt: str) -> int:
    """Tokens of a prompt as the first text encoder reads it, without start and end."""
    return len(tokens(model.tokenizers[0], prompt))


def chunk_count(model: Model, prompt: str) -> int:
    """How many chunks of 75 tokens a prompt takes, at least 1."""
    return len(prompt_chunks(model.tokenizers[0], prompt))


def encode(model: Model, prompts: Sequence[str], clip_skip: int = 1, least_chunks: int = 1) -> Conditioning:
    """The conditioning [B, 77·chunks, D] of prompts; differentiable. Equal prompts are encoded once.

    Shorter prompts are filled up with empty chunks, to ``least_chunks`` or the longest's. ``clip_skip`` 1 is the text
    encoder's own layer (the last of SD 1, the one before of SD 2 and SDXL, as they were trained); 2 and more count from
    the end. SDXL joins both encoders' features, and pools the first chunk. Raises ModelError where the text encoder has
    fewer layers than are skipped.
    """
    unique = list(dict.fromkeys(prompts))
    context, pooled = [], None
    for number, (encoder, tokenizer) in enumerate(zip(model.text_encoders, model.tokenizers, strict=True)):
        open_clip = model.family.open_clip[number]
        rows = [prompt_chunks(tokenizer, prompt) for prompt in unique]
        length = max(least_chunks, *(len(row) for row in rows))
        ids = [[padded(chunk, 0 if open_clip else END) for chunk in row + [[]] * (length - len(row))] for row in rows]
        batch = torch.tensor(ids, device=encoder.device).flatten(0, 1)
        layer = max(model.family.text_layer[number], clip_skip - model.family.left_out)
        layers = encoder.config.num_hidden_layers
        if layer > layers:
            raise ModelError(
                f"Clip skip {clip_skip} is more than the {layers} layers of this model's text encoder: "
                "choose less for model.clip_skip."
            )
        features, last = _run(encoder, batch, layer, final_norm=model.family.name != "sdxl")
        context.append(features.unflatten(0, (len(unique), length)).flatten(1, 2))
        if hasattr(encoder, "text_projection"):
            pooled = _pooled(encoder, batch, last)[::length]
    result = Conditioning(torch.cat(context, -1), pooled)
    if len(unique) == len(prompts):
        return result
    return result.rows([unique.index(prompt) for prompt in prompts])


def _run(encoder: Any, ids: Tensor, layer: int, final_norm: bool) -> tuple[Tensor, Tensor]:
    """Features of a layer (1 is the last), and the last layer's normed output."""
    output = encoder.text_model(input_ids=ids, output_hidden_states=True, return_dict=True)
    if layer == 1 and final_norm:
        return output.last_hidden_state, output.last_hidden_state
    features = output.hidden_states[-layer]
    if final_norm:
        features = encoder.text_model.final_layer_norm(features)
    return features, output.last_hidden_state


def _pooled(encoder: Any, ids: Tensor, last: Tensor) -> Tensor:
    """OpenCLIP's pooled text: the projected feature at the end token, [B, P]."""
    end = (ids == END).int().argmax(-1)
    result: Tensor = encoder.text_projection(last[torch.arange(len(ids), device=ids.device), end])
    return result

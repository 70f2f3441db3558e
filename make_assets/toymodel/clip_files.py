"""OpenAI CLIP's tokenizer as transformers reads it, and the toy text encoder's configuration."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

from make_assets.toymodel.common import CLIP_FOLDER

TEXT_WIDTH = 64


def text_settings() -> dict[str, Any]:
    """CLIPTextConfig's settings for the toy text encoder."""
    return {
        "vocab_size": 49408,
        "hidden_size": TEXT_WIDTH,
        "intermediate_size": 4 * TEXT_WIDTH,
        "projection_dim": TEXT_WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 77,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-05,
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
    }


def find_bpe() -> Path:
    """The vocabulary that the open-clip-torch package carries (found without importing the package)."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise SystemExit("open-clip-torch is not installed: pip install --no-deps open-clip-torch, or pass --bpe FILE")
    return Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz"


def byte_letters() -> list[str]:
    """GPT-2's and CLIP's printable letter for each byte, in vocabulary order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def write_clip_files(bpe: Path | None = None) -> None:
    """OpenAI CLIP's tokenizer in transformers' files, and the toy text encoder's configuration."""
    lines = gzip.decompress((bpe or find_bpe()).read_bytes()).decode("utf-8").split("\n")
    merges = lines[1 : 49152 - 256 - 2 + 1]
    letters = byte_letters()
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(m.split()) for m in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    CLIP_FOLDER.mkdir(parents=True, exist_ok=True)
    vocabulary = json.dumps({w: i for i, w in enumerate(words)}, ensure_ascii=False, separators=(",", ":"))
    (CLIP_FOLDER / "vocab.json").write_text(vocabulary, encoding="utf-8")
    (CLIP_FOLDER / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")

    def token(content: str, normalized: bool = True) -> dict[str, object]:
        return {"content": content, "lstrip": False, "normalized": normalized, "rstrip": False, "single_word": False}

    start, end = token("<|startoftext|>"), token("<|endoftext|>")
    special = {"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": "<|endoftext|>"}
    settings = {
        "unk_token": {**end, "__type": "AddedToken"},
        "bos_token": {**start, "__type": "AddedToken"},
        "eos_token": {**end, "__type": "AddedToken"},
        "pad_token": "<|endoftext|>",
        "add_prefix_space": False,
        "errors": "replace",
        "do_lower_case": True,
        "model_max_length": 77,
        "tokenizer_class": "CLIPTokenizer",
    }
    (CLIP_FOLDER / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    (CLIP_FOLDER / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    config = {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", **text_settings()}
    (CLIP_FOLDER / "config.json").write_text(json.dumps(config, indent=2) + "\n")

"""SD 2 and SDXL as a WebUI loads them, small: random weights, and configurations with OpenCLIP's smallest text
tower.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save_file

from sdft_ext.formats.family import Family
from sdft_ext.toy.install import CLIP_FOLDER
from tests.model import ldm

TOWER, WIDTH, LAYERS, HEADS = "ViT-B-32", 512, 12, 8
CLIP_WIDTH = 64
VAE = {"ch": 32, "ch_mult": [1, 1, 2, 2], "num_res_blocks": 1}


def tower(width: int, heads: int, act: str, wide: int = 4) -> dict[str, Any]:
    return {
        **ldm.text(width, LAYERS, act, width), "num_attention_heads": heads, "intermediate_size": wide * width
    }  # fmt: skip


def family(name: str) -> Family:
    """The families of the tests' files, with text encoders of the depth that the configurations ask for."""
    found = ldm.family(name)
    texts: tuple[dict[str, Any], ...] = (tower(WIDTH, HEADS, "gelu"),)
    unet = {**found.unet, "cross_attention_dim": WIDTH}
    if name == "sdxl":
        texts = (tower(CLIP_WIDTH, 4, "quick_gelu"), *texts)
        unet |= {
            "cross_attention_dim": CLIP_WIDTH + WIDTH,
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": WIDTH + 6 * 256,
        }
    return Family(
        found.name, found.prediction, False, unet, found.vae, texts, found.text_layer, found.latent_scale
    )  # fmt: skip


def put(name: str, webui: Path, models: Path) -> Path:
    """Write the checkpoint and its configuration into a WebUI's folder of models."""
    tensors = ldm.state_dict(family(name), 0)
    for key, tensor in tensors.items():
        if key.endswith(".weight") and tensor.ndim == 1:
            tensor += 1  # norms
    path = models / f"small-{name}.safetensors"
    save_file(tensors, path)
    config = yaml.safe_load((webui / SOURCES[name]).read_text())
    params = config["model"]["params"]
    params["first_stage_config"]["params"]["ddconfig"] |= VAE
    if name == "sd2":
        params["unet_config"]["params"] |= {
            "model_channels": 64, "channel_mult": [1, 2, 2], "attention_resolutions": [2, 1], "context_dim": WIDTH,
            "use_fp16": False,
        }  # fmt: skip
        params["cond_stage_config"]["params"]["arch"] = TOWER
    else:
        params["network_config"]["params"] |= {
            "model_channels": 64, "channel_mult": [1, 2, 2], "transformer_depth": [1, 1, 2],
            "context_dim": CLIP_WIDTH + WIDTH, "adm_in_channels": WIDTH + 6 * 256,
        }  # fmt: skip
        first, second, *_ = params["conditioner_config"]["params"]["emb_models"]
        first["params"]["version"] = str(_clip(models.parent / "clip-small"))
        second["params"]["arch"] = TOWER
    path.with_suffix(".yaml").write_text(yaml.safe_dump(config))
    return path


SOURCES = {
    "sd2": "repositories/stable-diffusion-stability-ai/configs/stable-diffusion/v2-inference.yaml",
    "sdxl": "repositories/generative-models/configs/inference/sd_xl_base.yaml",
}


def _clip(folder: Path) -> Path:
    """CLIP's tokenizer, and the configuration of a small text encoder."""
    folder.mkdir(exist_ok=True)
    for file in CLIP_FOLDER.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((CLIP_FOLDER / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **tower(CLIP_WIDTH, 4, "quick_gelu")}))
    return folder

"""Safetensors files that are damaged, lie, or hold something else: headers, LoRAs, embeddings and base models.

``expected``: refused, or right; ``more``: where it is right, the change that the LoRA makes, as a factor of the sound
one's, or the embedding's vectors.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from random import Random

import torch

from .kind import Kind
from .pickle_parts import archive, weights
from .safetensors_parts import (
    DOWN,
    ENTRY,
    QUERY,
    UP,
    entry,
    file_of,
    header,
    layer,
    model,
    only,
    sized,
    start,
    without,
)

NAN = float("nan")
OTHER = QUERY.replace("to_q", "to_k")
DIFFUSERS = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"


def packed(folder: Path, _: Random) -> Path:
    return archive(folder / "z.ckpt", weights()).rename(folder / "bad.safetensors")


def pickled(folder: Path, _: Random) -> Path:
    torch.save({"a": torch.ones(2)}, folder / "bad.safetensors", _use_new_zipfile_serialization=False)
    return folder / "bad.safetensors"


HEADERS = [
    ("no byte", start(b"")),
    ("seven bytes", start(b"\2\0\0\0\0\0\0")),
    ("a length and nothing behind it", start(b"\2\0\0\0\0\0\0\0")),
    ("a header of no bytes", start(b"\0" * 8)),
    ("a header longer than the file", start(struct.pack("<Q", 1000) + b"{}")),
    ("a header of 2 to the power of 63 bytes", start(struct.pack("<Q", 1 << 63) + b"{}")),
    ("a header of 99 million bytes that aren't there", start(struct.pack("<Q", 99_000_000) + b"{" * 50)),
    ("a header that isn't JSON", header("{" + "x" * 99)),
    ("a header that isn't UTF-8", header(b'{"\xff":1}')),
    ("a header in UTF-16", header('{"a":1}'.encode("utf-16"))),
    ("a header that is a list", header([1])),
    ("a header that is a text", header("\"a\"")),
    ("a header cut off", header('{"a":{"dtype":"F32"')),
    ("a header with a second one behind it", header("{}{}")),
    ("a header nested 100,000 deep", header('{"a":' + "[" * 100_000 + "]" * 100_000 + "}")),
    ("a header of three million brackets", header('{"a":[' + "[]," * 3_000_000 + "1]}")),
    ("two tensors of one name", header('{"a":' + json.dumps(ENTRY) + ',"a":' + json.dumps({**ENTRY, "data_offsets": [4, 8]}) + "}", b"\0" * 8)),
    ("two tensors of one name and place", header('{"a":' + json.dumps(ENTRY) + ',"a":' + json.dumps({**ENTRY, "dtype": "I32"}) + "}")),
    ("a number of 5,000 digits", header('{"a":{"dtype":"F32","shape":[' + "9" * 5000 + '],"data_offsets":[0,4]}}')),
    ("a shape with NaN", header('{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}')),
    ("metadata that are a list", header({"__metadata__": [1], "a": ENTRY})),
    ("metadata that hold a number", header({"__metadata__": {"a": 1}, "a": ENTRY})),
    ("metadata that hold a table", header({"__metadata__": {"a": {}}, "a": ENTRY})),
    ("a tensor that is a number", header({"a": 1})),
    ("a tensor without number format", header({"a": {"shape": [1], "data_offsets": [0, 4]}})),
    ("a tensor without shape", header({"a": {"dtype": "F32", "data_offsets": [0, 4]}})),
    ("a tensor without place", header({"a": {"dtype": "F32", "shape": [1]}})),
    ("a number format that doesn't exist", entry(dtype="F31")),
    ("a number format of four bits", entry(dtype="F4_E2M1")),
    ("a number format that is a list", entry(dtype=["F32"])),
    ("a shape that is a text", entry(shape="1")),
    ("a shape with a fraction", entry(shape=[1.0])),
    ("a shape with a switch", entry(shape=[True])),
    ("a negative shape", entry(shape=[-1, -1])),
    ("a shape that overflows", entry(shape=[1 << 32, 1 << 32])),
    ("a shape of 100 dimensions", entry(shape=[1] * 100)),
    ("a shape that needs more bytes than there are", entry(shape=[2])),
    ("a shape that needs fewer bytes than there are", entry(shape=[0])),
    ("a place that is negative", entry(data_offsets=[-4, 0])),
    ("a place whose end lies before its begin", entry(data_offsets=[4, 0])),
    ("a place behind the end", entry(data_offsets=[1000, 1004])),
    ("a place of one number", entry(data_offsets=[0])),
    ("a place of three numbers", entry(data_offsets=[0, 4, 8])),
    ("two tensors at one place", header({"a": ENTRY, "b": ENTRY})),
    ("a gap between tensors", header({"a": ENTRY, "b": {**ENTRY, "data_offsets": [8, 12]}}, b"\0" * 12)),
    ("bytes behind the last tensor", header({"a": ENTRY}, b"\0" * 5)),
    ("a file cut off in its tensors", header({"a": ENTRY}, b"\0" * 3)),
    ("a pickle in it", pickled),
    ("a zip archive in it", packed),
    ("a web page", start(b"<html>not found</html>")),
    ("a pointer of Git LFS", start(b"version https://git-lfs.github.com/spec/v1\n")),
    ("a file of llama.cpp", start(b"GGUF\3\0\0\0" + b"\0" * 99)),
    ("zeros", start(b"\0" * 5000)),
    ("a folder named like a file", lambda folder, _: (folder / "bad.safetensors").mkdir() or folder / "bad.safetensors"),
    ("a link to nothing", lambda folder, _: (folder / "bad.safetensors").symlink_to("nothing") or folder / "bad.safetensors"),
    ("a link to itself", lambda folder, _: (folder / "bad.safetensors").symlink_to("bad.safetensors") or folder / "bad.safetensors"),
]  # fmt: skip


def adapter(text: str) -> dict[str, str]:
    return {"lora_adapter_metadata": text}


BAD_LORAS = [
    ("a LoRA without tensors", file_of({})),
    ("a layer without its up weight", file_of(layer(up=None))),
    ("a layer without its down weight", file_of(layer(down=None))),
    ("an alpha alone", file_of(layer(up=None, down=None))),
    ("an up weight of another rank", file_of(layer(up=torch.ones(32, 3)))),
    ("a down weight of no dimension", file_of(layer(down=torch.ones(())))),
    ("a down weight of one dimension", file_of(layer(down=torch.ones(32)))),
    ("a down weight of no number", file_of(layer(down=torch.ones(0, 32), up=torch.ones(32, 0)))),
    ("a down weight with NaN", file_of(layer(down=DOWN * NAN))),
    ("an up weight with an infinity", file_of(layer(up=UP / 0))),
    ("a down weight of whole numbers", file_of(layer(down=torch.ones(2, 32, dtype=torch.int8)))),
    ("an alpha that is NaN", file_of(layer(alpha=NAN))),
    ("an alpha that is infinite", file_of(layer(alpha=float("inf")))),
    ("an alpha for each rank", file_of(layer(alpha=[2.0, 2.0]))),
    ("an alpha of no number", file_of(layer(alpha=torch.ones(0)))),
    ("a layer in kohya's and in peft's form at once", file_of({**layer(), f"{QUERY}.lora_A.weight": DOWN, f"{QUERY}.lora_B.weight": UP})),
    ("a layer with and without peft's prefix", file_of({**layer(), **layer(f"base_model.model.{QUERY}")})),
    ("a layer of a LoRA and of a LoHa at once", file_of({**layer(), **{f"{QUERY}.hada_w{n}_{s}": v for n in (1, 2) for s, v in (("a", UP), ("b", DOWN))}})),
    ("a LoHa without its second half", file_of({f"{QUERY}.hada_w1_a": UP, f"{QUERY}.hada_w1_b": DOWN})),
    ("a LoHa with halves of other sizes", file_of({f"{QUERY}.hada_w{n}_{s}": v for n, w in ((1, 32), (2, 31)) for s, v in (("a", UP), ("b", torch.ones(2, w)))})),
    ("a LoHa with one core", file_of({f"{QUERY}.hada_t1": torch.ones(2, 2, 3, 3), **{f"{QUERY}.hada_w{n}_{s}": v for n in (1, 2) for s, v in (("a", UP), ("b", DOWN))}})),
    ("a LoKr with one side", file_of({f"{QUERY}.lokr_w1": UP})),
    ("a LoKr with sides of other ranks", file_of({f"{QUERY}.lokr_w1": UP, f"{QUERY}.lokr_w2_a": torch.ones(4, 2), f"{QUERY}.lokr_w2_b": torch.ones(3, 4)})),
    ("a LoKr with a side twice", file_of({f"{QUERY}.lokr_w1": torch.ones(4, 4), f"{QUERY}.lokr_w2": torch.ones(8, 8), f"{QUERY}.lokr_w2_a": torch.ones(8, 2), f"{QUERY}.lokr_w2_b": torch.ones(2, 8)})),
    ("a core of another size", file_of({**layer(), f"{QUERY}.lora_mid.weight": torch.ones(3, 3, 3, 3)})),
    ("a DoRA's magnitude of one dimension", file_of({**layer(), f"{QUERY}.dora_scale": torch.ones(32)})),
    ("a DoRA's magnitude alone", file_of({f"{QUERY}.dora_scale": torch.ones(1, 32)})),
    ("a whole difference of weights", file_of({f"{QUERY}.diff": torch.ones(32, 32)})),
    ("an OFT", file_of({f"{QUERY}.oft_blocks": torch.ones(4, 8, 8)})),
    ("an IA3", file_of({f"{QUERY}.weight": torch.ones(32), f"{QUERY}.on_input": torch.ones(())})),
    ("a GLoRA", file_of({f"{QUERY}.a1.weight": DOWN, f"{QUERY}.a2.weight": UP})),
    ("a key of control characters", file_of({"\x1b[2J\u202e": UP})),
    ("a key of 100,000 letters", file_of({"x" * 100_000: UP})),
    ("a configuration of peft that isn't JSON", file_of(layer(alpha=None), adapter("{"))),
    ("a configuration of peft that is nested 100,000 deep", file_of(layer(alpha=None), adapter("[" * 100_000))),
    ("a configuration of peft that is a list", file_of(layer(alpha=None), adapter("[1]"))),
    ("an alpha of peft that is a text", file_of(layer(alpha=None), adapter('{"lora_alpha":"2"}'))),
    ("an alpha of peft that is NaN", file_of(layer(alpha=None), adapter('{"lora_alpha":NaN}'))),
    ("alphas of peft that are a list", file_of(layer(alpha=None), adapter('{"lora_alpha":2,"alpha_pattern":[1]}'))),
    ("a pattern of peft that would take forever", file_of(layer(alpha=None), adapter(json.dumps({"lora_alpha": 2, "alpha_pattern": {"(a*)*(b*)*$": 2}})))),
    ("peft's configuration next to it, not JSON", file_of(layer(DIFFUSERS, alpha=None), None, {"adapter_config.json": "{"}, "adapter_model.safetensors")),
    ("peft's configuration next to it, of bytes", file_of(layer(DIFFUSERS, alpha=None), None, {"adapter_config.json": b"\xff\xfe\0"}, "adapter_model.safetensors")),
]  # fmt: skip
GOOD_LORAS = [
    ("an alpha of 0", file_of(layer(alpha=0.0)), 0.0),
    ("a negative alpha", file_of(layer(alpha=-2.0)), -1.0),
    ("an alpha of whole numbers", file_of(layer(alpha=torch.tensor(4))), 2.0),
    ("an alpha in a list of one", file_of(layer(alpha=[2.0])), 1.0),
    ("no alpha", file_of(layer(alpha=None)), 1.0),
    ("an alpha of peft in the metadata", file_of(layer(alpha=None), adapter('{"lora_alpha":4}')), 2.0),
    ("an alpha of peft next to the file", file_of(layer(DIFFUSERS, alpha=None), None, {"adapter_config.json": '{"lora_alpha":4}'}, "adapter_model.safetensors"), 2.0),
    ("sides in two number formats", file_of(layer(down=DOWN.to(torch.bfloat16), up=UP.half())), 1.0),
    ("a side in fp64", file_of(layer(down=DOWN.double())), 1.0),
    ("a side in fp8", file_of(layer(up=UP.to(torch.float8_e4m3fn))), 1.0),
    ("metadata of lone surrogates and deep JSON", file_of(layer(), {"ss_tag_frequency": "[" * 5000, "modelspec.title": "\x1b[2J"}), 1.0),
    ("tensors out of their order", lambda folder, _: _reversed(folder), 1.0),
]  # fmt: skip


def _reversed(folder: Path) -> Path:
    """Write a LoRA whose header lists its tensors in another order than they lie in."""
    tensors, place, entries = layer(alpha=None), 0, {}
    for key, value in tensors.items():
        entries[key] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [place, place + 4 * value.numel()]}
        place += 4 * value.numel()
    text = json.dumps(dict(reversed(entries.items()))).encode()
    data = b"".join(bytes(memoryview(value.numpy()).cast("B")) for value in tensors.values())
    (folder / "bad.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    return folder / "bad.safetensors"


FOREIGN_LORAS = [
    ("a LoRA for SDXL", file_of(layer("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"))),
    ("a LoRA for Flux", file_of(layer("lora_unet_double_blocks_0_img_attn_qkv"))),
    ("a LoRA for SDXL's second text encoder", file_of(layer("lora_te2_text_model_encoder_layers_0_mlp_fc1"))),
    ("a LoRA of other sizes", file_of(layer(down=torch.ones(2, 640)))),
    ("a LoRA whose layer has kohya's name and diffusers' name", file_of({**layer(), **layer(DIFFUSERS)})),
    ("a DoRA's magnitude of another length", file_of({**layer(), f"{QUERY}.dora_scale": torch.ones(1, 31)})),
    ("a LoRA with a layer that this model lacks", file_of({**layer(), **layer(QUERY.replace("blocks_0_att", "blocks_9_att"))})),
]  # fmt: skip
EMBEDDINGS = [
    ("an embedding of no dimension", {"emb_params": torch.ones(())}),
    ("an embedding of three dimensions", {"emb_params": torch.ones(2, 2, 64)}),
    ("an embedding of no vector", {"emb_params": torch.ones(0, 64)}),
    ("an embedding of no width", {"emb_params": torch.ones(2, 0)}),
    ("an embedding with NaN", {"emb_params": torch.full((1, 64), NAN)}),
    ("an embedding of whole numbers", {"emb_params": torch.ones(1, 64, dtype=torch.int8)}),
    ("an embedding for SDXL", {"clip_l": torch.ones(1, 64), "clip_g": torch.ones(1, 96)}),
    ("an embedding of two words", {"a": torch.ones(1, 64), "b": torch.ones(1, 64)}),
]  # fmt: skip
YAMLS = [
    ("that isn't YAML", "a: [\n"),
    ("nested 1,500 deep", "a: " + "[" * 1500),
    ("with a date that doesn't exist", "a: 2001-99-99"),
    ("with a number of 5,000 digits", "a: " + "9" * 5000),
    ("with a tag of Python", "a: !!python/object/apply:os.system [true]"),
    ("with 2,000 aliases", "a: &a [1]\nb: [" + "*a, " * 2000 + "]"),
    ("whose settings are a list", "model: {params: [1]}"),
    ("whose UNet is a text", "model: {params: {unet_config: {params: text}}}"),
    ("whose heads are a text", "model: {params: {unet_config: {params: {num_heads: many}}}}"),
    ("whose heads are none", "model: {params: {unet_config: {params: {num_heads: .nan}}}}"),
    ("whose scale is a list", "model: {params: {scale_factor: [1]}}"),
    ("of control characters", "a: \x01"),
]  # fmt: skip
MODELS = [
    ("a base model of UNet alone", model(only("diffusion_model"))),
    ("a base model of VAE alone", model(only("first_stage"))),
    ("a base model without text encoder", model(without("cond_stage"))),
    ("a base model without VAE", model(without("first_stage"))),
    ("a base model without its VAE's decoder", model(without("decoder"))),
    ("a base model that lacks one block", model(without("middle_block"))),
    ("a base model that lacks one weight", model(without("input_blocks.1.0.in_layers.2.bias"))),
    ("a base model for inpainting", model(sized("input_blocks.0.0.weight", 32, 9, 3, 3))),
    ("a base model whose first layer has no dimension", model(sized("input_blocks.0.0.weight"))),
    ("a base model whose first layer is a line", model(sized("input_blocks.0.0.weight", 32))),
    ("a base model whose first layer has no channel", model(sized("input_blocks.0.0.weight", 0, 4, 3, 3))),
    ("a base model whose words have no width", model(sized("token_embedding", 49408))),
    ("a base model of no words", model(sized("token_embedding", 0, 64))),
    ("a base model whose blocks have 33 channels", model(sized("input_blocks.1.0.out_layers.3.weight", 33, 32, 3, 3))),
    ("a base model whose attention has another width", model(sized("attn2.to_k.weight", 32, 63))),
    ("a base model whose VAE has other latents", model(sized("decoder.conv_in.weight", 32, 16, 3, 3))),
    ("a base model in 8 bits", model(sized("attn1.to_q.weight", 32, 32, kind="I8"))),
    ("a base model in 4 bits", model(lambda sizes: sizes.update({"x.absmax": ("F32", (4,))}))),
    ("a base model in scaled fp8", model(lambda sizes: sizes.update({"scaled_fp8": ("F8_E4M3", (2,))}))),
    ("a LoRA in place of a base model", file_of(layer())),
    ("an embedding in place of a base model", file_of({"emb_params": torch.ones(1, 64)})),
    ("a ControlNet in place of a base model", file_of({"control_model.input_blocks.0.0.weight": UP})),
    ("a Flux in place of a base model", file_of({"double_blocks.0.img_attn.qkv.weight": UP})),
    ("a base model with a pickle's name", model(without("middle_block"), name="bad.ckpt")),
    *((f"a base model with a configuration {what}", model(None, {"bad.yaml": text})) for what, text in YAMLS),
]  # fmt: skip
KINDS = [
    *(Kind(name, make, "refused", "any") for name, make in HEADERS),
    *(Kind(name, make, "refused", "lora") for name, make in BAD_LORAS),
    *(Kind(name, make, "right", factor) for name, make, factor in GOOD_LORAS),
    *(Kind(name, make, "refused", "foreign") for name, make in FOREIGN_LORAS),
    *(Kind(name, file_of(tensors), "refused", "embedding") for name, tensors in EMBEDDINGS),
    *(Kind(name, make, "refused", "model") for name, make in MODELS),
]  # fmt: skip

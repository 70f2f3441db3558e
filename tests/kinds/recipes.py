"""Recipes that are damaged, of other programs, of wrong types, or that fit nothing.

``expected``: "file" for what is refused when the recipe is read, "settings" for settings of the command line, "run" for
what is refused when the run begins, "right" for what is read as it is meant. ``more``: what the sentence must name, or
the settings as they must be read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy
from PIL import Image

from .kind import Kind, Maker
from .safetensors_parts import model

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
FILES: list[tuple[str, bytes | str | Callable[[Path], Any], str]] = [
    ("a list at the top", "- a\n- b\n", "The recipe"),
    ("a text at the top", "hello", "The recipe"),
    ("a number at the top", "5", "The recipe"),
    ("a tab for indentation", "train:\n\tseed: 1\n", "not YAML"),
    ("a bracket that doesn't close", "train: {seed: 1", "not YAML"),
    ("a quote that doesn't close", 'save: {name: "a\n', "not YAML"),
    ("two documents", "train: {seed: 1}\n---\ntrain: {seed: 2}\n", "not YAML"),
    ("an alias without anchor", "train: *a", "not YAML"),
    ("a section that contains itself", "train: &a {seed: *a}", "not YAML"),
    ("an alias of everything above", "dataset: &a {concepts: [*a]}", "not YAML"),
    ("a billion laughs", BOMB, "a0"),
    ("a billion laughs as prompts", BOMB + "watch: {concept_prompts: *a29}", "a0"),
    ("a merged section", "train: &a {seed: 1}\nwatch: {<<: *a}", "<<"),
    ("a tag of Python", "save: {name: !!python/object/apply:os.system [touch ran]}", "python/object"),
    ("a tag of Python's names", "save: {name: !!python/name:os.system x}", "python/name"),
    ("a key that is a list", "? [a, b]\n: c\n", "not YAML"),
    ("lists nested 100,000 deep", "train: " + "[" * 100_000, "not YAML"),
    ("sections nested 900 deep", "".join(" " * n + f"a{n}:\n" for n in range(900)), "bad.yaml"),
    ("a key twice", "train:\n  seed: 1\n  seed: 2\n", "seed"),
    ("a section twice", "train: {seed: 1}\ntrain: {seed: 2}\n", "train"),
    ("an unknown section", "training: {seed: 1}", "training"),
    ("an unknown setting", "train: {sead: 1}", "train.seed"),
    ("a setting of another section", "train: {rank: 8}", "method.lora.rank"),
    ("an unknown setting of control characters", 'train: {"\\e[2J\\u202e": 1}', "train."),
    ("an unknown setting of 1,000 letters", f"train: {{{'x' * 1000}: 1}}", "train.xxx"),
    ("a setting of a text", "train: 5", "train"),
    ("a section that is a list", "train: [seed]", "train"),
    ("a number that is a text", "train: {seed: abc}", "train.seed"),
    ("a whole number with a fraction", "train: {batch_size: 1.5}", "train.batch_size"),
    ("a whole number with an exponent", "train: {batch_size: 1e1}", "train.batch_size"),
    ("a number in base 16", "train: {seed: 0x10}", "train.seed"),
    ("a number with underscores", "train: {seed: 1_000}", "train.seed"),
    ("a number of Arabic digits", "train: {seed: ٣}", "train.seed"),
    ("a number that is empty", "train: {seed: }", "train.seed"),
    ("a number that is a switch", "train: {seed: true}", "train.seed"),
    ("a number that is a list", "train: {seed: [1]}", "train.seed"),
    ("a number that is a section", "train: {seed: {a: 1}}", "train.seed"),
    ("a number of 10,000 digits", f"train: {{seed: {'9' * 10_000}}}", "train.seed"),
    ("a negative number", "train: {batch_size: -1}", "train.batch_size"),
    ("no picture a step", "train: {batch_size: 0}", "train.batch_size"),
    ("NaN", "train: {learning_rate: .nan}", "train.learning_rate"),
    ("an infinity", "train: {learning_rate: .inf}", "train.learning_rate"),
    ("a rate that overflows", "train: {learning_rate: 1e999}", "train.learning_rate"),
    ("a negative rate", "train: {learning_rate: -1e-4}", "train.learning_rate"),
    ("a rate that breaks any model", "train: {learning_rate: 100}", "train.learning_rate"),
    ("a rate of 0", "train: {learning_rate: 0}", "train.learning_rate"),
    ("a share above 1", "dataset: {flip: 1.5}", "dataset.flip"),
    ("a share in percent", "dataset: {flip: 50%}", "dataset.flip"),
    ("a switch that is a number", "dataset: {buckets: 2}", "dataset.buckets"),
    ("a choice that doesn't exist", "method: {name: lorra}", "lora"),
    ("a choice in capitals", "method: {name: LORA}", "method.name"),
    ("concepts that are a section", "dataset: {concepts: {instance: a}}", "dataset.concepts"),
    ("concepts that are a text", "dataset: {concepts: cats}", "dataset.concepts"),
    ("a concept that is a text", "dataset: {concepts: [cats]}", "dataset.concepts.0"),
    ("no concept", "dataset: {concepts: []}", "dataset.concepts"),
    ("an unknown setting of a concept", "dataset: {concepts: [{folder: a}]}", "dataset.concepts.0.folder"),
    ("repeats below 0", "dataset: {concepts: [{repeats: -1}]}", "dataset.concepts.0.repeats"),
    ("prompts that are a section", "watch: {concept_prompts: {a: b}}", "watch.concept_prompts"),
    ("a prompt that is a list", "watch: {concept_prompts: [[a]]}", "watch.concept_prompts"),
    ("block ranks that are a list", "method: {lora: {block_ranks: [1]}}", "method.lora.block_ranks"),
    ("a block rank that is a text", "method: {lora: {block_ranks: {mid_block: high}}}", "method.lora.block_ranks"),
    ("a block rank far too high", "method: {lora: {block_ranks: {mid_block: 99999}}}", "method.lora.block_ranks"),
    ("a version of the future", "version: 99", "version"),
    ("a version that is a text", "version: new", "version"),
    ("a version of 0", "version: 0", "version"),
    ("a name with a slash", "save: {name: ../../etc}", "save.name"),
    ("a name that is empty", "save: {name: ''}", "save.name"),
    ("a name of a device of Windows", "save: {name: CON}", "save.name"),
    ("a name of 10,000 letters", f"save: {{name: {'x' * 10_000}}}", "save.name"),
    ("a name with half a pair of letters", 'save: {name: "a\\ud800"}', "save.name"),
    ("a path with a NUL", 'model: {base: "a\\0b"}', "model.base"),
    ("timesteps in the wrong order", "train: {timestep_min: 900, timestep_max: 100}", "train.timestep_min"),
    ("buckets in the wrong order", "dataset: {bucket_min: 1024, bucket_max: 256}", "dataset.bucket_min"),
    ("a step list that is empty", "train: {schedule: steps}", "train.schedule_steps"),
    ("nothing that is trained", "method: {unet: false, text_encoder: false}", "method.unet"),
    ("a word method without a word", "method: {name: textual_inversion}", "dataset.concepts.0.trigger"),
    ("a hypernetwork of letters", "method: {name: hypernetwork, hypernetwork: {layer_structure: a}}", "layer_structure"),
    ("a hypernetwork that ends wide", "method: {name: hypernetwork, hypernetwork: {layer_structure: '1, 2'}}", "layer_structure"),
    ("a picture size that isn't a multiple of 8", "watch: {size: 100}", "watch.size"),
    ("Latin-1", "save: {name: café}".encode("latin-1"), "UTF-8"),
    ("UTF-16 without a byte order mark", "train: {seed: 1}".encode("utf-16-le"), "not YAML"),
    ("UTF-16 cut off", "train: {seed: 1}".encode("utf-16")[:-1], "UTF-8"),
    ("NULs", b"\0" * 100, "not YAML"),
    ("control characters", "train: {seed: \x1b}", "not YAML"),
    ("a picture", b"\x89PNG\r\n\x1a\n" + b"\xff" * 50, "UTF-8"),
    ("kohya's TOML", "[model_arguments]\npretrained_model_name_or_path = 'a'\n", "not YAML"),
    ("kohya's JSON", '{"pretrained_model_name_or_path": "a", "train_batch_size": 1}', "pretrained_model_name_or_path"),
    ("OneTrainer's JSON", '{"__version": 4, "training_method": "LORA", "epochs": 1}', "__version"),
    ("a YAML of A1111", "model: {target: ldm.models.diffusion.ddpm.LatentDiffusion}", "model.target"),
    ("a web page", "<!DOCTYPE html><html></html>", "The recipe"),
    ("2 MB", "# " + "x" * 2_000_000, "larger"),
    ("a folder", lambda path: path.mkdir(), "can't be read"),
    ("no file", lambda path: None, "can't be read"),
    ("a pipe", lambda path: os.mkfifo(path), "can't be read"),
    ("a device that never ends", lambda path: path.symlink_to("/dev/zero"), "can't be read"),
    ("a link to itself", lambda path: path.symlink_to(path.name), "can't be read"),
]  # fmt: skip
RIGHT: list[tuple[str, bytes | str, dict[str, Any]]] = [
    ("a trigger that looks like a number", "dataset: {concepts: [{trigger: 0123}]}", {"dataset.concepts.0.trigger": "0123"}),
    ("a trigger that looks like a switch", "dataset: {concepts: [{trigger: on}]}", {"dataset.concepts.0.trigger": "on"}),
    ("a trigger that looks like nothing", "dataset: {concepts: [{trigger: null}]}", {"dataset.concepts.0.trigger": "null"}),
    ("a trigger that looks like a variable", "dataset: {concepts: [{trigger: '${HOME}'}]}", {"dataset.concepts.0.trigger": "${HOME}"}),
    ("a trigger that looks like a date", "dataset: {concepts: [{trigger: 2001-99-99}]}", {"dataset.concepts.0.trigger": "2001-99-99"}),
    ("a trigger with a NUL", 'dataset: {concepts: [{trigger: "a\\0b"}]}', {"dataset.concepts.0.trigger": "a\0b"}),
    ("a rate without a point", "train: {learning_rate: 1e-5}", {"train.learning_rate": 1e-5}),
    ("lines of Windows", "train:\r\n  seed: 7\r\n", {"train.seed": 7}),
    ("UTF-8 with a byte order mark", b"\xef\xbb\xbftrain: {seed: 7}", {"train.seed": 7}),
    ("UTF-16 with a byte order mark", "train: {seed: 7}".encode("utf-16"), {"train.seed": 7}),
    ("JSON", json.dumps({"train": {"seed": 7}, "dataset": {"buckets": False}}), {"train.seed": 7, "dataset.buckets": False}),
    ("an anchor that is used once", "train: {seed: &a 7}\nsave: {keep_last: *a}", {"train.seed": 7, "save.keep_last": 7}),
    ("no byte", b"", {"train.seed": 1}),
    ("comments alone", "# nothing\n", {"train.seed": 1}),
    ("emoji and letters from right to left", 'save: {name: "😀 مرحبا"}', {"save.name": "😀 مرحبا"}),
]  # fmt: skip
SETTINGS = [
    ("a setting without a value", "train.seed", "train.seed"),
    ("a setting without a name", "=5", "is not a setting"),
    ("a setting that is a section", "train=5", "train"),
    ("a setting below a setting", "train.seed.more=5", "train.seed"),
    ("a setting of an unknown section", "training.seed=5", "training"),
    ("a setting of a wrong type", "train.seed=abc", "train.seed"),
    ("a setting out of range", "train.batch_size=0", "train.batch_size"),
    ("a concept that isn't there", "dataset.concepts.99.trigger=a", "dataset.concepts.99"),
    ("a concept below 0", "dataset.concepts.-1.trigger=a", "dataset.concepts.-1"),
    ("a concept of Arabic digits", "dataset.concepts.٣.trigger=a", "dataset.concepts"),
    ("a concept of 5,000 digits", f"dataset.concepts.{'9' * 5000}.trigger=a", "dataset.concepts"),
    ("a list that isn't YAML", "watch.concept_prompts=[a", "watch.concept_prompts"),
    ("a list of prompts nested 100,000 deep", "watch.concept_prompts=" + "[" * 100_000, "watch.concept_prompts"),
    ("a setting of control characters", "train.\x1b[2J=1", "train."),
    ("a setting of half a pair of letters", "save.name=a\udcff", "save.name"),
]  # fmt: skip
RUNS = [
    ("a trigger with half a pair of letters", {"dataset.concepts.0.trigger": "a\udfff"}, "dataset.concepts.0.trigger"),
    ("an option with half a pair of letters", {"train.optimizer_options.eps": "\ud800"}, "train.optimizer_options"),
    ("no base model", {"model.base": ""}, "model"),
    ("a base model that isn't there", {"model.base": "none.safetensors"}, "none.safetensors"),
    ("a base model that is a folder of pictures", {"model.base": "pictures"}, "pictures"),
    ("a base model that is a picture", {"model.base": "pictures/0.png"}, "0.png"),
    ("a base model that is this recipe", {"model.base": "bad.yaml"}, "bad.yaml"),
    ("a base model of 5,000 letters", {"model.base": "x" * 5000}, "xxx"),
    ("a VAE that isn't there", {"model.vae": "none.safetensors"}, "none.safetensors"),
    ("a VAE that is a picture", {"model.vae": "pictures/0.png"}, "0.png"),
    ("no folder of pictures", {"dataset.concepts.0.instance": ""}, "dataset.concepts"),
    ("a folder of pictures that isn't there", {"dataset.concepts.0.instance": "none"}, "none"),
    ("a folder of pictures that is a file", {"dataset.concepts.0.instance": "pictures/0.png"}, "0.png"),
    ("a folder of pictures without one", {"dataset.concepts.0.instance": "empty"}, "empty"),
    ("a background that is no colour", {"dataset.background": "reddish"}, "reddish"),
    ("an output folder that is a file", {"save.output": "pictures/0.png"}, "0.png"),
    ("an output folder below a file", {"save.output": "pictures/0.png/runs"}, "0.png"),
    ("a LoRA to continue that isn't there", {"method.lora.continue_from": "none.safetensors"}, "none.safetensors"),
    ("a LoRA to continue that is a base model", {"method.lora.continue_from": "base.safetensors"}, "base.safetensors"),
    ("an unknown option of the optimizer", {"train.optimizer_options.colour": "red"}, "colour"),
    ("an option of the optimizer that is a text", {"train.optimizer_options.eps": "small"}, "eps"),
    ("a step list of letters", {"train.schedule": "steps", "train.schedule_steps": "a:b"}, "train.schedule_steps"),
    ("a block that no model has", {"method.lora.block_ranks.cellar": "4"}, "cellar"),
    ("a clip skip beyond the layers", {"model.clip_skip": "12"}, "model.clip_skip"),
]  # fmt: skip


def written(content: Any) -> Maker:
    def make(folder: Path, _: Random) -> Path:
        path = folder / "bad.yaml"
        if callable(content):
            content(path)
        else:
            path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        return path

    return make


def whole(folder: Path, _: Random) -> Path:
    """Write a sound recipe with a base model of zeros and two pictures; settings replace parts of it."""
    model(name="base.safetensors")(folder, _)
    (folder / "empty").mkdir()
    (folder / "pictures").mkdir()
    for number in range(2):
        pixels = numpy.random.default_rng(number).integers(0, 255, (64, 64, 3), dtype=numpy.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{number}.png")
    path = folder / "bad.yaml"
    path.write_text(
        "model: {base: base.safetensors}\n"
        "dataset: {resolution: 64, bucket_step: 16, bucket_min: 32, bucket_max: 128, concepts: [{trigger: sks, instance: pictures}]}\n"
        "train: {length: 1}\nwatch: {sampler_steps: 1, tensorboard: false}\n"
    )
    return path


KINDS = [
    *(Kind(name, written(content), "file", named) for name, content, named in FILES),
    *(Kind(name, written(content), "right", values) for name, content, values in RIGHT),
    *(Kind(name, written("train: {seed: 1}"), "settings", (setting, named)) for name, setting, named in SETTINGS),
    *(Kind(name, whole, "run", (settings, named)) for name, settings, named in RUNS),
]

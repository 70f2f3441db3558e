"""What is refused, whose flags hold, how saves stand in prompts and infotexts, which names are free: without a
WebUI.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sdft_ext.host.base import Files, HostError, default_precision
from sdft_ext.host.fifo_lock import FifoLock
from sdft_ext.host.flags import Flags
from sdft_ext.host.missing import PACKAGES, Package, command, missing
from sdft_ext.host.webui.files import innermost
from sdft_ext.host.webui.host import WebUIHost
from sdft_ext.host.webui.infotext import infotext
from sdft_ext.host.webui.prompts import Kind, with_save, with_weight
from sdft_ext.host.webui.supported import Loaded, unsupported_reason
from sdft_ext.recipe import Concept, DatasetRecipe, Recipe, WatchRecipe
from sdft_ext.run_folder.save_names import free_save_name


@pytest.mark.parametrize(
    ("loaded", "says"),
    [
        (None, "no checkpoint loaded"),
        (Loaded("mine.safetensors", sd3=True), "mine.safetensors is Stable Diffusion 3"),
        (Loaded("mine.safetensors", families=()), "SD 1, SD 2 or SDXL"),
        (Loaded("mine.safetensors", in_pieces=True, options=("--medvram-sdxl",)), "started with --medvram-sdxl,"),
        (Loaded("mine.safetensors", in_pieces=True), "--medvram or --lowvram"),
        (Loaded("mine.safetensors", fp8=True), "FP8 weight to Disable"),
        (Loaded("mine.safetensors", channels=9), "inpainting"),
        (Loaded("mine.safetensors", unloaded=True), "load it again"),
    ],
)
def test_refuses(loaded: Loaded | None, says: str) -> None:
    why = unsupported_reason(loaded)
    assert says in why and why.endswith(".")


def test_a_checkpoint_that_is_being_loaded_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one is loaded under the WebUI's lock, and meanwhile there may be none."""
    lock, data = threading.Lock(), SimpleNamespace(sd_model=None, was_loaded_at_least_once=True)
    parts = {
        "devices": SimpleNamespace(device="cpu"),
        "shared": SimpleNamespace(),
        "sd_models": SimpleNamespace(model_data=data),
        "sd_vae": SimpleNamespace(),
        "call_queue": SimpleNamespace(queue_lock=lock),
    }
    monkeypatch.setitem(sys.modules, "modules", SimpleNamespace(**parts))
    for name, part in parts.items():
        monkeypatch.setitem(sys.modules, f"modules.{name}", part)
    with lock:
        assert "still loading" in WebUIHost().describe().why
    assert "no checkpoint loaded" in WebUIHost().describe().why
    assert not lock.locked()


def test_lends_a_plain_model() -> None:
    assert unsupported_reason(Loaded("mine.safetensors")) == ""


@pytest.mark.parametrize(
    ("dtype", "device", "capability", "wanted"),
    [
        ("fp32", "cpu", None, "fp32"),
        ("fp16", "cuda:0", (8, 6), "fp16"),
        ("fp16", "cuda", (6, 1), "fp16"),
        ("bf16", "cuda:0", (8, 9), "bf16"),
        ("fp32", "cuda:1", (8, 6), "bf16"),
        ("fp32", "cuda:0", (7, 5), "fp32"),  # --no-half, on cards whose halves overflow
        ("", "cuda:0", (7, 5), "fp16"),
        ("", "cuda:0", (9, 0), "bf16"),
        ("fp16", "mps", None, "fp16"),
        ("fp32", "mps", None, "fp32"),
    ],
)
def test_a_run_begins_in_a_format_that_its_device_computes_in(
    dtype: str, device: str, capability: tuple[int, int] | None, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    assert default_precision(dtype, device) == wanted


def test_a_torch_whose_losses_are_scaled_on_nvidia_cards_alone_begins_elsewhere_in_bf16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.amp, "GradScaler", raising=False)
    assert default_precision("fp16", "xpu:0") == "bf16" and default_precision("fp16", "cuda:0") == "fp16"


def test_flags_and_gradients_come_back() -> None:
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    gradient = layer.weight.grad = torch.ones(2, 2)
    flags = Flags.of(layer.parameters())
    Flags.off(layer.parameters()).put()
    assert not layer.weight.requires_grad and layer.weight.grad is None
    flags.put()
    assert layer.weight.requires_grad and not layer.bias.requires_grad
    assert layer.weight.grad is gradient


def test_the_lock_is_given_in_the_order_of_asking() -> None:
    lock, order = FifoLock(), []

    def ask(number: int) -> None:
        with lock:
            order.append(number)

    with lock:
        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=ask, args=(number,)))
            threads[-1].start()
            time.sleep(0.05)
        assert order == []
    for thread in threads:
        thread.join(5)
    assert order == [0, 1, 2, 3, 4]
    with lock:
        pass


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such interrupt there")
@pytest.mark.parametrize("given", [False, True])
def test_one_who_stops_waiting_for_the_lock_leaves_it_to_the_next(given: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted while waiting, or just when it was given."""
    lock, held, may_go = FifoLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            may_go.wait(5)

    def interrupt(*_: object) -> None:
        if given:
            may_go.set()
            holder.join(5)
        raise KeyboardInterrupt

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(5)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt), lock:
            pass
    finally:
        signal.signal(signal.SIGALRM, before)
        may_go.set()
    holder.join(5)
    taken = threading.Thread(target=lambda: lock.__enter__(), daemon=True)
    taken.start()
    taken.join(2)
    assert not taken.is_alive()


def test_the_same_files(tmp_path: Path) -> None:
    one, copy, other = (tmp_path / name for name in ("one.safetensors", "copy.safetensors", "other.safetensors"))
    one.write_bytes(b"a" * 100)
    copy.write_bytes(b"a" * 100)
    other.write_bytes(b"a" * 99 + b"b")
    (tmp_path / "link").symlink_to(one)
    assert Files(str(one)).same(Files(str(copy))) and Files(str(one)).same(Files(str(tmp_path / "link")))
    assert not Files(str(one)).same(Files(str(other))) and not Files(str(one)).same(Files(str(tmp_path / "gone")))
    assert not Files(str(one)).same(Files(str(one), str(other))) and not Files(str(one)).same(Files(""))


@pytest.mark.parametrize(
    ("prompt", "save", "wanted"),
    [
        ("a cat", "cat-000010", "a cat <lora:cat-000010:1>"),
        ("", "cat", "<lora:cat:1>"),
        ("a <lora:cat:0.8> on grass", "cat-000010", "a <lora:cat-000010:0.8> on grass"),
        ("a <lora:cat> on grass", "cat-000010", "a <lora:cat-000010:1> on grass"),
        ("a <lora:cat:0.8:0.5> on grass", "cat-000010", "a <lora:cat-000010:0.8:0.5> on grass"),
        ("a <lora:cat:1> <lora:cat-000010:1> b", "cat", "a <lora:cat:1> b"),
        ("a <lora:theirs:1>", "cat", "a <lora:theirs:1> <lora:cat:1>"),
        ("a <lora:theirs:1> <lora:cat:1>", "none", "a <lora:theirs:1>"),
        ("a cat", "none", "a cat"),
        ("a <hypernet:cat:1>", "none", "a <hypernet:cat:1>"),
    ],
)
def test_a_save_in_a_prompt(prompt: str, save: str, wanted: str) -> None:
    assert with_save(prompt, save, {"cat", "cat-000010"}) == wanted


@pytest.mark.parametrize(
    ("prompt", "save", "wanted"),
    [
        ("a word dog", "word-000010", "a word-000010 dog"),
        ("a (word:1.2) dog", "word-000010", "a (word-000010:1.2) dog"),
        ("a word-000010 dog", "none", "a dog"),
        ("a wordy dog", "word", "a wordy dog word"),
        ("a word dog", "net", "a <hypernet:net:1> dog"),
        ("a dog <hypernet:net:0.5> <lora:x:1>", "cat", "a dog <lora:cat:0.5> <lora:x:1>"),
        ("a dog <lora:cat:0.5>", "word", "a dog (word:0.5)"),
    ],
)
def test_embeddings_and_hypernetworks_in_a_prompt(prompt: str, save: str, wanted: str) -> None:
    kinds: dict[str, Kind] = {"word": "embedding", "word-000010": "embedding", "net": "hypernet", "cat": "lora"}
    assert with_save(prompt, save, set(kinds), kinds=kinds) == wanted
    assert with_weight("a word <hypernet:net:1>", 0.5, set(kinds), kinds) == "a (word:0.5) <hypernet:net:0.5>"


SEVERAL: dict[str, list[str]] = {"w-000010": ["w-000010", "w-000010-zwx"], "w": ["w", "w-zwx"]}
"""Two saves of a run that trained the words sks and zwx."""


@pytest.mark.parametrize(
    ("prompt", "save", "wanted"),
    [
        ("a w and a w-zwx", "w-000010", "a w-000010 and a w-000010-zwx"),
        ("a (w-zwx:0.8) by a w", "w-000010", "a (w-000010-zwx:0.8) by a w-000010"),
        ("a w by a w", "w-000010", "a w-000010 by a w-000010"),
        ("a sks and a (zwx:1.2)", "w", "a w and a (w-zwx:1.2)"),
        ("a zwx", "w", "a w-zwx"),
        ("a dog", "w", "a dog w w-zwx"),
        ("a w and a w-zwx", "none", "a and a"),
        ("a sks and a zwx", "none", "a and a"),
        ("a w and a w-zwx, dog", "net", "a <hypernet:net:1> and a , dog"),
        ("a dog <hypernet:net:0.5>", "w", "a dog (w:0.5) (w-zwx:0.5)"),
    ],
)
def test_a_save_of_several_words_in_a_prompt(prompt: str, save: str, wanted: str) -> None:
    kinds: dict[str, Kind] = {"w": "embedding", "w-000010": "embedding", "net": "hypernet"}
    assert with_save(prompt, save, set(kinds), kinds=kinds, words=SEVERAL, trained=("sks", "zwx")) == wanted
    assert with_weight("a w by (w-zwx:0.3)", 0.5, set(kinds), kinds, SEVERAL) == "a (w:0.5) by (w-zwx:0.5)"
    weighed = with_save("a sks and a zwx", "w", {"w"}, "0.7", {"w": "embedding"}, SEVERAL, ("sks", "zwx"))
    assert weighed == "a (w:0.7) and a (w-zwx:0.7)"


def test_several_concepts_and_words_are_all_pasted() -> None:
    made = copy.deepcopy(RECIPE)
    made.dataset.concepts = [Concept(trigger="sks", class_word="cat"), Concept(trigger="zwx", class_word="dog")]
    made.watch.concept_prompts = []

    def prompt(**changes: object) -> str:
        return infotext("txt2img", made, ["w"], [0.8], **changes).split("\n")[0]  # type: ignore[arg-type]

    assert prompt() == "sks cat, zwx dog <lora:w:0.8>"
    made.watch.concept_prompts = ["a sks cat on grass", "a zwx dog on grass"]
    assert prompt() == "a sks cat on grass, zwx dog <lora:w:0.8>"
    assert prompt(prompts=["a zwx dog"]) == "a zwx dog <lora:w:0.8>", "what is asked for is what is sent"
    made.method.name = "textual_inversion"
    assert prompt() == "a (w:0.8) cat on grass, (w-zwx:0.8) dog"
    assert prompt(prompts=["a ZWX dog"]) == "a (w-zwx:0.8) dog"
    assert prompt(prompts=["a bird"]) == "a bird (w:0.8) (w-zwx:0.8)"
    made.method.embedding.words = {"one": "cat", "a/b": "dog"}
    made.watch.concept_prompts, made.dataset.concepts = ["a one"], made.dataset.concepts[:1]
    assert prompt() == "a (w:0.8), sks cat, (w-ab:0.8)"
    made.method.name = "pivotal"
    assert prompt() == "a one, sks cat, a/b <lora:w:0.8>"


def test_the_grid_of_words_and_prompts() -> None:
    """The prompts are inserted first, as they were trained; then the saves' names replace the words in them."""
    made, prompts = copy.deepcopy(RECIPE), ["a sks cat", "two sks cats"]
    made.method.name = "textual_inversion"
    lines, options = parsed(infotext("xyz", made, ["w-000010", "w"], [], prompts))
    assert lines[0] == "a sks cat"
    assert options["X Type"] == "Prompt S/R" and values(options["X Values"]) == prompts
    assert options["Y Type"] == "[Fine-tune] Save" and values(options["Y Values"]) == ["none", "w-000010", "w"]
    lines, options = parsed(infotext("xyz", made, ["w-000010", "w"], [0.5, 1.0], prompts[:1]))
    assert (
        lines[0] == "a w cat" and options["X Type"] == "[Fine-tune] Save" and options["Y Type"] == "[Fine-tune] Weight"
    )


def test_methods_are_pasted_as_a_prompt_needs_them() -> None:
    prompts = ["a sks dog"]
    for method, wanted in (
        ("textual_inversion", "a (mine:0.8) dog"),
        ("hypernetwork", "a sks dog <hypernet:mine:0.8>"),
        ("pivotal", "a sks dog <lora:mine:0.8>"),
    ):
        made = copy.deepcopy(RECIPE)
        made.method.name = method  # type: ignore[assignment]
        made.dataset.concepts[0].trigger = "sks"
        assert infotext("txt2img", made, ["mine"], [0.8], prompts).split("\n")[0] == wanted


def test_a_weight_in_a_prompt() -> None:
    assert with_weight("a <lora:cat:1> <lora:theirs:1>", 0.6, {"cat"}) == "a <lora:cat:0.6> <lora:theirs:1>"
    assert with_save("a", "cat", {"cat"}, "0.6") == "a <lora:cat:0.6>"


def parsed(text: str) -> tuple[list[str], dict[str, str]]:
    """As the WebUI reads an infotext's last line."""
    *lines, last = text.split("\n")
    found = re.findall(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', last)
    return lines, {name: json.loads(value) if value[:1] == '"' else value for name, value in found}


def values(text: str) -> list[str]:
    return [value.strip() for value in next(csv.reader(io.StringIO(text), skipinitialspace=True))]


RECIPE = Recipe(
    dataset=DatasetRecipe([Concept(trigger="sks", class_word="cat")], resolution=512),
    watch=WatchRecipe(
        concept_prompts=['a "sks" cat, red: on grass'], negative="blurry, dark", sampler_steps=25, seed=7
    ),
)


def test_to_txt2img() -> None:
    lines, options = parsed(infotext("txt2img", RECIPE, ["cat-000010", "cat"], [0.8], settings={"Clip skip": "2"}))
    assert lines == ['a "sks" cat, red: on grass <lora:cat:0.8>', "Negative prompt: blurry, dark"]
    assert (
        options["Steps"] == "25"
        and options["Seed"] == "7"
        and options["Size"] == "512x512"
        and options["Clip skip"] == "2"
    )
    assert "Script" not in options
    lines, _ = parsed(infotext("txt2img", RECIPE, ["cat"], [], ["another prompt"]))
    assert lines[0] == "another prompt <lora:cat:1>"


def test_to_the_grid_of_saves_and_prompts() -> None:
    prompts = ['a "sks" cat, red: on grass', "a dog, brown"]
    lines, options = parsed(infotext("xyz", RECIPE, ["cat, fat-000010", "cat, fat"], [], prompts))
    assert lines[0] == f"{prompts[0]} <lora:cat, fat:1>"
    assert options["Script"] == "X/Y/Z plot"
    assert options["X Type"] == "[Fine-tune] Save" and values(options["X Values"]) == [
        "none",
        "cat, fat-000010",
        "cat, fat",
    ]
    assert options["Y Type"] == "Prompt S/R" and values(options["Y Values"]) == prompts
    assert options["Z Type"] == "Nothing" and values(options["Z Values"]) == [""]


def test_to_the_grid_of_saves_and_weights() -> None:
    _, options = parsed(infotext("xyz", RECIPE, ["cat"], [0.5, 1, 1.25]))
    assert options["Y Type"] == "[Fine-tune] Weight" and values(options["Y Values"]) == ["0.5", "1", "1.25"]
    assert parsed(infotext("xyz", RECIPE, ["cat"]))[1]["Y Type"] == "Nothing"


def test_whole_models_are_compared_as_checkpoints() -> None:
    made = copy.deepcopy(RECIPE)
    made.method.name, made.model.base = "dreambooth", "/models/base, mine.safetensors"
    lines, options = parsed(infotext("xyz", made, ["cat-000010", "cat"], [0.5, 1]))
    assert lines[0] == 'a "sks" cat, red: on grass' and options["X Type"] == "Checkpoint name"
    assert values(options["X Values"]) == ["base, mine", "cat-000010", "cat"] and options["Y Type"] == "Nothing"
    lines, options = parsed(infotext("txt2img", made, ["cat"]))
    assert lines[0] == 'a "sks" cat, red: on grass' and "X Type" not in options
    made.method.full.save_as = "lora"
    assert "<lora:cat:1>" in infotext("txt2img", made, ["cat"])


def test_nothing_to_send_to_txt2img() -> None:
    with pytest.raises(HostError, match="no save yet"):
        infotext("xyz", RECIPE, [])


def test_free_names(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("below/Cat-000010.safetensors", "dog.preview.png", "a.b.safetensors", "bird-try-000001.safetensors"):
        (tmp_path / name).write_bytes(b"")
    found = [free_save_name(name, tmp_path, ["fish"]) for name in ("cat", "dog", "a.b", "bird", "fish", "horse", "ca")]
    assert found == ["cat-2", "dog-2", "a.b-2", "bird-2", "fish-2", "horse", "ca"]
    assert free_save_name("cat", tmp_path / "gone") == "cat"


def test_packages_and_the_command_for_them() -> None:
    assert missing() == [], "this environment has them all"
    said = command([Package("diffusers", "0.31.0"), Package("peft", "0.13.2")])
    assert said.endswith("-m pip install --no-deps diffusers==0.31.0 peft==0.13.2") and sys.executable in said
    assert {package.name for package in PACKAGES} >= {"diffusers", "peft", "tensorboardX", "picklescan"}


def test_a_save_belongs_to_the_innermost_folder_of_those_that_hold_it(tmp_path: Path) -> None:
    models = tmp_path / "models"
    folders = {"lora": models / "Lora", "textual_inversion": tmp_path / "embeddings", "full": models}
    assert innermost(models / "Lora" / "cat.safetensors", folders) == "lora", (
        "although it lies among the checkpoints too"
    )
    assert innermost(models / "whole.safetensors", folders) == "full"
    assert innermost(tmp_path / "embeddings" / "cat.safetensors", folders) == "textual_inversion"
    assert innermost(tmp_path / "cat.safetensors", folders) is None
    nested = {"lora": models, "full": models / "Stable-diffusion"}
    assert innermost(models / "Stable-diffusion" / "whole.safetensors", nested) == "full"

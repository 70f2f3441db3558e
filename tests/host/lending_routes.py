"""What the test's extension answers, inside the WebUI's process."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from sdft_ext import run
from sdft_ext.formats import embedding
from sdft_ext.host.base import HostError
from sdft_ext.host.webui.host import WebUIHost
from sdft_ext.method import METHODS
from sdft_ext.method.lora import applied
from sdft_ext.model.base import predict
from sdft_ext.model.load import load
from sdft_ext.model.text import encode
from sdft_ext.randomness import generator
from sdft_ext.recipe import file as recipe_file
from sdft_ext.tools.files import file_and_weight

TRAINING: dict[str, Any] = {}


def add(_demo: Any, app: Any) -> None:
    for name, function in {
        "state": state,
        "clean": clean,
        "train": train,
        "outcome": outcome,
        "compare": compare,
        "compare_called": compare_called,
        "compare_checkpoint": compare_checkpoint,
        "publish": publish,
        "patches": patches,
        "changed": changed,
        "borrow": borrow,
        "contract": contract,
        "axes": axes,
        "pasted": pasted,
        "memory": memory,
        "peak": peak,
        "reload": reload,
    }.items():
        app.add_api_route(f"/lending/{name}", function, methods=["GET"])


def contract(report: str, folder: str, only: str = "") -> int:
    """The tests of the host's contract, in here; returns pytest's code."""
    import pytest

    root = os.environ["SDFT_ROOT"]
    sys.path.insert(0, root)  # the WebUI takes an extension's folder away again once its scripts are read
    files = [os.path.join(root, "tests", "host", "test_contract.py")]
    options = ["-p", "no:timeout", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--rootdir", root]
    code = pytest.main([*files, *options, "-o", "addopts=--import-mode=importlib", "-x" if only else "-q", "-k", only,
                        f"--junitxml={report}", f"--basetemp={folder}"])  # fmt: skip
    return int(code)


def axes() -> list[str]:
    """The X/Y/Z plot's axes in the txt2img tab, in order."""
    from modules import scripts

    return [option.label for option in scripts.scripts_txt2img.script("X/Y/Z plot").current_axis_options]


def pasted(infotext: str) -> dict[str, Any]:
    """What the paste button would put where: fields of the tab, and settings that it would override."""
    from modules import infotext_utils

    params = infotext_utils.parse_generation_parameters(infotext)
    fields = [field.label for field in infotext_utils.paste_fields["txt2img"]["fields"] if field.label]
    overrides = infotext_utils.get_override_settings(params, skip_fields=dict.fromkeys(fields))
    return {"params": params, "overrides": [name for name, _, _ in overrides]}


def reload() -> str:
    """As the button Reload UI."""
    from modules import shared

    shared.state.request_restart()
    return "asked"


def memory() -> float:
    """This process's memory in MiB."""
    return resident()


def state() -> dict[str, Any]:
    """Every tensor's checksum, and every flag, of the loaded model as it is."""
    from modules import shared
    from modules.call_queue import queue_lock

    with queue_lock:
        return tell(shared.sd_model)


def clean() -> dict[str, Any]:
    """The same inside a turn."""
    from modules import shared

    host = WebUIHost()
    host.borrow()
    with host.turn():
        report = tell(shared.sd_model)
    host.give_back()
    return report


def tell(model: Any) -> dict[str, Any]:
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "tensors": {name: checksum(tensor) for name, tensor in tensors.items()},
        "objects": {name: id(tensor) for name, tensor in tensors.items()},
        "requires_grad": {name: parameter.requires_grad for name, parameter in model.named_parameters()},
        "grads": [name for name, parameter in model.named_parameters() if parameter.grad is not None],
        "training": {name: module.training for name, module in model.named_modules()},
        "keys": sorted(model.state_dict()),
        "forward": sorted(name for name, module in model.named_modules() if "forward" in vars(module)),
        "hooks": sorted(
            name for name, module in model.named_modules() if module._forward_pre_hooks or module._forward_hooks
        ),
    }


def checksum(tensor: torch.Tensor) -> str:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest()


def borrow() -> dict[str, Any]:
    """What a loan costs: seconds, and memory in MiB."""
    host, before = WebUIHost(), resident()
    host.borrow()
    facts = {**host.facts, "memory_mb": resident() - before}
    host.give_back()
    return facts


def peak(reset: bool = False) -> float:
    """The most memory in MiB that this process has had since the last reset."""
    found = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return int(found.split()[1]) / 1024


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def train(recipe: str) -> str:
    """Begin a run on the loaded model, in a thread."""

    def work() -> None:
        host, began = WebUIHost(), time.monotonic()
        try:
            result = run.train(recipe_file.read(Path(recipe)), host=host, quiet=True)
            TRAINING.update(outcome=result.outcome, message=result.message, folder=str(result.folder))
            TRAINING["saves"] = [str(path) for path in result.saves]
        except Exception as error:
            TRAINING.update(outcome="refused", message=f"{type(error).__name__}: {error}")
        TRAINING.update(facts=host.facts, seconds=time.monotonic() - began)

    TRAINING.clear()
    threading.Thread(target=work, daemon=True).start()
    return "begun"


def outcome() -> dict[str, Any]:
    return dict(TRAINING)


def publish(file: str) -> str:
    """The WebUI's lists learn of a file, as of a run's save."""
    WebUIHost().publish(Path(file))
    return "published"


@torch.no_grad()
def compare(file: str, prompt: str) -> dict[str, Any]:
    """A LoRA file in the WebUI's own loader and UNet against ours, for one latent, timestep and context."""
    import network
    import networks
    from modules import prompt_parser, shared

    path, lent, host = Path(file), shared.sd_model, WebUIHost()
    model = host.borrow()
    latent = torch.randn((2, 4, 8, 8), generator=generator(7, "compare"))
    timestep = torch.tensor([500, 100])
    time_ids = torch.tensor([[64, 64, 0, 0, 64, 64]] * 2)

    def theirs_encoded() -> Any:
        if not lent.is_sdxl:
            return lent.get_learned_conditioning([prompt, ""])
        return lent.get_learned_conditioning(prompt_parser.SdConditioning([prompt, ""], width=64, height=64))

    def theirs_predicted(encoded: Any) -> Any:
        added = {"y": encoded["vector"]} if lent.is_sdxl else {}
        context = encoded["crossattn"] if lent.is_sdxl else encoded
        return lent.model.diffusion_model(latent, timestep.float(), context=context, **added)

    def ours_predicted(context: Any) -> Any:
        return predict(model, latent, timestep, context, time_ids)

    def plain(encoded: Any) -> Any:
        return encoded["crossattn"] if lent.is_sdxl else encoded

    with host.turn():
        model.unet.eval()
        context, encoded = encode(model, [prompt, ""]), theirs_encoded()
        base, host_base = ours_predicted(context), theirs_predicted(encoded)
        words = embedding.bundled(path, len(model.text_encoders))
        with METHODS["pivotal"]().applied(path, model) if words else applied([(path, 1.0)], model):
            our_context = encode(model, [prompt, ""])
            ours = ours_predicted(our_context)
        networks.list_available_networks()
        found = networks.load_network(path.stem, network.NetworkOnDisk(path.stem, str(path)))
        networks.load_networks([path.stem], [1.0], [1.0], [None])
        their_told = theirs_encoded()
        theirs = theirs_predicted(their_told)
        merged = sum(bool(getattr(module, "network_current_names", ())) for module in lent.modules())
    with host.turn():
        after = theirs_predicted(encoded)
    host.give_back()
    return {
        "modules": len(found.modules),
        "merged": merged,
        "base": relative(host_base, base),
        "context": relative(plain(encoded), context.context),
        "lora": relative(theirs, ours),
        "lora_context": relative(plain(their_told), our_context.context),
        "effect": relative(ours, base),
        "put_back": bool((after == host_base).all()),
    }


@torch.no_grad()
def compare_called(file: str, method: str, prompt: str, trigger: str) -> dict[str, Any]:
    """An embedding or a hypernetwork in the WebUI's own loader and UNet against ours; it is called by its file's
    name.
    """
    from modules import sd_hijack, shared
    from modules.hypernetworks import hypernetwork

    path, lent, host = Path(file), shared.sd_model, WebUIHost()
    model = host.borrow()
    latent = torch.randn((2, 4, 8, 8), generator=generator(7, "compare"))
    timestep = torch.tensor([500, 100])
    known = path.stem in sd_hijack.model_hijack.embedding_db.word_embeddings or path.stem in shared.hypernetworks
    a_word = method == "textual_inversion"
    called = prompt.replace(trigger, path.stem) if a_word else prompt

    def theirs_predicted(encoded: Any) -> Any:
        return lent.model.diffusion_model(latent, timestep.float(), context=encoded)

    with host.turn():
        model.unet.eval()
        base = predict(model, latent, timestep, encode(model, [prompt, ""]))
        with METHODS[method]().applied(path, model):
            our_context = encode(model, [prompt, ""])
            ours = predict(model, latent, timestep, our_context)
        before = theirs_predicted(lent.get_learned_conditioning([called, ""]))
        if not a_word:
            hypernetwork.load_hypernetworks([path.stem], [1.0])
        encoded = lent.get_learned_conditioning([called, ""])
        theirs = theirs_predicted(encoded)
        shared.loaded_hypernetworks.clear()
        after = theirs_predicted(encoded)
    host.give_back()
    return {
        "known": known,
        "context": relative(encoded, our_context.context),
        "output": relative(theirs, ours),
        "effect": relative(ours, base),
        "put_back": a_word or bool((after == before).all()),
    }


@torch.no_grad()
def compare_checkpoint(file: str, prompt: str, base: str, loras: str = "") -> dict[str, Any]:
    """A checkpoint as the WebUI loads it against ``base`` in ours with the file's weights, or with the LoRAs
    ('FILE:WEIGHT,…').
    """
    from modules import sd_models, shared
    from modules.call_queue import queue_lock

    path, model = Path(file), load(base)
    latent = torch.randn((2, 4, 8, 8), generator=generator(7, "compare"))
    timestep = torch.tensor([500, 100])
    known = any(Path(info.filename) == path for info in sd_models.checkpoints_list.values())

    def theirs() -> tuple[torch.Tensor, torch.Tensor]:
        lent = shared.sd_model
        context = lent.get_learned_conditioning([prompt, ""])
        return context, lent.model.diffusion_model(latent, timestep.float(), context=context)

    def ours() -> tuple[torch.Tensor, torch.Tensor]:
        model.unet.eval()
        context = encode(model, [prompt, ""])
        return context.context, predict(model, latent, timestep, context)

    files = [file_and_weight(text) for text in loras.split(",") if text]
    plain_context, plain = ours()
    with applied(files, model) if files else METHODS["full"]().applied(path, model):
        our_context, our_output = ours()
    with queue_lock:
        former = shared.sd_model.sd_checkpoint_info
        _, before = theirs()
        sd_models.reload_model_weights(info=sd_models.CheckpointInfo(file))
        their_context, their_output = theirs()
        sd_models.reload_model_weights(info=former)
        _, after = theirs()
    return {
        "known": known,
        "context": relative(their_context, our_context),
        "output": relative(their_output, our_output),
        "effect": relative(our_output, plain),
        "context_effect": relative(our_context, plain_context),
        "put_back": bool((after == before).all()),
    }


@torch.no_grad()
def patches() -> dict[str, Any]:
    """How much a hypernetwork, token merging and tiling move the WebUI's UNet, and how much ours."""
    from modules import sd_hijack, sd_models, shared
    from modules.hypernetworks.hypernetwork import Hypernetwork

    lent, host = shared.sd_model, WebUIHost()
    model = host.borrow()
    latent, timestep = torch.randn((1, 4, 8, 8), generator=generator(7, "patches")), torch.tensor([500])

    def answers() -> tuple[torch.Tensor, torch.Tensor]:
        with host.turn():
            model.unet.eval()
            context = encode(model, ["a red circle"])
            theirs = lent.model.diffusion_model(latent, timestep.float(), context=context.context)
            return theirs, predict(model, latent, timestep, context)

    plain, own = answers()
    added = Hypernetwork("patches", [64], [1, 2, 1], "linear", "Normal")
    with torch.random.fork_rng(devices=[]):
        for layers in added.layers.values():
            for layer in layers:
                for weight in layer.parameters():
                    weight.normal_()
    shared.loaded_hypernetworks = [added]
    sd_hijack.model_hijack.apply_circular(True)
    sd_models.apply_token_merging(lent, 0.5)
    try:
        moved, mine = answers()
    finally:
        shared.loaded_hypernetworks = []
        sd_hijack.model_hijack.apply_circular(False)
        sd_models.apply_token_merging(lent, 0)
        host.give_back()
    return {"theirs": relative(moved, plain), "ours": relative(mine, own)}


def changed(checkpoint: str) -> dict[str, str]:
    """What a turn says after the WebUI has loaded another checkpoint, and whether it works again with the former
    one.
    """
    from modules import sd_models, shared
    from modules.call_queue import queue_lock

    former, host = shared.sd_model.sd_checkpoint_info, WebUIHost()
    host.borrow()
    other = sd_models.CheckpointInfo(checkpoint)
    said = []
    for info in (other, former):
        with queue_lock:
            sd_models.reload_model_weights(info=info)
        try:
            with host.turn():
                said.append("")
        except HostError as error:
            said.append(str(error))
    host.give_back()
    return {"other": said[0], "former": said[1]}


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest difference, over the largest value."""
    return float((one - other).abs().max() / other.abs().max())

"""What users do with files, without a server: training, captions, tools, datasets, pictures that are drawn."""

from __future__ import annotations

import base64
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file

from sdft_ext.analysis import accepted_duplicates
from sdft_ext.captions.planning import plan_edit
from sdft_ext.captions.store import CaptionStore
from sdft_ext.dataset import crops
from sdft_ext.dataset.folder import Picture, scan
from sdft_ext.dataset.trash import Trash
from sdft_ext.host.base import Files, Sampling
from sdft_ext.preparation import masks, record
from sdft_ext.preparation.execute import execute
from sdft_ext.preparation.focus import CropFinder
from sdft_ext.preparation.options import from_plain
from sdft_ext.preparation.plan import plan
from sdft_ext.recipe import Recipe, WatchRecipe
from sdft_ext.run import regularization, run
from sdft_ext.run_folder.facts import add_facts, read_facts
from sdft_ext.run_folder.folder import new_folder
from sdft_ext.run_folder.log import Log
from sdft_ext.run_folder.log import read as read_log
from sdft_ext.run_folder.saves import Saves
from sdft_ext.run_folder.status import Status
from sdft_ext.storage import atomic, json_file
from sdft_ext.storage.text import decode
from sdft_ext.tools.files import ToolError
from sdft_ext.tools.work import work
from tests.analysis import images
from tests.captions import folders
from tests.run import tiny
from tests.storage.every_fault import Promises, Refused, Story, contents, is_file, steady

LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
SIZES = (("down", (4, 32)), ("up", (32, 4)))


class Training(Story):
    """A run with a save every two steps, states and a control picture; it is resumed after the fault."""

    name, sample = "training", 230

    def __init__(self, data: Path, *settings: str) -> None:
        more = ("save.every=2", "save.keep_last=2", "save.state_every=2", 'watch.concept_prompts=["a sks cat"]')
        self.recipe: Recipe = tiny.recipe(data, data, *more, *settings)

    def go(self, folder: Path, promise: Promises) -> None:
        made = folder / "run"
        if json_file.read_or(made / "status.json", {}).get("state") == "finished":
            return
        begun = (made / "recipe.yaml").exists()
        result = run.resume(made, quiet=True) if begun else run.train(self.recipe, folder=made, quiet=True)
        if result.outcome != "finished":
            raise Refused(result.message)
        for name, data in tiny.saved(made).items():
            promise(f"the save {name}", lambda name=name, data=data: tiny.saved(made)[name] == data)  # type: ignore[misc]

    def end(self, folder: Path) -> Any:
        found = tiny.fingerprint(folder / "run", folder)
        events = sorted(event for event in found.pop("events") if event[1] != "warning")
        state = tiny.last_state(folder / "run")
        # States are also written after some time: which one stands before the last is the clock's.
        files = [name for name in found["files"] if "/state/" not in name or f"/{state[0]}/" in name]
        return {**found, "files": files, "events": events, "state": state}


class Captions(Story):
    """Edits, saving all, undo, redo, autosave, a removed caption: what was answered stays in journal and files."""

    name, sample = "captions", 7

    def world(self, folder: Path) -> None:
        folders.make(folder / "set", {"a": "old a\r\n", "b": "old b", "sub/c": None})

    def go(self, folder: Path, promise: Promises) -> None:
        store = CaptionStore(folder / "set")

        def edit(*texts: str) -> None:
            if len(store.in_order) < len(texts):
                raise Refused(store.problems[0])
            store.edit("set", lambda: plan_edit(store.in_order, texts))
            kept(*texts)

        def kept(*texts: str) -> None:
            promise.made = [one for one in promise.made if "edit" not in one[0]]
            promise(f"the edit {texts}", lambda: [p.caption for p in CaptionStore(folder / "set").in_order] == [*texts])

        def save() -> None:
            entries = [picture.entry for picture in store.in_order]
            promise.made = [one for one in promise.made if "saved" not in one[0]]
            for entry in entries:  # until it is told that the new one is saved, either may be there
                promise(f"saved: {entry.name}", partial(self._holds, entry.file, {entry.base, entry.text}))
            result = store.save()
            if result.failed or result.conflicts:
                raise Refused((*(text for _, text in result.failed), f"{result.conflicts} conflict.")[0])
            for entry in entries:
                promise(f"saved: {entry.name}", partial(self._holds, entry.file, {entry.text}))

        edit("first a", "first b", "first c")
        save()
        edit("second a", "second b", "first c")
        store.undo()
        kept("first a", "first b", "first c")
        store.redo()
        kept("second a", "second b", "first c")
        save()
        store.set_autosave(True)
        promise.made = [one for one in promise.made if "saved" not in one[0]]
        edit("third a", "second b", "first c")
        store.set_autosave(False)
        save()

    @staticmethod
    def _holds(file: Path, texts: set[str | None]) -> bool:
        return (decode(file.read_bytes())[0].rstrip() if file.exists() else None) in texts

    def end(self, folder: Path) -> Any:
        return contents(folder, "journal.jsonl")


class Tools(Story):
    """LoRA files merged, resized and extracted, checkpoints merged and converted; never over a file that exists."""

    name, sample = "tools", 150

    def __init__(self, data: Path) -> None:
        self.base = data / "base.safetensors"

    def world(self, folder: Path) -> None:
        torch.manual_seed(0)
        for name in "ab":
            tensors = {f"{LAYER}.lora_{end}.weight": torch.randn(*size) for end, size in SIZES}
            save_file(tensors, folder / f"{name}.safetensors")
        torch.save({"state_dict": {"a.weight": torch.ones(3)}}, folder / "old.ckpt")
        save_file({"mine": torch.ones(1)}, folder / "mine.safetensors")
        (folder / "old.yaml").write_text("model: {}\n")

    def go(self, folder: Path, promise: Promises) -> None:
        promise(
            "a file of the user's own", is_file(folder / "mine.safetensors", (folder / "mine.safetensors").read_bytes())
        )
        a, b = folder / "a.safetensors", folder / "b.safetensors"
        size = {"rank": 1, "error": 0.0, "precision": "fp16"}
        jobs: dict[str, tuple[str, dict[str, Any]]] = {
            "resized.safetensors": ("resize", {"source": a, **size}),
            "both.safetensors": ("merge-loras", {"files": [(a, 1.0), (b, 0.5)], **size}),
            "merged.safetensors": ("merge", {"base": self.base, "loras": [(a, 1.0)], "precision": "fp16"}),
            "converted.safetensors": ("convert", {"source": folder / "old.ckpt", "precision": "", "keep_ema": False}),
            "folder": ("convert", {"source": self.base, "precision": "fp16", "keep_ema": False}),
            "mine.safetensors": ("resize", {"source": a, **size}),
        }
        for name, (tool, values) in jobs.items():
            target = folder / name
            if target.exists():
                try:
                    work(tool, values, target)
                except ToolError as error:
                    assert "exists already" in str(error)
                    continue
                raise AssertionError(f"{name} was written over")
            assert str(target) in work(tool, values, target)
            made = contents(target) if target.is_dir() else {"": steady(target)}
            promise(name, lambda target=target, made=made: _there(target, made))  # type: ignore[misc]

    def end(self, folder: Path) -> Any:
        return contents(folder)


def _there(target: Path, made: dict[str, bytes]) -> bool:
    return (contents(target) if target.is_dir() else {"": steady(target)}) == made


class Dataset(Story):
    """Pictures removed and restored, duplicates kept, masks painted and deleted."""

    name, sample = "dataset", 3

    def world(self, folder: Path) -> None:
        images.fill(folder / "set", 3)
        (folder / "set" / "000.txt").write_text("a caption")
        images.save(folder / "set" / "002-mask.png", images.image(64, 64, 9, "L"))
        accepted_duplicates.accept(folder / "set", ["before", "too"])

    def go(self, folder: Path, promise: Promises) -> None:
        root = folder / "set"
        before = {name: data for name, data in contents(root).items() if data != b"(folder)" and ".sdft" not in name}
        promise("every picture and caption is in its place or in the trash", lambda: self._somewhere(root, before))
        trash = Trash(root)
        for removal in trash.removals():  # what a fault left there
            trash.restore(removal.id)
        removal = trash.remove([root / "000.png", root / "001.png"])
        promise("a removal", lambda: removal.id in [one.id for one in trash.removals()])
        promise.made.pop()
        trash.restore(removal.id)
        promise("a restored picture", (root / "000.png").exists)
        accepted_duplicates.accept(root, ["one", "two"])
        promise("kept duplicates", lambda: self._kept(root, ["one", "two"]) and self._kept(root, ["before", "too"]))
        picture = _pictures(root)["001.png"]
        half = Image.new("L", (64, 64), 255)
        half.paste(0, (0, 0, 32, 64))
        path = root / "001-mask.png"
        masks.write(root, picture, _data_url(half), masks.version(picture))
        promise("a painted mask", path.exists)
        promise.made.pop()
        picture = _pictures(root)["001.png"]
        masks.remove(root, picture, masks.version(picture))
        promise("a deleted mask", lambda: not path.exists())

    @staticmethod
    def _somewhere(root: Path, before: dict[str, bytes]) -> bool:
        now = set(contents(root).values())
        return all(data in now for name, data in before.items() if name != "001-mask.png")

    @staticmethod
    def _kept(root: Path, digests: list[str]) -> bool:
        return accepted_duplicates.AcceptedDuplicates([root]).holds(digests)

    def end(self, folder: Path) -> Any:
        return contents(folder, ".sdft/masks/")  # a backup for each time that a mask was deleted


class Preparation(Story):
    """Pictures cropped into another folder, each with its caption and mask; originals stay."""

    name, sample = "preparation", 7

    def world(self, folder: Path) -> None:
        images.save(folder / "set" / "a.png", images.image(96, 64, 1))
        images.save(folder / "set" / "a-mask.png", images.image(96, 64, 2, "L"))
        images.save(folder / "set" / "deep" / "b.png", images.image(70, 64, 3))
        (folder / "set" / "a.txt").write_text("a caption")

    def go(self, folder: Path, promise: Promises) -> None:
        source, out = folder / "set", folder / "out"
        for name, data in contents(source).items():
            if data != b"(folder)" and ".sdft" not in name:
                promise(f"the original {name}", is_file(source / name, data))
        recipe = images.recipe(source)
        pictures = _pictures(source)
        for name, x in (("a.png", 0.25), ("deep/b.png", 0.75)):
            crops.store(source, name, (pictures[name].width, pictures[name].height), crops.Crop(x, 0.5, 1.25))
            promise(f"the crop of {name}", lambda name=name: name in crops.read(source))  # type: ignore[misc]
        if found := scan(recipe).problems:
            raise Refused(found[0].text)
        made = plan(scan(recipe), source, out, from_plain({}), recipe, crops.read(source), record.written(out))
        done = execute(made, CropFinder())
        if done.problems:
            raise Refused(done.problems[0])
        for action in made.actions:
            promise(f"the prepared {action.target}", (out / action.target).exists)

    def end(self, folder: Path) -> Any:
        found = contents(folder, "prepared.json")
        names = json.loads((folder / "out" / ".sdft" / "prepared.json").read_text())["files"]
        return {**found, "the record's names": ", ".join(sorted(names)).encode()}


class Drawing(Story):
    """Regularization pictures with their captions, in a folder that holds another picture."""

    name, sample = "drawing", 5

    def world(self, folder: Path) -> None:
        images.fill(folder / "class", 1, first=50)

    def go(self, folder: Path, promise: Promises) -> None:
        wanted = regularization.RegularizationSettings(
            ("a cat", "a dog"), Files("base"), Sampling("DDIM", steps=1, width=64, height=64), 3, drop_duplicates=False
        )
        own = folder / "class" / "000.png"
        promise("a picture of the user's", is_file(own, own.read_bytes()))
        host: Any = _Painter()
        made = regularization.regularize(wanted, folder / "class", host, on_progress=lambda *_: None)
        assert made.outcome == "finished" and made.pictures == 3
        for path in regularization.drawn_pictures(folder / "class", wanted).values():
            promise(f"{path.name} with its caption", is_file(path.with_suffix(".txt"), _words(path).encode()))


class _Painter:
    def paint(self, prompts: Any, seeds: Any, sampling: Any, model: Any) -> list[Image.Image]:
        return [images.image(64, 64, seed) for seed in seeds]


def _pictures(root: Path) -> dict[str, Picture]:
    """Scan a folder, as the page does before it shows its pictures. Raises Refused where one can't be read."""
    found = scan(images.recipe(root))
    if found.problems:
        raise Refused(found.problems[0].text)
    return {picture.path.relative_to(root).as_posix(): picture for picture in found.pictures}


def _data_url(mask: Image.Image) -> str:
    data = io.BytesIO()
    mask.save(data, "PNG")
    return masks.PREFIX + base64.b64encode(data.getvalue()).decode()


def _words(path: Path) -> str:
    return " ".join(path.stem.split("-")[:2])


class RunFolder(Story):
    """The files of a run, each written as a run does: status, facts, log, saves with their list; a resume."""

    name, sample = "run folder", 5

    def go(self, folder: Path, promise: Promises) -> None:
        made = folder / "run"
        if not made.exists():
            new_folder(folder, "run")
        status, log, saves = Status(made), Log(made, WatchRecipe(tensorboard=False)), Saves(made, "a", 2)
        saves.clear()
        for path in (made / "status.json", made / "facts.json", made):
            atomic.clear(path.parent, f"{path.stem}")
        log.resume(1)
        status.set("training", 0, 3)
        add_facts(made, stem="a")
        promise("a fact", lambda: read_facts(made).get("stem") == "a")
        for step in (2, 3, 4):
            log.write(step, {"loss": step / 2})
            promise(f"the log of step {step}", lambda step=step: step in [line["step"] for line in read_log(made)])  # type: ignore[misc]
            path = saves.write(step, 1, step / 2, step == 4, partial(_save, folder=made / "saves", step=step))
            promise.made = [one for one in promise.made if "the save" not in one[0]]
            promise(f"the save of step {step}", lambda path=path: path in saves.paths())  # type: ignore[misc]
        log.close()
        add_facts(made, seconds=3)
        promise("two facts", lambda: read_facts(made) == {"stem": "a", "seconds": 3})
        status.set("finished", 3, 3, message="Finished.")
        promise("the end", lambda: json_file.read(made / "status.json")["state"] == "finished")

    def end(self, folder: Path) -> Any:
        found = contents(folder, "status.json", "log.jsonl")
        losses = [(line["step"], line["loss"]) for line in read_log(folder / "run") if "loss" in line]
        return {**found, "log": losses}


def _save(path: Path, *, folder: Path, step: int) -> list[Path]:
    atomic.tensors(path, {"a": torch.full((3,), float(step))})
    return []


def stories(data: Path) -> list[Story]:
    """Return every story; ``data`` holds the tiny model and its pictures, which stay as they are."""
    if not (data / "base.safetensors").exists():
        tiny.checkpoint(data / "base.safetensors")
        tiny.pictures(data)
    return [Training(data), Captions(), Tools(data), Dataset(), Preparation(), Drawing(), RunFolder()]

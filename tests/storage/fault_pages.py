"""What users do on the page, over its API: runs in the queue, pictures sent to a dataset, tools, drawing jobs."""

from __future__ import annotations

import io
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient
from safetensors.torch import save_file

from sdft_ext.api import mount
from sdft_ext.desk import Desk, uploads
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run_folder.status import Status
from sdft_ext.storage import json_file
from tests.analysis import images
from tests.desk import setting
from tests.storage.every_fault import Promises, Refused, Story, contents, is_file
from tests.storage.fault_stories import LAYER, SIZES

HOME = "http://127.0.0.1:7860"
SECONDS = 20.0


class _Relay:
    """Stands before the desk of the program that runs now: making the routes takes longer than most stories."""

    now: Desk

    def __getattr__(self, name: str) -> Any:
        return _Part(self, name)


class _Part:
    """One of the desk's parts, or functions, whichever desk it is by then."""

    def __init__(self, relay: _Relay, name: str) -> None:
        self._relay, self._name = relay, name

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self._relay.now, self._name), name)

    def __call__(self, *arguments: Any) -> Any:
        return getattr(self._relay.now, self._name)(*arguments)


@lru_cache(maxsize=1)
def _served() -> tuple[TestClient, _Relay]:
    app, relay = FastAPI(), _Relay()
    mount(app, cast(Desk, relay))
    return TestClient(app, base_url=HOME), relay


class Page:
    """The page of a desk that was just started on a folder. ``gate`` keeps its runs from ending."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.desk: Desk = setting.desk(data, folder / "runs", roots=(folder,))
        self.gate = threading.Event()
        self.desk.queue._do = self._work
        self._client, relay = _served()
        relay.now = self.desk
        self._client.headers["X-SDFT-Token"] = self.get("session")["token"]

    def _work(self, folder: Path, control: Any) -> None:
        """Stand in for the training: it waits for the gate, and says that it has finished."""
        self.gate.wait(SECONDS)
        Status(folder).set("finished", 1, 1, message="Finished.")

    def get(self, path: str) -> Any:
        return self._answer(self._client.get(f"/sdft/v1/{path}"))

    def post(self, path: str, **body: Any) -> Any:
        return self._answer(self._client.post(f"/sdft/v1/{path}", json=body))

    def send(self, path: str, content: bytes) -> Any:
        headers = {"Content-Type": "application/octet-stream"}
        return self._answer(self._client.post(f"/sdft/v1/{path}", content=content, headers=headers))

    @staticmethod
    def _answer(answer: Any) -> Any:
        if answer.status_code != 200:
            raise Refused(answer.json()["detail"])
        return answer.json()

    def close(self) -> None:
        self.gate.set()
        self.desk.queue.wait(SECONDS)
        self.desk.close()


@contextmanager
def opened(data: Path, folder: Path) -> Iterator[Page]:
    """A page, and its program's end."""
    page = Page(data, folder)
    try:
        yield page
    finally:
        page.close()


class Queue(Story):
    """Runs started, reordered, removed and resumed; a folder that is remembered."""

    name, sample = "queue", 40

    def __init__(self, data: Path) -> None:
        self.data = data

    def world(self, folder: Path) -> None:
        for name in ("typed", "other"):
            images.fill(folder / name, 1)
        json_file.write(folder / "runs" / ".desk" / "folders.json", ["/earlier"])
        (folder / "runs" / "mine").mkdir()
        (folder / "runs" / "mine" / "recipe.yaml").write_text("save: {name: mine}\n")

    def go(self, folder: Path, promise: Promises) -> None:
        runs = folder / "runs"
        promise("a run from before", is_file(runs / "mine" / "recipe.yaml", b"save: {name: mine}\n"))
        with opened(self.data, folder) as page:
            for name in ("a", "b", "c"):
                listed = {run["id"]: run["state"] for run in page.get("runs")["runs"]}
                if name not in listed:
                    values = setting.values(self.data, f"save.name={name}")
                    assert page.post("runs", recipe=values)["id"] == name, "nothing is left of what failed before"
                elif listed[name] != "finished":
                    page.post(f"runs/{name}/resume")
                promise(f"the run {name}", lambda name=name: self._is_run(runs, name))  # type: ignore[misc]
                self._queued(runs, name)
            while (found := page.get("runs"))["current"] is None and found["queue"]:
                time.sleep(0.005)  # the queue's thread takes the first one
            page.post("queue", ids=found["queue"][::-1])
            promise("the order", lambda: True)
            self._remember(page, folder, promise)
        states = {run: json_file.read_or(runs / run / "status.json", {}).get("state") for run in "abc"}
        if set(states.values()) != {"finished"}:
            raise Refused(f"Not all runs have finished: {states}.")

    @staticmethod
    def _is_run(runs: Path, name: str) -> bool:
        return recipe_file.read(runs / name / "recipe.yaml").save.name == name

    @staticmethod
    def _queued(runs: Path, name: str) -> None:
        """Assert that a restarted program would find the run in its queue, or that it has ended."""
        stored = json_file.read(runs / ".desk" / "queue.json")
        ended = json_file.read_or(runs / name / "status.json", {}).get("state") == "finished"
        assert ended or name in (*stored["waiting"], stored["current"]), f"{name} isn't in the queue's file"

    @staticmethod
    def _remember(page: Page, folder: Path, promise: Promises) -> None:
        """Have the desk remember folders, as it does where a user types one."""
        file = folder / "runs" / ".desk" / "folders.json"
        for name in ("typed", "other"):
            page.desk.folders.remember(folder / name)
            promise(f"the folder {name}", lambda name=name: str(folder / name) in json_file.read(file))  # type: ignore[misc]
        promise("the folder from before", lambda: "/earlier" in json_file.read(file))

    def end(self, folder: Path) -> Any:
        found = contents(folder, "status.json", "queue.json")
        folders = sorted(json_file.read(folder / "runs" / ".desk" / "folders.json"))
        return {**found, "runs/.desk/folders.json": folders}


class Uploads(Story):
    """A picture, a caption and an archive sent into a dataset that holds others."""

    name, sample = "upload", 9

    def __init__(self, data: Path) -> None:
        self.data = data

    def world(self, folder: Path) -> None:
        images.save(folder / "set" / "old.png", images.image(64, 64, 1))
        (folder / "set" / "old.txt").write_text("an old caption")

    def go(self, folder: Path, promise: Promises) -> None:
        root = folder / "set"
        for name in ("old.png", "old.txt"):
            promise(name, is_file(root / name, (root / name).read_bytes()))
        picture, packed = _png(2), io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("sub/b.png", _png(3))
            archive.writestr("sub/b.txt", "a packed caption")
        files = {"a.png": picture, "a.txt": b"a caption", "both.zip": packed.getvalue(), "old.txt": b"an old caption"}
        left, uploads.LEFT_BEHIND = uploads.LEFT_BEHIND, -1.0  # as a day later
        try:
            with opened(self.data, folder) as page:
                id = page.post("datasets/uploads", folder=str(root), name="set")["id"]
                for name, content in files.items():
                    page.send(f"datasets/uploads/{id}/files?name={name}", content)
                done = page.post(f"datasets/uploads/{id}/finish")
        finally:
            uploads.LEFT_BEHIND = left
        if done["refused"]:
            raise Refused(done["refused"][0])
        for name, content in {"a.png": picture, "a.txt": b"a caption", "sub/b.png": _png(3)}.items():
            promise(name, is_file(root / name, content))

    def end(self, folder: Path) -> Any:
        return contents(folder / "set")


def _png(seed: int) -> bytes:
    data = io.BytesIO()
    images.image(64, 64, seed).save(data, "PNG")
    return data.getvalue()


class Jobs(Story):
    """A tool that writes a file, and a drawing job; their records outlive the program."""

    name, sample = "jobs", 9

    def __init__(self, data: Path) -> None:
        self.data = data

    def world(self, folder: Path) -> None:
        torch.manual_seed(0)
        tensors = {f"{LAYER}.lora_{end}.weight": torch.randn(*size) for end, size in SIZES}
        save_file(tensors, folder / "a.safetensors")

    def go(self, folder: Path, promise: Promises) -> None:
        with opened(self.data, folder) as page:
            target = folder / "runs" / "made" / "small.safetensors"
            if not target.exists():
                settings = {"source": str(folder / "a.safetensors"), "rank": 1, "error": 0, "precision": "fp16"}
                page.post("tools", tool="resize", name="small", settings=settings)
                self._wait(page)
                promise("the tool's file", is_file(target, target.read_bytes()))
            drawing = {"prompts": ["a cat"], "count": 1, "sampler": "DDIM", "steps": 1, "guidance": 2, "width": 64}
            jobs = page.get("regularization")["jobs"]
            if jobs and jobs[0]["state"] != "finished":
                name = jobs[0]["name"]
                page.post(f"regularization/{name}/resume")
            else:
                name = page.post("regularization", **drawing, height=64, drop_duplicates=False)["name"]
            promise("the drawing job", (folder / "runs" / "regularization" / name / "job.json").exists)
        state = json_file.read_or(folder / "runs" / "regularization" / name / "status.json", {}).get("state")
        if state != "finished":
            raise Refused("The drawing job has failed.")

    @staticmethod
    def _wait(page: Page) -> None:
        end = time.monotonic() + SECONDS
        while (job := page.get("tools/job"))["state"] == "working":
            assert time.monotonic() < end, "the tool hangs"
            time.sleep(0.005)
        if job["state"] != "finished":
            raise Refused(job["message"])

    def end(self, folder: Path) -> Any:
        return contents(folder, "status.json", "queue.json", "tool.json", "job.json")


def stories(data: Path) -> list[Story]:
    return [Queue(data), Uploads(data), Jobs(data)]

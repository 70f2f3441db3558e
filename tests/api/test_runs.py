"""Runs over HTTP, from a recipe to its end, and everything that a page asks of them."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from sdft_ext.api.presets import PresetsResponse
from sdft_ext.api.runs import CompareResponse, LogResponse, RunResponse, RunsResponse
from sdft_ext.api.session import DeviceResponse, SessionResponse
from sdft_ext.desk import Desk, device_load
from tests.desk.setting import state, until, values

V1 = "/sdft/v1"
LONG = ("train.length=100000", "save.every=0")
PICTURES = ('watch.concept_prompts=["a sks cat"]', 'watch.bleeding_prompts=["a cat"]', "watch.every=2")


def start(client: TestClient, data: Path, *settings: str) -> str:
    answer = client.post(f"{V1}/runs", json={"recipe": values(data, *settings)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def answer_to(client: TestClient, path: str, shape: Any) -> dict[str, Any]:
    """Return an answer that matches its response model."""
    answer = client.get(f"{V1}/{path}")
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    shape(**content)
    return content


def test_the_session_describes_the_loaded_model_as_the_documentation_says(client: TestClient, data: Path):
    """Programs read these keys (docs/api.md)."""
    model = answer_to(client, "session", SessionResponse)["host"]["model"]
    assert list(model) == ["name", "path", "family", "device", "trainable", "why", "held"]


def test_a_run_from_recipe_to_report(client: TestClient, desk: Desk, data: Path):
    run = start(client, data, *PICTURES)
    listed = answer_to(client, "runs", RunsResponse)
    assert [entry["id"] for entry in listed["runs"]] == [run]
    assert desk.queue.wait(60)
    entry = answer_to(client, "runs", RunsResponse)["runs"][0]
    assert (entry["state"], entry["step"], entry["total"], entry["saves"]) == ("finished", 4, 4, 2)
    shown = client.get(f"{V1}/{entry['picture']}")
    assert shown.headers["content-type"] == "image/png" and Image.open(io.BytesIO(shown.content)).size == (64, 64)

    full = answer_to(client, f"runs/{run}", RunResponse)
    assert full["recipe"]["dataset"]["concepts"][0]["trigger"] == "sks" and 'trigger: "sks"' in full["yaml"]
    assert [save["step"] for save in full["saves"]] == [2, 4] and full["saves"][1]["last"]
    assert full["controls"]["steps"] == [0, 2, 4]
    assert [(p["set"], p["number"], p["prompt"]) for p in full["controls"]["prompts"]] == [
        ("concept", 0, "a sks cat"),
        ("bleeding", 0, "a cat"),
    ]
    assert full["report"].startswith("# tiny") and full["verdict"] == "fine" and full["grid"]
    assert [(mark["step"], mark["event"]) for mark in full["marks"] if mark["event"] == "save"] == [
        (2, "save"),
        (4, "save"),
    ]
    for path in ("grid", "loss", "controls/bleeding/0/4"):
        assert client.get(f"{V1}/runs/{run}/{path}").headers["content-type"] == "image/png"
    for path in (
        "controls/bleeding/0/3",
        "controls/bleeding/1/4",
        "controls/..%2F..%2Fsaves/0/4",
        "controls/trash/0/4",
    ):
        assert client.get(f"{V1}/runs/{run}/{path}").status_code == 404, path


def test_the_log_comes_in_pieces_each_line_once(client: TestClient, desk: Desk, data: Path):
    run = start(client, data, "train.length=30", "save.every=0")
    seen: list[dict[str, Any]] = []
    number, version = 0, None
    while True:
        piece = answer_to(client, f"runs/{run}/status?since={number}", LogResponse)
        if seen:
            assert piece["log"] == version
        version, number = piece["log"], piece["next"]
        seen += piece["lines"]
        if piece["status"]["state"] == "finished" and not piece["lines"]:
            break
        time.sleep(0.02)
    assert [line["step"] for line in seen if "loss" in line] == list(range(1, 31))
    assert seen == [json.loads(line) for line in (desk.folder / run / "log.jsonl").read_text().splitlines()]
    assert client.get(f"{V1}/runs/{run}/status?since=-1").status_code == 400


def test_a_resumed_run_rewrites_its_log_and_says_so(client: TestClient, desk: Desk, data: Path):
    run = start(client, data, "train.length=60", "save.every=0")
    until(lambda: state(desk, run) == "training")
    assert client.post(f"{V1}/runs/{run}/stop", json={}).json() == {"ok": True}
    until(lambda: state(desk, run) == "stopped")
    before = client.get(f"{V1}/runs/{run}/status").json()
    assert client.post(f"{V1}/runs/{run}/resume", json={}).status_code == 200
    until(lambda: state(desk, run) == "finished")
    after = client.get(f"{V1}/runs/{run}/status?since={before['next']}").json()
    assert after["log"] != before["log"]
    again = client.get(f"{V1}/runs/{run}/status").json()
    assert [line["step"] for line in again["lines"] if "loss" in line] == list(range(1, 61))


def test_pause_save_sample_try_and_stop(client: TestClient, desk: Desk, data: Path):
    run = start(client, data, *LONG, 'watch.concept_prompts=["a sks cat"]')
    until(lambda: state(desk, run) == "training")

    def ask(what: str) -> dict[str, Any]:
        answer = client.post(f"{V1}/runs/{run}/{what}", json={})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    ask("pause")
    until(lambda: state(desk, run) == "paused")
    tried = ask("try")
    name = tried["name"]
    assert tried == {"name": name, "call": f"<lora:{name}:1>", "word": "", "further": []}
    assert (desk.folder / run / "saves" / f"{name}.safetensors").is_file(), "a paused run can be tried out as well"
    ask("resume")
    until(lambda: state(desk, run) == "training")
    ask("save")
    ask("sample")
    until(lambda: len(client.get(f"{V1}/runs/{run}").json()["saves"]) == 1)
    until(lambda: len(client.get(f"{V1}/runs/{run}").json()["controls"]["steps"]) == 2)
    ask("stop")
    until(lambda: state(desk, run) == "stopped")
    refused = client.post(f"{V1}/runs/{run}/pause", json={})
    assert refused.status_code == 409 and "isn't training" in refused.json()["detail"]


def test_the_queue_is_reordered(client: TestClient, desk: Desk, data: Path):
    first = start(client, data, *LONG)
    others = [start(client, data, f"save.name={name}") for name in ("one", "two")]
    assert client.post(f"{V1}/queue", json={"ids": others[::-1]}).status_code == 200
    assert answer_to(client, "runs", RunsResponse)["queue"] == others[::-1]
    assert client.post(f"{V1}/queue", json={"ids": [*others, "tiny"]}).status_code == 409
    assert client.post(f"{V1}/queue", json={"ids": "one"}).status_code == 400
    for run in (*others, first):
        client.post(f"{V1}/runs/{run}/stop", json={})
    assert desk.queue.wait(60)


def test_what_two_recipes_differ_in(client: TestClient, desk: Desk, data: Path):
    runs = [start(client, data, *settings) for settings in ((), ("train.learning_rate=0.5", "dataset.prefix=<b>"))]
    assert desk.queue.wait(60)
    found = answer_to(client, f"compare?a={runs[0]}&b={runs[1]}", CompareResponse)["differences"]
    assert found == [
        {"path": "dataset.prefix", "label": "Prefix", "a": "", "b": "<b>"},
        {"path": "train.learning_rate", "label": "Learning rate", "a": 0.01, "b": 0.5},
    ]
    assert client.get(f"{V1}/compare?a={runs[0]}&b=nothing").status_code == 404


def test_the_trash_keeps_everything(client: TestClient, desk: Desk, data: Path):
    run = start(client, data, *LONG)
    until(lambda: state(desk, run) == "training")
    assert client.post(f"{V1}/runs/{run}/trash", json={}).status_code == 409
    client.post(f"{V1}/runs/{run}/stop", json={})
    until(lambda: state(desk, run) == "stopped")
    assert client.post(f"{V1}/runs/{run}/trash", json={"saves": True}).json() == {"ok": True}
    assert answer_to(client, "runs", RunsResponse)["runs"] == []
    assert client.get(f"{V1}/runs/{run}").status_code == 404
    assert (desk.folder / "trash" / run / "saves" / "index.json").is_file()
    again = start(client, data)
    assert again == run and desk.queue.wait(60)
    client.post(f"{V1}/runs/{again}/trash", json={})
    assert {path.name for path in (desk.folder / "trash").iterdir()} == {run, f"{run}-2"}


def test_a_save_is_deleted_and_restored(client: TestClient, desk: Desk, data: Path):
    run = start(client, data, "method.name=loha", "watch.tensorboard=true")
    until(lambda: state(desk, run) == "finished")
    before = answer_to(client, f"runs/{run}", RunResponse)
    assert (before["method"], before["folder"]) == ("LoHa", str(desk.folder / run))
    assert before["tensorboard"] == str(desk.folder / run / "tensorboard") and before["saves"][0]["scheduled"]
    assert client.post(f"{V1}/runs/{run}/saves/3/trash", json={}).status_code == 404
    assert client.post(f"{V1}/runs/{run}/saves/2/trash", json={}).json() == {"ok": True}
    after = answer_to(client, f"runs/{run}", RunResponse)
    assert [save["step"] for save in after["saves"]] == [4]
    assert answer_to(client, "runs", RunsResponse)["runs"][0]["saves"] == 1
    (deleted,) = after["deleted"]
    assert (deleted["name"], deleted["step"]) == ("tiny-000002", 2)
    assert client.post(f"{V1}/runs/{run}/saves/restore", json={"id": "../saves"}).status_code == 404
    assert client.post(f"{V1}/runs/{run}/saves/restore", json={"id": deleted["id"]}).json() == {"ok": True}
    assert answer_to(client, f"runs/{run}", RunResponse) == before


def test_a_run_that_trains_keeps_its_saves(client: TestClient, desk: Desk, data: Path):
    run = start(client, data, *LONG)
    until(lambda: state(desk, run) == "training")
    client.post(f"{V1}/runs/{run}/save", json={})
    until(lambda: len(client.get(f"{V1}/runs/{run}").json()["saves"]) == 1)
    (save,) = client.get(f"{V1}/runs/{run}").json()["saves"]
    assert not save["scheduled"]
    refused = client.post(f"{V1}/runs/{run}/saves/{save['step']}/trash", json={})
    assert refused.status_code == 409 and "is training" in refused.json()["detail"]
    client.post(f"{V1}/runs/{run}/stop", json={})
    until(lambda: state(desk, run) == "stopped")
    assert client.post(f"{V1}/runs/{run}/saves/{save['step']}/trash", json={}).status_code == 200


def test_a_control_picture_becomes_a_preview_and_a_users_own_stays(client: TestClient, desk: Desk, data: Path):
    run = start(client, data, *PICTURES)
    assert desk.queue.wait(60)
    body = {"set": "concept", "number": 0, "step": 2, "save": 2}
    assert client.post(f"{V1}/runs/{run}/preview", json=body).json() == {"name": "tiny-000002.preview.png"}
    picture = desk.folder / run / "saves" / "tiny-000002.preview.png"
    shown = desk.folder / run / "controls" / "concept" / "00"
    assert Image.open(picture).tobytes() == Image.open(shown / "step-000002.png").tobytes()
    # Its own picture may be replaced, and so may the one that the run put beside its last save.
    assert client.post(f"{V1}/runs/{run}/preview", json={**body, "step": 0}).status_code == 200
    assert client.post(f"{V1}/runs/{run}/preview", json={**body, "save": 4}).status_code == 200
    Image.new("RGB", (8, 8), "red").save(picture)
    mine = picture.read_bytes()
    refused = client.post(f"{V1}/runs/{run}/preview", json=body)
    assert refused.status_code == 409 and picture.read_bytes() == mine
    assert client.post(f"{V1}/runs/{run}/preview", json={**body, "replace": True}).status_code == 200
    assert picture.read_bytes() != mine
    assert client.post(f"{V1}/runs/{run}/preview", json={**body, "save": 3}).status_code == 404


def test_a_save_is_tried_out(client: TestClient, desk: Desk, data: Path):
    run = start(client, data)
    assert desk.queue.wait(60)
    pictures = []
    for save in (None, 2, 4, 4):
        body = {"prompt": "a sks cat", "save": save, "steps": 2, "size": 64, "seed": 3}
        answer = client.post(f"{V1}/runs/{run}/tryout", json=body)
        assert answer.status_code == 200 and answer.json()["picture"].startswith("data:image/png;base64,")
        pictures.append(answer.json()["picture"])
    assert len(set(pictures)) == 3 and pictures[2] == pictures[3]
    assert client.post(f"{V1}/runs/{run}/tryout", json={"prompt": "", "save": 3}).status_code == 404
    refused = client.post(f"{V1}/runs/{run}/handover", json={"to": "txt2img", "saves": [4]})
    assert refused.status_code == 409 and "here" in refused.json()["detail"]


@pytest.mark.slow
def test_a_save_that_is_a_whole_model_is_tried_out(client: TestClient, desk: Desk, data: Path):
    run = start(client, data, "method.name=dreambooth", "train.learning_rate=1e-3")
    assert desk.queue.wait(120)
    body = {"prompt": "a sks cat", "steps": 2, "size": 64, "seed": 3}
    pictures = [
        client.post(f"{V1}/runs/{run}/tryout", json={**body, **more}).json()["picture"]
        for more in ({"save": None}, {"save": 2}, {"save": 4}, {"save": 4, "weight": 0}, {"save": None})
    ]
    assert len(set(pictures)) == 3 and pictures[0] == pictures[3] == pictures[4], "the model is as it was after each"


@pytest.mark.timed
def test_the_first_step_comes_soon_after_the_click(client: TestClient, desk: Desk, data: Path):
    client.get(f"{V1}/session")
    assert desk.packages._imports is not None
    desk.packages._imports.join()
    began = time.monotonic()
    run = start(client, data, *LONG)
    until(lambda: state(desk, run) == "training")
    assert time.monotonic() - began < 3


@pytest.mark.timed
def test_the_page_stays_quick_while_a_run_trains(client: TestClient, desk: Desk, data: Path):
    run = start(client, data, *LONG)
    until(lambda: state(desk, run) == "training")
    slowest = 0.0
    for path in ("runs", f"runs/{run}", f"runs/{run}/status", "session", f"datasets?folder={data / 'instance'}") * 3:
        began = time.monotonic()
        assert client.get(f"{V1}/{path}").status_code == 200
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 0.5


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ({"train": {"learning_rte": 1}}, "train.learning_rate"),
        ({"train": {"length": "many"}}, "train.length"),
        ({"train": {"length": 0}}, "train.length"),
        ({"train": {"length": [1]}}, "train.length"),
        ({"train": 7}, "train"),
        ({"dataset": {"concepts": []}}, "dataset.concepts"),
        ({"dataset": {"concepts": [{}]}}, "folder"),
        ({"save": {"name": "../../outside"}}, "save.name"),
        ({"save": {"name": "con"}}, "save.name"),
        ({"method": {"name": "magic"}}, "method.name"),
    ],
)
def test_a_wrong_recipe_is_a_sentence(client: TestClient, desk: Desk, recipe: dict[str, Any], sentence: str):
    for path in ("runs", "calculate"):
        answer = client.post(f"{V1}/{path}", json={"recipe": recipe}).json()
        messages = [answer["detail"]] if path == "runs" else answer["problems"]
        assert any(sentence in text for text in messages), messages
    assert desk.queued()["runs"] == []


def test_broken_requests_are_sentences(client: TestClient):
    post = {"headers": {"Content-Type": "application/json"}}
    deep = b'{"recipe":' + b'{"a":' * 5000 + b"1" + b"}" * 5001
    for content in (
        b"{",
        b"[]",
        b'{"recipe": 3}',
        b'{"recipe": {"train": {"length": NaN}}}',
        deep,
        b"\xff\xfe",
        b"null",
    ):
        answer = client.post(f"{V1}/runs", content=content, **post)
        assert answer.status_code == 400, content[:30]
        assert isinstance(answer.json()["detail"], str) and answer.json()["detail"]


def test_the_description_names_every_route(client: TestClient):
    described = client.get("/openapi.json").json()["paths"]
    for path, methods in described.items():
        for route in methods.values():
            assert route["tags"] == ["Fine-tune"] and route["summary"], path
    assert f"{V1}/runs/{{run}}/status" in described


def test_presets_are_saved_listed_replaced_and_deleted(client: TestClient, desk: Desk, data: Path):
    body = {"name": "mine", "recipe": values(data, "train.learning_rate=0.25")}
    assert client.post(f"{V1}/presets", json=body).json() == {"ok": True}
    found = answer_to(client, "presets", PresetsResponse)
    assert [preset["name"] for preset in found["presets"]] == ["mine"] and found["problems"] == []
    assert found["presets"][0]["settings"]["train.learning_rate"] == 0.25
    assert client.post(f"{V1}/presets", json=body).status_code == 409
    assert client.post(f"{V1}/presets", json={**body, "replace": True}).status_code == 200
    for name in ("../x", "con", ""):
        assert client.post(f"{V1}/presets", json={**body, "name": name}).status_code == 400, name
    assert client.post(f"{V1}/presets/..%2F.desk%2Fqueue/trash", json={}).status_code == 404
    assert client.post(f"{V1}/presets/mine/trash", json={}).json() == {"ok": True}
    assert client.get(f"{V1}/presets").json() == {"presets": [], "problems": []}


def test_the_gpus_load_is_answered_only_while_something_trains(
    client: TestClient, desk: Desk, data: Path, monkeypatch: pytest.MonkeyPatch
):
    busy = {"load": 97, "temperature": 71, "used_mb": 18.5, "total_mb": 24.0}
    monkeypatch.setattr(device_load, "device_load", lambda device: busy if device == "cpu" else None)
    assert answer_to(client, "device", DeviceResponse) == {"device": None}
    run = start(client, data, *LONG)
    until(lambda: state(desk, run) == "training")
    assert answer_to(client, "device", DeviceResponse) == {"device": busy}
    client.post(f"{V1}/runs/{run}/stop", json={})
    until(lambda: desk.queue.current is None)
    assert client.get(f"{V1}/device").json() == {"device": None}

"""Preparing pictures over the API: the plan in portions, the job, crops and masks, and who may not."""

from __future__ import annotations

import base64
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from sdft_ext.api import mount
from sdft_ext.desk import Desk
from tests.analysis import images
from tests.desk import setting

from .conftest import HOME

PREPARATION = "/sdft/v1/preparation"
TOY = {"dataset": {"resolution": 64, "bucket_step": 16, "bucket_min": 32, "bucket_max": 128, "buckets": False}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images.fill(tmp_path / "pictures", 5, 128, 64)
    return tmp_path / "pictures"


def body(folder: Path, **more: Any) -> dict[str, Any]:
    return {"folder": str(folder), "recipe": TOY, **more}


def finished(client: TestClient) -> dict[str, Any]:
    until = time.monotonic() + 30
    while (state := client.get(PREPARATION).json())["state"] == "preparing" and time.monotonic() < until:
        time.sleep(0.02)
    return dict(state)


def test_a_plan_comes_in_portions_and_is_carried_out(client: TestClient, folder: Path) -> None:
    answer = client.post(f"{PREPARATION}/plan", json=body(folder, start=3, count=10)).json()
    out = folder.with_name("pictures-prepared")
    assert (answer["pictures"], answer["files"], answer["out"], answer["problem"]) == (5, 5, str(out), "")
    assert [item["name"] for item in answer["items"]] == ["003.png", "004.png"] and not out.exists()
    (cut,) = answer["items"][0]["cuts"]
    assert cut == {"x": 0.25, "y": 0.0, "width": 0.5, "height": 1.0, "after": [64, 64], "target": "003.png"}
    assert client.get(f"/sdft/v1/{answer['items'][0]['picture']}").headers["content-type"] == "image/jpeg"
    assert client.post(PREPARATION, json=body(folder)).json()["state"] in ("preparing", "finished")
    done = finished(client)
    assert (done["state"], done["done"], done["written"], done["problems"]) == ("finished", 5, 5, [])
    assert len(list(out.glob("*.png"))) == 5
    client.post(PREPARATION, json=body(folder))
    assert finished(client)["skipped"] == 5


def test_crops_are_remembered_and_forgotten(client: TestClient, folder: Path) -> None:
    crop = {"folder": str(folder), "name": "001.png", "crop": {"x": 1.0, "y": 0.5}}
    assert client.post(f"{PREPARATION}/crop", json=crop).json() == {"ok": True}

    def item() -> Any:
        return client.post(f"{PREPARATION}/plan", json=body(folder, start=1, count=1)).json()["items"][0]

    assert item()["by_hand"] and item()["cuts"][0]["x"] == 0.5
    assert list(json.loads((folder / ".sdft" / "crops.json").read_text())["crops"]) == ["001.png"]
    client.post(f"{PREPARATION}/crop", json={**crop, "crop": None})
    assert not item()["by_hand"]
    for wrong in ({"x": 2, "y": 0}, {"x": "left", "y": 0}, {"x": 0.5, "y": 0.5, "zoom": 0.1}):
        assert client.post(f"{PREPARATION}/crop", json={**crop, "crop": wrong}).status_code == 400
    missing = client.post(f"{PREPARATION}/crop", json={**crop, "name": "../001.png"})
    assert missing.status_code == 404 and "is not among the pictures of" in missing.json()["detail"]
    (folder / ".sdft" / "crops.json").write_text('{"crops": {"001.png": {"x": NaN}, "x": [1], "000.png": {"x": 0.1}}}')
    assert not item()["by_hand"], "what is damaged is left out"


def test_masks_are_painted_and_a_stale_one_is_refused(client: TestClient, folder: Path) -> None:
    query = {"folder": str(folder), "name": "000.png"}
    answer = client.get(f"{PREPARATION}/mask", params=query).json()
    assert (answer["mask"], answer["version"], answer["width"], answer["height"], answer["alpha"]) == (
        "",
        "",
        128,
        64,
        False,
    )
    data = io.BytesIO()
    Image.new("L", (128, 64), 200).save(data, "PNG")
    mask = {**query, "mask": "data:image/png;base64," + base64.b64encode(data.getvalue()).decode(), "before": ""}
    version = client.post(f"{PREPARATION}/mask", json=mask).json()["version"]
    assert version and (folder / "000-mask.png").is_file()
    stale = client.post(f"{PREPARATION}/mask", json=mask)
    assert stale.status_code == 409 and "changed by another program" in stale.json()["detail"]
    assert client.get(f"{PREPARATION}/mask", params=query).json()["mask"].startswith("data:image/png;base64,")
    items = client.post(f"{PREPARATION}/plan", json=body(folder)).json()["items"]
    assert len(items) == 5 and items[0]["mask"] is True
    assert client.post(f"{PREPARATION}/mask", json={**mask, "mask": None, "before": version}).json() == {"version": ""}
    assert not (folder / "000-mask.png").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"options": {"cut": "<b>"}}, "cut is '<b>'; write one of buckets, whole."),
        ({"options": {"quality": 1e300}}, "quality is '1e+300'; write a whole number from 1 to 100."),
        ({"folder": "/nowhere/at/all"}, "does not exist"),
        ({"folder": ""}, "No folder is given"),
        ({"recipe": {"dataset": {"resolutoin": 3}}}, "resolution"),
        ({"out": "relative/folder"}, "is not an absolute path"),
        ({"count": 100_000}, "count"),
    ],
)
def test_a_wrong_edit_is_an_error_message(client: TestClient, folder: Path, more: Any, sentence: str) -> None:
    for path in (f"{PREPARATION}/plan", PREPARATION):
        answer = client.post(path, json={**body(folder), **more})
        assert answer.status_code in (400, 404) and sentence in answer.json()["detail"]
        assert "\n" not in answer.json()["detail"]


def test_a_folder_that_vanishes_is_named(client: TestClient, folder: Path, tmp_path: Path) -> None:
    images.fill(folder, 40, 64, 64, 10)
    client.post(PREPARATION, json=body(folder))
    folder.rename(tmp_path / "elsewhere")
    done = finished(client)
    assert done["state"] == "finished" and done["written"] + len(done["problems"]) == 40
    assert all("is gone; put it back" in text or "left out" in text for text in done["problems"])


def test_strangers_may_neither_look_nor_write_outside_the_roots(data: Path, tmp_path: Path, folder: Path) -> None:
    inside, outside = tmp_path / "root", tmp_path / "pictures"
    images.fill(inside / "set", 2)
    desk = setting.desk(data, tmp_path / "runs", local=False, roots=(inside,))
    try:
        client = _client(desk)
        assert client.get(PREPARATION, headers={"X-SDFT-Token": ""}).status_code == 403
        assert (
            client.get(f"{PREPARATION}/mask", params={"folder": str(inside / "set"), "name": "000.png"}).status_code
            == 200
        )
        refused = [
            client.post(f"{PREPARATION}/plan", json=body(outside)),
            client.post(PREPARATION, json=body(inside / "set", out=str(outside / "new"))),
            client.post(f"{PREPARATION}/crop", json={"folder": str(outside), "name": "000.png", "crop": None}),
            client.post(f"{PREPARATION}/mask", json={"folder": str(outside), "name": "000.png", "mask": None}),
            client.get(f"{PREPARATION}/mask", params={"folder": str(outside), "name": "000.png"}),
        ]
        assert [answer.status_code for answer in refused] == [403] * 5
        (inside / "set" / "link.png").symlink_to(outside / "000.png")
        assert client.post(f"{PREPARATION}/plan", json=body(inside / "set")).status_code == 403
        assert not (outside / ".sdft").exists() and not (outside / "new").exists()
    finally:
        desk.close()


def _client(desk: Desk) -> TestClient:
    app = FastAPI()
    mount(app, desk)
    client = TestClient(app, base_url=HOME)
    client.headers["X-SDFT-Token"] = client.get("/sdft/v1/session").json()["token"]
    return client

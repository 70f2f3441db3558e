"""Regularization pictures over HTTP: queued with the runs, watched, paused, stopped and resumed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from sdft_ext.api.regularization import RegularizationResponse
from sdft_ext.api.runs import RunsResponse
from sdft_ext.desk import Desk
from sdft_ext.host.standalone import StandaloneHost
from tests.desk import setting
from tests.desk.setting import until, values

V1 = "/sdft/v1/regularization"
SETTINGS: dict[str, Any] = {
    "prompts": ["a cat", " ", "two cats "], "count": 4, "sampler": "DDIM", "steps": 1, "guidance": 2, "width": 64,
    "height": 64, "drop_duplicates": False,
}  # fmt: skip


def begin(client: TestClient, **changes: Any) -> str:
    answer = client.post(V1, json={**SETTINGS, **changes})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["name"])


def status_of(client: TestClient, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{V1}/{name}").json()
    RegularizationResponse(**found)
    return found


def test_from_the_request_to_the_pictures(client: TestClient, desk: Desk):
    listed = client.get(V1).json()
    assert listed == {"samplers": ["DDIM"], "jobs": []}
    name = begin(client)
    assert desk.queue.wait(60)
    one = status_of(client, name)
    assert (one["state"], one["done"], one["total"], one["message"]) == ("finished", 4, 4, "4 pictures are ready.")
    folder = Path(one["folder"])
    assert folder == desk.folder / "regularization" / name / "pictures"
    assert sorted(path.read_text() for path in folder.glob("*.txt")) == ["a cat", "a cat", "two cats", "two cats"]
    assert len(one["newest"]) == 4
    shown = client.get(f"/sdft/v1/{one['newest'][0]['picture']}")
    assert shown.headers["content-type"] == "image/jpeg"
    assert one["wanted"]["prompts"] == ["a cat", "two cats"]
    seen = client.get("/sdft/v1/datasets", params={"folder": str(folder)}).json()
    assert (seen["pictures"], seen["captions"], seen["problems"]) == (4, 4, [])
    assert [entry["id"] for entry in client.get("/sdft/v1/runs").json()["runs"]] == [], "it is no run"


def test_more_of_the_same_in_a_folder_of_the_users_own(client: TestClient, desk: Desk, data: Path, tmp_path: Path):
    folder = tmp_path / "class"
    name = begin(client, folder=str(folder))
    assert desk.queue.wait(60)
    first = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.png")}
    assert begin(client, folder=str(folder), count=6) == name
    assert desk.queue.wait(60)
    now = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.png")}
    assert len(now) == 6 and first.items() <= now.items()
    other = begin(client, folder=str(tmp_path / "elsewhere"))
    assert other != name and desk.queue.wait(60)
    jobs = client.get(V1, params={"folder": str(folder)}).json()["jobs"]
    assert [job["name"] for job in jobs] == [name]
    own = begin(client)
    assert own not in (name, other) and desk.queue.wait(60)
    assert Path(status_of(client, own)["folder"]) == desk.folder / "regularization" / own / "pictures"
    assert status_of(client, name)["folder"] == str(folder), "the job that draws elsewhere is as it was"
    assert begin(client) == own and desk.queue.wait(60)
    assert len(client.get(V1).json()["jobs"]) == 3
    said = client.post(f"{V1}/{name}/pause", json={})
    assert said.status_code == 409 and "isn't drawing now" in said.json()["detail"]


def test_it_waits_for_the_run_before_it_and_can_be_paused_and_stopped(client: TestClient, desk: Desk, data: Path):
    run = client.post("/sdft/v1/runs", json={"recipe": values(data, "train.length=100000", "save.every=0")}).json()[
        "id"
    ]
    name = begin(client, count=100_000)
    queue = client.get("/sdft/v1/runs").json()
    RunsResponse(**queue)
    id = f"regularization/{name}"
    assert queue["queue"] == [id] and queue["titles"] == {id: "Regularization pictures: a cat"}
    assert status_of(client, name)["state"] == "waiting"
    assert client.post(V1, json={**SETTINGS, "count": 9}).status_code == 409
    assert client.post("/sdft/v1/queue", json={"ids": [id]}).status_code == 200
    client.post(f"/sdft/v1/runs/{run}/stop", json={})
    until(lambda: status_of(client, name)["state"] == "drawing" and status_of(client, name)["done"] > 1)
    now = client.get("/sdft/v1/runs").json()
    assert now["current"] is None and now["drawing"] == id
    until(lambda: status_of(client, name)["seconds_left"] > 0)
    client.post(f"{V1}/{name}/pause", json={})
    until(lambda: status_of(client, name)["state"] == "paused")
    done = status_of(client, name)["done"]
    client.post(f"{V1}/{name}/resume", json={})
    until(lambda: status_of(client, name)["done"] > done)
    client.post(f"{V1}/{name}/stop", json={})
    until(lambda: status_of(client, name)["state"] == "stopped")
    before = status_of(client, name)["done"]
    client.post(f"{V1}/{name}/resume", json={})
    until(lambda: status_of(client, name)["done"] > before)
    client.post(f"{V1}/{name}/stop", json={})


def test_pictures_of_a_program_that_was_killed_are_gone_on_with(data: Path, tmp_path: Path):
    before = setting.desk(data, tmp_path / "runs")
    rest = {key: value for key, value in SETTINGS.items() if key != "count"}
    name = before.regularization.start({**rest, "count": 100_000}, "")
    until(lambda: before.regularization.one(name)["done"] > 1)
    left = before.queue.file.read_text(), (before.regularization.folder / name / "status.json").read_text()
    before.close()
    before.queue.file.write_text(left[0])
    (before.regularization.folder / name / "status.json").write_text(left[1])
    after = setting.desk(data, tmp_path / "runs")
    one = after.regularization.one(name)
    assert one["state"] == "stopped" and "while drawing" in one["message"] and after.queue.current is None
    after.regularization.resume(name)
    until(lambda: after.regularization.one(name)["done"] > one["done"])
    after.close()


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"prompts": [" "]}, 400, "No class prompt"),
        ({"count": 0}, 400, "0 pictures"),
        ({"sampler": "Euler b"}, 400, "There is no sampler Euler b"),
        ({"width": 63}, 400, "63 × 64"),
        ({"folder": "pictures"}, 400, "not an absolute path"),
        ({"clip_skip": 0}, 400, "clip_skip"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    client: TestClient, desk: Desk, change: dict[str, Any], status: int, says: str
):
    answer = client.post(V1, json={**SETTINGS, **change})
    assert answer.status_code == status and says in answer.json()["detail"], answer.text
    assert desk.queued()["queue"] == [] and not (desk.folder / "regularization").exists()


@pytest.mark.parametrize("name", ["..", "nothing", "..%2F..%2Ftmp", ".desk", "a%5Cb"])
def test_only_names_of_jobs_name_jobs(client: TestClient, name: str):
    assert client.get(f"{V1}/{name}").status_code in (403, 404)


def test_others_may_draw_only_into_allowed_folders(data: Path, tmp_path: Path):
    desk = setting.desk(data, tmp_path / "runs", local=False)
    rest = dict(SETTINGS)
    with pytest.raises(ValueError, match="not in the allowed folders"):
        desk.regularization.start(rest, str(tmp_path / "elsewhere"))
    assert not (tmp_path / "elsewhere").exists()
    desk.close()


def test_a_failure_is_a_sentence(client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch):
    def full(*_: Any) -> None:
        raise OSError(28, "can't write the picture: No space left on device; free space or choose another folder")

    monkeypatch.setattr(StandaloneHost, "paint", full)
    name = begin(client)
    assert desk.queue.wait(30)
    one = status_of(client, name)
    assert one["state"] == "failed" and "No space left" in one["message"]
    monkeypatch.undo()
    client.post(f"{V1}/{name}/resume", json={})
    end = time.monotonic() + 30
    while status_of(client, name)["state"] != "finished" and time.monotonic() < end:
        time.sleep(0.02)
    assert status_of(client, name)["done"] == 4

"""What version 0.1.0 remembered beside the runs: the queue, typed folders, the last tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from sdft_ext.desk import Desk
from tests.desk.setting import state

V1 = "/sdft/v1"


def got(client: TestClient, path: str, **parameters: str) -> Any:
    answer = client.get(f"{V1}/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def drawing(home: Path) -> str:
    (folder,) = (home / "runs" / "regularization").iterdir()
    return folder.name


def test_the_queue_is_there_and_waits_for_its_user(client: TestClient, home: Path) -> None:
    shown = got(client, "runs")
    assert shown["queue"] == ["waiting", f"regularization/{drawing(home)}"]
    assert shown["held"] and shown["current"] is None
    assert shown["titles"] == {f"regularization/{drawing(home)}": "Regularization pictures: a cat"}
    killed = next(run for run in shown["runs"] if run["id"] == "killed")
    assert killed["state"] == "stopped" and killed["message"].startswith("Interrupted")


def test_the_queue_continues(client: TestClient, desk: Desk, home: Path) -> None:
    place = home / "runs" / "regularization" / drawing(home) / "pictures"
    (first,) = place.glob("*.png")
    drawn = first.stat().st_mtime_ns
    assert client.post(f"{V1}/runs/killed/resume", json={}).json() == {"ok": True}
    assert desk.queue.wait(120)
    assert [state(desk, run) for run in ("killed", "waiting")] == ["finished", "finished"]
    log = [line for line in got(client, "runs/killed/status")["lines"] if "loss" in line]
    assert [line["step"] for line in log] == [1, 2, 3, 4, 5, 6]
    assert [save["step"] for save in got(client, "runs/waiting")["saves"]] == [2]
    job = got(client, f"regularization/{drawing(home)}")
    assert (job["state"], job["done"], job["total"]) == ("finished", 2, 2)
    assert first.stat().st_mtime_ns == drawn and len(list(place.glob("*.png"))) == 2, "the first isn't drawn again"


def test_typed_folders_are_remembered(client: TestClient, home: Path) -> None:
    roots = {folder["path"] for folder in got(client, "folders")["folders"]}
    assert {str(home / "pictures" / name) for name in ("cat", "class", "cat-prepared")} <= roots


def test_the_last_tool_and_what_it_made_are_remembered(client: TestClient, home: Path) -> None:
    job = got(client, "tools/job")
    made = home / "runs" / "made" / "both.safetensors"
    assert (job["tool"], job["state"], job["target"], job["makes"]) == ("merge-loras", "finished", str(made), "lora")
    assert str(made) in job["message"]
    files = {file["path"]: file["kind"] for file in got(client, "tools")["files"]}
    assert files[str(made)] == "lora"


def test_a_folder_in_the_trash_is_not_a_run(client: TestClient, home: Path) -> None:
    assert (home / "runs" / "trash" / "cat-3" / "recipe.yaml").is_file()
    assert not {"trash", "cat-3", "made", "regularization"} & {run["id"] for run in got(client, "runs")["runs"]}

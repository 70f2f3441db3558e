"""The report of a dataset over the API: in the background, cached by content; copies removed, put back, kept."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from bench import text
from sdft_ext.analysis import thumbnails
from sdft_ext.api import mount
from sdft_ext.desk import Desk
from tests.analysis.images import fill, image, save
from tests.api.conftest import HOME, our_page
from tests.api.test_uploads import one_line
from tests.desk import setting
from tests.desk.setting import until

V1 = "/sdft/v1/datasets"
OVER = ("finished", "cancelled", "failed")


@pytest.fixture(scope="module")
def desk(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = setting.desk(data, tmp_path_factory.mktemp("reports") / "runs")
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(desk: Desk) -> TestClient:
    return our_page(desk)


def recipe(*folders: Path, **settings: Any) -> dict[str, Any]:
    """Concepts in these folders; toy sizes."""
    concepts = [{"instance": str(folder), "name": folder.name} for folder in folders]
    return {"recipe": {"dataset": {"resolution": 64, "concepts": concepts}, **settings}}


def begin(client: TestClient, body: dict[str, Any]) -> str:
    answer = client.post(f"{V1}/report", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def ended(client: TestClient, id: str) -> dict[str, Any]:
    def poll() -> dict[str, Any] | None:
        found = client.get(f"{V1}/report/{id}").json()
        return found if found["state"] in OVER else None

    found: dict[str, Any] = until(poll)
    return found


def reported(client: TestClient, *folders: Path, **settings: Any) -> tuple[str, dict[str, Any]]:
    id = begin(client, recipe(*folders, **settings))
    found = ended(client, id)
    assert found["state"] == "finished", found["message"]
    return id, found["report"]


def cats(folder: Path) -> Path:
    """Seven pictures, with a copy of the first, a caption and a mask for it, and an empty caption."""
    fill(folder, 7)
    shutil.copy(folder / "000.png", folder / "copy.png")
    (folder / "copy.txt").write_text("a copy")
    save(folder / "copy-mask.png", image(64, 64, 50, "L"))
    (folder / "001.txt").write_text("")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and ".sdft" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_report_tells_counts_buckets_and_what_batches_leave_over(client: TestClient, tmp_path: Path):
    folder = cats(tmp_path / "cats")
    save(folder / "wide.png", image(128, 64, 9))
    _, report = reported(client, folder, train={"batch_size": 4})
    assert report["pictures"] == 9 and report["batch_size"] == 4 and report["concepts"][0]["instance_pictures"] == 9
    assert sum(bucket["showings"] for bucket in report["buckets"]) == 9
    assert report["left_over"]["1"] == 0 and report["left_over"]["4"] == 8 % 4 + 1
    for name in ("shorter_side", "sharpness", "brightness"):
        assert sum(report["histograms"][name]["counts"]) == 9
    kinds = {finding["kind"]: finding for finding in report["findings"]}
    assert kinds["captions_empty"]["files"][0]["name"] == "001.png"
    assert not any(kind.startswith("copies_") for kind in kinds), "they have a route of their own"
    shown = client.get(f"/sdft/v1/{kinds['captions_empty']['files'][0]['picture']}")
    assert shown.headers["content-type"] == "image/jpeg"


def test_the_same_content_has_the_same_report(client: TestClient, tmp_path: Path):
    folder = cats(tmp_path / "cats")
    first, _ = reported(client, folder)
    assert begin(client, recipe(folder)) == first
    assert begin(client, recipe(folder, train={"batch_size": 3})) != first
    (folder / "002.txt").write_text("new words")
    assert begin(client, recipe(folder)) != first


def test_one_of_two_copies_is_removed_with_its_caption_and_restored(client: TestClient, tmp_path: Path):
    folder = cats(tmp_path / "cats")
    before = files(folder)
    id, report = reported(client, folder)
    assert report["copies"] == {"groups": 1, "exact": 1}
    group = client.get(f"{V1}/report/{id}/copies").json()["groups"][0]
    assert group["kind"] == "copies_exact" and {f["name"] for f in group["files"]} == {"000.png", "copy.png"}
    copy = next(f["file"] for f in group["files"] if f["name"] == "copy.png")
    removed = client.post(f"{V1}/report/{id}/remove", json={"files": [copy]}).json()["removed"]
    assert files(folder) == {name: data for name, data in before.items() if not name.startswith("copy")}
    again = client.get(f"{V1}/report/{id}/copies").json()["groups"][0]["files"]
    assert [f["removed"] for f in again] == [f["file"] == copy for f in again]
    assert client.post(f"{V1}/report/{id}/remove", json={"files": [copy]}).status_code == 409
    listed = client.get(f"{V1}/removed", params={"folder": str(folder)}).json()["removals"]
    assert sorted(f["name"] for f in listed[0]["files"]) == ["copy-mask.png", "copy.png", "copy.txt"]
    picture = next(f["picture"] for f in listed[0]["files"] if f["name"] == "copy.png")
    assert client.get(f"/sdft/v1/{picture}").status_code == 200
    assert reported(client, folder)[1]["copies"]["groups"] == 0
    back = client.post(f"{V1}/restore", json={"folder": removed[0]["folder"], "id": removed[0]["id"]})
    assert back.json() == {"files": 3} and files(folder) == before
    assert client.get(f"{V1}/removed", params={"folder": str(folder)}).json()["removals"] == []
    assert begin(client, recipe(folder)) == id, "all is as it was"
    assert not any(f["removed"] for f in client.get(f"{V1}/report/{id}/copies").json()["groups"][0]["files"])


def test_restored_files_replace_nothing(client: TestClient, tmp_path: Path):
    folder = cats(tmp_path / "cats")
    id, _ = reported(client, folder)
    removed = client.post(f"{V1}/report/{id}/remove", json={"exact": True}).json()["removed"][0]
    gone = sorted({"000.png", "copy.png"} - set(files(folder)))
    save(folder / gone[0], image(64, 64, 50))
    here = files(folder)
    answer = client.post(f"{V1}/restore", json={"folder": removed["folder"], "id": removed["id"]})
    assert answer.status_code == 400 and "exists again" in answer.json()["detail"] and files(folder) == here
    (folder / gone[0]).unlink()
    assert client.post(f"{V1}/restore", json={"folder": removed["folder"], "id": removed["id"]}).status_code == 200


def test_copies_that_are_kept_are_not_found_again(client: TestClient, tmp_path: Path):
    folder = cats(tmp_path / "cats")
    id, _ = reported(client, folder)
    number = client.get(f"{V1}/report/{id}/copies").json()["groups"][0]["number"]
    assert client.post(f"{V1}/report/{id}/keep", json={"finding": number}).status_code == 200
    assert reported(client, folder)[1]["copies"]["groups"] == 0
    (folder / "copy.png").rename(folder / "renamed.png")
    assert reported(client, folder)[1]["copies"]["groups"] == 0, "it is the content that is remembered"
    shutil.copy(folder / "000.png", folder / "third.png")
    assert reported(client, folder)[1]["copies"]["groups"] == 1, "a further copy is asked about"
    (folder / "third.png").unlink()
    assert client.post(f"{V1}/report/{id}/keep", json={"finding": number, "undo": True}).status_code == 200
    assert reported(client, folder)[1]["copies"]["groups"] == 1


def test_only_what_a_report_names_can_be_removed(client: TestClient, tmp_path: Path):
    folder = cats(tmp_path / "cats")
    before = files(folder)
    id, report = reported(client, folder)
    for body in ({"files": [-1]}, {"files": [9999]}, {"finding": 9999}, {"finding": -1}):
        assert client.post(f"{V1}/report/{id}/remove", json=body).status_code == 404, body
    other = report["findings"][0]["number"]
    assert client.post(f"{V1}/report/{id}/keep", json={"finding": other}).status_code == 400
    for removal in ("../..", "..", "", "x/y", ".."):
        answer = client.post(f"{V1}/restore", json={"folder": str(folder), "id": removal})
        assert answer.status_code == 400, removal
    assert files(folder) == before and client.get(f"{V1}/report/{'0' * 24}").status_code == 404


def test_a_record_that_leads_out_of_the_trash_is_passed_over(client: TestClient, tmp_path: Path):
    folder = cats(tmp_path / "cats")
    place = folder / ".sdft" / "trash" / "evil"
    save(place / "files" / "x.png")
    for name in ('"../../../out.png"', '"/out.png"', '"a/../../../../out.png"'):
        (place / "removal.json").write_text('{"time": 1, "files": [' + name + "]}")
        assert client.get(f"{V1}/removed", params={"folder": str(folder)}).json()["removals"] == []
        assert client.post(f"{V1}/restore", json={"folder": str(folder), "id": "evil"}).status_code == 400
    assert not (tmp_path / "out.png").exists()


def test_measuring_goes_on_in_the_background_and_can_be_cancelled(client: TestClient, tmp_path: Path, monkeypatch: Any):
    folder = tmp_path / "many"
    fill(folder, 12)
    go_on, real = threading.Event(), thumbnails._measure

    def slow(path: Path, background: str, sampled: bool) -> Any:
        assert path.name < "003.png" or go_on.wait(timeout=30)
        return real(path, background, sampled)

    monkeypatch.setattr(thumbnails, "_measure", slow)
    id = begin(client, recipe(folder))
    seen = until(lambda: (status := client.get(f"{V1}/report/{id}").json())["done"] >= 2 and status)
    assert (seen["state"], seen["total"], seen["report"]) == ("inspecting", 12, None)
    assert client.get(f"{V1}/report/{id}/copies").status_code == 409
    assert client.post(f"{V1}/report/{id}/cancel", json={}).status_code == 200
    assert client.get(f"{V1}/report/{id}").json()["state"] == "cancelled"
    go_on.set()
    again = begin(client, recipe(folder))
    assert again == id and ended(client, again)["state"] == "finished", "asked for again, it is made"


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>.png", "katze 🐱.png", "two\nlines.png"])
def test_odd_names_are_reported_unchanged(client: TestClient, tmp_path: Path, name: str):
    folder = cats(tmp_path / "cats")
    (folder / "copy.png").rename(folder / name)
    id, _ = reported(client, folder)
    group = client.get(f"{V1}/report/{id}/copies").json()["groups"][0]
    assert name in [f["name"] for f in group["files"]] and one_line([group["text"]])
    number = next(f["file"] for f in group["files"] if f["name"] == name)
    removed = client.post(f"{V1}/report/{id}/remove", json={"files": [number]}).json()["removed"][0]
    assert name not in files(folder)
    assert client.post(f"{V1}/restore", json={"folder": str(folder), "id": removed["id"]}).status_code == 200
    assert name in files(folder)


def test_a_folder_that_vanishes_is_named(client: TestClient, tmp_path: Path):
    folder = cats(tmp_path / "cats")
    id, _ = reported(client, folder)
    group = client.get(f"{V1}/report/{id}/copies").json()["groups"][0]
    folder.rename(tmp_path / "moved")
    before = files(tmp_path / "moved")
    for answer in (
        client.post(f"{V1}/report", json=recipe(folder)),
        client.post(f"{V1}/report/{id}/remove", json={"files": [group["files"][0]["file"]]}),
        client.post(f"{V1}/report/{id}/keep", json={"finding": group["number"]}),
        client.get(f"{V1}/removed", params={"folder": str(folder)}),
        client.post(f"{V1}/restore", json={"folder": str(folder), "id": "x"}),
    ):
        assert answer.status_code in (400, 404), answer.text
        assert one_line([answer.json()["detail"]]), answer.text
    assert not folder.exists() and files(tmp_path / "moved") == before


def test_others_get_reports_of_allowed_folders_only(data: Path, tmp_path: Path):
    mine, other = cats(tmp_path / "mine"), cats(tmp_path / "other")
    desk = setting.desk(data, tmp_path / "runs", local=False, roots=(mine,))
    app = FastAPI()
    mount(app, desk)
    client = TestClient(app, base_url=HOME)
    client.headers["X-SDFT-Token"] = client.get("/sdft/v1/session").json()["token"]
    assert ended(client, begin(client, recipe(mine)))["state"] == "finished"
    for folder in (other, mine / ".." / "other", Path("/etc")):
        assert client.post(f"{V1}/report", json=recipe(folder)).status_code == 400
        assert client.get(f"{V1}/removed", params={"folder": str(folder)}).status_code == 403
        assert client.post(f"{V1}/restore", json={"folder": str(folder), "id": "x"}).status_code == 403
    desk.close()
    client.headers.pop("X-SDFT-Token")
    assert client.get(f"{V1}/removed", params={"folder": str(mine)}).status_code == 403


def test_a_finding_about_text_has_its_place_in_each_picture(client: TestClient, tmp_path: Path) -> None:
    """In the summary and among the files that a page asks for, but not among the facts, which have no paths."""
    rng = np.random.default_rng(0)
    for number in range(8):
        plain = image(400, 300, number)
        save(
            tmp_path / f"{number}.png", text.written(plain, "© Jane Doe", 0.08, rng, edge=True) if number < 4 else plain
        )
    id, report = reported(client, tmp_path)
    (finding,) = [one for one in report["findings"] if one["kind"] == "recurring_text"]
    assert finding["count"] == 4 and "boxes" not in finding["facts"]
    boxes = [tuple(file["box"]) for file in finding["files"]]
    assert len(set(boxes)) == 4 and all(0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1 for box in boxes)
    more = client.get(f"{V1}/report/{id}/files", params={"finding": finding["number"], "start": 2, "count": 9}).json()
    assert [tuple(file["box"]) for file in more["files"]] == boxes[2:] and more["total"] == 4

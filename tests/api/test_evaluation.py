"""Single pictures, ratings, trained words and compared runs, over HTTP."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from sdft_ext.api.evaluation import (
    ComparedRunsResponse,
    PictureLossesResponse,
    RatingsResponse,
    WordGridResponse,
)
from sdft_ext.api.runs import RunResponse
from sdft_ext.desk import Desk
from sdft_ext.run_folder import verdict
from sdft_ext.storage import json_file
from sdft_ext.watch import picture_losses
from sdft_ext.watch.ratings import RATINGS
from tests.api.test_runs import PICTURES, V1, answer_to, start
from tests.desk.setting import until
from tests.judge.test_judge import PROMPTS


def post(client: TestClient, path: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = client.post(f"{V1}/{path}", json=body)
    assert answer.status_code == status, answer.text
    content: dict[str, Any] = answer.json()
    return content


def rating(set: str, number: int, step: int, rating: str) -> dict[str, Any]:
    return {"set": set, "number": number, "step": step, "rating": rating}


def test_a_rating_stays_with_the_run_and_in_its_report(client: TestClient, desk: Desk, data: Path) -> None:
    run = start(client, data, *PICTURES)
    assert desk.queue.wait(60)
    before = answer_to(client, f"runs/{run}/ratings", RatingsResponse)
    assert [kind["name"] for kind in before["kinds"]] == list(RATINGS) and before["given"] == []
    assert before["folders"] == [str(data / "instance")] and before["recommended"] is None

    burned, unlike = rating("concept", 0, 4, "burned"), rating("bleeding", 0, 2, "unlike")
    assert post(client, f"runs/{run}/ratings", burned)["given"] == [burned]
    assert post(client, f"runs/{run}/ratings", unlike)["given"] == [unlike, burned]
    detail = rating("concept", 0, 4, "detail")
    assert post(client, f"runs/{run}/ratings", detail)["given"] == [unlike, detail], "one rating a picture"
    assert answer_to(client, f"runs/{run}/ratings", RatingsResponse)["given"] == [unlike, detail]
    assert json_file.read(desk.folder / run / "ratings.json") == {"ratings": [unlike, detail]}
    report = client.get(f"{V1}/runs/{run}").json()["report"]
    assert "## Ratings" in report and "| Poor face or detail | 1 | 4 |" in report
    assert report.count("## ") > 3, "all else stays"
    assert [one["rating"] for one in json_file.read(desk.folder / run / "report.json")["ratings"]] == [
        "unlike",
        "detail",
    ]

    for back in (unlike, detail):
        post(client, f"runs/{run}/ratings", {**back, "rating": ""})
    assert answer_to(client, f"runs/{run}/ratings", RatingsResponse)["given"] == []
    assert "## Ratings" not in client.get(f"{V1}/runs/{run}").json()["report"]


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (rating("concept", 0, 3, "burned"), 404),
        (rating("concept", 7, 4, "burned"), 404),
        (rating("../saves", 0, 4, "burned"), 404),
        (rating("words", 0, 4, "burned"), 404),
        (rating("concept", 0, 4, "perfect"), 400),
        (rating("concept", -1, 4, "burned"), 400),
        ({"set": "concept"}, 400),
    ],
)
def test_only_pictures_that_exist_are_rated(
    wrong: dict[str, Any], status: int, client: TestClient, desk: Desk, data: Path
) -> None:
    run = start(client, data, *PICTURES)
    assert desk.queue.wait(60)
    post(client, f"runs/{run}/ratings", wrong, status)
    assert not (desk.folder / run / "ratings.json").exists()


def test_ratings_that_cannot_be_read_at_present_are_not_overwritten(client: TestClient, desk: Desk, data: Path) -> None:
    run = start(client, data, *PICTURES)
    assert desk.queue.wait(60)
    (desk.folder / run / "ratings.json").mkdir()
    post(client, f"runs/{run}/ratings", rating("concept", 0, 4, "burned"), 500)
    assert answer_to(client, f"runs/{run}/ratings", RatingsResponse)["given"] == []


def test_the_trained_words_are_drawn_with_and_without_the_trigger(client: TestClient, desk: Desk, data: Path) -> None:
    run = start(client, data, *PICTURES)
    assert desk.queue.wait(60)
    assert answer_to(client, f"runs/{run}/words", WordGridResponse)["words"] == []
    before = desk.library.status(run)
    post(client, f"runs/{run}/words", {"save": 2})
    assert desk.queue.wait(60)
    grid = answer_to(client, f"runs/{run}/words", WordGridResponse)
    words = [one["word"] for one in grid["words"]]
    assert grid["step"] == 2 and {"red", "sitting", "on grass", "tag 3"} <= set(words) and "sks" not in words
    assert len(grid["pictures"]) == 2 * len(words) and all(one["drawn"] for one in grid["pictures"])
    red = [one for one in grid["pictures"] if words[one["word"]] == "red"]
    assert [(one["prompt"], one["trigger"]) for one in red] == [("a sks cat, red", True), ("a cat, red", False)]
    assert red[0]["seed"] == red[1]["seed"]
    shown = [client.get(f"{V1}/runs/{run}/words/2/{one['number']}").content for one in red]
    assert all(Image.open(io.BytesIO(one)).size == (64, 64) for one in shown) and shown[0] != shown[1]
    assert client.get(f"{V1}/runs/{run}/words/2/999").status_code == 404
    after = desk.library.status(run)
    assert after == before, "the run is as it was"
    given = rating("words", red[0]["number"], 2, "feature")
    assert post(client, f"runs/{run}/ratings", given)["given"] == [given]


def test_the_nearest_instance_picture_of_a_saves_picture_is_named(client: TestClient, desk: Desk, data: Path) -> None:
    judged = ("watch.judge=true", "watch.pictures=2", *PROMPTS)
    run = start(client, data, "train.length=2", "save.every=0", *judged)
    assert desk.queue.wait(60)
    nearest = answer_to(client, f"runs/{run}/ratings", RatingsResponse)["nearest"]
    assert [(one["set"], one["number"], one["step"]) for one in nearest] == [("concept", 0, 2), ("concept", 1, 2)]
    for one in nearest:
        assert one["folder"] == str(data / "instance") and (data / "instance" / one["name"]).is_file()
        assert one["distance"] > 0 and isinstance(one["copied"], bool)
        assert client.get(f"{V1}/{one['picture']}").status_code == 200
    moved = [str(data / "instance" / "moved since.png")] * 20
    json_file.write(desk.folder / run / "judge" / "pictures.json", {"instance": moved})
    gone = answer_to(client, f"runs/{run}/ratings", RatingsResponse)["nearest"][0]
    assert gone["picture"] is None and gone["name"] == "moved since.png"


def test_words_are_drawn_for_runs_that_have_ended_and_have_some(client: TestClient, desk: Desk, data: Path) -> None:
    trains = start(client, data, "train.length=100000", "save.every=0")
    until(lambda: desk.library.status(trains)["state"] == "training")
    assert "when it has ended" in post(client, f"runs/{trains}/words", {}, 409)["detail"]
    client.post(f"{V1}/runs/{trains}/stop", json={})
    assert desk.queue.wait(60)
    post(client, f"runs/{trains}/words", {"save": 12345678}, 404)
    bare = start(client, data, "dataset.concepts.0.trigger=", "train.length=1")
    assert desk.queue.wait(60)
    assert "no trained words" in post(client, f"runs/{bare}/words", {}, 409)["detail"]


def test_a_run_is_measured_with_more_control_pictures(client: TestClient, desk: Desk, data: Path) -> None:
    run = start(client, data, "train.length=2", "save.every=0", "watch.judge=true", "watch.pictures=2", *PROMPTS)
    waiting = start(client, data, "train.length=100000", "save.every=0", *PROMPTS)
    until(lambda: desk.library.status(waiting)["state"] == "training")
    assert "when it has ended" in post(client, f"runs/{waiting}/measure", {"pictures": 5}, 409)["detail"]
    client.post(f"{V1}/runs/{waiting}/stop", json={})
    assert desk.queue.wait(60)
    before = desk.library.status(run)
    assert "2 with the trigger" in post(client, f"runs/{run}/measure", {"pictures": 2}, 409)["detail"]
    assert "Judging was off" in post(client, f"runs/{waiting}/measure", {"pictures": 5}, 409)["detail"]
    assert client.post(f"{V1}/runs/{run}/measure", json={"pictures": 0}).status_code == 400
    post(client, f"runs/{run}/measure", {"pictures": 5})
    assert desk.queue.wait(60)
    assert desk.library.status(run) == before, "the run is as it was"
    detail = answer_to(client, f"runs/{run}", RunResponse)
    assert len(detail["controls"]["prompts"]) == 10 and detail["recipe"]["watch"]["pictures"] == 5
    [judged] = [one for one in answer_to(client, "compare/judged", ComparedRunsResponse)["runs"] if one["id"] == run]
    assert judged["learned"] is None or judged["learned"][1] == 5
    assert [one["bleeding"][1] for one in detail["marks"] if one["event"] == "judged"] == [2, 2, 5, 5]


def test_runs_are_compared_by_the_save_that_each_verdict_recommends(client: TestClient, desk: Desk, data: Path) -> None:
    runs = [start(client, data, "train.length=1", f"save.name=run{number}") for number in range(4)]
    assert desk.queue.wait(60)

    def judged(run: str, word: str, learned: list[int], bleeding: list[int], old: bool = False) -> None:
        numbers = {"learned": learned, "bleeding": bleeding, "copied": [0, 8]}
        folder = desk.folder / run
        verdict.write(folder, {"save": 1, "word": word, "text": f"It is {word}."}, None if old else numbers)
        if old:
            report = json_file.read(folder / "report.json")
            report["save_table"][0]["judged"] = numbers
            json_file.write(folder / "report.json", report)

    judged(runs[0], "bleeding", [8, 8], [4, 8])
    judged(runs[1], "learned", [7, 8], [0, 8], old=True)
    judged(runs[2], "not learned", [1, 8], [0, 8])
    found = answer_to(client, "compare/judged", ComparedRunsResponse)["runs"]
    by_id = {one["id"]: one for one in found}
    assert [one["id"] for one in found] == runs[::-1], "newest first"
    assert [one["id"] for one in found if one["best"]] == [runs[1]]
    assert by_id[runs[0]]["worth"] == 0.5 and by_id[runs[1]]["worth"] == 0.875
    assert by_id[runs[1]]["learned"] == [7, 8], "from the report of an older version"
    assert by_id[runs[2]]["worth"] is None and by_id[runs[2]]["word"] == "not learned"
    last = by_id[runs[3]]
    assert (last["word"], last["learned"], last["why"]) == ("", None, "Judging was off (watch.judge).")
    assert last["steps"] == 1 and last["rate"] == 0.01 and last["seconds"] > 0
    (desk.folder / runs[0] / "judge" / "verdict.json").write_text("{")
    assert answer_to(client, "compare/judged", ComparedRunsResponse)["runs"][3]["why"]


def test_the_losses_of_single_pictures(
    client: TestClient, desk: Desk, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(client, data)
    assert desk.queue.wait(60)
    none = answer_to(client, f"runs/{run}/pictures", PictureLossesResponse)
    assert none["pictures"] == [] and "the run is too short" in none["text"]
    monkeypatch.setattr(picture_losses, "SHARE", 10.0)
    run = start(client, data, "watch.picture_losses=4")
    assert desk.queue.wait(60)
    found = answer_to(client, f"runs/{run}/pictures", PictureLossesResponse)
    assert (found["before"], found["now"], found["text"]) == (0, 4, "") and len(found["pictures"]) == 4
    first = found["pictures"][0]
    assert (first["name"], first["folder"]) == ("0 cat.png", str(data / "instance"))
    assert first["caption"].startswith("a cat, tag 0") and first["now"] > 0
    assert first["change"] == pytest.approx(first["now"] / first["before"] - 1)
    thumbnail = client.get(f"{V1}/{first['picture']}")
    assert thumbnail.headers["content-type"] == "image/jpeg"
    record = desk.folder / run / "picture_losses.json"
    elsewhere = json.loads(record.read_text())
    elsewhere["pictures"][0]["path"] = "/etc/hostname.png"
    record.write_text(json.dumps(elsewhere))
    outside = answer_to(client, f"runs/{run}/pictures", PictureLossesResponse)["pictures"][0]
    assert outside["picture"] is None, "outside the allowed folders nothing is looked up"
    record.write_text('{"draws": 1, "pictures": [], "steps": {"0": [1]}, "called": {"0": [1]}}')
    assert answer_to(client, f"runs/{run}/pictures", PictureLossesResponse)["pictures"] == []

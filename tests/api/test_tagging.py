"""Automatic captions over HTTP: a tagger runs; its captions are previewed, applied and undone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from sdft_ext.api.tagging import TaggersResponse, TaggingResponse
from sdft_ext.desk import Desk
from sdft_ext.desk.tagging import HOW
from sdft_ext.taggers.base import Seen, Tag, TaggerError
from sdft_ext.taggers.known import SOURCES
from tests.desk.setting import until

V1 = "/sdft/v1"


class Brightness:
    """Names how bright a picture is, and its shape; a plug-in as an extension would bring it."""

    id, label, sentences = "brightness", "Brightness", False

    def __init__(self, why: str = "") -> None:
        self.why = why
        self.fails = ""
        self.closed = 0

    def see(self, picture: Image.Image) -> Seen:
        if self.fails:
            raise TaggerError(self.fails)
        light = float(np.asarray(picture.convert("L")).mean()) / 255
        return Seen((Tag("some_picture", 0.9), Tag("bright", light), Tag("dark", 1 - light)))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def tagger() -> Iterator[Brightness]:
    made, lacking = Brightness(), Brightness("Its weights are missing: put them into a folder.")
    lacking.id = "lacking"

    def source(folder: Path) -> list[Brightness]:
        return [made, lacking]

    SOURCES.append(source)
    yield made
    SOURCES.remove(source)


@pytest.fixture
def folder(data: Path, desk: Desk) -> Path:
    made = desk.folder / "datasets" / "pictures"
    made.mkdir(parents=True)
    for path in (data / "instance").glob("[1-3] cat.*"):
        shutil.copy(path, made / path.name)
    Image.new("RGB", (64, 64), "white").save(made / "white.png")
    return made


def post(client: TestClient, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = client.post(f"{V1}/{path}", json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def opened(client: TestClient, folder: Path) -> dict[str, Any]:
    return post(client, "captions/open", folder=str(folder), start=0)


def looked(client: TestClient, folder: Path, opened: str, **which: Any) -> str:
    id = post(client, "taggers", tagger="brightness", folder=str(folder), opened=opened, **which)["id"]
    until(lambda: client.get(f"{V1}/taggers/{id}").json()["state"] != "tagging")
    return str(id)


def captions(client: TestClient, folder: Path) -> dict[str, str]:
    return {one["name"]: one["caption"] for one in opened(client, folder)["pictures"]}


def test_taggers_say_what_they_lack(client: TestClient, desk: Desk, tagger: Brightness, folder: Path):
    answer = client.get(f"{V1}/taggers").json()
    TaggersResponse(**answer)
    whys = {one["id"]: one["why"] for one in answer["taggers"]}
    assert whys == {"brightness": "", "lacking": "Its weights are missing: put them into a folder."}
    assert answer["folder"] == str(desk.folder / "taggers") and answer["folder"] in answer["help"]
    set = opened(client, folder)["opened"]
    refused = post(client, "taggers", 400, tagger="lacking", folder=str(folder), opened=set)
    assert refused["detail"].startswith("Its weights")
    post(client, "taggers", 404, tagger="nobody", folder=str(folder), opened=set)
    assert post(client, "taggers", 400, tagger="brightness", folder=str(folder), opened=set, ids=[])["detail"]


def test_tagged_previewed_applied_and_undone_over_http(client: TestClient, tagger: Brightness, folder: Path):
    start = opened(client, folder)
    before = captions(client, folder)
    id = looked(client, folder, start["opened"])
    answer = client.get(f"{V1}/taggers/{id}").json()
    TaggingResponse(**answer)
    assert (answer["state"], answer["done"], answer["total"]) == ("finished", 4, 4) and tagger.closed == 1
    shown = post(client, f"taggers/{id}/preview", how="replace", threshold=0.8, prefix="sks cat", blacklist="dark")
    texts = {one["id"]: one["after"] for one in shown["shown"]}
    white = next(one["id"] for one in start["pictures"] if one["name"] == "white.png")
    assert shown["count"] == 4 and texts[white] == "sks cat, some picture, bright"
    assert captions(client, folder) == before, "a preview changes nothing"
    choice = {"how": "append", "threshold": 0.8}
    shown = post(client, f"taggers/{id}/preview", **choice)
    done = post(client, f"taggers/{id}/apply", preview=shown["preview"], **choice)
    assert done["count"] == 4
    after = captions(client, folder)
    assert after["white.png"] == "some picture, bright"
    assert after["1 cat.png"] == before["1 cat.png"] + ", some picture"
    assert (folder / "1 cat.txt").read_text() == before["1 cat.png"], "files are written when they are saved"
    undone = post(client, "captions/undo", folder=str(folder), opened=start["opened"])
    assert "Brightness" in undone["done"] and captions(client, folder) == before


def test_only_the_chosen_and_only_the_empty_ones(client: TestClient, tagger: Brightness, folder: Path):
    start = opened(client, folder)
    some = [one["id"] for one in start["pictures"]][:2]
    id = looked(client, folder, start["opened"], ids=some)
    assert client.get(f"{V1}/taggers/{id}").json()["total"] == 2
    assert post(client, f"taggers/{id}/preview", how="replace")["count"] == 2
    id = looked(client, folder, start["opened"])
    shown = post(client, f"taggers/{id}/preview", how="empty")
    assert shown["count"] == 1, "one has no caption"
    assert post(client, f"taggers/{id}/preview", 400, how="sideways")["detail"].startswith("Captions can be applied by")
    assert "threshold" in post(client, f"taggers/{id}/preview", 400, threshold=3)["detail"]


def test_captions_that_changed_since_the_preview_are_not_written_over(
    client: TestClient, tagger: Brightness, folder: Path
):
    start = opened(client, folder)
    id = looked(client, folder, start["opened"])
    shown = post(client, f"taggers/{id}/preview", how="replace")
    (folder / "1 cat.txt").write_text("somebody else's words, meanwhile")
    assert (
        "changed since" in post(client, f"taggers/{id}/apply", 409, how="replace", preview=shown["preview"])["detail"]
    )
    assert captions(client, folder)["1 cat.png"] == "somebody else's words, meanwhile"


def test_a_failure_and_a_damaged_picture_are_sentences(client: TestClient, tagger: Brightness, folder: Path):
    start = opened(client, folder)
    (folder / "white.png").write_bytes((folder / "white.png").read_bytes()[:60])
    id = looked(client, folder, start["opened"])
    answer = client.get(f"{V1}/taggers/{id}").json()
    assert answer["state"] == "finished" and len(answer["unreadable"]) == 1 and "white.png" in answer["unreadable"][0]
    tagger.fails = "The tagger's file is damaged: download it again."
    id = looked(client, folder, start["opened"])
    answer = client.get(f"{V1}/taggers/{id}").json()
    assert answer["state"] == "failed" and answer["message"] == tagger.fails
    assert client.get(f"{V1}/taggers/nothing").status_code == 404


def test_each_way_to_apply_captions(client: TestClient, tagger: Brightness, folder: Path):
    start = opened(client, folder)
    one = next(one for one in start["pictures"] if one["name"] == "1 cat.png")
    id = looked(client, folder, start["opened"], ids=[one["id"]])
    captions = {}
    for how in HOW:
        shown = post(client, f"taggers/{id}/preview", how=how, threshold=0.8)["shown"]
        captions[how] = shown[0]["after"] if shown else None
    assert captions == {
        "replace": "some picture",
        "append": f"{one['caption']}, some picture",
        "front": f"some picture, {one['caption']}",
        "empty": None,
    }

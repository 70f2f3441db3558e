"""The captions over the API: from opening a folder to saved files, and what is refused."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from sdft_ext.dataset.folder import scan
from sdft_ext.recipe import Concept, DatasetRecipe
from tests.captions import folders


class Page:
    """Asks as the page does."""

    def __init__(self, client: TestClient, folder: Path) -> None:
        self.client, self.folder, self.opened = client, str(folder), ""
        self.opened = self("open")["opened"]

    def __call__(self, what: str, status: int = 200, **body: Any) -> Any:
        sent = {"folder": self.folder, "opened": self.opened, **body}
        answer = self.client.post(f"/sdft/v1/captions/{what}", json=sent)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def page(client: TestClient, tmp_path: Path) -> Page:
    captions = {f"{n:02}": f"sks dog, tag{n % 3}, outdoors\r\n" for n in range(6)}
    return Page(client, folders.make(tmp_path / "set", {**captions, "sub/IMG_1": None}))


def test_from_opening_to_saving(page: Page, tmp_path: Path) -> None:
    root = tmp_path / "set"
    answer = page("open")
    assert (answer["total"], answer["next"], answer["trigger"]) == (7, None, "sks dog")
    assert answer["concepts"] == [{"concept": "", "pictures": 6}, {"concept": "sub", "pictures": 1}]
    first = answer["pictures"][0]
    assert (first["name"], first["caption"], first["state"], first["source"]) == (
        "00.png",
        "sks dog, tag0, outdoors",
        "saved",
        "txt",
    )
    assert page.client.get(f"/sdft/v1/{first['picture']}").headers["content-type"] == "image/jpeg"
    passed = page("filter", filter={"all": [{"tag": "tag1"}, {"not": {"concept": "sub"}}]})
    assert passed == {"ids": [1, 4], "total": 2}
    edit_spec = {"do": "rename", "tag": "tag1", "to": "new"}
    seen = page("preview", ids=[1, 2], edit=edit_spec)
    assert (seen["count"], seen["of"], seen["ids"]) == (1, 2, [1])
    assert seen["shown"] == [{"id": 1, "before": "sks dog, tag1, outdoors", "after": "sks dog, new, outdoors"}]
    times = folders.times(root)
    done = page("edit", ids=[1, 2], edit=edit_spec, preview=seen["preview"])
    assert done["count"] == 1 and [picture["state"] for picture in done["changed"]] == ["changed"]
    assert done["history"]["undo"] == "rename 'tag1' to 'new' in 1 caption" and done["history"]["unsaved"] == 1
    assert page("undo")["changed"][0]["caption"] == "sks dog, tag1, outdoors"
    assert page("redo")["history"]["redo"] is None
    saved = page("save")
    assert (saved["saved"], saved["conflicts"], saved["failed"]) == (1, [], [])
    assert (root / "01.txt").read_bytes() == b"sks dog, new, outdoors\r\n"
    now = folders.times(root)
    assert {name for name in times if now[name] != times[name]} == {"01.txt"}


def test_outdated_edits_are_refused(page: Page) -> None:
    edit_spec = {"do": "add", "tags": ["x"]}
    seen = page("preview", edit=edit_spec)
    revision = page("open")["pictures"][0]["revision"]
    page("edit", ids=[0], edit={"do": "set", "text": "other"}, revision=revision)
    assert "since the preview" in page("edit", 409, edit=edit_spec, preview=seen["preview"])["detail"]
    assert "00.png has changed" in page("edit", 409, ids=[0], edit=edit_spec, revision=revision)["detail"]
    page.opened = "another"
    assert "open the folder again" in page("state", 409, since=0)["detail"]


def test_another_program_writes_at_the_same_time(page: Page, tmp_path: Path) -> None:
    since = page("open")["revision"]
    page("edit", ids=[0], edit={"do": "set", "text": "mine"})
    for name in ("00", "01"):
        (tmp_path / "set" / f"{name}.txt").write_text("theirs")
    answer = page("state", since=since)
    assert [(p["id"], p["caption"], p["state"]) for p in answer["changed"]] == [
        (0, "mine", "conflict"),
        (1, "theirs", "saved"),
    ]
    assert page("save")["conflicts"] == [0]
    (conflict,) = page("conflicts")["conflicts"]
    assert (conflict["before"], conflict["mine"], conflict["theirs"]) == ("sks dog, tag0, outdoors", "mine", "theirs")
    page("resolve", ids=[0], keep="mine")
    assert page("save")["saved"] == 1 and (tmp_path / "set" / "00.txt").read_text() == "mine"
    assert page("undo")["changed"][0]["caption"] == "theirs"


def test_tags_tokens_and_ways_to_caption(page: Page) -> None:
    answer = page("tags", trigger="sks", most=2)
    assert answer["captions"] == 6 and answer["total"] == 5 and len(answer["tags"]) == 2
    assert {row["tag"]: row["fused"] for row in answer["tags"]} == {"sks dog": True, "outdoors": True}
    read = page("tokens", text="sks dog, a red ball")
    assert [part["tokens"] for part in read["parts"]] == [3, 3] and read["cut"] == ""
    assert read["chunks"][0][0] == {"text": "sks", "part": 0, "word_end": True}
    assert dict(page("counts", ids=[0, 1])["counts"]) == {0: 7, 1: 7}
    assert page("filter", filter={"tokens": {"most": 3}})["ids"] == [6]
    assert {way["name"] for way in page("strategies")["strategies"]} == {"trigger", "tags", "sentence"}


def test_import_and_export(page: Page, tmp_path: Path) -> None:
    exported = page("export", ids=[0, 1], format="jsonl")
    assert exported["name"] == "metadata.jsonl" and exported["count"] == 2
    content = "".join(json.dumps({"file_name": n, "text": "new"}) + "\n" for n in ("00.png", "gone.png"))
    seen = page("import", format="jsonl", content=content, how="append")
    assert (seen["count"], seen["unmatched"], seen["unmatched_names"]) == (1, 1, ["gone.png"])
    page("import", format="jsonl", content=content, how="append", apply=True, preview=seen["preview"])
    assert page("open")["pictures"][0]["caption"] == "sks dog, tag0, outdoors, new"
    done = page("export", format="caption", to=str(tmp_path / "set"))
    assert done["written"] == 6 and (tmp_path / "set" / "00.caption").read_text() == "sks dog, tag0, outdoors, new"
    assert "choose a folder" in page("export", 400, format="names")["detail"]


def test_duplicates_are_searched_once_requested(page: Page, tmp_path: Path) -> None:
    (tmp_path / "set" / "05.png").write_bytes((tmp_path / "set" / "00.png").read_bytes())
    page("state", since=0)
    assert "search for them first" in page("filter", 400, filter={"copies": True})["detail"]
    assert page("copies")["state"] == "none"
    page("copies", look=True)
    until = time.monotonic() + 60
    while (answer := page("copies"))["state"] == "searching" and time.monotonic() < until:
        time.sleep(0.05)
    assert answer["state"] == "finished" and any({0, 5} <= set(group) for group in answer["groups"])
    assert {0, 5} <= set(page("filter", filter={"copies": True})["ids"])


@pytest.mark.parametrize(
    ("what", "body", "says"),
    [
        ("edit", {"edit": {"do": "explode"}}, "no edit"),
        ("filter", {"filter": {"regex": "("}}, "not a valid regular expression"),
        ("filter", {"filter": {"all": 3}}, "list"),
        ("tokens", {"id": 99}, "no such picture"),
        ("import", {"format": "exe"}, "imported as"),
        ("import", {"format": "csv", "content": ""}, "empty"),
        ("resolve", {"ids": [0], "keep": "both"}, "mine or theirs"),
        ("tags", {"order": "mood"}, "count, tag or position"),
    ],
)
def test_refused_in_a_sentence(page: Page, what: str, body: dict[str, Any], says: str) -> None:
    detail = page(what, 400, **body)["detail"]
    assert says in detail and detail.endswith(".")


def test_long_captions_come_in_pages(client: TestClient, tmp_path: Path) -> None:
    page = Page(client, folders.make(tmp_path / "long", {f"{n:03}": "word " * 10_000 for n in range(120)}))
    answer = page("open")
    assert answer["total"] == 120 and 0 < len(answer["pictures"]) < 120 and answer["next"] == len(answer["pictures"])
    rest = page("open", start=answer["next"])
    assert rest["opened"] == answer["opened"]
    assert [p["id"] for p in (*answer["pictures"], *rest["pictures"])] == list(range(120)) and rest["next"] is None


def test_folders_that_may_not_be_named(client: TestClient, tmp_path: Path) -> None:
    for folder, status in ((str(tmp_path / "gone"), 404), ("relative", 400), ("", 400)):
        answer = client.post("/sdft/v1/captions/open", json={"folder": folder})
        assert answer.status_code == status and answer.json()["detail"].endswith(".")
    os.makedirs(tmp_path / "empty")
    answer = client.post("/sdft/v1/captions/open", json={"folder": str(tmp_path / "empty")})
    assert answer.status_code == 400 and "no pictures" in answer.json()["detail"]


def test_duplicates_are_searched_again_where_pictures_have_changed(page: Page, tmp_path: Path) -> None:
    def looked() -> Any:
        page("copies", look=True)
        until = time.monotonic() + 60
        while (answer := page("copies"))["state"] == "searching" and time.monotonic() < until:
            time.sleep(0.05)
        return answer

    assert not any({0, 5} <= set(group) for group in looked()["groups"])
    (tmp_path / "set" / "05.png").write_bytes((tmp_path / "set" / "00.png").read_bytes())
    again = looked()
    assert again["state"] == "finished" and any({0, 5} <= set(group) for group in again["groups"])
    assert page("copies", look=True)["state"] == "finished", "nothing has changed since"


def test_a_failed_search_for_copies_does_not_last_for_ever(
    page: Page, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sdft_ext.analysis import thumbnails

    def broken(*args: Any, **named: Any) -> Any:
        raise KeyError("unforeseen")

    monkeypatch.setattr(thumbnails, "make_thumbnails", broken)
    page("copies", look=True)
    until = time.monotonic() + 20
    while (answer := page("copies"))["state"] == "searching" and time.monotonic() < until:
        time.sleep(0.02)
    assert answer["state"] == "failed" and answer["message"].endswith(".")


def test_line_breaks_that_an_export_flattens_are_mentioned(page: Page, tmp_path: Path) -> None:
    page("edit", ids=[0], edit={"do": "set", "text": "one\ntwo"})
    for format in ("jsonl", "csv", "meta_cap"):
        assert "line" in page("export", format=format)["notes"][0]
        assert "line" in page("export", format=format, to=str(tmp_path / "set"))["notes"][0]
    assert page("export", ids=[1], format="csv")["notes"] == []


def test_links_are_read_where_training_reads_them_in_both_panels(client: TestClient, tmp_path: Path) -> None:
    root, outside = folders.make(tmp_path / "set", {"a": None}), tmp_path / "outside"
    folders.make(outside, {"b": "linked"})
    for name in ("b.png", "b.txt"):
        (root / name).symlink_to(outside / name)
    (root / "a.txt").symlink_to(outside / "b.txt")
    client.post("/sdft/v1/captions/open", json={"folder": str(outside)})  # a root now: that changes nothing
    for linked, seen in (("", {"a.png": ""}), (str(outside), {"a.png": "linked", "b.png": "linked"})):
        asked = {"folder": str(root), "linked_folder": linked}
        opened = client.post("/sdft/v1/captions/open", json=asked).json()
        assert {one["name"]: one["caption"] for one in opened["pictures"]} == seen
        scanned = client.get("/sdft/v1/datasets", params=asked).json()
        assert sorted(one["name"] for one in scanned["thumbnails"]) == sorted(seen)
        recipe = DatasetRecipe(concepts=[Concept(instance=str(root))], linked_folder=linked)
        assert sorted(picture.path.name for picture in scan(recipe).pictures) == sorted(seen)
        again = client.post("/sdft/v1/captions/open", json=asked).json()
        assert again["opened"] == opened["opened"], "the same folder with the same links stays open"

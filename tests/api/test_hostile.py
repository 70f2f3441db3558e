"""Hostile requests, names and captions are refused or harmless."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from sdft_ext.api import mount
from sdft_ext.desk import Desk
from tests.analysis.images import image, save
from tests.api.conftest import HOME
from tests.desk import setting
from tests.desk.setting import values

V1 = "/sdft/v1"
SCRIPT = "<script>alert(1)<"
"""A name of a file can hold no slash."""


@pytest.fixture
def shared(data: Path, tmp_path: Path) -> Any:
    """A server for others, and a folder ``mine`` that is allowed: (client, desk, folder)."""
    folder = tmp_path / "mine"
    folder.mkdir()
    desk = setting.desk(data, tmp_path / "runs", local=False, roots=(folder,))
    app = FastAPI()
    mount(app, desk)
    client = TestClient(app, base_url=HOME)
    client.headers["X-SDFT-Token"] = client.get(f"{V1}/session").json()["token"]
    yield client, desk, folder
    desk.close()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/etc",
        "/etc/passwd",
        "{mine}/..",
        "{mine}/../outside",
        "//etc",
        "\\\\evil\\share",
        "~",
        "mine",
        "../mine",
        "{mine}\0",
        "",
    ],
)
def test_folders_outside_the_allowed_ones_are_refused(shared: Any, path: str, tmp_path: Path):
    client, desk, folder = shared
    (tmp_path / "outside").mkdir()
    save(tmp_path / "outside" / "secret.png", image(64, 64))
    named = path.replace("{mine}", str(folder))
    for route in (f"datasets?folder={quote(named)}", f"folders?path={quote(named)}") if path else ("datasets?folder=",):
        answer = client.get(f"{V1}/{route}")
        assert answer.status_code in (400, 403), route
        assert "secret" not in answer.text
    problem = client.post(f"{V1}/calculate", json={"recipe": with_folder(named)}).json()["problems"]
    assert problem, "and no run trains on them"
    assert client.post(f"{V1}/runs", json={"recipe": with_folder(named)}).status_code in (400, 403)
    assert desk.queued()["runs"] == [] and not desk.folders.file.exists()


def test_a_refusal_does_not_reveal_which_files_exist(shared: Any):
    client, _, _ = shared
    there, not_there = (client.get(f"{V1}/datasets?folder={path}").json()["detail"] for path in ("/etc", "/nowhere"))
    assert there.replace("/etc", "") == not_there.replace("/nowhere", "")


@pytest.mark.parametrize("setting_", ["dataset.cache_folder", "method.lora.continue_from", "model.base", "model.vae"])
def test_files_of_a_recipe_outside_are_refused(shared: Any, data: Path, setting_: str):
    client, desk, _ = shared
    recipe = values(data)
    place = recipe
    *sections, name = setting_.split(".")
    for section in sections:
        place = place[section]
    place[name] = "/etc/passwd"
    answer = client.post(f"{V1}/runs", json={"recipe": recipe})
    assert answer.status_code in (400, 403) and answer.json()["detail"].startswith(setting_)
    assert desk.queued()["runs"] == []


def test_a_runs_folder_is_always_the_desks(shared: Any, data: Path, tmp_path: Path):
    client, desk, _ = shared
    recipe = values(data)
    recipe["save"]["output"] = str(tmp_path / "elsewhere")
    run = client.post(f"{V1}/runs", json={"recipe": recipe}).json()["id"]
    assert desk.queue.wait(60)
    assert (desk.folder / run / "report.md").is_file() and not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["../out", "..", ".", ".desk", "a/b", "a\\b", "a\0b", "con", "x" * 300, "", " "])
def test_names_that_lead_elsewhere_are_refused(client: TestClient, desk: Desk, data: Path, name: str):
    recipe = values(data)
    recipe["save"]["name"] = name
    answer = client.post(f"{V1}/runs", json={"recipe": recipe})
    assert answer.status_code == 400 and "save.name" in answer.json()["detail"]
    assert desk.queued()["runs"] == []


@pytest.mark.parametrize("run", ["..", "%2e%2e", "..%2f..%2fetc", "%2fetc", ".desk", "trash", "..%5cwindows", "x%00y"])
def test_ids_that_lead_elsewhere_are_unknown(client: TestClient, desk: Desk, run: str):
    for path in ("", "/status", "/grid", "/loss", "/controls/concept/0/0"):
        assert client.get(f"{V1}/runs/{run}{path}").status_code in (404, 405), path
    for what in ("pause", "resume", "stop", "save", "sample", "try", "trash"):
        assert client.post(f"{V1}/runs/{run}/{what}", json={}).status_code in (404, 405), what


def test_links_out_of_the_allowed_folders_are_refused(shared: Any, tmp_path: Path):
    client, _, folder = shared
    outside = tmp_path / "outside"
    save(outside / "secret.png", image(64, 64))
    (outside / "secret.txt").write_text("a secret caption")
    (folder / "link").symlink_to(outside)
    assert client.get(f"{V1}/datasets?folder={folder}/link").status_code == 403
    assert client.get(f"{V1}/datasets?folder={folder}").status_code == 403
    assert [entry["name"] for entry in client.get(f"{V1}/folders?path={folder}").json()["folders"]] == []
    (folder / "link").unlink()
    save(folder / "own.png", image(64, 64))
    (folder / "own.txt").symlink_to(outside / "secret.txt")
    answer = client.get(f"{V1}/datasets?folder={folder}")
    assert answer.status_code == 403 and "secret caption" not in answer.text
    (folder / "own.txt").unlink()
    (folder / "linked.png").symlink_to(outside / "secret.png")
    assert client.get(f"{V1}/datasets?folder={folder}").status_code == 403
    (folder / "linked.png").unlink()
    (folder / "again.png").symlink_to(folder / "own.png")
    assert client.get(f"{V1}/datasets?folder={folder}").json()["pictures"] == 2, "links inside are nobody's harm"


def test_a_stranger_s_dataset_shows_a_local_user_nothing_of_other_folders(client: TestClient, tmp_path: Path):
    folder = tmp_path / "somewhere" / "cats"
    save(folder / "one.png", image(64, 64))
    save(folder / "two.png", image(64, 64))
    (tmp_path / "secret.txt").write_text("a secret caption")
    (folder / "one.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "own.txt").write_text("own")
    (folder / "two.txt").symlink_to(folder / "own.txt")
    (folder / "all").symlink_to("/")
    opened = client.post(f"{V1}/captions/open", json={"folder": str(folder)}).json()
    assert {one["name"]: one["caption"] for one in opened["pictures"]} == {"one.png": "", "two.png": "own"}
    described = client.get(f"{V1}/datasets?folder={folder}").json()
    assert described["pictures"] == 2
    for problems in (opened["problems"], described["problems"]):
        assert sum("is a link that leads out of the dataset" in text for text in problems) >= 2
    edit = {"do": "set", "text": "a cat"}
    asked = {"folder": str(folder), "opened": opened["opened"]}
    assert client.post(f"{V1}/captions/edit", json={**asked, "edit": edit}).json()["count"] == 0
    assert (tmp_path / "secret.txt").read_text() == "a secret caption" and (folder / "own.txt").read_text() == "own"


def test_a_picture_that_becomes_a_link_is_not_shown_any_more(shared: Any, tmp_path: Path):
    client, _, folder = shared
    path = save(folder / "own.png", image(64, 64))
    token = client.get(f"{V1}/datasets?folder={folder}").json()["thumbnails"][0]["picture"]
    secret = save(tmp_path / "outside" / "secret.png", image(64, 64, seed=2))
    path.unlink()
    path.symlink_to(secret)
    assert client.get(f"{V1}/{token}").status_code == 403


def test_a_local_user_is_not_refused_his_own_folder_and_finds_it_again(client: TestClient, desk: Desk, tmp_path: Path):
    mine = tmp_path / "somewhere" / "cats"
    save(mine / "one.png", image(64, 64))
    listed = client.get(f"{V1}/folders?path={mine.parent}").json()
    assert [(entry["name"], entry["pictures"]) for entry in listed["folders"]] == [("cats", 1)]
    assert str(mine) not in [entry["path"] for entry in client.get(f"{V1}/folders").json()["folders"]]
    assert client.get(f"{V1}/datasets?folder={mine}").json()["pictures"] == 1
    assert str(mine) in [entry["path"] for entry in client.get(f"{V1}/folders").json()["folders"]]


def test_scripts_in_names_and_captions_are_text(client: TestClient, desk: Desk, data: Path, tmp_path: Path):
    folder = tmp_path / f"{SCRIPT}folder"
    save(folder / f"{SCRIPT}.png", image(64, 64))
    (folder / f"{SCRIPT}.txt").write_text("<img src=x onerror=alert(2)> & </script>")
    answer = client.get(f"{V1}/datasets", params={"folder": str(folder)})
    assert (
        answer.headers["content-type"] == "application/json" and answer.headers["x-content-type-options"] == "nosniff"
    )
    shown = answer.json()["thumbnails"][0]
    assert (shown["name"], shown["caption"]) == (f"{SCRIPT}.png", "<img src=x onerror=alert(2)> & </script>")
    recipe = values(data, 'watch.concept_prompts=["<b onclick=alert(3)>"]')
    recipe["dataset"]["concepts"][0] |= {"instance": str(folder), "name": SCRIPT, "regularization": ""}
    recipe["train"]["length"] = 1
    run = client.post(f"{V1}/runs", json={"recipe": recipe}).json()["id"]
    assert desk.queue.wait(60)
    full = client.get(f"{V1}/runs/{run}")
    assert full.headers["content-type"] == "application/json"
    assert full.json()["recipe"]["dataset"]["concepts"][0]["name"] == SCRIPT
    assert "<script" not in full.json()["report"] and "<b " not in full.json()["report"]
    for path in (f"runs/{SCRIPT}", f"datasets?folder=/{SCRIPT}", f"compare?a={SCRIPT}&b=x"):
        refused = client.get(f"{V1}/{path}")
        assert refused.headers["content-type"] == "application/json" and "detail" in refused.json()


def test_pictures_are_encoded_again(client: TestClient, tmp_path: Path):
    folder = tmp_path / "pictures"
    path = save(folder / "one.png", image(640, 480))
    with open(path, "ab") as file:
        file.write(b"<script>alert(1)</script>")
    picture = client.get(f"{V1}/datasets?folder={folder}").json()["thumbnails"][0]["picture"]
    answer = client.get(f"{V1}/{picture}?side=4096")
    assert answer.headers["content-type"] == "image/jpeg" and b"<script" not in answer.content
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert shown.format == "JPEG" and shown.size == (512, 384)
    for token in ("0" * 32, "..", "%2e%2e%2fone.png", picture.partition("/")[2][:-1]):
        assert client.get(f"{V1}/pictures/{token}").status_code == 404


def test_a_picture_that_claims_to_be_huge_is_not_opened(client: TestClient, tmp_path: Path):
    folder = tmp_path / "bomb"
    save(folder / "good.png", image(64, 64))
    (folder / "bomb.png").write_bytes(huge_png(60_000, 60_000))
    answer = client.get(f"{V1}/datasets?folder={folder}").json()
    assert answer["pictures"] == 1 and any("bomb.png" in problem for problem in answer["problems"])


def huge_png(width: int, height: int) -> bytes:
    """A small file whose header promises far more pixels than it has."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def test_a_damaged_log_does_not_break_the_answer(client: TestClient, desk: Desk, data: Path):
    run = client.post(f"{V1}/runs", json={"recipe": values(data)}).json()["id"]
    assert desk.queue.wait(60)
    log = desk.folder / run / "log.jsonl"
    whole = client.get(f"{V1}/runs/{run}/status").json()["lines"]
    with open(log, "ab") as file:
        file.write(b'{"step": NaN}\n{"step": 9, "loss": Infinity}\n"]}\n\xff\xfe\n[1]\n\n{"step": 10, "half')
    assert client.get(f"{V1}/runs/{run}/status").json()["lines"] == whole


def test_damaged_run_folders_leave_the_list_whole(client: TestClient, desk: Desk, data: Path):
    good = client.post(f"{V1}/runs", json={"recipe": values(data)}).json()["id"]
    assert desk.queue.wait(60)
    for name, files in {
        "no recipe": {},
        "bad recipe": {"recipe.yaml": "a: [\n"},
        "bad status": {"recipe.yaml": "version: 1\n", "status.json": '{"state": 3, "step": "x", "time": null}'},
        "bad saves": {"recipe.yaml": "version: 1\n", "saves/index.json": '[1, {"file": "/etc/passwd", "step": 1}]'},
        "bad controls": {"recipe.yaml": "version: 1\n", "controls/index.json": '{"steps": "x", "prompts": 4}'},
    }.items():
        for file, text in files.items():
            (desk.folder / name / file).parent.mkdir(parents=True, exist_ok=True)
            (desk.folder / name / file).write_text(text)
    listed = client.get(f"{V1}/runs").json()["runs"]
    assert good in [run["id"] for run in listed]
    for run in listed:
        assert client.get(f"{V1}/runs/{quote(run['id'])}").status_code in (200, 400), run
        assert client.get(f"{V1}/runs/{quote(run['id'])}/status").status_code == 200, run
        assert client.post(f"{V1}/runs/{quote(run['id'])}/trash", json={"saves": True}).status_code == 200
    assert os.path.exists("/etc/passwd")


def with_folder(folder: str) -> dict[str, Any]:
    return json.loads(json.dumps({"dataset": {"concepts": [{"instance": folder}]}}))


@pytest.mark.parametrize(
    "name",
    ["x" * 30_000, "%ED%A0%80", "a%00b", "..%2f..", "%F0%9F%98%80" * 200, "con", "a" * 255],
    ids=["long", "surrogate", "nul", "dots", "emoji", "device", "longest"],
)
def test_no_name_in_an_address_is_a_fault_of_the_program(client: TestClient, name: str):
    read, change = ([path for path in paths(client, method) if "some" in path] for method in ("GET", "POST"))
    assert len(read) > 10 and len(change) > 5
    for path in read:
        answer = client.get(f"{V1}/{path.replace('some', name)}")
        assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text[:200])
    for path in change:
        answer = client.post(f"{V1}/{path.replace('some', name)}", json={})
        assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text[:200])


TEXTS = ["\ud800", "a\0b", "x" * 60_000, "/" + "x/" * 3000, "~" * 300, "\r\n", "CON:"]


@pytest.mark.parametrize("text", TEXTS, ids=["surrogate", "nul", "long", "deep", "home", "lines", "device"])
def test_no_text_in_a_body_is_a_fault_of_the_program(client: TestClient, text: str):
    """Every text field of every route's body, one after the other, with the others as they need to be."""
    tried = 0
    for path, body in bodies(client):
        for field, value in body.items():
            if isinstance(value, str):
                answer = client.post(f"{V1}/{path}", content=json.dumps({**body, field: text}), headers=JSON)
                assert answer.status_code < 500, (path, field, answer.text[:200])
                tried += 1
    assert tried > 20


JSON = {"Content-Type": "application/json"}


def bodies(client: TestClient) -> list[tuple[str, dict[str, Any]]]:
    """(path, a body of the right types) of each POST route, made from its schema."""
    schema = client.app.openapi()  # type: ignore[attr-defined]
    found = []
    for path in paths(client, "POST"):
        template = next(t for t in schema["paths"] if re.fullmatch(re.sub(r"{[^}]+}", "[^/]+", t), f"{V1}/{path}"))
        content = schema["paths"][template]["post"].get("requestBody", {}).get("content", {})
        reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
        properties = schema["components"]["schemas"].get(reference.rpartition("/")[2], {}).get("properties", {})
        kinds = {"string": "x", "integer": 1, "number": 1.0, "boolean": False, "array": [], "object": {}}
        found.append((path, {name: kinds.get(one.get("type"), {}) for name, one in properties.items()}))
    return found


def paths(client: TestClient, method: str) -> list[str]:
    """Return every route's path, with ``some`` in place of names."""
    return [
        re.sub(
            r"{(\w+)(:\w+)?}", lambda name: "0" if name[1] in ("number", "step") else "some", route.path
        ).removeprefix(f"{V1}/")
        for route in client.app.routes  # type: ignore[attr-defined]
        if V1 in getattr(route, "path", "") and method in route.methods and "uploads/{" not in route.path
    ]

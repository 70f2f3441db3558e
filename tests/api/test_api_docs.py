"""docs/api.md documents the routes: its tables are current, each route is in one, and its examples work."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from sdft_ext.api import docs, mount
from sdft_ext.desk import Desk
from tests.api.answers import problems
from tests.api.conftest import HOME

TEXT = docs.PAGE.read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(GET|POST) ([^`]+)` \| (needed|) \|", re.MULTILINE)


def test_the_tables_are_current() -> None:
    assert docs.current(TEXT) == TEXT, "run: python -m sdft_ext.api.docs"


def test_each_route_is_in_one_table(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    routes = [
        (method, docs.short(route))
        for route in app.routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in route.methods
    ]
    assert sorted(routes) == sorted((method, path) for method, path, _ in ROW.findall(TEXT))


def test_a_route_without_a_table_is_an_error() -> None:
    with pytest.raises(docs.UnlistedRoute, match="session is in no table"):
        docs.current(TEXT.replace("routes: session ", "routes: "))


def test_every_link_in_the_tables_leads_to_one_heading() -> None:
    headings = [line.removeprefix("#### ").lower() for line in TEXT.splitlines() if line.startswith("#### ")]
    assert len(headings) == len(set(headings))
    assert set(re.findall(r"\]\(#(\w+)\)", TEXT)) == set(headings)


def test_the_token_is_needed_where_the_page_says_so(desk: Desk) -> None:
    """Call every route, without a token and with one."""
    app = FastAPI()
    mount(app, desk)
    client = TestClient(app, base_url=HOME)
    token = {"X-SDFT-Token": client.get("/sdft/v1/session").json()["token"]}

    def refused(method: str, path: str, headers: dict[str, str]) -> bool:
        sends_file = path.endswith("/files") and method == "POST"
        kind = {"Content-Type": "application/octet-stream" if sends_file else "application/json"}
        path = re.sub(r"{(number|step)}", "0", path)
        content = b"{}" if method == "POST" else None
        answer = client.request(method, f"/sdft/v1/{path}", content=content, headers={**headers, **kind})
        sentences = ("This page is out of date", "The request lacks the page's token")
        return answer.status_code == 403 and answer.json()["detail"].startswith(sentences)

    found = {(method, path): refused(method, path, {}) for method, path, _ in ROW.findall(TEXT)}
    assert found == {(method, path): needed == "needed" for method, path, needed in ROW.findall(TEXT)}
    assert not [path for method, path in found if refused(method, path, token)]
    assert {method for (method, _), needed in found.items() if needed} == {"GET", "POST"}


SCHEMA = {
    "type": "object",
    "required": ["a"],
    "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"enum": ["x"]}}},
}


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ({"a": 1, "b": ["x"]}, []),
        ({"a": 1}, []),
        ({"a": 1, "c": 2}, ["answer.c is in no model"]),
        ({"b": []}, ["answer.a is missing"]),
        ({"a": True}, ["answer.a is True, no integer"]),
        ({"a": None}, ["answer.a is None, no integer"]),
        ({"a": 1, "b": ["y"]}, ["answer.b.0 is 'y', none of ['x']"]),
    ],
)
def test_an_answer_that_differs_from_its_model_is_seen(answer: dict[str, object], wrong: list[str]) -> None:
    assert list(problems(answer, SCHEMA, {})) == wrong


def test_the_python_example_trains(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    shutil.copy(data / "base.safetensors", tmp_path / "model.safetensors")
    shutil.copytree(data / "instance", tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/api.md", "exec"), {})
    assert capsys.readouterr().out.startswith("finished ") and list(
        (tmp_path / "runs").glob("my-cat*/saves/*.safetensors")
    )


def test_the_tests_client_holds_answers_to_their_models(
    client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = desk.datasets.listing("")
    assert client.get("/sdft/v1/folders").json() == answer
    monkeypatch.setattr(desk.datasets, "listing", lambda path: {**answer, "more": 1})
    with pytest.raises(AssertionError, match=r"answer\.more is in no model"):
        client.get("/sdft/v1/folders")

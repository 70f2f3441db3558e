"""Who gets an answer: with a login, from our own page, at a local name; everybody else gets nothing at all."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sdft_ext.api import Access, mount, route
from sdft_ext.desk import Desk
from tests.api.conftest import HOME

PAGE = ["/sdft/page/main.mjs", "/sdft/page/nothing.mjs"]


def routes(client: TestClient, method: str) -> list[str]:
    """Paths of all routes that the app has, below ``/sdft/v1/``, with something in the place of their names."""
    paths = [
        route.path.removeprefix("/sdft/v1/")
        for route in client.app.routes  # type: ignore[attr-defined]
        if "/sdft/v1/" in getattr(route, "path", "") and method in route.methods
    ]
    assert len(paths) > 10
    return [
        re.sub(r"{(\w+)(:\w+)?}", lambda name: "0" if name[1] in ("number", "step") else "some", path) for path in paths
    ]


def every_request(client: TestClient, **more: Any) -> list[tuple[str, int]]:
    """(request, status) of every route, with right and with broken bodies."""
    read, change = routes(client, "GET"), routes(client, "POST")
    found = [(f"GET {path}", client.get(f"/sdft/v1/{path}", **more).status_code) for path in read]
    found += [(f"GET {path}", client.get(path, **more).status_code) for path in PAGE]
    found += [(f"POST {path}", client.post(f"/sdft/v1/{path}", json={}, **more).status_code) for path in change]
    headers = {**more.pop("headers", {}), "Content-Type": "application/json"}
    found += [
        (f"POST {path} broken", client.post(f"/sdft/v1/{path}", content=b"{", headers=headers, **more).status_code)
        for path in change
    ]
    return found


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_with_api_auth_nothing_answers_without_the_password(desk: Desk):
    app = FastAPI()
    mount(app, desk, Access(api_auth="ann:secret,bob:other:word"))
    client = TestClient(app, base_url=HOME)
    assert {status for _, status in every_request(client)} == {401}
    for wrong in (basic("ann", "wrong"), basic("bob", "secret"), {"Authorization": "Basic ???"}, basic("", "")):
        assert {status for _, status in every_request(client, headers=wrong)} == {401}
    refused = client.get("/sdft/v1/session")
    assert refused.headers["WWW-Authenticate"].startswith("Basic") and "token" not in refused.text
    for user, password in (("ann", "secret"), ("bob", "other:word")):
        assert client.get("/sdft/v1/session", headers=basic(user, password)).status_code == 200
    # With a password no token is needed: programs have none.
    assert client.post("/sdft/v1/calculate", json={"recipe": {}}, headers=basic("ann", "secret")).status_code == 200


def logged_in(client: TestClient) -> TestClient:
    answer = client.post("/login", data={"username": "ann", "password": "secret"})
    assert answer.status_code == 200
    return client


def gradio_app(auth: Any) -> Any:
    """gradio's own app, as ``launch(auth=…)`` makes it."""
    gradio = pytest.importorskip("gradio")
    from gradio.routes import App

    with gradio.Blocks(analytics_enabled=False) as blocks:
        gradio.Markdown("a page")
    blocks.auth, blocks.auth_message = auth, None
    return App.create_app(blocks)


def test_with_gradio_auth_nothing_answers_without_a_login(desk: Desk):
    app = gradio_app([("ann", "secret")])
    mount(app, desk)
    client = TestClient(app, base_url=HOME)
    assert {status for _, status in every_request(client)} == {401}
    forged = {"Cookie": "access-token=forged; access-token-unsecure=forged"}
    assert {status for _, status in every_request(client, headers=forged)} == {401}
    assert {status for _, status in every_request(client, headers=basic("ann", "secret"))} == {401}
    refused = client.get("/sdft/v1/session")
    assert "WWW-Authenticate" not in refused.headers, "people log in on the page, not in a window of the browser"
    assert logged_in(client).get("/sdft/v1/session").status_code == 200
    assert client.post("/sdft/v1/calculate", json={"recipe": {}}).status_code == 403, "a login alone is no token"


def test_with_both_either_is_enough(desk: Desk):
    app = gradio_app([("ann", "secret")])
    mount(app, desk, Access(api_auth="robot:word"))
    client = TestClient(app, base_url=HOME)
    assert {status for _, status in every_request(client)} == {401}
    assert client.get("/sdft/v1/session", headers=basic("robot", "word")).status_code == 200
    assert logged_in(client).get("/sdft/v1/session").status_code == 200


def test_gradio_without_a_login_is_open_to_its_own_page_only(desk: Desk):
    app = gradio_app(None)
    mount(app, desk)
    client = TestClient(app, base_url=HOME)
    token = client.get("/sdft/v1/session").json()["token"]
    assert client.post("/sdft/v1/calculate", json={"recipe": {}}).status_code == 403
    answer = client.post("/sdft/v1/calculate", json={"recipe": {}}, headers={"X-SDFT-Token": token})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Host": "evil.example"},
        {"Host": "evil.example:7860"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": ""},
        {"Host": "127.0.0.1.nip.io:7860"},
        {"Host": "[::1].evil.example"},
        {"Host": "[::1]evil.example:7860"},
        {"Host": "[::1"},
        {"Host": "127.0.0.1:evil.example"},
        {"Host": "127.0.0.1%evil.example"},
        {"Host": "127.0.0.1@evil.example"},
        {"Host": "user:127.0.0.1@evil.example"},
        {"Host": "127.0.0.1/evil.example"},
        {"Host": "127.0.0.1 evil.example"},
        {"Host": "localhost:7860:7860"},
    ],
)
def test_other_pages_start_nothing_and_read_nothing(
    client: TestClient, desk: Desk, data: Path, headers: dict[str, str]
):
    # Even one that has come by the token.
    for request, status in every_request(client, headers=headers):
        assert status == 403, request
    assert desk.queued()["runs"] == []


@pytest.mark.parametrize(
    "host",
    [
        "localhost:7860",
        "LOCALHOST:7860",
        "127.0.0.1",
        "127.0.0.1:",
        "127.8.9.1:80",
        "[::1]:7860",
        "[::1]",
        "[FE80::1%eth0]:7860",
        "sd.localhost",
        "192.168.1.7:7860",
    ],
)
def test_local_names_are_answered(client: TestClient, host: str):
    assert client.get("/sdft/v1/session", headers={"Host": host}).status_code == 200
    page = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/sdft/v1/calculate", json={"recipe": {}}, headers=page).status_code == 200


def test_two_host_headers_are_refused(client: TestClient):
    """A proxy may read the one, and this server the other."""
    for hosts in (("127.0.0.1", "evil.example"), ("evil.example", "127.0.0.1"), ("127.0.0.1", "127.0.0.1")):
        answer = client.get("/sdft/v1/session", headers=[("Host", host) for host in hosts])
        assert answer.status_code == 403, hosts


def test_without_a_login_only_the_servers_own_names_are_answered(desk: Desk):
    """Also where others may reach it: a foreign page can point its own host name at this server."""
    ours = {"Authorization": basic("ann", "secret")["Authorization"]}
    for access, headers, status in (
        (Access(), {}, 403),
        (Access(local=False), {}, 403),
        (Access(names=("Studio.lan",)), {}, 200),
        (Access(local=False, names=("other", "studio.lan")), {}, 200),
        (Access(local=False, api_auth="ann:secret"), ours, 200),
        (Access(api_auth="ann:secret"), ours, 200),
    ):
        app = FastAPI()
        mount(app, desk, access)
        client = TestClient(app, base_url="http://studio.lan:7860")
        answer = client.get("/sdft/v1/session", headers=headers)
        assert answer.status_code == status, access
        assert status == 200 or ("Names of this server" in answer.text) != access.local


def test_with_the_pages_login_any_name_is_answered(desk: Desk):
    """Behind a proxy, or with --share."""
    app = gradio_app([("ann", "secret")])
    mount(app, desk, Access(local=False))
    client = TestClient(app, base_url="https://some.gradio.live")
    assert client.get("/sdft/v1/session").status_code == 401
    assert logged_in(client).get("/sdft/v1/session").status_code == 200


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://127.0.0.1:99999999", "//", "\x7f", ""])
def test_an_origin_that_is_not_an_address_is_refused(client: TestClient, origin: str):
    for answer in (
        client.get("/sdft/v1/session", headers={"Origin": origin}),
        client.post("/sdft/v1/calculate", json={"recipe": {}}, headers={"Origin": origin}),
    ):
        assert answer.status_code == 403 and "Another web page" in answer.text


def test_every_answer_has_the_standard_headers(client: TestClient):
    for answer in (
        client.get("/sdft/v1/session"),
        client.get("/sdft/v1/runs/nothing"),
        client.get("/sdft/page/main.mjs"),
        client.get("/sdft/v1/session", headers={"Host": "evil.example"}),
    ):
        assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"


def test_a_body_that_is_too_large_is_refused_however_it_comes(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(route, "MOST_BYTES", 1000)
    path, kind = "/sdft/v1/calculate", {"Content-Type": "application/json"}
    for content in (b" " * 1001, iter([b" " * 600, b" " * 600])):
        answer = client.post(path, content=content, headers=kind)
        assert answer.status_code == 413 and "send it in parts" in answer.text
    assert client.post(path, content=b'{"recipe": {}}' + b" " * 900, headers=kind).status_code == 200


@pytest.mark.parametrize(
    ("length", "status"),
    [("many", 400), ("-1", 400), ("²", 400), ("1e3", 400), ("9" * 5000, 413), ("0" * 5000, 200)],
    ids=["a word", "negative", "a raised digit", "an exponent", "nines", "zeros"],
)
def test_a_length_that_is_no_number_is_refused(client: TestClient, length: str, status: int):
    """Most servers refuse it before; not all read the header."""
    headers = {"Content-Type": "application/json", "Content-Length": length.encode("latin-1")}
    assert client.post("/sdft/v1/calculate", content=b'{"recipe": {}}', headers=headers).status_code == status


@pytest.mark.parametrize("token", ["", "wrong", "é" * 43, "x" * 10_000])
def test_what_changes_something_needs_the_token(client: TestClient, token: str):
    headers = {"X-SDFT-Token": token.encode()}
    for path in routes(client, "POST"):
        kind = "application/octet-stream" if path.endswith("uploads/some/files") else "application/json"
        sent = {**headers, "Content-Type": kind}
        assert client.post(f"/sdft/v1/{path}", content=b"{}", headers=sent).status_code == 403, path
    for path in ("folders", "datasets?folder=/", "datasets/removed?folder=/", "tools", "tools/job"):
        assert client.get(f"/sdft/v1/{path}", headers=headers).status_code == 403, path


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_only_json_changes_something(client: TestClient, kind: str):
    """A form of another page can send all of these without asking first."""
    for path in routes(client, "POST"):
        assert client.post(f"/sdft/v1/{path}", content=b"{}", headers={"Content-Type": kind}).status_code == 400, path


def test_mounting_again_changes_nothing_and_a_new_app_serves_the_same_runs(client: TestClient, desk: Desk):
    count = len(client.app.routes)  # type: ignore[attr-defined]
    mount(client.app, desk)  # type: ignore[arg-type]
    assert len(client.app.routes) == count  # type: ignore[attr-defined]
    again = FastAPI()
    mount(again, desk)
    other = TestClient(again, base_url=HOME, headers=dict(client.headers))
    assert other.post("/sdft/v1/calculate", json={"recipe": {}}).status_code == 200, "an open page keeps its token"

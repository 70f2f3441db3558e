"""The page's own files are served unchanged, to those who may use the page, and no other files."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sdft_ext.api import mount
from sdft_ext.desk import Desk
from tests.api.conftest import HOME


@pytest.fixture
def page(desk: Desk, tmp_path: Path) -> TestClient:
    folder = tmp_path / "page"
    (folder / "vendor").mkdir(parents=True)
    (folder / "main.mjs").write_text("export const name = 'main';\n")
    (folder / "vendor" / "some.css").write_text("a { color: red }\n")
    (folder / "notes.py").write_text("secret = 1\n")
    (folder / ".hidden.mjs").write_text("secret\n")
    (tmp_path / "outside.mjs").write_text("secret\n")
    (folder / "link.mjs").symlink_to(tmp_path / "outside.mjs")
    app = FastAPI()
    mount(app, desk, page=folder)
    return TestClient(app, base_url=HOME)


@pytest.mark.parametrize(("path", "kind"), [("main.mjs", "text/javascript"), ("vendor/some.css", "text/css")])
def test_code_has_its_type_and_is_requested_again(page: TestClient, path: str, kind: str):
    answer = page.get(f"/sdft/page/{path}")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith(kind)
    assert answer.headers["cache-control"] == "no-cache" and answer.headers["x-content-type-options"] == "nosniff"
    again = page.get(f"/sdft/page/{path}", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304 and not again.content


@pytest.mark.parametrize(
    "path",
    [
        "notes.py",
        ".hidden.mjs",
        "link.mjs",
        "nothing.mjs",
        "",
        "vendor",
        "%2e%2e/outside.mjs",
        "..%2foutside.mjs",
        "vendor/%2e%2e/%2e%2e/outside.mjs",
        "%2Fetc%2Fpasswd",
        "..%5coutside.mjs",
        "main.mjs%00.css",
        "vendor//some.css",
    ],
)
def test_nothing_else_is_served(page: TestClient, path: str):
    answer = page.get(f"/sdft/page/{path}")
    assert answer.status_code == 404 and "secret" not in answer.text


def test_the_projects_own_page_is_served(client: TestClient):
    assert client.get("/sdft/page/main.mjs").status_code == 200

"""A server with the tiny model behind it, and clients that are, or aren't, allowed to ask it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sdft_ext.api import mount
from sdft_ext.desk import Desk
from tests.api.answers import check_answers
from tests.desk import setting

HOME = "http://127.0.0.1:7860"


def our_page(desk: Desk) -> TestClient:
    """A client that has the token. Each answer that it gets must be as the routes' schema describes it."""
    app = FastAPI()
    mount(app, desk)
    client = check_answers(TestClient(app, base_url=HOME))
    client.headers["X-SDFT-Token"] = client.get("/sdft/v1/session").json()["token"]
    return client


@pytest.fixture
def desk(data: Path, tmp_path: Path) -> Iterator[Desk]:
    made = setting.desk(data, tmp_path / "runs")
    yield made
    made.close()


@pytest.fixture
def client(desk: Desk) -> TestClient:
    """Our own page: it has the token."""
    return our_page(desk)

"""One WebUI for all tests here that need one: starting it takes a while."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.host.webui_process import WebUI, started


@pytest.fixture(scope="session")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    with started(tmp_path_factory.mktemp("webui") / "data") as ui:
        yield ui

"""The standalone page in a real browser: Chromium from the system's packages, driven by Playwright.

Nothing here imports the program's own code for the page; a browser and a server are all there is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("SDFT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


class Server:
    """``python3 standalone.py ui`` without its environment: the same program, on a free port, with its own runs.

    ``program`` is another one that ends in it.
    """

    def __init__(self, runs: Path, *program: str) -> None:
        self.runs = runs
        program = program or (sys.executable, "-m", "sdft_ext.ui.standalone")
        command = [*program, "--no-browser", "--port", "0", "--runs", str(runs)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "http://" in line, f"the server said {line!r}"
        self.address = next(word for word in line.split() if word.startswith("http://"))

    def ask(self, path: str, body: Any = None, token: str = "") -> Any:
        """One request to the API, as a program makes it."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "X-SDFT-Token": token}
        request = urllib.request.Request(f"{self.address}sdft/v1/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def quiet(self) -> None:
        """Empty the queue and stop what trains."""
        token = self.ask("session")["token"]
        found = self.ask("runs")
        for run in [*found["queue"], *([found["current"]] if found["current"] else [])]:
            self.ask(f"runs/{run}/stop", {}, token)
        until = time.monotonic() + 60
        while self.ask("runs")["current"] and time.monotonic() < until:
            time.sleep(0.2)

    def settled(self) -> None:
        """Wait for a run that is over, but still leaves: the page would open on it."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            found = self.ask("runs")
            states = {run["id"]: run["state"] for run in found["runs"]}
            if states.get(found["current"]) not in ("finished", "stopped", "failed"):
                return
            time.sleep(0.2)

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("page") / "runs")
    yield found
    found.end()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium, or name one in SDFT_CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Open:
    """Opens the page, and records its console's messages. ``script`` runs in it before its own code."""

    def __init__(self, browser: Any, address: str, script: str = "") -> None:
        self.browser, self.address, self.script = browser, address, script
        self.said: list[str] = []
        self.refusals = False
        """Whether the test asks for what the server refuses; browsers put each such answer into the console."""
        self.contexts: list[Any] = []

    def __call__(self, width: int = 1280, height: int = 900, theme: str = "light") -> Any:
        context = self.browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        self.contexts.append(context)
        if self.script:
            context.add_init_script(self.script)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.goto(self.address)
        page.wait_for_selector("[data-action=train]")
        return page

    def _hear(self, said: Any) -> None:
        if said.type in ("error", "warning"):
            self.said.append(f"{said.text} {said.location.get('url', '')}".strip())


@pytest.fixture
def open_page(chromium: Any, server: Server, tmp_path: Path) -> Iterator[Open]:
    # tmp_path is deleted after the pages are closed, which may still show pictures in it.
    server.settled()
    opened = Open(chromium, server.address)
    yield opened
    for context in opened.contexts:
        context.close()
    assert [text for text in opened.said if not (opened.refusals and "status of 4" in text)] == []

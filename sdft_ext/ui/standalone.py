"""The Fine-tune page without a WebUI: a server on this machine, with the toy model or another checkpoint as base."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

try:
    import uvicorn
    from fastapi import FastAPI
    from fastapi.responses import HTMLResponse, RedirectResponse
except ModuleNotFoundError as error:
    raise SystemExit(
        f"The page needs {error.name}, which isn't installed: run pip install '.[page]' in a clone of the repository."
    ) from error

from .. import api
from ..api.guard import Guard
from ..api.route import HEADERS as API_HEADERS
from ..api.route import error_response
from ..cli.signals import on_hangup
from ..desk import Desk
from ..errors import ModelError
from ..host.base import Host
from ..host.standalone import Shelf, StandaloneHost
from ..recipe import ModelRecipe, Recipe
from ..toy.install import CHECKPOINT, require_toy
from .server import ImpatientProtocol, Sealed

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
RUNS = (CHECKOUT if CHECKPOINT.is_file() else Path.cwd()) / "runs"
"""In the project's repository or, for an installed package, in the current folder."""
INDEX = HERE / "index.html"
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}
"""Of the page: it loads nothing from elsewhere, and no other site shows it in a frame."""
SWITCH_SECONDS = 0.0005
"""After which one thread lets another use Python: a run trains in this process, and waits so long after each of its
operations while a request is answered (Python's own 0.005 would halve its speed meanwhile).
"""
SAVE_SECONDS = 600.0
"""How long the server waits at its end for the run that trains: a large model's weights and state take minutes."""
FIRST_PORT, PORTS = 7861, 100


def application(base: Path = CHECKPOINT, runs: Path = RUNS) -> tuple[FastAPI, Desk]:
    """Build the page with its API, and the desk behind them."""
    shelf = Shelf()
    model = ModelRecipe(base=str(base))

    def host(recipe: Recipe | None) -> Host:
        chosen = model if recipe is None or not recipe.model.base else replace(recipe.model)
        return StandaloneHost(chosen, shelf=shelf)

    desk = Desk(host, runs)
    # Its own pages of the API load scripts from elsewhere, which could then use the API: docs/api.md describes it.
    app = FastAPI(title="Fine-tune", docs_url=None, redoc_url=None)
    api.mount(app, desk, api.Access())
    app.add_middleware(
        Sealed,
        check=Guard(app, api.Access()).check_host,
        refused=lambda error: error_response(error.status, error.detail),
        headers=API_HEADERS,
    )

    @app.get("/", include_in_schema=False)
    def index() -> HTMLResponse:
        return HTMLResponse(INDEX.read_text(encoding="utf-8"), headers=HEADERS)

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> RedirectResponse:
        return RedirectResponse("sdft/page/icon.svg")

    return app, desk


def listen(port: int | None) -> socket.socket:
    """Open a listening socket on this machine, at this port or the first free one. Raises SystemExit without one."""
    for number in [port] if port is not None else range(FIRST_PORT, FIRST_PORT + PORTS):
        # With its protocol named, asyncio sends all parts of an answer at once (TCP_NODELAY): else a body waits 40 ms.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name != "nt":  # there it would take a port away from another program
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", number))
            listening.listen(128)
            return listening
        except OSError:
            listening.close()
    raise SystemExit(
        f"Port {port} is in use: choose another one with --port."
        if port is not None
        else f"No port from {FIRST_PORT} to {FIRST_PORT + PORTS - 1} is free: choose one with --port."
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 standalone.py ui", description=__doc__)
    parser.add_argument("--port", type=int, help=f"default: the first free one from {FIRST_PORT} on")
    parser.add_argument("--base", type=Path, default=CHECKPOINT, help="checkpoint to train on (default: the toy model)")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the runs (default: runs)")
    parser.add_argument("--no-browser", action="store_true", help="print the address without opening a browser")
    options = parser.parse_args(argv)
    if options.base == CHECKPOINT:
        try:
            require_toy()
        except ModelError as error:
            raise SystemExit(f"{error} Name it with --base.") from error
    if not options.base.exists():
        raise SystemExit(f"{options.base} does not exist: name a checkpoint with --base.")
    sys.setswitchinterval(SWITCH_SECONDS)
    listening = listen(options.port)
    app, desk = application(options.base.resolve(), options.runs.resolve())
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", http=ImpatientProtocol, server_header=False))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    threading.Thread(target=_announce, args=(server, address, not options.no_browser), daemon=True).start()
    on_hangup(lambda: setattr(server, "should_exit", True))
    # Newer versions of uvicorn end by sending the signal that stopped them once more.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        # asyncio has put back the default, which would end the program before the run has saved. Ctrl-C still does.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        desk.close(SAVE_SECONDS)
    return 0


def _announce(server: uvicorn.Server, address: str, browser: bool) -> None:
    """Print the page's address once it answers."""
    while not server.started:
        time.sleep(0.05)
    print(f"The Fine-tune page: {address}  (Ctrl+C ends it)", flush=True)
    if browser:
        webbrowser.open(address)


if __name__ == "__main__":
    raise SystemExit(main())

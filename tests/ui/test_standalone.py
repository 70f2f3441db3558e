"""The page's server without a browser: its port, its files, and what may not stand in the page's code."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient

from sdft_ext.api import route
from sdft_ext.ui import server, standalone

PAGE = Path(standalone.__file__).parent / "page"
MODULES = sorted(PAGE.rglob("*.mjs"))
NAMES = [path.relative_to(PAGE).as_posix() for path in MODULES]
IMPORTED = re.compile(r"""(?:from|import\(|url\(|new URL\()\s*["'](\.?\.?/?[\w./-]+\.(?:mjs|js|css))["']""")

IMPORT = re.compile(r"""^import \{([^}]+)\} from "(\.[\w./]+\.mjs)\"""", re.MULTILINE)
"""What runs; the types that a comment imports are the type check's."""


def imported(file: Path) -> set[str]:
    """What a module or a style sheet loads, as paths from the page's folder."""
    found = [(file.parent / path).resolve() for path in IMPORTED.findall(file.read_text())]
    return {path.relative_to(PAGE).as_posix() for path in found}


def test_without_a_port_setting_the_first_free_port_is_taken():
    first = standalone.listen(None)
    second = standalone.listen(None)
    with first, second:
        assert first.getsockname()[0] == "127.0.0.1"
        assert standalone.FIRST_PORT <= first.getsockname()[1] < second.getsockname()[1]


def test_a_port_in_use_is_an_error_message():
    with standalone.listen(0) as used:
        port = used.getsockname()[1]
        with pytest.raises(SystemExit, match=f"Port {port} is in use: choose another one with --port"):
            standalone.listen(port)
    with socket.socket() as again:
        again.bind(("127.0.0.1", 0))


def test_answers_are_sent_without_waiting_for_the_acknowledgement_of_their_headers():
    """TCP would hold back the second small packet for 40 ms (Nagle's algorithm, RFC 896)."""
    options = []

    async def connect(listening: socket.socket) -> None:
        done = asyncio.Event()

        async def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            options.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()
            done.set()

        listening.setblocking(False)
        async with await asyncio.start_server(accepted, sock=listening):
            _reader, writer = await asyncio.open_connection(*listening.getsockname())
            await asyncio.wait_for(done.wait(), 10)
            writer.close()

    with standalone.listen(0) as listening:
        own = threading.Thread(target=lambda: asyncio.run(connect(listening)))  # the browser has a loop in this one
        own.start()
        own.join(20)
    assert options == [1]


def test_a_missing_base_model_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"does not exist: name a checkpoint with --base\.$"):
        standalone.main(["--base", str(tmp_path / "none.safetensors"), "--no-browser"])


def test_the_page_and_all_that_it_imports_are_served(tmp_path):
    app, desk = standalone.application(runs=tmp_path / "runs")
    client = TestClient(app, base_url="http://127.0.0.1")
    index = client.get("/").text
    wanted = {f"/{path}" for path in re.findall(r'(?:src|href)="([^"]+)"', index)}
    for file in [*MODULES, *PAGE.glob("*.css")]:
        wanted |= {f"/sdft/page/{path}" for path in imported(file)}
    assert {f"/sdft/page/{name}" for name in NAMES} <= wanted, "no module that nothing imports"
    answers = {path: client.get(path).status_code for path in wanted}
    assert {path for path, status in answers.items() if status != 200} == set()
    desk.close()


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_the_page_never_reads_text_as_html_or_code(module):
    found = re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", module.read_text()
    )
    assert found == []


def test_every_import_from_another_module_is_exported_there():
    for module in MODULES:
        for names, source in IMPORT.findall(module.read_text()):
            text = (module.parent / source).read_text()
            for name in (one.strip() for one in names.split(",") if one.strip()):
                assert re.search(rf"export (?:async )?(?:function|class|const) {name}\b", text), (module.name, name)


def test_the_page_has_the_standard_headers_and_no_page_of_the_api(tmp_path):
    """FastAPI's own pages of an API load scripts from elsewhere."""
    app, desk = standalone.application(runs=tmp_path)
    client = TestClient(app, base_url="http://127.0.0.1")
    page = client.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'self'" in policy and "unsafe-eval" not in policy
    assert page.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert [client.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")] == [404, 404, 200]
    desk.close()


def test_everything_that_is_served_has_the_headers_and_asks_for_the_name(tmp_path):
    app, desk = standalone.application(runs=tmp_path)
    client = TestClient(app, base_url="http://127.0.0.1")
    for method in ("GET", "HEAD", "OPTIONS", "POST", "TRACE"):
        for path in ("/", "/favicon.ico", "/openapi.json", "/nothing", "/sdft/v1/nothing", "/sdft/page/..%2fx"):
            answer = client.request(method, path)
            for name in ("Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy"):
                assert name in answer.headers, (method, path)
            foreign = client.request(method, path, headers={"Host": "evil.example"})
            assert foreign.status_code == 403 and "X-Frame-Options" in foreign.headers, (method, path)
    desk.close()


def test_connections_that_never_finish_their_request_are_closed(tmp_path, monkeypatch):
    """Half a header, half a body, and nothing at all; a slow answer and a whole request are not in their way."""
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.5)
    monkeypatch.setattr(route, "BODY_SECONDS", 0.5)
    app, desk = standalone.application(runs=tmp_path)

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(1.5)
        return "done"

    running = uvicorn.Server(uvicorn.Config(app, log_level="error", http=server.ImpatientProtocol))
    with standalone.listen(0) as listening:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        port = listening.getsockname()[1]
        token = TestClient(app, base_url="http://127.0.0.1").get("/sdft/v1/session").json()["token"]
        whole = f"GET /slow HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        half_body = (
            f"POST /sdft/v1/calculate HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            f"X-SDFT-Token: {token}\r\nContent-Length: 100\r\n\r\n{{"
        )
        answers = {text: asked(port, text) for text in ("", "GET / HTTP/1.1\r\nHost: 127", half_body, whole)}
        running.should_exit = True
        thread.join(20)
    desk.close()
    assert answers[""] == answers["GET / HTTP/1.1\r\nHost: 127"] == b""
    assert answers[half_body].startswith(b"HTTP/1.1 408") and b"did not arrive whole" in answers[half_body]
    assert answers[whole].startswith(b"HTTP/1.1 200") and answers[whole].endswith(b'"done"')


def asked(port: int, text: str) -> bytes:
    """Return all that a server sends until it closes the connection, or sends nothing for two seconds after an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(text.encode())
        found = b""
        while part := connection.recv(65536):
            found += part
            connection.settimeout(2)
            if found.endswith((b'"done"', b"}")):
                break
        return found

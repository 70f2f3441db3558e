"""python -m bench load [--json FILE] [--seconds 10] [--phases 6] [--parallel 100] [--pause 1.0]
python -m bench load --minutes 30 [--json FILE] [--pages 5] [--pause 1.0]

Starts the page's server as its users do, and a training run of the toy model on one thread. Then, in turn, nobody asks
anything, or --parallel requests are sent at once every --pause seconds, over every route that reads. Printed: what the
slowest answers take (p50, p95, most), and what the training loses: its steps a second, and the CPU time of its thread a
step, with the requests and without. An idle machine is needed for the seconds; CPU time hardly depends on others.

With --minutes, a few pages poll as the page does, and the memory and the open files of the server are read every 30
seconds: neither may grow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psutil

from sdft_ext.recipe import file as recipe_file
from sdft_ext.storage import json_file

from .table import show

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "assets" / "example" / "subject.yaml"
ALLOWED_MS, ALLOWED_LOSS, ALLOWED_GROWTH = 300.0, 0.05, 0.02
WARM_UP = 5.0
"""Seconds of training before anything is measured."""
SAMPLE_SECONDS = 30.0


@dataclass(frozen=True)
class Ask:
    """One request: its route's name in the table, method, path, and body."""

    name: str
    method: str
    path: str
    body: Any = None


class Client:
    """A browser's connection, which stays open: HTTP/1.1, one request after the other."""

    def __init__(self, address: str, token: str = "") -> None:
        parts = urlsplit(address)
        self._host, self._port, self._token = parts.hostname or "", parts.port or 80, token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, ask: Ask) -> bytes:
        """Send a request and return its answer's body. Raises RuntimeError for another status than 200.

        A connection that the server has closed meanwhile, as it may, is opened again once, as browsers do.
        """
        used = self._streams is not None
        try:
            return await self._ask(ask)
        except (ConnectionError, asyncio.IncompleteReadError):
            if not used:
                raise
            self._streams = None
            return await self._ask(ask)

    async def _ask(self, ask: Ask) -> bytes:
        if self._streams is None or self._streams[1].is_closing() or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        body = b"" if ask.body is None else json.dumps(ask.body).encode()
        lines = [
            f"{ask.method} {ask.path} HTTP/1.1",
            f"Host: {self._host}:{self._port}",
            f"X-SDFT-Token: {self._token}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:", 1)[1].split("\r\n", 1)[0])
        answer = await reader.readexactly(length)
        if " 200 " not in head.split("\r\n", 1)[0]:
            raise RuntimeError(f"{ask.method} {ask.path}: {head.splitlines()[0]} {answer[:300]!r}")
        return answer

    async def json(self, method: str, path: str, body: Any = None) -> Any:
        """Ask a route of the API; return its answer."""
        return json_file.parse(await self.ask(Ask("", method, f"/sdft/v1/{path}", body)))


class Server:
    """The standalone page in a process of its own, with a run of the toy model that trains on one thread."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "sdft_ext.ui.standalone", "--no-browser", "--runs", str(folder / "runs")]
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().split(": ", 1)[1].split()[0]
        self.process = psutil.Process(self._process.pid)
        self.run = ""
        self._trainer = 0

    async def start(self) -> Client:
        """Start the run and wait until it trains; return a client with the page's token."""
        token = (await Client(self.address).json("GET", "session"))["token"]
        client = Client(self.address, token)
        recipe = recipe_file.read(EXAMPLE)
        more = ("train.length=1000000", "train.length_unit=steps", "save.every=0", "watch.every=0", "save.name=load")
        forms = {"recipe": asdict(recipe_file.override(recipe, more))}
        self.run = (await client.json("POST", "runs", forms))["id"]
        while (status := (await client.json("GET", f"runs/{self.run}/status"))["status"])["state"] != "training":
            if status["state"] == "failed":
                raise RuntimeError(status["message"])
            await asyncio.sleep(0.2)
        before = self._thread_times()
        await asyncio.sleep(WARM_UP)
        now = self._thread_times()
        self._trainer = max(now, key=lambda thread: now[thread] - before.get(thread, 0.0))
        return client

    def _thread_times(self) -> dict[int, float]:
        return {thread.id: thread.user_time + thread.system_time for thread in self.process.threads()}

    def measured(self, step: int) -> Moment:
        """Return how far the training is, and what it has taken."""
        times = self._thread_times()
        return Moment(time.monotonic(), step, times.pop(self._trainer), sum(times.values()))

    def resources(self) -> tuple[float, int, int]:
        """Return the server's memory in MB, its open files and its threads."""
        return self.process.memory_info().rss / 2**20, self.process.num_fds(), self.process.num_threads()

    def close(self) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        self._process.kill()


@dataclass(frozen=True)
class Moment:
    """Seconds, step of the run, CPU seconds of the thread that trains, and of all others of the process."""

    time: float
    step: int
    trainer: float
    others: float


@dataclass
class Phase:
    """A while with or without requests, and what came of it."""

    loaded: bool
    steps_a_second: float
    cpu_ms_a_step: float
    others_share: float
    """CPU time of the other threads of the server, as a share of the time: what they may take from the training."""


@dataclass
class Latencies:
    """Milliseconds of every answer, by the route's name."""

    found: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, milliseconds: float) -> None:
        self.found.setdefault(name, []).append(milliseconds)

    def row(self, name: str = "") -> dict[str, float]:
        """Return count, p50, p95 and the most of one route, or of all."""
        values = sorted(value for one, some in self.found.items() if name in ("", one) for value in some)
        at = [values[min(int(len(values) * share), len(values) - 1)] for share in (0.5, 0.95)]
        return {"count": len(values), "p50": round(at[0], 1), "p95": round(at[1], 1), "most": round(values[-1], 1)}


async def reading_routes(server: Server, client: Client) -> list[Ask]:
    """Return a request of every route that reads, as the page sends them while a run trains."""
    folder = str(EXAMPLE.parent / "subject")
    seen = await client.json("GET", f"datasets?folder={quote(folder)}&count=24")
    opened = await client.json("POST", "captions/open", {"folder": folder})
    of = {"folder": folder, "opened": opened["opened"]}
    gets = {
        "page": "/",
        "page's code": "/sdft/page/main.mjs",
        "session": "session",
        "schema": "schema",
        "guide": "guide",
        "runs": "runs",
        "run": f"runs/{server.run}",
        "status, whole log": f"runs/{server.run}/status?since=0",
        "status": f"runs/{server.run}/status?since=100000000",
        "dataset": f"datasets?folder={quote(folder)}&count=24",
        "folders": f"folders?path={quote(folder)}",
        "regularization": "regularization",
        "taggers": "taggers",
        "tools": "tools",
        "tool": "tools/job",
        **{f"thumbnail {n % 2}": one["picture"] for n, one in enumerate(seen["thumbnails"][:2])},
    }
    posts = {
        "captions": ("captions/open", {"folder": folder}),
        "captions' changes": ("captions/state", {**of, "since": opened["revision"]}),
        "captions filtered": ("captions/filter", {**of, "filter": {"tag": "a"}}),
        "captions' tags": ("captions/tags", of),
    }
    asks = [Ask(n, "GET", path if path[0] == "/" else f"/sdft/v1/{path}") for n, path in gets.items()]
    return asks + [Ask(n, "POST", f"/sdft/v1/{path}", body) for n, (path, body) in posts.items()]


async def step_of(server: Server, client: Client) -> int:
    """Return the run's last step, from the end of its log: its status is written once a second only."""
    found = (await client.json("GET", f"runs/{server.run}/status?since=0"))["next"]
    lines = (await client.json("GET", f"runs/{server.run}/status?since={max(found - 50, 0)}"))["lines"]
    return max(line["step"] for line in lines)


async def phase(server: Server, client: Client, pages: list[Client], options: Any, found: Latencies | None) -> Phase:
    """Let ``options.seconds`` pass, with bursts of requests if there is a place for their times."""
    asks = await reading_routes(server, client)

    async def timed(page: Client, ask: Ask, times: Latencies) -> None:
        began = time.perf_counter()
        await page.ask(ask)
        times.add(ask.name, 1000 * (time.perf_counter() - began))

    before = server.measured(await step_of(server, client))
    end, burst = time.monotonic() + options.seconds, 0
    while (now := time.monotonic()) < end:
        if found is not None:
            chosen = [asks[(burst + number) % len(asks)] for number in range(len(pages))]
            await asyncio.gather(*(timed(page, ask, found) for page, ask in zip(pages, chosen, strict=True)))
            burst += 1
        await asyncio.sleep(max(0.0, min(now + options.pause, end) - time.monotonic()))
    after = server.measured(await step_of(server, client))
    steps, seconds = max(after.step - before.step, 1), after.time - before.time
    cpu = 1000 * (after.trainer - before.trainer) / steps
    others = (after.others - before.others) / seconds
    return Phase(found is not None, steps / seconds, cpu, others)


async def load(options: Any, folder: Path) -> dict[str, Any]:
    """Measure answers and training, with requests and without in turn."""
    server = Server(folder)
    try:
        client = await server.start()
        pages = [Client(server.address, client._token) for _ in range(options.parallel)]
        await phase(server, client, pages, argparse.Namespace(seconds=3.0, pause=1.0), Latencies())  # connects
        times, phases = Latencies(), []
        for number in range(options.phases):
            phases.append(await phase(server, client, pages, options, times if number % 2 else None))
    finally:
        server.close()
    idle, loaded = ([one for one in phases if one.loaded == wanted] for wanted in (False, True))
    rate = [statistics.median(one.steps_a_second for one in some) for some in (idle, loaded)]
    cpu = [statistics.median(one.cpu_ms_a_step for one in some) for some in (idle, loaded)]
    return {
        "parallel": options.parallel,
        "pause": options.pause,
        "answers": times.row(),
        "routes": {name: times.row(name) for name in times.found},
        "steps_a_second": [round(value, 2) for value in rate],
        "slowed": round(1 - rate[1] / rate[0], 4),
        "cpu_ms_a_step": [round(value, 3) for value in cpu],
        "cpu_slowed": round(cpu[1] / cpu[0] - 1, 4),
        "others_share": round(statistics.median(one.others_share for one in loaded), 4),
        "phases": [vars(one) for one in phases],
    }


async def polled(options: Any, folder: Path) -> dict[str, Any]:
    """Have pages poll for a while; return the server's memory and open files, read every 30 seconds."""
    server = Server(folder)
    samples: list[tuple[float, int, int]] = []
    try:
        client = await server.start()
        asks = await reading_routes(server, client)
        pages = [Client(server.address, client._token) for _ in range(options.pages)]
        since = [0] * len(pages)

        async def poll(number: int, page: Client, turn: int) -> None:
            path = f"runs/{server.run}/status?since={since[number]}"
            since[number] = (await page.json("GET", path))["next"]
            for ask in (
                asks[(turn + number) % len(asks)],
                *(one for one in asks if one.name == "runs" and not turn % 3),
            ):
                await page.ask(ask)

        began, turn = time.monotonic(), 0
        while time.monotonic() - began < 60 * options.minutes:
            now = time.monotonic()
            await asyncio.gather(*(poll(number, page, turn) for number, page in enumerate(pages)))
            turn += 1
            if now - began >= SAMPLE_SECONDS * len(samples):
                samples.append(server.resources())
            await asyncio.sleep(max(0.0, now + options.pause - time.monotonic()))
        samples.append(server.resources())
        steps = await step_of(server, client)
    finally:
        server.close()
    figures: dict[str, Any] = {"minutes": options.minutes, "polls": turn * options.pages, "steps": steps}
    later = samples[len(samples) // 5 :]  # caches fill at first
    for place, name in enumerate(("memory_mb", "open_files", "threads")):
        values = [float(sample[place]) for sample in samples]
        slope = statistics.linear_regression(range(len(later)), [sample[place] for sample in later]).slope
        figures[name] = {
            "start": round(values[0], 1),
            "least": round(min(values), 1),
            "most": round(max(values), 1),
            "end": round(values[-1], 1),
            "a_minute": round(slope * 60 / SAMPLE_SECONDS, 3),
        }
    return figures


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench load", description=__doc__)
    parser.add_argument("--json", help="write the figures there")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase")
    parser.add_argument("--phases", type=int, default=12, help="without and with requests in turn")
    parser.add_argument("--parallel", type=int, default=100, help="requests sent at once")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds from one burst, or poll, to the next")
    parser.add_argument("--minutes", type=float, default=0.0, help="poll so long instead, and watch the memory")
    parser.add_argument("--pages", type=int, default=5, help="that poll")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        work = polled if options.minutes else load
        figures = asyncio.run(work(options, Path(folder)))
    if options.minutes:
        names = ("memory_mb", "open_files", "threads")
        rows: list[tuple[Any, ...]] = [(name, *figures[name].values()) for name in names]
        show(("of the server", "start", "least", "most", "end", "growth a minute"), rows, figures, options.json)
        return 0
    rows = [(name, *row.values()) for name, row in {**figures["routes"], "all": figures["answers"]}.items()]
    show(("answers", "count", "p50 ms", "p95 ms", "most ms"), rows, figures, options.json)
    print(
        f"p95 {figures['answers']['p95']} ms (at most {ALLOWED_MS:.0f}). Training: {figures['steps_a_second'][0]} "
        f"steps/s alone, {figures['steps_a_second'][1]} with the requests: {figures['slowed']:.1%} slower (at most "
        f"{ALLOWED_LOSS:.0%}). CPU of its thread: {figures['cpu_ms_a_step']} ms a step ({figures['cpu_slowed']:+.1%}); "
        f"the other threads take {figures['others_share']:.1%} of a core."
    )
    return 0

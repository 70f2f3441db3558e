"""A real AUTOMATIC1111 WebUI in a process of its own, on a free port, with folders of its own."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sdft_ext.toy.install import install

ROOT = Path(__file__).resolve().parent.parent.parent
WEBUI = os.environ.get("SDFT_WEBUI_DIR", "")
PROMPT, SEED = "a red circle on a white background", 5


@dataclass
class WebUI:
    port: int
    data: Path
    log: Path

    def ask(self, path: str, body: object = None, timeout: float = 300, **query: str) -> Any:
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)

    @property
    def startup(self) -> dict[str, float]:
        """Seconds of each part of the start, and of the whole as "total", as the WebUI prints them."""
        line = re.search(r"Startup time: ([\d.]+)s \((.*)\)", self.log.read_text(errors="replace"))
        assert line is not None
        parts = dict(part.rsplit(": ", 1) for part in line[2].split(", "))
        return {"total": float(line[1]), **{name: float(value.rstrip("s")) for name, value in parts.items()}}

    def picture(self, prompt: str, seed: int = SEED, steps: int = 8) -> np.ndarray:
        return self.pictures(prompt, 1, seed=seed, steps=steps, cfg_scale=3.5, sampler_name="Euler a")[0]

    def pictures(self, prompt: str, count: int, **settings: object) -> list[np.ndarray]:
        """``settings`` as in the WebUI's API."""
        body = {"prompt": prompt, "batch_size": count, "width": 64, "height": 64, **settings}
        images = self.ask("/sdapi/v1/txt2img", body)["images"]
        return [np.asarray(Image.open(io.BytesIO(base64.b64decode(image))).convert("RGB")) for image in images]

    def trained(self) -> dict[str, Any]:
        """Waits for the run's end."""
        for _ in range(1200):
            found: dict[str, Any] = self.ask("/lending/outcome")
            if "seconds" in found:
                return found
            time.sleep(0.25)
        raise AssertionError(f"the run has no end: {self.ask('/lending/outcome')}")


@contextmanager
def started(
    data: Path, *more: str, extension: bool = True, lending: bool = True, put: Callable[[Path], Path] = install
) -> Iterator[WebUI]:
    """With the Fine-tune extension as users have it, and a second one whose routes do what tests want done in there."""
    for folder in ("models/Stable-diffusion", "models/Lora", "extensions"):
        (data / folder).mkdir(parents=True)
    if extension:
        (data / "extensions" / "sdft").symlink_to(ROOT)
    if lending:
        (data / "extensions" / "sdft-lending").symlink_to(ROOT / "tests" / "host" / "extension")
    checkpoint = put(data / "models" / "Stable-diffusion")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    surroundings = {
        "SDFT_ROOT": str(ROOT), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False",
        "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    arguments = [
        "--skip-prepare-environment", "--skip-torch-cuda-test", "--no-half", "--precision", "full", "--use-cpu", "all",
        "--api", "--port", str(port), "--no-download-sd-model", "--do-not-download-clip",
        "--disable-console-progressbars", "--data-dir", str(data), "--ckpt", str(checkpoint),
        *more,
    ]  # fmt: skip
    ui = WebUI(port, data, data / "log.txt")
    with ui.log.open("wb") as log:
        process = subprocess.Popen(
            [str(Path(WEBUI, "venv", "bin", "python")), "launch.py", *arguments],
            cwd=WEBUI, env={**os.environ, **surroundings}, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,  # noqa: E501
        )  # fmt: skip
    try:
        for _ in range(1200):
            text = ui.log.read_text(errors="replace")
            assert process.poll() is None, text[-3000:]
            if "Startup time:" in text and "Model loaded in" in text:
                break
            time.sleep(0.25)
        else:
            raise AssertionError(text[-3000:])
        yield ui
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

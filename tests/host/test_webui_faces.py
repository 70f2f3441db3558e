"""Faces with what a WebUI carries: in its own Python, with its own module, without starting it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.host.webui_process import ROOT, WEBUI

pytestmark = [
    pytest.mark.webui,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no installed WebUI"),
]

FIND = """
import json, sys
sys.path[:0] = sys.argv[1:3]
from skimage import data
from PIL import Image
from sdft_ext.host.webui.faces import faces
from modules.textual_inversion import autocrop
from sdft_ext.dataset.buckets import Bucket, Geometry
from sdft_ext.dataset.folder import Picture
from sdft_ext.preparation.focus import CropFinder
import pathlib
astronaut = Image.fromarray(data.astronaut())
file = pathlib.Path(sys.argv[3]) / "a.png"
astronaut.save(file)
picture = Picture(file, 0, False, 512, 512, "", 1, None, False, 1, 1)
tall = Geometry(Bucket(256, 512), (512, 512), 128, 0)
print(json.dumps({
    "astronaut": faces(astronaut),
    "cup": faces(Image.fromarray(data.coffee())),
    "crop": CropFinder(faces).place(picture, tall, "faces").x,
    "file": pathlib.Path(autocrop.model_file_path).exists(),
}))
"""


def test_a_face_is_found_without_a_download_and_the_crop_contains_it(tmp_path: Path) -> None:
    before = {path.name for path in Path(WEBUI, "models").rglob("*.onnx")}
    command = [str(Path(WEBUI, "venv", "bin", "python")), "-c", FIND, WEBUI, str(ROOT), str(tmp_path)]
    environment = {**os.environ, "COMMANDLINE_ARGS": ""}
    done = subprocess.run(command, cwd=WEBUI, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    ((left, top, right, bottom),) = found["astronaut"]
    assert left < 0.44 < right and top < 0.22 < bottom, "scikit-image's astronaut looks at us there"
    assert found["cup"] == []
    assert abs(found["crop"] + 128 - 512 * (left + right) / 2) <= 1
    assert {path.name for path in Path(WEBUI, "models").rglob("*.onnx")} == before

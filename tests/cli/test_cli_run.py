"""Whole runs from the command line, on the toy model: train, stop by Ctrl-C, resume, report, sample."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from sdft_ext.cli.main import FAILED, INTERRUPTED, OK, main

ROOT = Path(__file__).parents[2]
TOY = ROOT / "assets" / "toy" / "toy.safetensors"
pytestmark = pytest.mark.slow


@pytest.fixture
def recipe(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(4):
        Image.new("RGB", (64, 64), (60 * number, 0, 255)).save(pictures / f"a sks shape {number}.png")
    path = tmp_path / "cat.yaml"
    path.write_text(
        f"model: {{base: '{TOY}'}}\n"
        "dataset: {resolution: 64, concepts: [{instance: pictures, trigger: sks}]}\n"
        "train: {length: 4, batch_size: 2, learning_rate: 1e-3}\n"
        "save: {name: cat}\n"
        "watch: {concept_prompts: [a sks shape], size: 64, sampler_steps: 2}\n"
    )
    return path


def status(folder):
    return json.loads((folder / "status.json").read_text(encoding="utf-8"))


def losses(folder):
    lines = (json.loads(text) for text in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return [json.dumps([line["step"], line["loss"], line["smoothed"]]) for line in lines if "loss" in line]


def test_train_report_sample(recipe, tmp_path, capsys):
    assert main(["train", str(recipe), "train.length=3"]) == OK
    run = tmp_path / "runs" / "cat"
    said = capsys.readouterr()
    assert str(run / "report.md") in said.out and "Training: 3 of 3" in said.err
    assert len(losses(run)) == 3 and status(run)["state"] == "finished"
    assert main(["report", str(run)]) == OK
    data = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert data["outcome"] == "finished" and data["readback_max_diff"] < 1e-2
    sample = ["sample", "a shape", "--base", str(TOY), "--size", "64", "--steps", "2", "--out"]
    assert main([*sample, str(tmp_path / "with"), "--lora", f"{data['saves'][-1]}:0.5"]) == OK
    assert main([*sample, str(tmp_path / "without")]) == OK
    one, two = (Image.open(next((tmp_path / name).glob("*.png"))) for name in ("with", "without"))
    assert one.size == (64, 64) and one.tobytes() != two.tobytes()
    assert main(["train", str(recipe), "train.length=1", "--quiet"]) == OK  # beside the first, not over it
    assert (tmp_path / "runs" / "cat-2" / "report.md").exists() and len(losses(run)) == 3


def test_a_run_that_diverges_fails(recipe, tmp_path):
    settings = ["train.learning_rate=1", "train.length=200", "train.schedule=constant", "--quiet"]
    assert main(["train", str(recipe), *settings]) == FAILED
    data = json.loads((tmp_path / "runs" / "cat" / "report.json").read_text(encoding="utf-8"))
    assert data["outcome"] == "failed" and "learning rate" in data["message"]
    assert status(tmp_path / "runs" / "cat")["state"] == "failed"


@pytest.mark.skipif(os.name == "nt", reason="signals are sent in another way there")
def test_ctrl_c_saves_and_resume_continues(recipe, tmp_path):
    run, whole = tmp_path / "runs" / "cat", tmp_path / "whole" / "cat"
    long = ["train.length=30", "train.schedule=constant"]
    command = [sys.executable, "-m", "sdft_ext", "train", str(recipe), *long]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not ((run / "log.jsonl").exists() and len(losses(run)) >= 3):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, said
    assert "Traceback" not in said[1] and "resume goes on" in said[1]
    stopped = len(losses(run))
    assert 3 <= stopped < 30 and status(run)["state"] == "stopped"
    assert main(["resume", str(run), "--quiet"]) == OK
    assert main(["train", str(recipe), *long, f"save.output={tmp_path / 'whole'}", "--quiet"]) == OK
    assert losses(run) == losses(whole) and len(losses(run)) == 30

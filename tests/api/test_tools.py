"""Tools over HTTP: each setting changes what is made, nothing is overwritten, and what is stopped leaves nothing
behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from safetensors.torch import load_file, save_file

from sdft_ext.cli.main import main
from sdft_ext.desk import Desk
from sdft_ext.formats.tensor_file import TensorFile
from sdft_ext.model.load import load
from sdft_ext.storage import json_file
from sdft_ext.tools.catalog import TOOLS
from sdft_ext.tools.merge import merge
from tests.api.conftest import our_page
from tests.desk import setting
from tests.desk.setting import until
from tests.method.perturbed import lora

V1 = "/sdft/v1"


@pytest.fixture(scope="module")
def files(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two LoRAs and a LoHa of the tiny base, a checkpoint that has learned, the base as a .ckpt with an EMA copy."""
    folder = tmp_path_factory.mktemp("models")
    base, model = data / "base.safetensors", load(data / "base.safetensors")
    found = {"base": base}
    for number, kind in enumerate(("lora", "lora", "loha")):
        found[f"{kind}{number}"] = lora(model, folder / f"{kind}{number}.safetensors", kind, number)
    merge(base, [(found["lora0"], 1.0)], folder / "tuned.safetensors")
    found["tuned"], found["ckpt"] = folder / "tuned.safetensors", folder / "old.ckpt"
    tensors = load_file(base)
    ema = {"model_ema.diffusion_modelx": torch.zeros(3)}
    torch.save({"state_dict": {**tensors, **ema}, "optimizer": [1]}, found["ckpt"])
    return found


@pytest.fixture
def desk(data: Path, files: dict[str, Path], tmp_path: Path) -> Iterator[Desk]:
    made = setting.desk(data, tmp_path / "runs", roots=(files["lora0"].parent,))
    yield made
    made.close()


@pytest.fixture
def client(desk: Desk) -> TestClient:
    return our_page(desk)


def begin(client: TestClient, tool: str, name: str = "result", **settings: Any) -> Any:
    plain = json.loads(json.dumps(settings, default=str))
    return client.post(f"{V1}/tools", json={"tool": tool, "name": name, "settings": plain})


def job(client: TestClient) -> dict[str, Any]:
    return client.get(f"{V1}/tools/job").json()  # type: ignore[no-any-return]


def made(client: TestClient, tool: str, name: str = "result", **settings: Any) -> Path:
    answer = begin(client, tool, name, **settings)
    assert answer.status_code == 200, answer.text
    until(lambda: job(client)["state"] != "working")
    assert job(client)["state"] == "finished", job(client)["message"]
    return Path(job(client)["target"])


def rows(*pairs: tuple[Path, float]) -> list[dict[str, Any]]:
    return [{"file": str(path), "weight": weight} for path, weight in pairs]


def test_results_equal_those_of_the_command_line(client: TestClient, files: dict[str, Path], tmp_path: Path) -> None:
    target = made(client, "merge", base=files["base"], loras=rows((files["lora0"], 0.5), (files["loha2"], 1)))
    command = ["tools", "merge", str(files["base"]), f"{files['lora0']}:0.5", str(files["loha2"])]
    assert main([*command, "--out", str(tmp_path / "other.safetensors")]) == 0
    assert target.read_bytes() == (tmp_path / "other.safetensors").read_bytes()
    state = job(client)
    assert target == tmp_path / "runs" / "made" / "result.safetensors" and str(target) in state["message"]
    assert "tensors changed" in state["message"] and state["done"] == state["total"] > 100
    listed = {one["path"]: one for one in client.get(f"{V1}/tools").json()["files"]}
    assert listed[str(target)]["kind"] == "checkpoint" and listed[str(files["base"])]["kind"] == "checkpoint"


OTHERWISE: dict[tuple[str, str], tuple[Any, Any]] = {
    ("merge", "base"): ("base", "tuned"),
    ("merge", "loras"): ([("lora0", 1.0)], [("lora0", 0.5)]),
    ("merge", "precision"): ("", "bf16"),
    ("extract", "base"): ("base", "ckpt2"),
    ("extract", "tuned"): ("tuned", "tuned2"),
    ("extract", "rank"): (0, 2),
    ("extract", "error"): (0, 0.4),
    ("extract", "precision"): ("fp32", "fp16"),
    ("resize", "source"): ("lora0", "loha2"),
    ("resize", "rank"): (3, 2),
    ("resize", "error"): (0, 0.6),
    ("resize", "precision"): ("fp16", "bf16"),
    ("merge-loras", "files"): ([("lora0", 1.0), ("lora1", 1.0)], [("lora0", 1.0), ("lora1", -1.0)]),
    ("merge-loras", "rank"): (0, 2),
    ("merge-loras", "error"): (0, 0.5),
    ("merge-loras", "precision"): ("fp16", "fp32"),
    ("convert", "source"): ("ckpt", "tuned"),
    ("convert", "form"): ("checkpoint", "folder"),
    ("convert", "precision"): ("", "fp16"),
    ("convert", "keep_ema"): (False, True),
    ("metadata", "file"): ("lora0", "loha2"),
    ("scan", "file"): ("ckpt", "base"),
}
"""Of each setting of each tool, two values that make different files."""


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_setting_changes_what_is_made(
    client: TestClient, files: dict[str, Path], tmp_path: Path, tool: Any
) -> None:
    more = dict(files)
    for name, of in (("ckpt2", "base"), ("tuned2", "tuned")):  # the same with one weight changed
        tensors = load_file(files[of])
        key = next(key for key in tensors if key.endswith("attn1.to_q.weight"))
        more[name] = files["lora0"].parent / f"{name}-{tool.name}.safetensors"
        save_file({**tensors, key: tensors[key] + torch.eye(*tensors[key].shape)}, more[name])

    def value(given: Any) -> Any:
        if isinstance(given, list):
            return rows(*((more[name], weight) for name, weight in given))
        return str(more[given]) if isinstance(given, str) and given in more else given

    plain = {field.name: value(OTHERWISE[tool.name, field.name][0]) for field in tool.fields}
    seen: dict[str, Any] = {}
    for number, changed in enumerate(["", *(field.name for field in tool.fields)]):
        settings = {**plain, **({changed: value(OTHERWISE[tool.name, changed][1])} if changed else {})}
        if tool.makes is None:
            answer = client.post(f"{V1}/tools/look", json={"tool": tool.name, "settings": settings})
            assert answer.status_code == 200, answer.text
            seen[changed] = answer.json()
        else:
            target = made(client, tool.name, f"result {number}", **settings)
            seen[changed] = "folder" if target.is_dir() else {k: (v.dtype, v.numpy(force=True).tobytes() if v.dtype != torch.bfloat16 else v.float().numpy().tobytes()) for k, v in load_file(target).items()}  # fmt: skip  # noqa: E501
        assert changed == "" or seen[changed] != seen[""], changed


def test_the_command_line_has_the_same_tools(capsys: pytest.CaptureFixture[str]) -> None:
    names = {"source": "LORA", "base": "BASE", "tuned": "TUNED", "loras": "LORA[:WEIGHT]", "files": "LORA[:WEIGHT]"}
    for tool in TOOLS:
        with pytest.raises(SystemExit):
            main(["tools", tool.name, "--help"])
        help_text = capsys.readouterr().out
        for field in tool.fields:
            word = {**names, "file": "FILE", "form": "OUT", **({"source": "IN"} if tool.name == "convert" else {})}
            assert word.get(field.name, f"--{field.name.replace('_', '-')}") in help_text, (tool.name, field.name)


def test_nothing_is_written_over(client: TestClient, files: dict[str, Path], tmp_path: Path) -> None:
    there = tmp_path / "runs" / "made" / "mine.safetensors"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"mine")
    for name in ("mine", "mine.safetensors", " MINE "):
        answer = begin(client, "resize", name, source=files["lora0"], rank=2)
        assert answer.status_code == 400 and "files are never overwritten" in answer.json()["detail"]
        assert "mine-2" in answer.json()["detail"].lower()
    assert there.read_bytes() == b"mine" and job(client)["state"] == "idle"


def test_a_run_that_has_no_save_yet_keeps_its_name(client: TestClient, files: dict[str, Path], tmp_path: Path) -> None:
    facts = tmp_path / "runs" / "some" / "facts.json"
    facts.parent.mkdir(parents=True)
    facts.write_text('{"stem": "taken"}')
    assert begin(client, "resize", "taken", source=files["lora0"], rank=2).status_code == 400


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../outside", "a/b", "a\\b", "/etc/x", "nul", "a\nb", "x" * 200, ".hidden."]
)
def test_a_name_is_a_name(client: TestClient, files: dict[str, Path], tmp_path: Path, name: str) -> None:
    answer = begin(client, "resize", name, source=files["lora0"], rank=2)
    assert answer.status_code == 400 and "The name of the result" in answer.json()["detail"]
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"source": "lora0", "rank": 1.5}, "whole number"),
        ({"source": "lora0", "rank": -1}, "whole number"),
        ({"source": "lora0", "rank": "4"}, "whole number"),
        ({"source": "lora0", "error": 1}, "between 0 and 1"),
        ({"source": "lora0", "error": "x"}, "between 0 and 1"),
        ({"source": "lora0", "rank": 2, "precision": "fp8"}, "choose one of"),
        ({"source": "", "rank": 2}, "choose a file"),
        ({"source": 7, "rank": 2}, "choose a file"),
        ({"source": "/nowhere/x.safetensors", "rank": 2}, "does not exist"),
        ({"source": "x.safetensors", "rank": 2}, "not an absolute path"),
        ({"source": "lora0", "weight": 2}, "no setting"),
    ],
)
def test_what_is_wrong_is_said(
    client: TestClient, files: dict[str, Path], settings: dict[str, Any], words: str
) -> None:
    named = {key: str(files[value]) if value in files else value for key, value in settings.items()}
    answer = begin(client, "resize", **named)
    assert answer.status_code in (400, 404) and words in answer.json()["detail"]


def test_the_tools_own_sentence_ends_it(client: TestClient, files: dict[str, Path], tmp_path: Path) -> None:
    for settings, words in (({"rank": 0}, "Set a rank"), ({"source": files["base"], "rank": 2}, "base.safetensors")):
        assert begin(client, "resize", **{"source": files["lora0"], **settings}).status_code == 200
        until(lambda: job(client)["state"] != "working")
        assert job(client)["state"] == "failed" and words in job(client)["message"]
        assert "Unexpected" not in job(client)["message"]
    assert not list((tmp_path / "runs" / "made").iterdir())
    broken = files["lora0"].parent / "broken.safetensors"
    broken.write_bytes(b"\xff" * 100)
    answer = client.post(f"{V1}/tools/look", json={"tool": "metadata", "settings": {"file": str(broken)}})
    assert answer.status_code == 400 and "broken.safetensors is not a safetensors file" in answer.json()["detail"]
    broken.unlink()


def test_it_is_stopped_and_leaves_no_half_file(
    client: TestClient, desk: Desk, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    half, go = threading.Event(), threading.Event()
    read = TensorFile.__getitem__

    def slow(self: TensorFile, key: str) -> torch.Tensor:
        if any(desk.tools.files.made.glob(".result-*")):
            half.set()
            assert go.wait(30)
        return read(self, key)

    monkeypatch.setattr(TensorFile, "__getitem__", slow)
    assert begin(client, "merge", base=files["base"], loras=rows((files["lora0"], 1))).status_code == 200
    assert half.wait(30), "the file is half written"
    assert job(client)["state"] == "working"
    again = begin(client, "merge", "other", base=files["base"], loras=rows((files["lora0"], 1)))
    assert again.status_code == 409 and "already running" in again.json()["detail"]
    assert client.post(f"{V1}/tools/stop", json={}).status_code == 200
    go.set()
    until(lambda: job(client)["state"] == "stopped")
    assert list(desk.tools.files.made.iterdir()) == [] and "nothing was written" in job(client)["message"]
    assert client.post(f"{V1}/tools/stop", json={}).status_code == 409


def test_a_training_run_continues(client: TestClient, desk: Desk, data: Path, files: dict[str, Path]) -> None:
    run = desk.runs.start(setting.values(data, "train.length=100000", "save.every=0"))
    until(lambda: setting.state(desk, run) == "training")
    made(client, "merge", base=files["base"], loras=rows((files["lora0"], 1)))
    step = desk.library.status(run)["step"]
    until(lambda: desk.library.status(run)["step"] > step)
    assert setting.state(desk, run) == "training"
    desk.runs.stop(run)
    assert desk.queue.wait(60)
    saves = [one for one in client.get(f"{V1}/tools").json()["files"] if one["group"] == "Saves of runs"]
    assert [(one["kind"], run in one["name"]) for one in saves] == [("lora", True)] * len(saves) and saves
    made(client, "resize", "smaller", source=saves[0]["path"], rank=1)


def test_an_ended_job_is_already_in_its_file(
    client: TestClient, desk: Desk, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came of it is in the file too, however long writing takes."""
    write = json_file.write

    def slow(path: Path, value: Any) -> None:
        if path.name == "tool.json" and value["state"] != "working":
            time.sleep(0.5)
        write(path, value)

    monkeypatch.setattr(json_file, "write", slow)
    made(client, "resize", source=files["lora0"], rank=2)
    kept = json.loads((tmp_path / "runs" / ".desk" / "tool.json").read_text())
    assert kept["state"] == "finished" and kept["message"] == job(client)["message"] != ""


KILLED = """
import os, sys, time
from pathlib import Path
from sdft_ext.formats.tensor_file import TensorFile
from tests.desk import setting
data, runs, base, lora = map(Path, sys.argv[1:])
desk = setting.desk(data, runs)
read = TensorFile.__getitem__
def killing(self, key):
    if any(desk.tools.files.made.glob(".result-*")):
        os._exit(9)
    return read(self, key)
TensorFile.__getitem__ = killing
desk.tools.start("merge", "result", {"base": str(base), "loras": [{"file": str(lora)}]})
time.sleep(60)
"""


@pytest.mark.slow
def test_what_a_killed_program_has_left_is_taken_away(data: Path, files: dict[str, Path], tmp_path: Path) -> None:
    base = tmp_path / "base.safetensors"
    base.hardlink_to(files["base"])
    base.with_suffix(".yaml").write_text("model: {}\n")
    arguments = [data, tmp_path / "runs", base, files["lora0"]]
    command = [sys.executable, "-c", KILLED, *(str(one) for one in arguments)]
    assert subprocess.run(command, cwd=Path(__file__).parents[2], check=False).returncode == 9
    folder = tmp_path / "runs" / "made"
    assert sorted(path.name[:8] for path in folder.iterdir()) == [".result-", "result.y"]
    again = setting.desk(data, tmp_path / "runs")
    state = job(our_page(again))
    assert state["state"] == "stopped" and "Interrupted" in state["message"]
    assert list(folder.iterdir()) == []
    again.close()


def test_a_finished_job_is_there_after_a_restart(
    client: TestClient, data: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    made(client, "resize", source=files["lora0"], rank=2)
    again = setting.desk(data, tmp_path / "runs")
    assert job(our_page(again)) == job(client)
    again.close()


def test_a_checkpoint_is_chosen_only_where_there_is_a_list(client: TestClient, files: dict[str, Path]) -> None:
    made(client, "merge", base=files["base"], loras=rows((files["lora0"], 1)))
    assert job(client)["makes"] == "checkpoint"
    answer = client.post(f"{V1}/tools/checkpoint", json={})
    assert answer.status_code == 409 and "no txt2img here" in answer.json()["detail"]


def test_facts_and_imports(client: TestClient, files: dict[str, Path]) -> None:
    def look(tool: str, file: Path) -> dict[str, Any]:
        answer = client.post(f"{V1}/tools/look", json={"tool": tool, "settings": {"file": str(file)}})
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    inspected = look("metadata", files["lora0"])
    facts = {fact["name"]: fact["value"] for fact in inspected["facts"]}
    assert facts["Kind"] == "LoRA" and facts["Ranks"].startswith("4 (") and facts["Number formats"].startswith("F32 (")
    assert {"name": "ss_tag_frequency", "value": '{"a": 1}'} in inspected["metadata"]
    half = files["lora0"].with_name("half.safetensors")
    save_file({"lora_unet_x.lora_down.weight": torch.zeros(4, 8)}, half)
    facts = {fact["name"]: fact["value"] for fact in look("metadata", half)["facts"]}
    assert facts["Kind"] == "LoRA" and "half.safetensors" in facts["Problem"]
    half.unlink()
    assert look("scan", files["ckpt"])["verdict"] == "harmless"
    evil = files["ckpt"].with_name("evil.ckpt")

    class Attack:
        def __reduce__(self) -> Any:
            return os.system, ("echo hacked",)

    torch.save({"state_dict": {"a.b": torch.zeros(2)}, "x": Attack()}, evil)
    found = look("scan", evil)
    assert found["verdict"] == "dangerous" and "dangerous" in {one["verdict"] for one in found["imports"]}
    torch.save({"state_dict": {"a.b": torch.zeros(2)}, "x": setting.desk}, evil)  # a class that nobody knows
    assert look("scan", evil)["verdict"] == "suspicious"
    evil.write_bytes(evil.read_bytes()[:-400])
    assert client.post(f"{V1}/tools/look", json={"tool": "scan", "settings": {"file": str(evil)}}).status_code == 400
    evil.write_bytes(b"\x80\x04cdecimal\nDecimal\n0X\x01\x00\x00\x00xQ.")
    found = look("scan", evil)
    assert found["verdict"] == "damaged" and "checkpoints don't use" in found["message"]
    evil.unlink()


def test_where_others_can_reach_it_files_outside_are_refused(
    data: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    desk = setting.desk(data, tmp_path / "runs", local=False)
    client = our_page(desk)
    outside = str(files["lora0"])
    for answer in (
        begin(client, "resize", source=outside, rank=2),
        begin(client, "merge", base=data / "base.safetensors", loras=rows((files["lora0"], 1))),
        client.post(f"{V1}/tools/look", json={"tool": "metadata", "settings": {"file": outside}}),
        client.post(f"{V1}/tools/look", json={"tool": "metadata", "settings": {"file": "/etc/passwd"}}),
    ):
        assert answer.status_code == 403 and "allowed folders" in answer.json()["detail"]
    assert job(client)["state"] == "idle"
    desk.close()

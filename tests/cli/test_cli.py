"""The command line, as a user meets it: exit codes, help, and one sentence for each error."""

import os
import pickle
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from sdft_ext.cli.main import FAILED, OK, USAGE, main
from sdft_ext.cli.signals import UNKNOWN
from sdft_ext.recipe import FULL, LORA_FAMILY, WORDS, MethodName, Recipe, presets
from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.docs import markdown
from sdft_ext.recipe.rules import fields
from tests.analysis import images
from tests.run import tiny

ROOT = Path(__file__).parents[2]


def run(*arguments, **more):
    """Another process, as from a shell."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "sdft_ext", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=60, encoding="utf-8", **more
    )


def failed(capsys, code, *parts):
    """Exactly one sentence on stderr, nothing on stdout."""
    said = capsys.readouterr()
    assert code != OK and said.out == ""
    assert said.err.startswith("sdft: ") and said.err.count("\n") == 1 and "Traceback" not in said.err
    assert all(str(part) in said.err for part in parts), said.err


def test_help_is_quick_and_names_every_setting():
    started = time.perf_counter()
    done = run("train", "--help")
    seconds = time.perf_counter() - started
    assert done.returncode == 0 and done.stderr == ""
    for setting in fields(Recipe):
        assert f"  {setting.path}=" in done.stdout
    loaded = run("--version", cwd=ROOT)
    assert loaded.returncode == 0 and seconds < 10  # a busy machine; what matters is the next test


def test_help_loads_nothing_heavy():
    program = (
        "import sys, sdft_ext.cli.main as c\ntry: c.main(['train', '--help'])\nexcept SystemExit: "
        "pass\nprint(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, encoding="utf-8")
    modules = done.stdout.splitlines()[-1]
    assert "'sdft_ext.cli.main'" in modules
    assert not any(f"'{name}'" in modules for name in ("torch", "numpy", "PIL", "diffusers", "transformers"))


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["train"], ["convert", "a"], ["recipe", "nonsense"]])
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == USAGE and "usage" in capsys.readouterr().err


def test_the_printed_recipe_is_one(capsys, tmp_path):
    assert main(["recipe"]) == OK
    text = capsys.readouterr().out
    assert recipe_file.loads(text) == Recipe() and text.count("# ") >= len(list(fields(Recipe)))
    assert main(["recipe", "--docs"]) == OK
    assert capsys.readouterr().out == markdown()


@pytest.mark.parametrize("method", get_args(MethodName))
def test_a_methods_recipe_holds_its_own_settings_and_begins_as_its_preset(method, capsys):
    assert main(["recipe", method]) == OK
    text = capsys.readouterr().out
    recipe = recipe_file.loads(text.replace('trigger: ""', 'trigger: "sks"'))
    values = {setting.path: setting.value for setting in fields(recipe)}
    wanted = {**presets.start(method, "subject", "sd1", 512), "dataset.concepts.0.trigger": "sks"}
    used = {setting.path for setting in fields(recipe) if not setting.methods or method in setting.methods}
    assert {path: values[path] for path in wanted if path in used} == {
        path: wanted[path] for path in wanted if path in used
    }
    for name, whose in (
        ("lora", LORA_FAMILY),
        ("embedding", WORDS),
        ("hypernetwork", ("hypernetwork",)),
        ("full", FULL),
    ):
        assert (f"\n  {name}:\n" in text) == (method in whose), name


def test_recipes_that_can_not_be_used(capsys, tmp_path):
    missing, path = tmp_path / "no.yaml", tmp_path / "cat.yaml"
    assert main(["train", str(missing)]) == USAGE
    failed(capsys, USAGE, missing)
    path.write_text("train: {lerning_rate: 1}")
    assert main(["train", str(path)]) == USAGE
    failed(capsys, USAGE, path, "train.lerning_rate", "train.learning_rate")
    path.write_text("")
    assert main(["train", str(path), "train.batch_size=many"]) == USAGE
    failed(capsys, USAGE, "train.batch_size", "many", "whole number")


def test_folders_that_are_not_runs(capsys, tmp_path):
    for command in ("resume", "report"):
        assert main([command, str(tmp_path)]) == USAGE
        failed(capsys, USAGE, tmp_path)


def test_files_that_are_not_there(capsys, tmp_path):
    assert main(["scan", str(tmp_path / "a.ckpt")]) == USAGE
    failed(capsys, USAGE, tmp_path / "a.ckpt")
    assert main(["convert", str(tmp_path / "a.ckpt"), str(tmp_path / "b.safetensors")]) == USAGE
    failed(capsys, USAGE, tmp_path / "a.ckpt")
    assert main(["dataset", "report", str(tmp_path / "none")]) == USAGE
    failed(capsys, USAGE, tmp_path / "none")


class Malicious:
    def __reduce__(self):
        return os.system, ("touch IT_RAN",)


def test_a_malicious_pickle_is_named_and_not_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("bad.ckpt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"state_dict": Malicious()}, protocol=2))
    assert main(["scan", "bad.ckpt"]) == FAILED
    said = capsys.readouterr()
    assert "system" in said.out and "bad.ckpt" in said.out
    assert not Path("IT_RAN").exists()


@pytest.mark.parametrize(
    "name",
    [
        "code.InteractiveInterpreter",
        "importlib.import_module",
        "marshal.loads",
        "multiprocessing.util.spawnv_passfds",
        "numpy.__builtins__",
        "torch.hub.load",
    ],
)
def test_scan_passes_no_import_that_it_does_not_know(name, capsys, tmp_path):
    """Each of these can run programs (mmaitre314/picklescan#74, protectai/modelscan#330, #331, #338)."""
    module, _, attribute = name.rpartition(".")
    path = tmp_path / "unknown.ckpt"
    path.write_bytes(b"\x80\x02c" + f"{module}\n{attribute}\n".encode() + b"(X\x01\0\0\0xtR.")
    assert main(["scan", str(path)]) in (FAILED, UNKNOWN)
    assert "could run programs" in capsys.readouterr().out


def test_scan_reads_safetensors_that_are_called_ckpt(capsys, tmp_path):
    save_file({"a": np.ones(2, np.float32)}, str(tmp_path / "a.ckpt"))
    code = main(["scan", str(tmp_path / "a.ckpt")])
    said = capsys.readouterr()
    assert "cut off" not in said.err
    assert code == OK and "1 tensor, 0 imports" in said.out


def test_scan_and_convert(capsys, tmp_path):
    source, target = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_file({"model.x": np.ones((2, 2), np.float32), "model_ema.x": np.ones((2, 2), np.float32)}, str(source))
    assert main(["scan", str(source)]) == OK
    assert "2 tensors" in capsys.readouterr().out
    for command in (["convert"], ["tools", "convert"]):
        assert main([*command, str(source), str(target), "--precision", "fp16"]) == OK
        assert capsys.readouterr().out == f"{target}: 1 tensor from {source}.\n"
        assert {name: array.dtype for name, array in load_file(str(target)).items()} == {"model.x": np.float16}
        assert main([*command, str(source), str(target)]) == USAGE
        failed(capsys, USAGE, target, "exists")
        target.unlink()


def test_a_folder_is_reported_as_a_dataset(capsys, tmp_path):
    for number in range(3):
        Image.new("RGB", (64, 64), (number * 80, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"")
    toy = ["dataset.resolution=64", "dataset.bucket_min=32", "dataset.bucket_step=16", "dataset.bucket_max=128"]
    assert main(["dataset", "report", str(tmp_path), *toy]) == OK
    said = capsys.readouterr().out
    assert "3 pictures" in said and "64×64" in said and "broken.png" in said


def test_debug_shows_where(capsys, tmp_path):
    for arguments in (["--debug", "resume", str(tmp_path)], ["resume", str(tmp_path), "--debug"]):
        assert main(arguments) == USAGE
        assert "Traceback" in capsys.readouterr().err


def test_an_unexpected_error_says_so(capsys, monkeypatch, tmp_path):
    def broken(*_):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(recipe_file, "read", broken)
    assert main(["train", "x"]) == FAILED
    failed(capsys, FAILED, "ZeroDivisionError", "oops", "--debug")


def test_hardly_meant_settings_are_mentioned(capsys, tmp_path):
    path = tmp_path / "cat.yaml"
    path.write_text(f"model: {{base: {tmp_path / 'no.safetensors'}}}\ntrain: {{schedule_steps: '1e-4'}}\n")
    assert main(["train", str(path), f"save.output={tmp_path / 'out'}", "--quiet"]) in (USAGE, FAILED)
    assert "note: train.schedule_steps" in capsys.readouterr().err


def test_masked_loss_without_any_mask_is_mentioned(capsys, data, tmp_path):
    """The masks lie in another folder (derrian-distro/LoRA_Easy_Training_Scripts#331)."""
    images.save(tmp_path / "pictures" / "a.png")
    images.save(tmp_path / "masks" / "a.png", images.image(mode="L"))
    settings = [f"dataset.concepts.0.instance={tmp_path / 'pictures'}", "train.masked_loss=true", "train.length=1"]
    recipe_file.write(tmp_path / "r.yaml", tiny.recipe(data, tmp_path / "runs", *settings))
    main(["train", str(tmp_path / "r.yaml")])
    said = "".join(capsys.readouterr()).replace(str(tmp_path), "").replace("train.masked_loss", "")
    assert "mask" in said.lower()


def test_a_closed_pipe_is_not_an_error():
    if os.name == "nt":
        pytest.skip("no shell pipe")
    command = f"{sys.executable} -m sdft_ext recipe --docs | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "# Recipe\n" and done.stderr == "" and done.returncode == 0


def test_settings_may_stand_after_options(capsys, tmp_path):
    """argparse alone takes 'RECIPE --quiet a=b' for an unknown argument."""
    (tmp_path / "r.yaml").write_text("train:\n  seed: 1\n")
    for arguments in (["--quiet", "train.sed=2"], ["train.sed=2", "--quiet"]):
        assert main(["train", str(tmp_path / "r.yaml"), *arguments]) == USAGE
        assert "train.sed" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["uvicorn", "fastapi"])
def test_the_page_names_the_package_that_it_lacks(package):
    code = f"import sys; sys.modules['{package}'] = None; import sdft_ext.ui.standalone"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"The page needs {package}") and "pip install '.[page]'" in done.stderr


def test_a_home_folder_that_does_not_exist_is_named(capsys):
    assert main(["scan", "~no-such-user/model.ckpt"]) != OK
    assert "sdft: unexpected" not in capsys.readouterr().err
    assert main(["tools", "metadata", "~no-such-user/model.safetensors"]) != OK
    said = capsys.readouterr().err
    assert "sdft: unexpected" not in said and "~" in said


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_full_memory_is_an_error_message_on_the_command_line(error, monkeypatch, capsys):
    def full(*arguments, **more):
        raise error

    monkeypatch.setattr("sdft_ext.formats.single_file.scan", full)
    assert main(["scan", str(Path(__file__))]) == FAILED
    assert "The computer's memory is full: close other programs" in capsys.readouterr().err

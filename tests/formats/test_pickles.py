"""Old checkpoints: read without running anything in them."""

import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile

import pytest
import torch

from sdft_ext.errors import ModelError
from sdft_ext.formats import pickles, single_file

LIGHTNING = "pytorch_lightning"
WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.ids": torch.arange(4), "model_ema.decay": torch.tensor(0.9)}


class Attack:
    """Runs a command when it is unpickled unsafely."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture(autouse=True)
def without_lightning():
    yield
    forget()


def forget():
    for name in [name for name in sys.modules if name.startswith(LIGHTNING)]:
        del sys.modules[name]


def lightning(**more):
    """Make a checkpoint like a Lightning trainer's, with classes of missing packages among the tensors."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    for parent in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        sys.modules[parent] = types.ModuleType(parent)
    module = types.ModuleType(name)
    kind = type("ModelCheckpoint", (), {"__module__": module.__name__})
    module.ModelCheckpoint = kind
    sys.modules[module.__name__] = module
    half = WEIGHTS["a.weight"].half()
    return {
        "epoch": 3,
        "callbacks": {kind: {"best": kind()}},
        "state_dict": {**WEIGHTS, "c": half, "d": half.t()},
        **more,
    }


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_lightning_files_are_read_without_their_classes(tmp_path, new):
    path = tmp_path / "old.ckpt"
    torch.save(lightning(), path, _use_new_zipfile_serialization=new)
    forget()
    tensors, report = pickles.load_tensors(path)
    assert torch.equal(tensors["a.weight"], WEIGHTS["a.weight"]) and torch.equal(tensors["b.ids"], WEIGHTS["b.ids"])
    assert tensors["c"].dtype == torch.float16 and torch.equal(tensors["d"], tensors["c"].t())
    assert LIGHTNING not in sys.modules
    assert "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint" in {i.name for i in report.imports}
    assert {i.verdict for i in report.imports if i.name == "torch._utils._rebuild_tensor_v2"} == {"tensors"}


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("where", ["beside", "inside"])
def test_malicious_files_do_not_run(tmp_path, new, where):
    witness, path = tmp_path / "ran", tmp_path / "evil.ckpt"
    attack = Attack(f"touch {witness}")
    content = lightning(extra=attack) if where == "beside" else {"state_dict": {**WEIGHTS, "x": [attack]}}
    torch.save(content, path, _use_new_zipfile_serialization=new)
    tensors, _ = pickles.load_tensors(path)
    report = pickles.scan(path)
    assert not witness.exists()
    assert torch.equal(tensors["a.weight"], WEIGHTS["a.weight"]) and "x" not in tensors
    assert report.dangerous and "dangerous" in report.text and "system" in report.text


def test_nested_calls_to_builtins_do_nothing(tmp_path):
    program = b"".join(
        [b"\x80\x02}", b"X\x01\x00\x00\x00k", b"c__builtin__\neval\n", b"(X\x0a\x00\x00\x00__import__", b"tR", b"s."]
    )
    path = tmp_path / "evil.pt"
    path.write_bytes(program)
    with pytest.raises(ModelError, match="no tensors"):
        pickles.load_tensors(path)
    assert pickles.scan(path).dangerous


def test_a_pickle_with_a_storage_of_its_own_kind_is_refused(tmp_path):
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, 2)
    pickler.persistent_id = lambda thing: ("module", "os") if isinstance(thing, bytearray) else None
    pickler.dump({"x": bytearray(b"1")})
    path = tmp_path / "odd.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", stream.getvalue())
    with pytest.raises(ModelError, match="checkpoints don't use"):
        pickles.load_tensors(path)


@pytest.mark.parametrize("cut", [0, 1, 40, 600])
def test_cut_files_are_named(tmp_path, cut):
    torch.save({"state_dict": WEIGHTS}, tmp_path / "whole.ckpt")
    path = tmp_path / "cut.ckpt"
    path.write_bytes((tmp_path / "whole.ckpt").read_bytes()[:cut])
    with pytest.raises(ModelError, match=r"cut\.ckpt"):
        single_file.read(path)


def test_files_that_are_not_models_are_named(tmp_path):
    page = tmp_path / "page.safetensors"
    page.write_text("<!DOCTYPE html><html>")
    with pytest.raises(ModelError, match="web page"):
        single_file.read(page)
    renamed = tmp_path / "renamed.safetensors"
    torch.save(WEIGHTS, renamed)
    with pytest.raises(ModelError, match="zip archive"):
        single_file.read(renamed)
    archive = tmp_path / "archive.ckpt"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(ModelError, match="without a checkpoint"):
        single_file.read(archive)
    short = tmp_path / "short.safetensors"
    short.write_bytes(struct.pack("<Q", 1000) + b'{"a":')
    with pytest.raises(ModelError, match="cut off"):
        single_file.read(short)
    with pytest.raises(ModelError, match="doesn't exist"):
        single_file.read(tmp_path / "none.safetensors")


def test_ordered_dicts_and_bare_state_dicts(tmp_path):
    path = tmp_path / "bare.pt"
    torch.save(collections.OrderedDict(WEIGHTS), path)
    assert set(pickles.load_tensors(path)[0]) == set(WEIGHTS)

"""Damaged and hostile pickles."""

import logging
import os
import pickle
import random
import struct
import subprocess
import sys
import zipfile

import pytest
import torch

from sdft_ext.errors import ModelError
from sdft_ext.formats import pickles, single_file

WEIGHTS = {"a.weight": torch.arange(50.0), "b.weight": torch.ones(3, 3).half(), "n": torch.tensor(1.5)}


def unicode(word):
    return b"X" + struct.pack("<I", len(word.encode())) + word.encode()


def name(module, attribute):
    return unicode(module) + unicode(attribute) + b"\x93"


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_damage_anywhere_is_an_error_that_names_the_file(tmp_path, new):
    whole = tmp_path / "whole.ckpt"
    torch.save({"state_dict": WEIGHTS, "other": {"k": [1, (2, None)]}}, whole, _use_new_zipfile_serialization=new)
    content, rng, path, failed = whole.read_bytes(), random.Random(1), tmp_path / "damaged.ckpt", 0
    for _ in range(400):
        damaged = bytearray(content[: rng.randrange(2, len(content))] if rng.random() < 0.3 else content)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(min(len(damaged), 900))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            pickles.load_tensors(path)
        except ModelError as error:
            assert "damaged.ckpt" in str(error)
            failed += 1
    assert failed > 50


def test_nothing_that_resolves_can_be_changed_by_a_pickle(tmp_path):
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    changes = {
        "defaults": rebuild + b"N}" + unicode("__defaults__") + b"(K\x01ts\x86b.",
        "attributes": rebuild + b"}" + unicode("evil") + b"K\x01sb.",
        "OrderedDict": name("collections", "OrderedDict") + b"N}" + unicode("update") + b"Ns\x86b.",
    }
    for kind, program in changes.items():
        path = tmp_path / f"{kind}.pt"
        path.write_bytes(b"\x80\x04" + program)
        with pytest.raises(ModelError, match="can't be read as a checkpoint"):
            pickles.load_tensors(path)
    torch.save(WEIGHTS, tmp_path / "good.pt")
    assert torch.equal(pickles.load_tensors(tmp_path / "good.pt")[0]["a.weight"], WEIGHTS["a.weight"])


def test_a_chain_of_getattr_and_exec_stays_inert(tmp_path):
    witness = tmp_path / "ran"
    call = name("builtins", "getattr") + name("os", "path") + unicode("join") + b"\x86R"
    run = name("builtins", "exec") + unicode(f"open({str(witness)!r}, 'w')") + b"\x85R"
    opened = name("pathlib", "Path.touch") + name("pathlib", "PosixPath") + unicode(str(witness)) + b"\x85R\x85R"
    path = tmp_path / "chain.pt"
    path.write_bytes(
        b"\x80\x04}" + b"".join(unicode(k) + v + b"s" for k, v in zip("abc", (call, run, opened), strict=True)) + b"."
    )
    report = pickles.scan(path)
    with pytest.raises(ModelError, match="no tensors"):
        pickles.load_tensors(path)
    assert not witness.exists()
    verdicts = {found.name: found.verdict for found in report.imports}
    assert verdicts["builtins.exec"] == verdicts["builtins.getattr"] == "dangerous"
    assert {"os.path", "pathlib.Path.touch", "pathlib.PosixPath"} <= set(verdicts)


def test_a_file_whose_tensors_cannot_be_read_is_scanned(tmp_path):
    path = tmp_path / "odd.pt"
    path.write_bytes(b"\x80\x04" + name("os", "system") + unicode("true") + b"\x85R0" + unicode("x") + b"Q.")
    report = pickles.scan(path)
    assert report.dangerous and "checkpoints don't use" in report.text
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ModelError, match=r"text\.pt is not a checkpoint"):
        pickles.scan(tmp_path / "text.pt")
    with pytest.raises(ModelError, match="doesn't exist"):
        pickles.scan(tmp_path / "none.pt")


def test_names_in_a_file_cannot_control_the_terminal(tmp_path):
    path = tmp_path / "colours.pt"
    path.write_bytes(b"\x80\x04" + name("os\x1b[2J", "sys\ntem") + b".")
    text = pickles.scan(path).text
    assert "\x1b" not in text and len(text.splitlines()) == 3


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_intact_files_are_scanned_without_warnings(tmp_path, new, caplog):
    path = tmp_path / "sound.ckpt"
    torch.save({"state_dict": WEIGHTS}, path, _use_new_zipfile_serialization=new)
    with caplog.at_level(logging.WARNING):
        report = pickles.scan(path)
    assert not caplog.records and not report.problem and report.tensors == 3
    assert {found.verdict for found in report.imports} == {"tensors"}


def test_a_compressed_archive_is_not_inflated(tmp_path):
    torch.save(WEIGHTS, tmp_path / "good.ckpt")
    packed = tmp_path / "packed.ckpt"
    with (
        zipfile.ZipFile(tmp_path / "good.ckpt") as source,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for member in source.namelist():
            target.writestr(member, source.read(member))
    with pytest.raises(ModelError, match="compressed or encrypted"):
        pickles.load_tensors(packed)


def test_a_tensor_cannot_be_larger_than_its_storage(tmp_path):
    class Blown:
        def __reduce__(self):
            return torch.as_strided, (torch.ones(1), (1 << 40,), (0,))

    path = tmp_path / "blown.ckpt"
    torch.save({"a": torch.ones(1).expand(1 << 40)}, path)
    with pytest.raises(ModelError, match="larger than its data in the file"):
        pickles.load_tensors(path)
    torch.save({"a": torch.ones(1), "b": Blown()}, path)
    assert set(pickles.load_tensors(path)[0]) == {"a"}


def test_tensors_of_a_zip_are_read_on_access_and_do_not_change_the_file(tmp_path):
    path = tmp_path / "good.ckpt"
    torch.save({"state_dict": WEIGHTS}, path)
    before = path.read_bytes()
    tensors, _ = pickles.load_tensors(path)
    tensors["a.weight"] += 1
    assert torch.equal(tensors["a.weight"], WEIGHTS["a.weight"] + 1) and path.read_bytes() == before


BESIDE = """
import sys, threading, time
from sdft_ext.errors import ModelError
from sdft_ext.formats import pickles
gaps = [0.0]
def beat():
    last = time.monotonic()
    while True:
        time.sleep(0.05)
        now = time.monotonic()
        gaps.append(now - last)
        last = now
threading.Thread(target=beat, daemon=True).start()
print("begun", flush=True)
try:
    pickles.scan(sys.argv[1])
except ModelError:
    pass
print(max(gaps))
"""


@pytest.mark.slow
def test_a_key_nested_64_deep_ends_soon_and_blocks_no_other_thread(tmp_path):
    """Each tuple contains the one before it twice: 461 bytes, whose hash would take forever."""
    path = tmp_path / "nested.ckpt"
    tuples = b"".join(b"0h" + bytes([level]) + b"h" + bytes([level]) + b"\x86\x94" for level in range(64))
    path.write_bytes(b"\x80\x04K\x01\x94" + tuples + b"0}h@K\x01s.")
    with subprocess.Popen([sys.executable, "-c", BESIDE, str(path)], stdout=subprocess.PIPE, text=True) as scanning:
        assert scanning.stdout.readline() == "begun\n"
        try:
            scanning.wait(timeout=10)
            longest = scanning.stdout.readline()
        finally:
            scanning.kill()
    assert float(longest) < 3


def test_embeddings_and_hypernetworks_are_named(tmp_path):
    files = {
        "an embedding": {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.ones(1, 8)}, "name": "x"},
        "a hypernetwork": {320: ({"linear.0.weight": torch.ones(2)}, {}), "step": 1},
    }
    for words, content in files.items():
        path = tmp_path / "file.pt"
        torch.save(content, path)
        with pytest.raises(ModelError, match=rf"file\.pt is {words}"):
            single_file.read(path)


def test_the_readers_own_imports_are_not_those_of_the_file(tmp_path):
    class Command:
        def __reduce__(self):
            return os.popen, ("true",)

    path = tmp_path / "evil.ckpt"
    path.write_bytes(pickle.dumps({"state_dict": {"w": 1}, "x": Command()}))
    report = pickles.scan(path)
    assert [found.name for found in report.imports if found.verdict == "dangerous"] == ["os.popen"]

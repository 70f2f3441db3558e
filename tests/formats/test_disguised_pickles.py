"""Pickles in other clothes: called .safetensors, in old torch's tar, or with names that lead through other modules."""

from __future__ import annotations

import io
import struct
import tarfile
from pathlib import Path

import pytest
import torch

from sdft_ext.errors import ModelError
from sdft_ext.formats import single_file
from sdft_ext.formats.pickle_report import verdict

EVIL = b"cos\nsystem\n(S'touch ran'\ntR."


def named(module: bytes, name: bytes) -> bytes:
    texts = b"".join(b"X" + struct.pack("<I", len(text)) + text for text in (module, name))
    return b"\x80\x04" + texts + b"\x93(tR."


def test_a_pickle_that_is_called_safetensors_is_judged(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(EVIL)
    with pytest.raises(ModelError, match=r"a\.safetensors is called \.safetensors, but is a pickle that could run"):
        single_file.scan(path)
    torch.save({"a.weight": torch.ones(2)}, path)
    with pytest.raises(ModelError, match="change its extension"):
        single_file.scan(path)
    for data, words in ((b"<html>", "web page"), (b"", "is empty"), (b"{}" * 50, "not a safetensors file")):
        path.write_bytes(data)
        with pytest.raises(ModelError, match=words):
            single_file.scan(path)


@pytest.mark.parametrize("member", ["pickle", "storages", "tensors"])
def test_the_pickles_of_a_tar_are_judged(member: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.pt", "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            data = EVIL if name == member else b"K\x00."
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    report = single_file.scan(tmp_path / "a.pt")
    assert report.dangerous and [found.name for found in report.imports] == ["os.system"]


@pytest.mark.parametrize(
    ("module", "name", "expected"),
    [
        ("torch", "serialization.os.system", "dangerous"),
        ("torch.utils", "data.dataloader.os.system", "dangerous"),
        ("numpy", "testing.subprocess.Popen", "dangerous"),
        ("collections", "OrderedDict.fromkeys", "suspicious"),
        ("a", ".".join("b" * 400), "suspicious"),
    ],
)
def test_names_that_lead_through_other_modules(module: str, name: str, expected: str, tmp_path: Path) -> None:
    assert verdict(module, name) == expected
    (tmp_path / "a.ckpt").write_bytes(named(module.encode(), name.encode()))
    assert single_file.scan(tmp_path / "a.ckpt").verdict == expected

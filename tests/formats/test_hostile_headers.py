"""Damaged or malicious headers of safetensors files: each reader reports them with a clear error."""

import json
import struct
import time

import pytest
import torch
from safetensors.torch import save_file

from sdft_ext.cli.main import OK, main
from sdft_ext.desk.model_files import _kind_of_content
from sdft_ext.errors import SdftError
from sdft_ext.formats import embedding, kohya, single_file
from sdft_ext.formats.quick_look import FIRST, model_kind
from sdft_ext.formats.tensor_file import TensorFile, TensorFileError
from sdft_ext.tools.describe import describe

ENTRY = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
HEADERS = {
    "metadata is a list": '{"__metadata__":[1],"a":' + ENTRY + "}",
    "metadata is a number": '{"__metadata__":5,"a":' + ENTRY + "}",
    "metadata holds a number": '{"__metadata__":{"a":1},"a":' + ENTRY + "}",
    "a list": "[1]",
    "deep": '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
    "deep metadata": '{"__metadata__":{"a":' + '{"a":' * 50_000 + "1" + "}" * 50_001 + "}",
    "an entry is a number": '{"a":1}',
    "an entry is a list": '{"a":[]}',
    "no shape": '{"a":{"dtype":"F32","data_offsets":[0,4]}}',
    "shape is a text": '{"a":{"dtype":"F32","shape":"1","data_offsets":[0,4]}}',
    "shape holds a text": '{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}',
    "shape is negative": '{"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}',
    "shape is endless": '{"a":{"dtype":"F32","shape":[' + "9223372036854775807," * 5000 + '1],"data_offsets":[0,4]}}',
    "offsets are texts": '{"a":{"dtype":"F32","shape":[1],"data_offsets":["0","4"]}}',
    "one offset": '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}',
    "dtype is a list": '{"a":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}}',
    "dtype is unknown": '{"a":{"dtype":"F4","shape":[1],"data_offsets":[0,4]}}',
    "no JSON": "{" + "x" * 100,
    "the first layer is a number": json.dumps({FIRST: 1}),
    "the first layer's shape is a text": json.dumps({FIRST: {"shape": "x"}}),
    "brackets": '{"a":[' + "[]," * 3_000_000 + "1]}",
}


@pytest.fixture(params=HEADERS)
def bad(request, tmp_path):
    path, header = tmp_path / "bad.safetensors", HEADERS[request.param].encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0\0\0")
    return path


def test_every_reader_names_the_file(bad, capsys):
    readers = [TensorFile, single_file.read, single_file.scan, kohya.read, describe, lambda p: embedding.read(p, 1)]
    readers.append(lambda path: embedding.bundled(path, 1))
    for reader in readers:
        with pytest.raises(SdftError, match=r"bad\.safetensors"):
            reader(bad)
    assert embedding.metadata(bad) == {}
    assert model_kind(str(bad)).family == "sd1"
    assert _kind_of_content(bad) == "other"
    for command in (["scan", str(bad)], ["tools", "metadata", str(bad)]):
        assert main(command) != OK
        said = capsys.readouterr()
        assert "unexpected" not in said.err and "bad.safetensors" in said.err and len(said.err) < 2000


@pytest.mark.parametrize("length", [0, 1, 2**40, 2**63, 99_000_000])
def test_a_header_of_an_absurd_length_is_refused(length, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(TensorFileError, match=r"bad\.safetensors"):
        TensorFile(path)


def test_a_header_with_many_keys_is_read_soon(tmp_path):
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({f"k{number}": entry for number in range(100_000)}).encode()
    path, start = tmp_path / "many.safetensors", time.monotonic()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    assert single_file.scan(path).tensors == 100_000
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    "value",
    ["[" * 900 + "]" * 900, "[" * 100_000, '{"a":' * 30 + "1" + "}" * 30, "[NaN]", "[1e999]", '["\\ud800"]', "[]"],
    ids=["deep", "endless", "nested", "NaN", "infinite", "surrogate", "list"],
)
def test_texts_in_the_metadata_are_shown_whatever_they_are(value, tmp_path, capsys):
    path = tmp_path / "a.safetensors"
    save_file({"a.lora_down.weight": torch.ones(1, 1)}, path, {"ss_tag_frequency": value})
    found = describe(path)
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    assert found["metadata"]["ss_tag_frequency"] == ([] if value == "[]" else value)
    assert main(["tools", "metadata", str(path), "--json"]) == OK
    assert main(["tools", "metadata", str(path)]) == OK

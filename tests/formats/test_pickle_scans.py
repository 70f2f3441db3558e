"""A scan must find every pickle in a file that some program would load, and every unknown import."""

import io
import pickle
import struct
import tarfile
import time
import zipfile

import pytest
import torch
from safetensors.torch import save

from sdft_ext.errors import ModelError
from sdft_ext.formats import pickle_machine, pickle_report, pickles, single_file

EVIL = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."
GOOD = b"\x80\x02}."
WEIGHTS = {"a.weight": torch.arange(6.0), "b.weight": torch.ones(2, 2).half()}


def archive(path, *members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def checkpoint(path):
    torch.save({"state_dict": WEIGHTS}, path)
    return path


def verdict(path):
    return single_file.scan(path).verdict


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "members",
    [
        [("a/b/data.pkl", GOOD), ("a/data.pkl", EVIL)],
        [("a/version", b"3\n"), ("z/data.pkl", GOOD), ("a/data.pkl", EVIL)],
        [("xdata.pkl", GOOD), ("archive/data.pkl", EVIL)],
        [("a/data.pkl", GOOD), ("a/data.pkl", EVIL)],
        [("a/data.pkl", EVIL), ("a/data.pkl", GOOD)],
        [("a/data.pkl", GOOD), ("A/DATA.PKL", EVIL)],
        [("a/data.pkl", GOOD), ("a/constants.pkl", EVIL)],
        [("a/data.pkl", GOOD), ("a/notes", EVIL)],
        [("a/data.pkl", GOOD + EVIL)],
        [("a/data.pkl", GOOD + GOOD + EVIL)],
    ],
    ids=lambda members: " ".join(name for name, _ in members),
)
def test_every_pickle_of_an_archive_is_judged(members, tmp_path):
    path = archive(tmp_path / "a.ckpt", *members)
    report = single_file.scan(path)
    assert report.dangerous and "os.system" in report.text


def test_what_two_programs_read_differently_is_refused(tmp_path):
    good = checkpoint(tmp_path / "good.ckpt").read_bytes()
    first = good.index(b"data.pkl")
    renamed = tmp_path / "renamed.ckpt"
    renamed.write_bytes(good[:first] + b"dbtb" + good[first + 4 :])
    commented = tmp_path / "commented.ckpt"
    commented.write_bytes(good[:-2] + b"\x05\x00hello")
    for path in (renamed, commented):
        assert verdict(path) in ("suspicious", "damaged")
        with pytest.raises(ModelError, match=path.name):
            pickles.load_tensors(path)
    assert verdict(tmp_path / "good.ckpt") == "harmless"


def test_a_pickle_with_an_archive_behind_it_is_judged_as_a_pickle(tmp_path):
    """torch decides by the first bytes, zipfile by the last."""
    path = tmp_path / "both.ckpt"
    path.write_bytes(EVIL + checkpoint(tmp_path / "good.ckpt").read_bytes())
    assert verdict(path) == "dangerous"


def test_what_follows_a_pickle_is_judged(tmp_path):
    path = tmp_path / "two.pt"
    path.write_bytes(GOOD + EVIL)
    assert verdict(path) == "dangerous"
    legacy = tmp_path / "legacy.pt"
    torch.save(WEIGHTS, legacy, _use_new_zipfile_serialization=False)
    assert verdict(legacy) == "harmless"
    legacy.write_bytes(legacy.read_bytes() + EVIL)
    assert verdict(legacy) == "dangerous"
    path.write_bytes(GOOD + b"\x07 no pickle")
    assert verdict(path) == "damaged"


def test_pickles_without_a_protocol_and_in_other_containers_are_not_harmless(tmp_path):
    old = tmp_path / "old.pt"
    old.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert verdict(old) == "dangerous"
    tar, data = tmp_path / "tar.pt", io.BytesIO(EVIL)
    with tarfile.open(tar, "w:") as file:
        member = tarfile.TarInfo("pickle")
        member.size = len(EVIL)
        file.addfile(member, data)
    assert verdict(tar) != "harmless"
    packed = archive(tmp_path / "packed.ckpt", ("a/data.pkl", EVIL * 9), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match="compressed"):
        pickles.scan(packed)


def test_safetensors_that_are_also_a_pickle_are_not_harmless(tmp_path):
    data = save({"a": torch.ones(2)})
    path = tmp_path / "a.ckpt"
    path.write_bytes(data)
    assert verdict(path) == "harmless"
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    # The length's first byte is 'c': a global, of which the header's line breaks end module and name.
    header = (header.rstrip().replace(b"{", b"{\n", 1) + b"\n").ljust(0x63)
    path.write_bytes(struct.pack("<Q", 0x63) + header + data[8 + int.from_bytes(data[:8], "little") :])
    assert verdict(path) == "suspicious"


def test_a_frame_that_hides_its_end_is_not_harmless(tmp_path):
    """python/cpython#154848: the C unpickler then reads other bytes than these."""
    path = tmp_path / "frame.pt"
    path.write_bytes(b"\x80\x05\x95" + struct.pack("<Q", 5) + b"B" + struct.pack("<I", 20) + b"A" * 20 + b".")
    with pytest.raises(ModelError, match="crosses the end of a frame"):
        pickles.scan(path)
    for protocol in (4, 5):
        path.write_bytes(pickle.dumps({"x": [1, b"y" * 100_000, list(range(50_000))]}, protocol))
        assert verdict(path) == "harmless"


def test_imports_behind_an_error_are_listed(tmp_path):
    path = tmp_path / "error.pt"
    path.write_bytes(b"\x80\x02ctorch._utils\n_rebuild_tensor\n}bcos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    assert verdict(path) == "dangerous"
    path.write_bytes(b"\x80\x04K\x01b\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93.")
    assert verdict(path) == "dangerous"


def test_attributes_of_an_ordered_dict_are_not_set(tmp_path):
    path = tmp_path / "items.pt"
    state = b"ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00itemsK\x01sb"
    path.write_bytes(b"\x80\x02}X\x0a\x00\x00\x00state_dict" + state + b"s.")
    with pytest.raises(ModelError, match="no tensors"):
        pickles.load_tensors(path)


@pytest.mark.parametrize(
    "program",
    [
        b"0" + b"}" + b"".join(b"K\x01(K\x01K\x02ts" for _ in range(3)) + b".",
        b"]" * 3_000_000 + b".",
        b"(" * 3_000_000 + b".",
        b"}" + b"X\x01\x00\x00\x00k" + b"\x8b\x00\x00\x10\x00" + b"\x01" * 2**20 + b"s.",
        b"".join(b"cm%d\nn\n0" % number for number in range(pickle_report.MAX_IMPORTS + 5)) + b"}.",
    ],
    ids=["keys", "lists", "marks", "long number", "imports"],
)
def test_what_would_take_long_or_much_ends_soon(program, tmp_path, monkeypatch):
    monkeypatch.setattr(pickle_machine, "MAX_STEPS", 100_000)
    monkeypatch.setattr(pickles, "MAX_STEPS", 100_000)
    path, start = tmp_path / "long.pt", time.monotonic()
    path.write_bytes(b"\x80\x04N" + program)
    try:
        pickles.scan(path)
    except ModelError as error:
        assert "long.pt" in str(error)
    assert time.monotonic() - start < 20


def test_a_tensor_of_impossible_sizes_is_refused(tmp_path):
    number = b"\x8a\xff" + b"\x7f" * 255
    sizes = b"(" + number * 200 + b"t"
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ"
    path = tmp_path / "sizes.pt"
    path.write_bytes(b"\x80\x02ctorch._utils\n_rebuild_tensor\n(" + storage + b"K\x00" + sizes + sizes + b"tR.")
    report = pickles.scan(path)
    assert report.verdict == "damaged" and "impossible sizes" in report.text

"""Pickles that would run something, hurt, lie or break: old checkpoints, embeddings and hypernetworks.

``expected`` is the verdict of ``scan`` (dangerous, suspicious, damaged, harmless; refused: no file to judge), ``more``
whether the weight in it is read: True where its values are exactly right, False where the file is refused by name.
"""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import torch

from .kind import Kind, Maker, wrote
from .pickle_parts import (
    DATA,
    PROTO,
    RAN,
    archive,
    bare,
    beside,
    by_python,
    changed,
    directory,
    inside,
    legacy,
    named,
    put,
    shell,
    storage,
    table,
    tensor,
    text,
    weights,
)

SYSTEM = b"cos\nsystem\n"


def system(folder: Path) -> bytes:
    return SYSTEM + text(shell(folder)) + b"\x85R"


def python(folder: Path) -> str:
    return f"open({str(folder / RAN)!r}, 'w')"


def call(module: str, name: str, *arguments: bytes) -> bytes:
    return b"c" + f"{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR"


def deep(count: int, opener: bytes, closer: bytes) -> bytes:
    return opener * count + b"N" + closer * count


CALLS = [
    ("REDUCE of os.system", system),
    ("INST of posix.system", lambda f: b"(" + text(shell(f)) + b"iposix\nsystem\n"),
    ("OBJ of subprocess.Popen", lambda f: b"(csubprocess\nPopen\n(" + text("touch") + text(str(f / RAN)) + b"lo"),
    ("NEWOBJ of subprocess.call", lambda f: b"csubprocess\ncall\n(" + text("touch") + text(str(f / RAN)) + b"l\x85\x81"),
    ("NEWOBJ_EX of os.system", lambda f: SYSTEM + text(shell(f)) + b"\x85}\x92"),
    ("exec by Python 2's name of builtins", lambda f: call("__builtin__", "exec", text(python(f)))),
    ("eval", lambda f: call("builtins", "eval", text(python(f)))),
    ("compile and a function of its code", lambda f: call("builtins", "compile", text(python(f)), text(""), text("exec"))),
    ("__import__", lambda f: call("builtins", "__import__", text("antigravity"))),
    ("importlib.import_module", lambda f: call("importlib", "import_module", text("antigravity"))),
    ("getattr chain to exec", lambda f: call("builtins", "getattr", named("builtins", "object"), text("__subclasses__"))),
    ("a name with dots, to the globals of a function", lambda f: named("os", "path.os.system") + text(shell(f)) + b"\x85R"),
    ("a global of an opcode in protocol 4", lambda f: named("os", "system") + text(shell(f)) + b"\x85R"),
    ("a module named from the memo", lambda f: text("os") + b"q\x070" + text("system") + b"q\x080h\x07h\x08\x93" + text(shell(f)) + b"\x85R"),
    ("functools.partial", lambda f: call("functools", "partial", SYSTEM, text(shell(f)))),
    ("operator.attrgetter", lambda f: call("operator", "attrgetter", text("system"))),
    ("runpy", lambda f: call("runpy", "_run_code", text(python(f)), b"}")),
    ("marshal.loads", lambda f: call("marshal", "loads", b"C\x01N")),
    ("a pickle inside a pickle", lambda f: call("_pickle", "loads", b"B" + struct.pack("<I", len(PROTO + system(f) + b".")) + PROTO + system(f) + b".")),
    ("torch.load of another file", lambda f: call("torch", "load", text("other.pt"))),
    ("torch.hub.load", lambda f: call("torch.hub", "load", text("someone/something"), text("x"))),
    ("ctypes.CDLL", lambda f: call("ctypes", "CDLL", text("libc.so.6"))),
    ("pty.spawn", lambda f: call("pty", "spawn", text("true"))),
    ("webbrowser.open", lambda f: call("webbrowser", "open", text("http://localhost:1"))),
    ("shutil.rmtree", lambda f: call("shutil", "rmtree", text(str(f / "nothing")))),
    ("io.open of a new file", lambda f: call("io", "open", text(str(f / RAN)), text("w"))),
    ("code.InteractiveInterpreter", lambda f: call("code", "InteractiveInterpreter")),
    ("multiprocessing.Process", lambda f: call("multiprocessing", "Process")),
    ("BUILD of the table of modules", lambda f: b"csys\nmodules\n" + table(json=SYSTEM) + b"b"),
    ("a second copy of a name after harmless ones", lambda f: b"ctorch\nSize\n0" * 50 + system(f)),
    ("a pop that hides the result of a call", lambda f: system(f) + b"0N"),
]  # fmt: skip
ODD_CALLS = [
    ("a module's name with a letter of another alphabet", lambda f: named("\u043es", "system") + text(shell(f)) + b"\x85R"),
    ("a look-alike of torch's own function", lambda f: call("torch._util", "_rebuild_tensor_v2", text(shell(f)))),
    ("an attribute of torch's own function", lambda f: named("torch._utils", "_rebuild_tensor_v2.__globals__")),
    ("an attribute of a storage's class", lambda f: named("torch", "FloatStorage.__init__")),
    ("a number of the registry of extensions", lambda f: b"\x82\x07"),
    ("a large number of the registry of extensions", lambda f: b"\x84\xff\xff\xff\x7f"),
    ("an import that nobody knows", lambda f: call("a_model_of_mine", "Trainer")),
    ("a name with control characters", lambda f: named("a\x1b[2J\u202e", "b\nc\0")),
    ("a name of lone surrogates", lambda f: named("\ud800", "\udfff")),
    ("a name of 100,000 letters", lambda f: named("a" * 100_000, "b")),
]  # fmt: skip
HARMLESS = [
    ("numpy's array next to the weights", lambda f: call("numpy.core.multiarray", "_reconstruct", b"cnumpy\nndarray\n", b"K\0\x85", b"C\x01b")),
    ("lists inside lists, 20,000 deep", lambda f: b"]" * 20_000 + b"a" * 19_999),
    ("a list that contains itself", lambda f: b"]q\x01h\x01a"),
    ("a table that contains itself", lambda f: b"}q\x01" + text("x") + b"h\x01s"),
    ("a billion laughs of lists", lambda f: b"]q\x01" + b"".join(b"0](" + b"h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(1, 60))),
    ("a number of 2,000 bytes", lambda f: b"\x8b\xd0\x07\0\0" + b"\x7f" * 2000),
]  # fmt: skip
KEYS = b"".join(b"0h" + bytes([n]) + b"h" + bytes([n]) + b"\x86q" + bytes([n + 1]) for n in range(64))
HURTS = [
    ("a key of nested tuples whose hash never ends", b"K\x01q\x00" + KEYS + b"0}h@K\x01s", "harmless", True),
    ("a tensor as a key", b"}" + tensor() + b"K\x01s", "harmless", True),
    ("a list as a key", b"}]K\x01s", "harmless", True),
    ("a long list made into a table again and again", b"(" + b"(K\x01K\x02t" * 5_000 + b"lq\x010" + b"ccollections\nOrderedDict\nh\x01\x85R0" * 5_000 + b"N", "damaged", False),
    ("a stretched tensor made into a table", b"ccollections\nOrderedDict\n" + tensor(size=b"J\0\0\x40\0K\x02\x86", stride=b"K\0K\0\x86") + b"\x85R", "damaged", False),
    ("a text made into a table", b"ccollections\nOrderedDict\n" + text("ab") + b"\x85R", "damaged", False),
    ("a table with a key and no value", b"}(" + text("x") + b"u", "damaged", False),
    ("a call of a tensor's kind", b"ctorch\nFloatStorage\n)R", "damaged", False),
    ("a call of a number", b"K\x01)R", "damaged", False),
    ("an item of a number", b"K\x01K\x02a", "damaged", False),
    ("a state for a number", b"K\x01K\x02b", "damaged", False),
    ("attributes of an OrderedDict", b"ccollections\nOrderedDict\n)R" + table(items=b"K\x01") + b"b", "harmless", True),
    ("defaults of torch's own function", b"ctorch._utils\n_rebuild_tensor_v2\n" + table(__defaults__=b"N") + b"b", "damaged", False),
    ("a stack that is empty", b"0" * 9, "damaged", False),
    ("a mark that isn't there", b"t" * 9, "damaged", False),
    ("a value of the memo that isn't there", b"h\xff", "damaged", False),
    ("a place of the memo at four thousand million", b"Nr\xff\xff\xff\xff", "harmless", True),
    ("a stored object of no kind", text("x") + b"Q", "damaged", False),
    ("a stored object by protocol 0", b"Px\n", "damaged", False),
    ("a stored module with its source", b"(" + text("module") + SYSTEM + text("a.py") + text("import os") + b"tQ", "dangerous", False),
    ("a text that isn't UTF-8", b"X\x02\0\0\0\xff\xfe", "damaged", False),
    ("a text longer than the file", b"X\xff\xff\xff\x7fabc", "damaged", False),
    ("bytes of 2 to the power of 63", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", "damaged", False),
    ("a number of 5,000 digits", b"I" + b"9" * 5000 + b"\n", "damaged", False),
    ("a number that is none", b"Iabc\n", "damaged", False),
    ("an unknown opcode", b"\xff", "damaged", False),
    ("a frame inside a frame", b"\x95\x20\0\0\0\0\0\0\0\x95\x05\0\0\0\0\0\0\0N", "damaged", False),
    ("a buffer outside the file", b"\x97", "harmless", True),
]  # fmt: skip
WEIGHTS = [
    ("a weight larger than its data", text("a.weight") + tensor(size=b"J\xff\xff\xff\x7f\x85", stride=b"K\0\x85") + b"s"),
    ("a weight that begins behind its data", text("a.weight") + tensor(offset=b"K\x63") + b"s"),
    ("a weight of a negative size", text("a.weight") + tensor(size=b"J\xff\xff\xff\xff\x85") + b"s"),
    ("a weight of a negative stride", text("a.weight") + tensor(stride=b"J\xff\xff\xff\xff\x85") + b"s"),
    ("a weight whose size is a text", text("a.weight") + tensor(size=text("4")) + b"s"),
    ("a weight with sizes but no strides", text("a.weight") + tensor(stride=b")") + b"s"),
    ("a weight with 70 dimensions", text("a.weight") + tensor(size=b"(" + b"K\x01" * 70 + b"t", stride=b"(" + b"K\x01" * 70 + b"t") + b"s"),
    ("a weight whose data are missing", text("a.weight") + tensor(storage(text("7"))) + b"s"),
    ("a weight whose data are in another folder", text("a.weight") + tensor(storage(text("../../a/data/0"))) + b"s"),
    ("a weight of a storage of no kind", text("a.weight") + tensor(storage(kind=b"N")) + b"s"),
    ("a weight without storage", text("a.weight") + tensor(b"N") + b"s"),
    ("a weight as a numpy array", text("a.weight") + call("numpy.core.multiarray", "_reconstruct", b"cnumpy\nndarray\n", b"K\0\x85", b"C\x01b") + b"s"),
    ("a weight that is quantized", text("a.weight") + call("torch._utils", "_rebuild_qtensor", storage(), b"K\0") + b"s"),
    ("a weight that is sparse", text("a.weight") + tensor() + b"s" + text("b.weight") + call("torch._utils", "_rebuild_sparse_tensor", b"N") + b"s"),
    ("no weight at all", b""),
    ("weights that are texts", text("a.weight") + text("0.1") + b"s"),
]  # fmt: skip


def zipped(*members: tuple[str, Any], compression: int = zipfile.ZIP_STORED) -> Maker:
    def make(folder: Path, _: Random) -> Path:
        with zipfile.ZipFile(folder / "bad.ckpt", "w", compression) as file:
            for name, data in members:
                file.writestr(zipfile.ZipInfo(name), data(folder) if callable(data) else data, compression)
        return folder / "bad.ckpt"

    return make


def evil(folder: Path) -> bytes:
    return weights(system(folder))


def packed_in_tar(folder: Path, _: Random) -> Path:
    with tarfile.open(folder / "bad.pt", "w:") as file:
        member = tarfile.TarInfo("pickle")
        member.size = len(evil(folder))
        file.addfile(member, io.BytesIO(evil(folder)))
    return folder / "bad.pt"


def two_archives(folder: Path, _: Random) -> Path:
    first = archive(folder / "one.ckpt", evil(folder)).read_bytes()
    path = archive(folder / "bad.ckpt", weights())
    path.write_bytes(first + path.read_bytes())
    (folder / "one.ckpt").unlink()
    return path


def numpy_file(folder: Path, _: Random) -> Path:
    import numpy

    with open(folder / "bad.pt", "wb") as file:
        numpy.save(file, numpy.ones(3))
    return folder / "bad.pt"


ARCHIVES = [
    ("a decoy before the real pickle", zipped(("a/b/data.pkl", weights()), ("a/data.pkl", evil), ("a/data/0", DATA)), "dangerous", True),
    ("two pickles of the same name", zipped(("a/data.pkl", weights()), ("a/data.pkl", evil), ("a/data/0", DATA)), "dangerous", False),
    ("two pickles whose names differ in case", zipped(("a/data.pkl", weights()), ("A/DATA.PKL", evil), ("a/data/0", DATA)), "dangerous", False),
    ("a pickle under another name", zipped(("a/data.pkl", weights()), ("a/notes.txt", evil), ("a/data/0", DATA)), "dangerous", True),
    ("a second pickle behind the first", lambda f, _: archive(f / "bad.ckpt", weights() + evil(f)), "dangerous", True),
    ("a program of TorchScript", zipped(("a/data.pkl", weights()), ("a/code/__torch__.py", b"x"), ("a/data/0", DATA)), "suspicious", True),
    ("a compressed archive", zipped(("a/data.pkl", evil), ("a/data/0", DATA), compression=zipfile.ZIP_DEFLATED), "damaged refused", False),
    ("an archive compressed a thousandfold", zipped(("a/data.pkl", b"\0" * 20_000_000), compression=zipfile.ZIP_DEFLATED), "damaged refused", False),
    ("an encrypted archive", changed(lambda d: put(d, 6, b"\x01")), "suspicious", False),
    ("a size that lies in the directory", changed(lambda d: put(d, directory(d) + 24, b"\xff\xff\xff\x7f")), "damaged", False),
    ("a size that lies in a member's header", changed(lambda d: put(d, 22, b"\xff\xff\xff\x7f")), "suspicious", False),
    ("a member's header far behind the end", changed(lambda d: put(d, directory(d) + 42, b"\xff\xff\xff\x7f")), "damaged", False),
    ("another name in a member's header", changed(lambda d: put(d, 30, b"b/data.pkl")), "suspicious", False),
    ("a zip archive with a comment", changed(lambda d: bytes(d[:-2]) + b"\x05\0hello"), "suspicious", False),
    ("bytes before the archive", changed(lambda d: b"PK\x03\x04" + bytes(d)), "suspicious damaged", False),
    ("bytes behind the archive", changed(lambda d: bytes(d) + b"hello"), "suspicious damaged", False),
    ("two archives in a row", two_archives, "suspicious dangerous damaged", False),
    ("a name with backslashes", zipped(("a\\data.pkl", evil), ("a\\data\\0", DATA)), "dangerous", False),
    ("a name that leaves the folder", zipped(("a/data.pkl", weights()), ("../../evil.pkl", evil), ("a/data/0", DATA)), "dangerous", True),
    ("an absolute name", zipped(("/data.pkl", evil), ("/data/0", DATA)), "dangerous", True),
    ("an archive without a pickle", zipped(("readme.txt", b"hello")), "suspicious damaged refused", False),
    ("an empty archive", wrote("bad.ckpt", b"PK\x05\x06" + b"\0" * 18), "refused damaged", False),
    ("an archive cut off in its data", changed(lambda d: bytes(d[: len(d) // 2])), "refused damaged", False),
    ("weights of a computer with the other byte order", lambda f, _: zipped(("a/data.pkl", weights()), ("a/byteorder", b"big"), ("a/data/0", DATA))(f, _), "damaged suspicious", False),
    ("data shorter than the weight", inside(text("a.weight") + tensor() + b"s", DATA[:8]), "damaged", False),
    ("a pickle with an archive behind it", lambda f, r: bare(lambda folder: PROTO + system(folder) + b"." + archive(folder / "z", weights()).read_bytes())(f, r), "dangerous", False),
    ("old format: the list of weights leaves one out", lambda f, _: legacy(f, keys=[], tail=b" "), "damaged suspicious", False),
    ("old format: cut off in the weights", lambda f, _: legacy(f, tail=struct.pack("<q", 4) + DATA[:5]), "damaged", False),
    ("old format: a weight of another length", lambda f, _: legacy(f, count=3), "damaged", False),
    ("old format: a weight of negative length", lambda f, _: legacy(f, count=-1), "damaged", False),
    ("old format: 8 thousand million numbers", lambda f, _: legacy(f, program=weights(values=b"}" + text("a.weight") + tensor(storage(count=b"\x8a\x05\0\0\0\0\x02")) + b"s")), "damaged", False),
    ("old format: a call", lambda f, _: legacy(f, program=evil(f)), "dangerous", True),
    ("old format: a call behind the weights", lambda f, _: legacy(f, tail=struct.pack("<q", 4) + DATA + evil(f)), "dangerous", True),
    ("old format: part of a storage", lambda f, _: legacy(f, program=weights(values=b"}" + text("a.weight") + tensor(storage()[:-2] + b"(" + text("v") + b"K\x01K\x02ttQ", b"K\x02\x85") + b"s")), "harmless", (1.0, 2.0)),
    ("weights in a pickle without their data", bare(weights()), "damaged", False),
    ("a tar archive of torch 0.1", packed_in_tar, "damaged suspicious dangerous", False),
    ("a pickle packed by gzip", bare(lambda f: gzip.compress(evil(f))), "refused", False),
    ("an array of numpy", numpy_file, "refused damaged", False),
    ("no byte at all", wrote("bad.ckpt", b""), "refused", False),
    ("one byte", wrote("bad.ckpt", b"\x80"), "refused", False),
    ("a text", wrote("bad.pt", b"hello"), "refused", False),
    ("a web page", wrote("bad.ckpt", b"<!DOCTYPE html><html>"), "refused", False),
    ("a pointer of Git LFS", wrote("bad.ckpt", b"version https://git-lfs.github.com/spec/v1\n"), "refused", False),
    ("a folder named like a checkpoint", lambda f, _: (f / "bad.ckpt").mkdir() or f / "bad.ckpt", "refused", False),
    ("random bytes", lambda f, r: wrote("bad.ckpt", PROTO + r.randbytes(5000))(f, r), "refused damaged suspicious", False),
]  # fmt: skip
HALF = {"linear.0.weight": torch.ones(2, 2)}
HYPERNETWORKS = [
    ("whose layers are texts", {"layer_structure": ["1", "2", "1"]}),
    ("whose layers are tensors", {"layer_structure": [torch.ones(3)] * 3}),
    ("whose layers are NaN", {"layer_structure": [1, float("nan"), 1]}),
    ("whose layers are a million wide", {"layer_structure": [1, 1e6, 1]}),
    ("with one layer", {"layer_structure": [1]}),
    ("whose dropout is a text", {"dropout_structure": "abc"}),
    ("with a dropout of 1", {"dropout_structure": [0, 1, 0]}),
    ("with too few dropouts", {"dropout_structure": [0]}),
    ("whose activation is a list", {"activation_func": ["relu"]}),
    ("of an infinite step", {"step": float("inf")}),
    ("of NaN weights", {2: (HALF, {"linear.0.weight": torch.full((2, 2), float("nan"))})}),
    ("with one network", {2: (HALF,)}),
    ("whose weights are texts", {2: ({"linear.0.weight": "x"}, HALF)}),
    ("whose weights are a number", {2: (1, 2)}),
]  # fmt: skip


def hypernetwork(content: dict[Any, Any]) -> Maker:
    def make(folder: Path, _: Random) -> Path:
        torch.save({2: (HALF, HALF), "layer_structure": [1, 2, 1], "step": 1, **content}, folder / "bad.pt")
        return folder / "bad.pt"

    return make


KINDS = [
    *(Kind(name, beside(extra), "dangerous", True) for name, extra in CALLS),
    *(Kind(name, beside(extra), "suspicious", True) for name, extra in ODD_CALLS),
    *(Kind(name, beside(extra), "harmless", True) for name, extra in HARMLESS),
    *(Kind(f"a call in protocol {number}, as Python writes it", by_python(number), "dangerous", False) for number in range(6)),
    *(Kind(name, beside(extra), verdict, read) for name, extra, verdict, read in HURTS),
    *(Kind(name, inside(values), "damaged suspicious harmless", False) for name, values in WEIGHTS),
    *(Kind(name, make, verdict, read) for name, make, verdict, read in ARCHIVES),
    *(Kind(f"a hypernetwork {what}", hypernetwork(content), "harmless", False) for what, content in HYPERNETWORKS),
]  # fmt: skip

"""What a pickle would import, and the verdict on it."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from ..storage.text import quantity

MAX_IMPORTS = 10_000
"""Imports that a report lists; a checkpoint has some dozens."""
MAX_NAME = 1_000
"""Characters of a name that is looked up."""
MAX_DOTS = 10
"""Of a name whose parts are looked up one by one."""
TENSORS = {
    "collections": ("OrderedDict",),
    "torch._utils": ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter"),
}
"""The functions that are resolved here, besides the kinds of storages."""
HARMLESS = {
    "_codecs": ("encode",),
    "collections": ("Counter", "defaultdict"),
    "torch": ("Size", "device", "float16", "bfloat16", "float32", "float64", "int64", "int32", "uint8", "bool"),
    "torch.nn.modules.container": ("ParameterDict", "ParameterList"),
    "torch.nn.parameter": ("Parameter",),
}
"""What only makes plain values, and isn't on picklescan's list of them."""


DANGEROUS = {
    "_imp": "*",
    "_io": ("open", "open_code"),
    "_posixsubprocess": "*",
    "builtins": ("__import__", "delattr", "setattr"),
    "__builtin__": ("__import__", "delattr", "execfile", "file", "reload", "setattr"),
    "cloudpickle": "*",
    "code": "*",
    "codecs": ("open",),
    "dill": "*",
    "importlib": "*",
    "io": ("open", "open_code", "FileIO"),
    "joblib": "*",
    "marshal": "*",
    "multiprocessing": "*",
    "numpy": ("load",),
    "pathlib": ("Path.touch", "Path.unlink", "Path.write_bytes", "Path.write_text"),
    "torch": ("load", "save"),
    "torch.hub": "*",
    "torch.jit": ("load",),
    "torch.package": "*",
    "torch.storage": ("_load_from_bytes",),
    "torch.utils.cpp_extension": "*",
    "types": ("FunctionType", "LambdaType"),
}
"""What runs programs, loads other pickles, or opens files to write, and isn't on picklescan's list; "*": all of it."""


class TooManyImports(ValueError):
    """A pickle names more imports than any checkpoint does."""


@dataclass
class Import:
    """A global that a pickle names. ``verdict``: tensors (resolved), or harmless, suspicious, dangerous (not)."""

    name: str
    verdict: str


@dataclass
class Report:
    """What a file would import, and how many tensors it has."""

    path: Path
    imports: list[Import] = field(default_factory=list)
    tensors: int = 0
    problem: str = ""
    """Why the tensors can't be read, or the file can't be judged to its end."""
    oddities: list[str] = field(default_factory=list)
    """Sentences about what torch doesn't write: a program might read another pickle in the file than this one."""
    _names: set[str] = field(default_factory=set, repr=False)

    def add(self, module: str, name: str, verdict: str) -> None:
        """Add an import, unless it is listed already. Raises TooManyImports."""
        full = f"{module}.{name}"
        if full in self._names:
            return
        if len(self._names) >= MAX_IMPORTS:
            raise TooManyImports(f"it names more than {MAX_IMPORTS:,} imports")
        self._names.add(full)
        self.imports.append(Import(full, verdict))

    @property
    def dangerous(self) -> bool:
        """Return whether an import is known to run programs."""
        return any(found.verdict == "dangerous" for found in self.imports)

    @property
    def verdict(self) -> str:
        """Return the verdict on the file, the worst that applies: dangerous, damaged, suspicious or harmless."""
        if self.dangerous:
            return "dangerous"
        if self.problem:
            return "damaged"
        return "suspicious" if self._unknown or self.oddities else "harmless"

    @property
    def message(self) -> str:
        """Summarize the report in sentences."""
        if self.dangerous:
            return "Some imports could run programs. Don't open this file elsewhere; 'convert' keeps only its tensors."
        if self.problem:
            return self.problem
        sentences = list(self.oddities)
        if self._unknown:
            sentences.append("Some imports aren't known to be harmless: they could run programs.")
        if sentences:
            sentences.append("Open this file elsewhere only if you trust its source; 'convert' keeps only its tensors.")
        return " ".join(sentences)

    @property
    def text(self) -> str:
        """Write the report as lines of text."""
        lines = [
            f"{self.path}: {quantity(self.tensors, 'tensor')}, {quantity(len(self.imports), 'import')} listed, "
            f"none run."
        ]
        lines += [
            f"  {i.verdict:10} {printable(i.name)}" for i in sorted(self.imports, key=lambda i: (i.verdict, i.name))
        ]
        if self.dangerous:
            lines += [*self.oddities, self.problem]
        lines.append(self.message)
        return "\n".join(line for line in lines if line)

    @property
    def _unknown(self) -> bool:
        return any(found.verdict == "suspicious" for found in self.imports)


def printable(name: str) -> str:
    """Make a name from a file safe to print in a terminal."""
    return "".join(character if character.isprintable() else "�" for character in name[:200])


@lru_cache(maxsize=4096)
def verdict(module: str, name: str) -> str:
    """Return 'tensors' for what is resolved here, 'harmless' or 'dangerous' for what is known, else 'suspicious'."""
    if name in TENSORS.get(module, ()):
        return "tensors"
    if name in HARMLESS.get(module, ()):
        return "harmless"
    parents = [module, module.partition(".")[0]]
    if any(DANGEROUS.get(parent) == "*" for parent in parents) or name in DANGEROUS.get(module, ()):
        return "dangerous"
    if len(module) + len(name) > MAX_NAME:
        return "suspicious"
    from picklescan.scanner import scan_pickle_bytes

    encoded = (text.encode("utf-8", "surrogatepass") for text in (module, name))
    strings = b"".join(b"X" + struct.pack("<I", len(text)) + text for text in encoded)
    found = scan_pickle_bytes(io.BytesIO(b"\x80\x04" + strings + b"\x93."), name).globals
    known = found[0].safety.value if found else "suspicious"
    if known == "suspicious" and "." in name and name.count(".") < MAX_DOTS:
        # Since protocol 4, a name may lead through other modules: torch's serialization.os.system is os' system.
        parts = [module, *name.split(".")]
        if any(verdict(*pair) == "dangerous" for pair in pairwise(parts)):
            return "dangerous"
    return "harmless" if known == "innocuous" else known

"""The zip archive of a checkpoint, as torch reads it: the records of the first one's folder.

A zip archive lists its members twice, in front of each and in the directory at the end, and programs differ in which
list they believe, and in which of two members of the same name they take. So whatever torch doesn't write is reported.
"""

from __future__ import annotations

import mmap
import re
import struct
import zipfile
from collections.abc import Iterator

START = b"PK\x03\x04"
END = b"PK\x05\x06"
PROGRAM = "data.pkl"
WITHOUT_PROGRAMS = re.compile(
    r"(data/\d+|version|byteorder|\.data/serialization_id|\.format_version|\.storage_alignment)"
)
"""Records that torch writes next to the pickle, in their folder."""
MAX_SMALL = 1_000
"""Bytes that are read of a member that isn't a tensor or a pickle."""
MAX_MEMBERS = 200_000
"""Members of an archive; a checkpoint has some thousands."""


class Archive:
    """A checkpoint's archive. Raises BadZipFile or ValueError where it isn't one."""

    def __init__(self, archive: zipfile.ZipFile, memory: mmap.mmap) -> None:
        self.members = archive.infolist()
        if len(self.members) > MAX_MEMBERS:
            raise ValueError(f"it has more than {MAX_MEMBERS:,} members")
        self._by_name = {member.filename: member for member in self.members}
        self._directory, self._memory = archive.start_dir, memory
        self.root = self._root()

    def program(self) -> zipfile.ZipInfo | None:
        """Return the pickle that torch loads, or else the only one that is named like it."""
        found = self._by_name.get(self.root + PROGRAM)
        if found is not None:
            return found
        named = [member for member in self.members if member.filename.endswith(PROGRAM)]
        return named[0] if len(named) == 1 else None

    def folder(self, program: zipfile.ZipInfo) -> str:
        """Return the folder of a pickle and its tensors, with a slash."""
        return program.filename[: -len(PROGRAM)]

    def range_of(self, name: str) -> tuple[int, int]:
        """Return a member's offset and length in the file. Raises KeyError, ValueError or EOFError."""
        return self.range(self._by_name[name])

    def read(self, name: str, otherwise: bytes) -> bytes:
        """Return a small member's content, or something else where there is none. Raises ValueError or EOFError."""
        if name not in self._by_name:
            return otherwise
        start, length = self.range_of(name)
        return self._memory[start : start + min(length, MAX_SMALL)]

    def range(self, member: zipfile.ZipInfo) -> tuple[int, int]:
        """Return a member's offset and length. Checkpoints are stored uncompressed. Raises ValueError or EOFError."""
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise ValueError("it is compressed or encrypted, which checkpoints aren't")
        name, extra = struct.unpack("<26xHH", self._memory[member.header_offset : member.header_offset + 30])
        start = member.header_offset + 30 + name + extra
        if start + member.file_size > len(self._memory):
            raise EOFError("the file ends in the middle of a tensor")
        return start, member.file_size

    def others(self) -> Iterator[zipfile.ZipInfo]:
        """Yield the members that torch doesn't write, other than the pickle."""
        program = self.program()
        folder = "" if program is None else self.folder(program)
        for member in self.members:
            name = member.filename
            known = name.startswith(folder) and WITHOUT_PROGRAMS.fullmatch(name[len(folder) :])
            if member is not program and not known and not name.endswith("/"):
                yield member

    def oddities(self) -> Iterator[str]:
        """Yield what makes programs read different things in the archive, each as part of a sentence."""
        names = [member.filename.casefold() for member in self.members]
        if len(set(names)) < len(names):
            yield "it has two members of the same name"
        if any(not self._alike(member) for member in self.members):
            yield "its directory differs from the headers of its members"
        if not self._ends_plainly():
            yield "it doesn't begin and end like an archive of torch's"
        program = self.program()
        if program is not None and program.filename != self.root + PROGRAM:
            yield "its pickle isn't where torch writes it"

    def _root(self) -> str:
        if not self.members:
            return ""
        folder, slash, _ = self.members[0].filename.partition("/")
        return folder + slash if slash else ""

    def _alike(self, member: zipfile.ZipInfo) -> bool:
        """Return whether a member's own header says the same as the directory."""
        header = self._memory[member.header_offset : member.header_offset + 30]
        if len(header) < 30 or header[:4] != START or not member.orig_filename.isascii():
            return False
        flags, method, crc, packed, size, length = struct.unpack("<6xHH4xIIIH2x", header)
        start = member.header_offset + 30
        name = self._memory[start : start + length]
        later = flags & 8 and not (crc or packed or size)  # they follow the data
        wide = packed == size == 0xFFFFFFFF
        return (
            name == member.orig_filename.encode("ascii") == member.filename.encode("ascii", "replace")
            and (flags, method) == (member.flag_bits, member.compress_type)
            and (bool(later) or wide or (crc, packed, size) == (member.CRC, member.compress_size, member.file_size))
        )

    def _ends_plainly(self) -> bool:
        """Return whether the archive begins at the file's first byte, and ends at its last one, without a comment."""
        end = self._memory[-22:]
        if self._memory[:4] != START or end[:4] != END or end[-2:] != b"\0\0":
            return False
        (directory,) = struct.unpack("<16xI2x", end)
        return directory in (self._directory, 0xFFFFFFFF)

"""One dataset report as a page gets it: a summary first, then files and groups of duplicates in portions."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ..dataset.folder import Picture
from ..recipe import Recipe
from .background import Job
from .errors import DeskError, NotFound, NotNow
from .thumbnails import Thumbnails

FEW = 12
"""Pictures sent with a finding; a page asks for the others."""
MOST_AT_ONCE = 200
"""Files or groups in one answer."""
LONG_CAPTION = 400
"""Characters of a caption that are shown with a picture."""
OF_FILES = ("digests", "boxes")
"""Facts that have an entry for each file; a page gets what it needs of them with the files."""
DUPLICATES = "copies_"
"""Prefix of the kinds of findings about duplicates."""

Finding = dict[str, Any]
"""``number``, ``kind``, ``text``, ``concept``, ``facts``, and ``numbers``: its files' indices in the report's list."""


@dataclasses.dataclass
class DatasetReport:
    """A report that waits, is being made, or is finished.

    Its job's states: waiting, reading (names and headers), inspecting (pixels), comparing, finished, cancelled or
    failed.
    """

    id: str
    recipe: Recipe
    roots: list[Path]
    """The concepts' folders."""
    thumbnails: Thumbnails
    job: Job
    data: dict[str, Any] = dataclasses.field(default_factory=dict)
    files: list[Path] = dataclasses.field(default_factory=list)
    """Files that the findings name; a page names them by their indices here."""
    pictures: dict[Path, Picture] = dataclasses.field(default_factory=dict)
    removed: set[int] = dataclasses.field(default_factory=set)
    """Numbers of files that were moved to the trash."""
    kept: set[int] = dataclasses.field(default_factory=set)
    """Numbers of findings whose duplicates the user wants to keep."""

    def fill(self, data: dict[str, Any], pictures: tuple[Picture, ...]) -> None:
        """Store an inspection's findings: there, files are paths; here, numbers."""
        places: dict[str, int] = {}
        for number, finding in enumerate(data["findings"]):
            finding["number"] = number
            finding["numbers"] = [places.setdefault(name, len(places)) for name in finding.pop("files")]
        self.files = [Path(name) for name in places]
        self.pictures = {picture.path: picture for picture in pictures}
        self.data = data

    @property
    def state(self) -> str:
        """Return the job's state; cancelled from the moment the user asked for that."""
        return "cancelled" if self.job.cancelling and not self.job.over else self.job.snapshot().state

    def status(self) -> dict[str, Any]:
        """Return the progress and, once finished, the summary."""
        _, done, total, message = self.job.snapshot()
        state = self.state
        report = self._summary() if state == "finished" else None
        return {"id": self.id, "state": state, "done": done, "total": total, "message": message, "report": report}

    def files_of(self, finding: int, start: int, count: int) -> dict[str, Any]:
        """Return some of a finding's files. Raises NotNow or NotFound."""
        found = self.finding(finding)
        return {"files": self._files(found, start, min(count, MOST_AT_ONCE)), "total": len(found["numbers"])}

    def duplicates(self, start: int, count: int) -> dict[str, Any]:
        """Return some of the groups of duplicates, each with all its files, the one to keep first. Raises NotNow."""
        groups = self._findings(duplicates=True)
        some = groups[start : start + min(count, MOST_AT_ONCE)]
        return {"groups": [self._group(finding) for finding in some], "total": len(groups)}

    def exact_duplicates(self) -> list[int]:
        """Return the numbers of files identical to another file of their folder, which stays. Raises NotNow."""
        groups = [
            finding
            for finding in self._findings(duplicates=True)
            if finding["kind"] == f"{DUPLICATES}exact" and finding["number"] not in self.kept
        ]
        return [number for finding in groups for number in finding["numbers"][1:] if number not in self.removed]

    def removable(self, finding: int) -> list[int]:
        """Return the numbers of a finding's files that can still be removed. Raises NotNow or NotFound."""
        numbers = self.finding(finding)["numbers"]
        return [number for number in numbers if number not in self.removed and not self.files[number].is_dir()]

    def finding(self, number: int) -> Finding:
        """Return a finding. Raises NotNow while the report isn't finished, NotFound where it has no such finding."""
        self.check_finished()
        if not 0 <= number < len(self.data["findings"]):
            raise NotFound("The report has no such finding; open the folder's report again.")
        found: Finding = self.data["findings"][number]
        return found

    def duplicate_finding(self, number: int) -> Finding:
        """Return a finding about duplicates. Raises DeskError for one of another kind."""
        found = self.finding(number)
        if not found["kind"].startswith(DUPLICATES):
            raise DeskError("Only duplicates can be kept; this finding is of another kind.")
        return found

    def check_finished(self) -> None:
        """Raise NotNow while the report isn't finished."""
        if self.state != "finished":
            raise NotNow("The report isn't finished yet; wait for it, or start it again.")

    def root_of(self, path: Path) -> Path:
        """Return the concept's folder that contains a file: the innermost one."""
        found = [root for root in self.roots if root == path or root in path.parents]
        return max(found, key=lambda root: len(root.parts)) if found else path.parent

    def _findings(self, *, duplicates: bool) -> list[Finding]:
        self.check_finished()
        return [f for f in self.data["findings"] if f["kind"].startswith(DUPLICATES) is duplicates]

    def _summary(self) -> dict[str, Any]:
        data = self.data
        names = ("pictures", "concepts", "buckets", "batch_size", "left_over", "figures", "histograms", "tags")
        return {
            **{name: data[name] for name in names},
            "showings_per_epoch": data["showings_per_epoch"],
            "steps_per_epoch": data["steps_per_epoch"],
            "copies": {"groups": len(self._findings(duplicates=True)), "exact": len(self.exact_duplicates())},
            "findings": [self._with_first_files(finding) for finding in self._findings(duplicates=False)],
            "problems": [problem["text"] for problem in data["problems"]][:MOST_AT_ONCE],
            "removed": len(self.removed),
        }

    def _with_first_files(self, finding: Finding) -> dict[str, Any]:
        facts = {name: value for name, value in finding["facts"].items() if name not in OF_FILES}
        return {
            **_heading(finding),
            "facts": facts,
            "count": len(finding["numbers"]),
            "files": self._files(finding, 0, FEW),
        }

    def _files(self, finding: Finding, start: int, count: int) -> list[dict[str, Any]]:
        """Return some of a finding's files; each with its ``box`` where the finding is about a part of the picture."""
        part = slice(start, start + count)
        files = [self._file(number) for number in finding["numbers"][part]]
        facts = finding["facts"]
        one = facts.get("box") if finding["kind"] == "recurring_mark" else None
        boxes = facts["boxes"][part] if "boxes" in facts else [one] * len(files)
        return [{**file, "box": box} for file, box in zip(files, boxes, strict=True)]

    def _group(self, finding: Finding) -> dict[str, Any]:
        files = [self._file(number) for number in finding["numbers"]]
        for file, relation in zip(files, ("", *finding["facts"]["relations"]), strict=True):
            file["relation"] = relation
        return {**_heading(finding), "kept": finding["number"] in self.kept, "files": files}

    def _file(self, number: int) -> dict[str, Any]:
        path = self.files[number]
        root, picture = self.root_of(path), self.pictures.get(path)
        name = path.relative_to(root).as_posix() if root in path.parents else path.name
        file = {"file": number, "name": name, "removed": number in self.removed}
        if picture is None:
            return {**file, "picture": None}
        return {
            **file,
            "picture": self.thumbnails.url(path, picture.size, picture.mtime_ns),
            "width": picture.width,
            "height": picture.height,
            "bytes": picture.size,
            "caption": picture.caption[:LONG_CAPTION],
            "concept": picture.concept,
            "regularization": picture.regularization,
        }


def _heading(finding: Finding) -> dict[str, Any]:
    return {name: finding[name] for name in ("number", "kind", "text", "concept")}

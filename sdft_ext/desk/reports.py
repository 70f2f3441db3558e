"""Dataset reports, made in the background one after another, and the actions on their findings: remove files, keep
duplicates.

A report belongs to the contents of its folders: the same files and settings get the same report, without a new one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..analysis import accepted_duplicates
from ..dataset.links import readable
from ..dataset.trash import Trash
from ..recipe import Recipe
from ..storage.text import printable
from .background import Job
from .dataset_report import DatasetReport
from .errors import DeskError, NotFound, NotNow
from .scans import Scans, stamp
from .thumbnails import Thumbnails

MOST_REPORTS = 8
"""Reports kept in memory."""


class Reports:
    """The reports. ``thumbnail_folder`` returns the folder of the thumbnails that are compared; ``ready`` waits for the
    packages that an inspection needs.
    """

    def __init__(
        self,
        scans: Scans,
        thumbnails: Thumbnails,
        thumbnail_folder: Callable[[Recipe], Path],
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._scans, self._thumbnails, self._thumbnail_folder, self._ready = scans, thumbnails, thumbnail_folder, ready
        self._reports: OrderedDict[str, DatasetReport] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def start(self, recipe: Recipe) -> str:
        """Start the report of a recipe's dataset unless it exists; return its id. Raises DeskError for huge folders."""
        folders = _folders(recipe)
        train = (recipe.train.batch_size, recipe.train.accumulation, recipe.train.length, recipe.train.length_unit)
        accepted = [sorted(group) for group in accepted_duplicates.AcceptedDuplicates(folders).groups]
        facts = repr((dataclasses.asdict(recipe.dataset), train, stamp(folders, readable(recipe.dataset)), accepted))
        id = hashlib.blake2b(facts.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
        job = Job("waiting", out_of_memory="There is not enough memory to compare the pictures; inspect fewer at once.")
        report = DatasetReport(id, recipe, folders, self._thumbnails, job)
        with self._lock:
            known = self._reports.get(id)
            if known is not None and known.state not in ("cancelled", "failed") and not known.removed:
                self._reports.move_to_end(id)
                return id
            self._reports[id] = report
            self._reports.move_to_end(id)
            over = [one for one in self._reports.values() if one.job.over]
            for old in over[: max(len(self._reports) - MOST_REPORTS, 0)]:
                del self._reports[old.id]
        job.start("sdft-report", lambda: self._make(report))
        return id

    def cancel(self, id: str) -> None:
        self.get(id).job.cancel()

    def close(self) -> None:
        """Cancel all reports that are being made."""
        with self._lock:
            for report in self._reports.values():
                report.job.cancel()

    def get(self, id: str) -> DatasetReport:
        """Return a report. Raises NotFound."""
        with self._lock:
            report = self._reports.get(id)
        if report is None:
            raise NotFound("This report is no longer available; start it again.")
        return report

    def remove(self, id: str, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Move files to their dataset's trash, as one removal for each folder. Raises DeskError or TrashError."""
        report = self.get(id)
        report.check_finished()
        by_root: dict[Path, list[int]] = {}
        for number in dict.fromkeys(numbers):
            if not 0 <= number < len(report.files):
                raise NotFound("The report has no such file; open the folder's report again.")
            path = report.files[number]
            if number in report.removed:
                raise NotNow(f"{printable(path.name)} has already been removed.")
            if path.is_dir():
                raise DeskError(f"{printable(path)} is a folder; to remove it, move it away yourself.")
            by_root.setdefault(report.root_of(path), []).append(number)
        done = []
        for root, some in by_root.items():
            removal = Trash(root).remove([report.files[number] for number in some])
            report.removed |= set(some)
            done.append({"folder": str(root), "id": removal.id, "files": some})
        return done

    def restored(self, paths: Sequence[Path]) -> None:
        """Record in every report that files were restored."""
        restored = set(paths)
        with self._lock:
            for report in self._reports.values():
                report.removed -= {number for number in report.removed if report.files[number] in restored}

    def keep(self, id: str, finding: int, undo: bool) -> None:
        """Accept duplicates, or (``undo``) report them again. Raises DeskError or HiddenFolderError."""
        report = self.get(id)
        found = report.duplicate_finding(finding)
        root = report.root_of(report.files[found["numbers"][0]])
        if undo:
            accepted_duplicates.revoke(root, found["facts"]["digests"])
            report.kept.discard(finding)
        else:
            accepted_duplicates.accept(root, found["facts"]["digests"])
            report.kept.add(finding)

    def _make(self, report: DatasetReport) -> None:
        job, recipe = report.job, report.recipe
        with self._turn:
            job.check()
            job.state = "reading"
            self._ready()
            from ..analysis.report import inspect
            from ..dataset.plan import Plan

            def progress(done: int, total: int) -> None:
                job.progress(done, total)
                job.state = "inspecting" if done < total else "comparing"

            scan = self._scans.get(recipe.dataset)
            plan = Plan(scan, recipe.dataset, recipe.train)
            data = inspect(scan, plan, self._thumbnail_folder(recipe), progress, recipe.method.name).data
            job.check()
            report.fill(data, scan.pictures)


def _folders(recipe: Recipe) -> list[Path]:
    named = (f for c in recipe.dataset.concepts for f in (c.instance, c.regularization) if f)
    return [Path(folder).expanduser() for folder in dict.fromkeys(named)]

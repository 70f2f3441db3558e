"""Reports of datasets, made in the background: what a page asks for bit by bit while, and after, the pictures are looked at.

A report belongs to what the folders hold: the same files and settings get the same report without a second look.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..analysis import accepted_duplicates as kept
from ..dataset.folder import Picture, Scan
from ..dataset.trash import Trash
from ..recipe import Recipe
from ..storage.text import printable
from .errors import DeskError, NotFound, NotNow
from .pictures import Thumbnails
from .scans import Scans, stamp

KEPT = 8
"""Reports kept in memory."""
FEW = 12
"""Pictures that come with a finding; a page asks for the others."""
MOST_AT_ONCE = 200
LONG_CAPTION = 400
"""Characters of a caption that are shown beside a picture."""
COPIES = "copies_"


class _Cancelled(Exception):
    """The user doesn't want to wait any longer."""


@dataclasses.dataclass
class Job:
    """A report that waits, is being made, or is there.

    ``state``: waiting, reading (names and headers), looking (at pixels; ``done`` of ``total``), comparing, finished,
    cancelled or failed (``message`` says why).
    """

    id: str
    recipe: Recipe
    state: str = "waiting"
    done: int = 0
    total: int = 0
    message: str = ""
    data: dict[str, Any] = dataclasses.field(default_factory=dict)
    roots: list[Path] = dataclasses.field(default_factory=list)
    files: list[Path] = dataclasses.field(default_factory=list)
    """Files that the findings name; a page names them by their places here."""
    pictures: dict[Path, Picture] = dataclasses.field(default_factory=dict)
    removed: set[int] = dataclasses.field(default_factory=set)
    kept: set[int] = dataclasses.field(default_factory=set)
    cancel: threading.Event = dataclasses.field(default_factory=threading.Event)

    @property
    def over(self) -> bool:
        return self.state in ("finished", "cancelled", "failed")


class Reports:
    """``looks`` says where looks at pictures are kept; ``ready`` waits until packages may be imported."""

    def __init__(
        self,
        scans: Scans,
        thumbnails: Thumbnails,
        looks: Callable[[Recipe], Path],
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._scans, self._thumbnails, self._looks, self._ready = scans, thumbnails, looks, ready
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def start(self, recipe: Recipe) -> str:
        """The id of the report of a recipe's dataset, begun if it isn't there. Raises DeskError for folders too large."""
        folders = _folders(recipe)
        train = (recipe.train.batch_size, recipe.train.accumulation, recipe.train.length, recipe.train.length_unit)
        remembered = [sorted(group) for group in kept.AcceptedDuplicates(folders).groups]
        facts = repr((dataclasses.asdict(recipe.dataset), train, stamp(folders), remembered))
        id = hashlib.blake2b(facts.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
        with self._lock:
            known = self._jobs.get(id)
            if known is not None and known.state not in ("cancelled", "failed") and not known.removed:
                self._jobs.move_to_end(id)
                return id
            job = self._jobs[id] = Job(id, recipe, roots=folders)
            self._jobs.move_to_end(id)
            for old in [one for one in self._jobs.values() if one.over][: max(len(self._jobs) - KEPT, 0)]:
                del self._jobs[old.id]
        threading.Thread(target=self._make, args=(job,), name="sdft-report", daemon=True).start()
        return id

    def cancel(self, id: str) -> None:
        job = self.job(id)
        job.cancel.set()
        if not job.over:
            job.state = "cancelled"

    def close(self) -> None:
        """End what is being made."""
        with self._lock:
            for job in self._jobs.values():
                job.cancel.set()

    def job(self, id: str) -> Job:
        """Raises NotFound."""
        with self._lock:
            job = self._jobs.get(id)
        if job is None:
            raise NotFound("This report is not known any more; look at the folder again.")
        return job

    def told(self, id: str) -> dict[str, Any]:
        """How far a report is, and what it says without its copies (``copies``) and all of its pictures (``files``)."""
        job = self.job(id)
        found = {name: getattr(job, name) for name in ("id", "state", "done", "total", "message")}
        return {**found, "report": self._summary(job) if job.state == "finished" else None}

    def files(self, id: str, finding: int, start: int, count: int) -> dict[str, Any]:
        """Some of the pictures behind a finding."""
        job = self._finished(id)
        numbers = self._finding(job, finding)["numbers"]
        some = numbers[start : start + min(count, MOST_AT_ONCE)]
        return {"files": [self._file(job, number) for number in some], "total": len(numbers)}

    def copies(self, id: str, start: int, count: int) -> dict[str, Any]:
        """Some of the groups of copies, each with all of its pictures, the one to keep first."""
        job = self._finished(id)
        groups = [finding for finding in job.data["findings"] if finding["kind"].startswith(COPIES)]
        return {
            "groups": [self._copies(job, finding) for finding in groups[start : start + min(count, MOST_AT_ONCE)]],
            "total": len(groups),
        }

    def exact(self, id: str) -> list[int]:
        """Numbers of the files that are the same as another one of their own folder that is kept."""
        job = self._finished(id)
        groups = [f for f in job.data["findings"] if f["kind"] == "copies_exact" and f["number"] not in job.kept]
        return [number for finding in groups for number in finding["numbers"][1:] if number not in job.removed]

    def behind(self, id: str, finding: int) -> list[int]:
        """Numbers of all files of a finding that can be removed still."""
        job = self._finished(id)
        numbers = self._finding(job, finding)["numbers"]
        return [number for number in numbers if number not in job.removed and not job.files[number].is_dir()]

    def remove(self, id: str, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Move files to their dataset's trash; one removal for each folder. Raises DeskError or TrashError."""
        job = self._finished(id)
        by_root: dict[Path, list[int]] = {}
        for number in dict.fromkeys(numbers):
            if not 0 <= number < len(job.files):
                raise NotFound("The report has no such file; look at the folder again.")
            if number in job.removed:
                raise NotNow(f"{printable(job.files[number].name)} is removed already.")
            if job.files[number].is_dir():
                raise DeskError(f"{printable(job.files[number])} is a folder; move it yourself if it shall go.")
            by_root.setdefault(_root(job, job.files[number]), []).append(number)
        done = []
        for root, some in by_root.items():
            removal = Trash(root).remove([job.files[number] for number in some])
            job.removed |= set(some)
            done.append({"folder": str(root), "id": removal.id, "files": some})
        return done

    def restored(self, paths: Sequence[Path]) -> None:
        """Files are back: the reports that knew them as removed learn of it."""
        back = set(paths)
        with self._lock:
            for job in self._jobs.values():
                job.removed -= {number for number in job.removed if job.files[number] in back}

    def keep(self, id: str, finding: int, undo: bool) -> None:
        """Remember copies as wanted, or ask about them again. Raises DeskError or HiddenFolderError."""
        job = self._finished(id)
        found = self._finding(job, finding)
        if not found["kind"].startswith(COPIES):
            raise DeskError("Only copies can be kept; this finding is of another kind.")
        root = _root(job, job.files[found["numbers"][0]])
        (kept.revoke if undo else kept.accept)(root, found["facts"]["digests"])
        (job.kept.discard if undo else job.kept.add)(finding)

    def _finished(self, id: str) -> Job:
        job = self.job(id)
        if job.state != "finished":
            raise NotNow("The report isn't ready yet; wait for it, or look at the folder again.")
        return job

    def _finding(self, job: Job, number: int) -> dict[str, Any]:
        if not 0 <= number < len(job.data["findings"]):
            raise NotFound("The report has no such finding; look at the folder again.")
        found: dict[str, Any] = job.data["findings"][number]
        return found

    # Making it, in a thread of its own.

    def _make(self, job: Job) -> None:
        with self._turn:
            try:
                if job.cancel.is_set():
                    raise _Cancelled
                job.state = "reading"
                self._inspect(job)
                job.state = "finished"
            except _Cancelled:
                job.state = "cancelled"
            except ImportError as error:
                job.message = f"A package is missing ({error.name}): install what the Fine-tune tab asks for."
                job.state = "failed"
            except (ValueError, OSError, MemoryError) as error:
                job.message = str(error) or "There is not enough memory to compare the pictures; look at fewer at once."
                job.state = "failed"
            except Exception as error:
                job.message = f"Unexpected {type(error).__name__} while the pictures were looked at: {error}"
                job.state = "failed"
                raise

    def _inspect(self, job: Job) -> None:
        self._ready()
        from ..analysis.report import inspect
        from ..dataset.plan import Plan

        scan: Scan = self._scans.get(job.recipe.dataset)
        plan = Plan(scan, job.recipe.dataset, job.recipe.train)

        def progress(done: int, total: int) -> None:
            if job.cancel.is_set():
                raise _Cancelled
            job.done, job.total = done, total
            job.state = "looking" if done < total else "comparing"

        data = inspect(scan, plan, self._looks(job.recipe), progress).data
        if job.cancel.is_set():
            raise _Cancelled
        places: dict[str, int] = {}
        for number, finding in enumerate(data["findings"]):
            finding["number"] = number
            finding["numbers"] = [places.setdefault(name, len(places)) for name in finding.pop("files")]
        job.files = [Path(name) for name in places]
        job.pictures = {picture.path: picture for picture in scan.pictures}
        job.data = data

    # What a page is told.

    def _summary(self, job: Job) -> dict[str, Any]:
        data = job.data
        copies = [finding for finding in data["findings"] if finding["kind"].startswith(COPIES)]
        names = ("pictures", "concepts", "buckets", "batch_size", "left_over", "figures", "histograms", "tags")
        others = [finding for finding in data["findings"] if not finding["kind"].startswith(COPIES)]
        return {
            **{name: data[name] for name in names},
            "showings_per_epoch": data["showings_per_epoch"],
            "steps_per_epoch": data["steps_per_epoch"],
            "copies": {"groups": len(copies), "exact": len(self.exact(job.id))},
            "findings": [self._told(job, finding) for finding in others],
            "problems": [problem["text"] for problem in data["problems"]][:MOST_AT_ONCE],
            "removed": len(job.removed),
        }

    def _told(self, job: Job, finding: dict[str, Any]) -> dict[str, Any]:
        told = {name: finding[name] for name in ("number", "kind", "text", "concept")}
        facts = {name: value for name, value in finding["facts"].items() if name != "digests"}
        files = [self._file(job, number) for number in finding["numbers"][:FEW]]
        return {**told, "facts": facts, "count": len(finding["numbers"]), "files": files}

    def _copies(self, job: Job, finding: dict[str, Any]) -> dict[str, Any]:
        files = [self._file(job, number) for number in finding["numbers"]]
        for file, relation in zip(files, ("", *finding["facts"]["relations"]), strict=True):
            file["relation"] = relation
        told = {name: finding[name] for name in ("number", "kind", "text", "concept")}
        return {**told, "kept": finding["number"] in job.kept, "files": files}

    def _file(self, job: Job, number: int) -> dict[str, Any]:
        path = job.files[number]
        picture = job.pictures.get(path)
        told = {"file": number, "name": _name(_root(job, path), path), "removed": number in job.removed}
        if picture is None:
            return {**told, "picture": None}
        return {
            **told,
            "picture": f"pictures/{self._thumbnails.token(path, picture.size, picture.mtime_ns)}",
            "width": picture.width,
            "height": picture.height,
            "bytes": picture.size,
            "caption": picture.caption[:LONG_CAPTION],
            "concept": picture.concept,
            "regularization": picture.regularization,
        }


def _folders(recipe: Recipe) -> list[Path]:
    named = (f for c in recipe.dataset.concepts for f in (c.instance, c.regularization) if f)
    return [Path(folder).expanduser() for folder in dict.fromkeys(named)]


def _root(job: Job, path: Path) -> Path:
    """The concept's folder that a file lies in: the innermost one."""
    found = [root for root in job.roots if root == path or root in path.parents]
    return max(found, key=lambda root: len(root.parts)) if found else path.parent


def _name(root: Path, path: Path) -> str:
    """A file's name below its folder."""
    return path.relative_to(root).as_posix() if root in path.parents else path.name

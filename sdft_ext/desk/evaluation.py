"""What a run's numbers say of its pictures, for the page's Evaluate panel."""

from __future__ import annotations

import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..recipe import Concept
from ..run_folder import picture_losses, ratings, verdict, word_grid
from ..run_folder.ratings import RatedPicture
from ..watch.controls import Controls
from ..watch.picture_losses import FINDINGS, rated_pictures
from ..watch.ratings import RATINGS
from ..watch.report import rewrite_ratings
from .comparison import compared
from .errors import DeskError, NotFound
from .folders import Folders
from .library import Library
from .thumbnails import Thumbnails

NOT_MEASURED = (
    "The losses of single pictures weren't measured: watch.picture_losses is 0, the run is too short, or it was made "
    "by an older version."
)
NOT_YET = "The losses were measured at the start; they are measured again at saves."


class Evaluation:
    """What was measured of runs' pictures. Thumbnails are shown of pictures in the allowed folders alone."""

    def __init__(self, library: Library, folders: Folders, thumbnails: Thumbnails) -> None:
        self._library, self._folders, self._thumbnails = library, folders, thumbnails
        self._lock = threading.Lock()

    def picture_losses(self, run: str) -> dict[str, Any]:
        """Return the loss of each measured picture at the first and at the last measured step, and what that says of
        it. ``text`` says why there is none, or nothing to compare with yet. Raises NotFound.
        """
        found = picture_losses.read(self._library.path(run))
        if found is None or not found.steps:
            return {"before": None, "now": None, "draws": 0, "pictures": [], "text": NOT_MEASURED}
        first, last = min(found.steps), max(found.steps)
        concepts = self._concepts(run)
        return {
            "before": first,
            "now": last,
            "draws": found.draws,
            "pictures": [
                {
                    **self._picture(Path(one.picture.path), concepts, one.picture.concept),
                    "caption": one.picture.caption,
                    "held_out": one.picture.held_out,
                    "before": one.before,
                    "now": one.now,
                    "change": one.change,
                    "finding": one.finding,
                    "text": FINDINGS.get(one.finding, ""),
                }
                for one in rated_pictures(found)
            ],
            "text": NOT_YET if first == last else "",
        }

    def compare(self) -> list[dict[str, Any]]:
        """Return every run with the numbers of its recommended save, newest first."""
        return compared(self._library)

    def ratings(self, run: str) -> dict[str, Any]:
        """Return what can be rated how, with the ways to act on it, the user's ratings, and those that the numbers
        propose. Raises NotFound.
        """
        path = self._library.path(run)
        concepts = self._concepts(run)
        return {
            "kinds": [{"name": name, **asdict(rating)} for name, rating in RATINGS.items()],
            "given": [asdict(one) for one in ratings.read(path)],
            **self._judged(run, path, concepts),
            "folders": [concept.instance for concept in concepts if concept.instance],
            "recommended": verdict.recommended(path),
        }

    def rate(self, run: str, rated: RatedPicture) -> list[dict[str, Any]]:
        """Rate a picture, or take its rating back; the report has it, too. Returns all ratings of the run. Raises
        NotFound where there is no such picture, DeskError for an unknown rating, OSError where it can't be written.
        """
        path = self._library.path(run)
        if rated.rating and rated.rating not in RATINGS:
            raise DeskError(f"A picture can be rated as one of: {', '.join(RATINGS)}.")
        if rated.rating:
            self._need_picture(run, rated)
        with self._lock:
            found = ratings.rate(path, rated)
            rewrite_ratings(path)
        return [asdict(one) for one in found]

    def _need_picture(self, run: str, rated: RatedPicture) -> Path:
        if rated.set == ratings.WORDS:
            return self.word_picture(run, rated.step, rated.number)
        return self._library.control(run, rated.set, rated.number, rated.step)

    def words(self, run: str) -> dict[str, Any]:
        """Return the newest grid of the run's trained words; without words before there is one. Raises NotFound."""
        found = word_grid.read(self._library.path(run))
        return found or {"step": None, "words": [], "pictures": []}

    def word_picture(self, run: str, step: int, number: int) -> Path:
        """Return the file of a picture of a trained word. Raises NotFound."""
        path = word_grid.path(self._library.path(run), step, number)
        if not path.is_file():
            raise NotFound(f"There is no picture {number} of the trained words at step {step}.")
        return path

    def _judged(self, run: str, path: Path, concepts: list[Concept]) -> dict[str, Any]:
        """Return what the judge has seen in the control pictures of every save: ratings that it proposes, and of each
        picture that shows a concept the nearest instance picture.
        """
        found: dict[str, Any] = {"proposed": [], "nearest": []}
        if not (path / "judge" / "dataset.npz").is_file():
            return found
        from ..judge.judge import Judge
        from ..judge.proposals import proposals

        try:
            recipe = self._library.recipe(run)
        except DeskError:
            return found
        judge = Judge(path, recipe, Controls(path, recipe.watch))
        saved = {save["step"] for save in self._library.saves(run)}
        for numbers in judge.all_numbers():
            if numbers.step not in saved:
                continue
            found["proposed"] += [
                {**one._asdict(), "step": numbers.step} for one in proposals(numbers, judge.controls.entries)
            ]
            found["nearest"] += [
                {
                    "set": name,
                    "number": number,
                    "step": numbers.step,
                    "distance": near.distance,
                    "copied": near.copy,
                    **self._picture(instance, concepts, _concept_of(instance, concepts)),
                }
                for name, number, instance, near in judge.nearest(numbers)
            ]
        return found

    def _concepts(self, run: str) -> list[Concept]:
        try:
            return self._library.recipe(run).dataset.concepts
        except DeskError:
            return []

    def _picture(self, path: Path, concepts: list[Concept], number: int) -> dict[str, Any]:
        """Name a picture as the Captions panel does; with a thumbnail where it may be shown."""
        concept = concepts[number] if 0 <= number < len(concepts) else Concept(instance=str(path.parent))
        folder = Path(concept.instance).expanduser()
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
        picture = None
        if self._folders.contain(str(path)):
            try:
                stat = path.stat()
                picture = self._thumbnails.url(path, stat.st_size, stat.st_mtime_ns)
            except OSError:
                pass  # it was moved or deleted since
        return {"name": name, "folder": str(folder), "concept": concept.name or concept.trigger, "picture": picture}


def _concept_of(path: Path, concepts: list[Concept]) -> int:
    """Return the number of the concept whose instance folder holds a picture; -1 for none."""
    folders = (Path(concept.instance).expanduser() for concept in concepts)
    return next((number for number, folder in enumerate(folders) if path.is_relative_to(folder)), -1)

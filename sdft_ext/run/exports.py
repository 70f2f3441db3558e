"""The files that a run saves: those of its schedule, those asked for, and temporary ones to try in the host."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from torch.profiler import record_function

from ..analysis.summary import dataset_dirs, tag_frequency
from ..formats.metadata import RunFacts, lora_metadata
from ..method.base import SeveralFiles
from ..recipe import Recipe
from ..run_folder.log import Log
from ..run_folder.saves import Writer
from ..run_folder.verdict import recommended
from . import changed_settings, loan
from .setup import Session
from .turns import Turns


class Exports:
    """Writes saves and publishes them to the host. They hold the run's own weights: no turn with the model is needed.

    ``started``: when the run was started, in seconds since 1970.
    """

    def __init__(self, folder: Path, recipe: Recipe, turns: Turns, log: Log, started: float) -> None:
        self.turns, self.log, self.started = turns, log, started
        self.saves = loan.exports(folder, recipe, turns.host)

    def save(self, session: Session, step: int, loss: float | None) -> None:
        """Write the save of this step. Raises OSError where it can't be written; earlier saves stay."""
        with record_function("run.save"):
            schedule = session.schedule
            last, scheduled, writer = schedule.last(step), schedule.save(step), self._writer(session, step)
            best = recommended(session.folder) if session.recipe.save.keep_best else None
            path = self.saves.write(step, schedule.epoch(step), loss, last, writer, scheduled, best)
            save = self.saves.all()[-1]
            for file in self.saves.files(save):
                self.turns.publish(file)
            self.log.event(
                step, "save", file=path.name, listed=save.file, further=save.further, scheduled=save.scheduled
            )

    def write_try(self, session: Session, step: int) -> None:
        """Write a temporary save, to try the training as it is, in place of the one before."""
        self.remove_tries()
        files = self.saves.write_try(step, self._writer(session, step))
        for file in files:
            self.turns.publish(file)
        self.log.event(step, "try", file=files[0].name)

    def remove_tries(self) -> None:
        """Delete temporary saves; one that another program has open stays until the run is resumed."""
        for path in self.saves.tries():
            with suppress(OSError):
                path.unlink(missing_ok=True)
                self.turns.publish(path)

    def _writer(self, session: Session, step: int) -> Writer:
        """Make the function that writes the weights as they are after ``step`` steps."""
        facts, precision, method = self._facts(session, step), session.recipe.save.precision, session.method

        def write(path: Path) -> list[Path]:
            metadata = lora_metadata(session.recipe, session.model.family, facts, path.stem)
            with session.loop.weights_to_save():
                method.save(path, metadata, precision)
                if isinstance(method, SeveralFiles):
                    return method.save_extra(path, self.saves.extra_folder, metadata, precision)
            return []

        return write

    def _facts(self, session: Session, step: int) -> RunFacts:
        """Gather what a saved file says about this run."""
        scan, plan = session.dataset.scan, session.dataset.plan
        return RunFacts(
            base=session.model.path,
            started=self.started,
            steps=step,
            epoch=session.schedule.epoch(step),
            total_steps=session.schedule.total_steps,
            steps_per_epoch=plan.steps_per_epoch,
            instances=len(scan.instances),
            regularization=len(scan.regularization),
            dataset_dirs=dataset_dirs(scan, False),
            reg_dataset_dirs=dataset_dirs(scan, True),
            tag_frequency=tag_frequency(scan),
            buckets=tuple((q.bucket.width, q.bucket.height, len(set(q.instances))) for q in plan.queues),
            processes=session.loop.processes.count,
            changed_settings=changed_settings.recorded(session.folder),
        )

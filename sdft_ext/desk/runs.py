"""The actions on runs: start, stop, resume, trash, and the uses of their saves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..recipe import FULL, Recipe
from ..recipe import file as recipe_file
from ..recipe.rules import check_texts
from ..run_folder.facts import FILE as FACTS
from ..run_folder.facts import add_facts
from ..storage import json_file
from ..storage.free_name import new_folder
from . import calculator, deleted_saves
from .errors import DeskError, NotNow
from .folders import Folders
from .library import AT_WORK, Library, is_reserved
from .packages import Packages
from .recipes import Recipes
from .run_queue import RunQueue
from .scans import Scans
from .speed import measured

if TYPE_CHECKING:
    from PIL import Image

    from ..control import RunControl
    from ..host.base import Host

STATUS = "status.json"
TRY_SECONDS = 60.0
"""How long a request waits for a training run's next step."""


class Runs:
    """The runs in the library, and the queue that trains them. ``host`` makes the host of one run from its recipe."""

    def __init__(
        self,
        queue: RunQueue,
        library: Library,
        recipes: Recipes,
        folders: Folders,
        scans: Scans,
        host: Callable[[Recipe | None], Host],
        packages: Packages,
    ) -> None:
        self._queue, self._library, self._recipes = queue, library, recipes
        self._folders, self._scans, self._host, self._packages = folders, scans, host, packages

    def start(self, values: Any) -> str:
        """Queue a new run; return its id. Raises RecipeError or DeskError where it can't start."""
        recipe = self._recipes.parse(values)
        recipe_file.validate(recipe)
        check_texts(recipe)
        wrong = [*self._recipes.host_problems(recipe), *self._recipes.path_problems(recipe)]
        self._packages.wait()
        for sentence in wrong:
            raise DeskError(sentence)
        model = self._host(recipe).describe()
        recipe = replace(recipe, model=replace(recipe.model, base=model.path, vae=model.vae))
        from ..judge.prompts import propose

        figures = calculator.calculate(recipe, self._scans, lambda one: measured(self._library, one))
        for sentence in figures["problems"]:
            raise DeskError(sentence)
        recipe = propose(recipe, self._scans.get(recipe.dataset))
        speed = measured(self._library, recipe)
        for concept in recipe.dataset.concepts:
            for text in (concept.instance, concept.regularization):
                if text:
                    self._folders.folder(text, remember=True)
        folder = self._new_folder(recipe.save.name)
        try:
            recipe_file.write(folder / "recipe.yaml", recipe)
            # The run trains this model, whichever is loaded when its turn comes.
            lent, previews = {"base": model.path, "vae": model.vae}, {} if speed is None else dict(speed.previews)
            steps_alone = (figures["seconds"] or 0) - (figures["preview_seconds"] or 0)
            add_facts(folder, lent=lent, forecast_seconds=steps_alone, forecast_previews=previews)
            json_file.write(folder / STATUS, {"state": "waiting", "step": 0, "total": figures["steps"]})
            self._queue.add(folder.name)
        except OSError:
            with suppress(OSError):
                for name in ("recipe.yaml", FACTS, STATUS):
                    (folder / name).unlink(missing_ok=True)
                folder.rmdir()
            raise
        return folder.name

    def train(self, folder: Path, control: RunControl) -> object:
        """Train the run in a folder from its last state on, or draw what was asked for, in the queue's thread."""
        self._packages.wait()
        from .. import run
        from ..run.grid import GRID
        from ..run.more_pictures import MORE
        from ..run.word_grid import WORDS

        host = self._host(recipe_file.read(folder / "recipe.yaml"))
        if GRID.requested(folder):
            return run.draw_grid(folder, control=control, host=host, quiet=True)
        if WORDS.requested(folder):
            return run.draw_words(folder, control=control, host=host, quiet=True)
        if MORE.requested(folder):
            return run.draw_more(folder, control=control, host=host, quiet=True)
        return run.resume(folder, control=control, host=host, quiet=True)

    def resume(self, run: str, settings: Mapping[str, Any] | None = None) -> None:
        """Continue a run that is paused, waits, was stopped or killed, or has failed.

        ``settings``, by path, change what its state doesn't depend on (``run.changed_settings``). Raises RecipeError
        for others, NotNow while the run trains or waits.
        """
        self._library.path(run)
        state = self._library.status(run)["state"]
        if state == "finished":
            raise NotNow(f"{run} is finished; to train it longer, start a new run that continues from its last save.")
        if not self._queue.owns(run) and state in AT_WORK:
            raise NotNow(f"{run} is being trained by another program; stop it there.")
        if state != "waiting":
            self._forget_drawing(run)
        if settings:
            self._queue.settle(run)
            if self._queue.owns(run):
                raise NotNow(f"{run} is training or waiting: stop it, then resume it with other settings.")
            from ..run.changed_settings import as_texts, change_stopped

            change_stopped(self._library.path(run), as_texts(settings))
        self._queue.resume(run)

    def stop(self, run: str) -> None:
        """End a run with a save and a state to resume from, or remove it from the queue."""
        self._library.path(run)
        self._queue.stop(run)
        self._forget_drawing(run)

    def draw_grid(self, run: str) -> None:
        """Queue the grid of a run that has ended. Raises NotNow where there is nothing to draw, or the run goes on."""
        from ..run.grid import GRID

        path = self._ended(run, "its grid can be drawn when it has ended.")
        watch = self._library.recipe(run).watch
        if not self._library.saves(run) or not [*watch.concept_prompts, *watch.bleeding_prompts]:
            raise NotNow(f"{run} has no saves, or no prompts for control pictures: there is no grid to draw.")
        GRID.request(path)
        self._queue.add(run)

    def draw_words(self, run: str, save: int | None) -> None:
        """Queue the pictures of a run's trained words, drawn with the save of a step (None: the last one). Raises
        NotFound, NotNow where there are no words, or the run goes on.
        """
        from ..judge.words import trained_words
        from ..run.word_grid import WORDS

        path = self._ended(run, "its trained words can be drawn when it has ended.")
        if save is not None:
            self._library.save_path(run, save)
        if not self._library.saves(run):
            raise NotNow(f"{run} has no saves: there is nothing to draw with.")
        if not trained_words(self._library.recipe(run)):
            raise NotNow(f"{run} has no trained words: its captions can't be read, or it has no trigger.")
        WORDS.request(path, save=save)
        self._queue.add(run)

    def measure(self, run: str, pictures: int) -> None:
        """Queue more control pictures of a run that has ended, ``pictures`` of each set. Raises NotFound, NotNow where
        it can't be measured so, or goes on.
        """
        from ..run.more_pictures import MORE, why_not

        path = self._ended(run, "more control pictures can be drawn when it has ended.")
        reason = why_not(path, self._library.recipe(run), pictures)
        if reason:
            raise NotNow(f"{run} can't be measured with {pictures} control pictures of each set. {reason}")
        MORE.request(path, pictures=pictures)
        self._queue.add(run)

    def _ended(self, run: str, then: str) -> Path:
        """Return the folder of a run that has ended. Raises NotFound, NotNow where it goes on."""
        path = self._library.path(run)
        self._queue.settle(run)
        if self._queue.owns(run) or self._library.status(run)["state"] in AT_WORK:
            raise NotNow(f"{run} is training or waiting: {then}")
        return path

    def _forget_drawing(self, run: str) -> None:
        """Forget that pictures of a run that has ended were asked for, unless they are being drawn."""
        from ..run.grid import GRID
        from ..run.more_pictures import MORE
        from ..run.word_grid import WORDS

        if run != self._queue.current:
            for kind in (GRID, WORDS, MORE):
                kind.forget(self._library.path(run))

    def control(self, run: str) -> RunControl:
        """Return the control of the run that trains now. Raises NotNow for another run."""
        self._library.path(run)
        return self._queue.control(run)

    def try_now(self, run: str) -> str:
        """Have the run write its current weights as a temporary file; return its name once it exists."""
        if self._library.recipe(run).method.files in FULL:
            raise NotNow(
                f"{run} trains a whole model, which a prompt can't call: press Save now, and choose that checkpoint."
            )
        control = self.control(run)
        before = self._tries(run)
        control.try_now()
        until = time.monotonic() + TRY_SECONDS
        while time.monotonic() < until:
            made = self._tries(run)
            if len(made) > len(before):
                return made[-1]
            if run != self._queue.current:
                raise NotNow(f"{run} has ended meanwhile; use its saves.")
            time.sleep(0.05)
        raise NotNow(f"{run} hasn't reached its next step yet; try again in a moment, or resume it if it is paused.")

    def prompt_calls(self, run: str, name: str) -> dict[str, Any]:
        """Return how a prompt calls a file of this run: ``call``, and the trained ``word`` that it replaces, or empty.

        ``further``: the same for the files of its other words.
        """
        from ..host.webui import infotext

        recipe = self._library.recipe(run)
        calls = [{"call": call, "word": word} for word, call in infotext.called(recipe, name).items()]
        first, *further = calls or [{"call": infotext.call(recipe, name), "word": ""}]
        return {**first, "further": further}

    def trash(self, run: str, saves: bool) -> None:
        """Move a run to the trash, with ``saves`` also its files in the host's folders. Raises NotNow if it trains."""
        self._library.path(run)
        self._queue.settle(run)
        trains = run == self._queue.current
        if trains or (not self._queue.owns(run) and self._library.status(run)["state"] in AT_WORK):
            raise NotNow(f"{run} is training; stop it first.")
        self._queue.remove(run)
        for path in self._library.trash(run, saves):
            self._host(None).publish(path)

    def delete_save(self, run: str, step: int) -> None:
        """Move the save of a step to its run's trash. Raises NotFound, NotNow while the run trains."""
        self._change_saves(run, lambda path: deleted_saves.delete_save(path, step))

    def restore_save(self, run: str, name: str) -> None:
        """Put a deleted save back, by its id. Raises NotFound, NotNow while the run trains or has another one."""
        self._change_saves(run, lambda path: deleted_saves.restore_save(path, name))

    def _change_saves(self, run: str, change: Callable[[Path], Sequence[Path]]) -> None:
        """Change which saves a run that doesn't train has, and have the host read the changed files."""
        path = self._library.path(run)
        self._queue.settle(run)
        if run == self._queue.current or self._library.status(run)["state"] in AT_WORK:
            raise NotNow(f"{run} is training: its saves can be deleted and restored when it has ended.")
        host = self._host(None)
        for file in change(path):
            host.publish(file)

    def handover(
        self, run: str, to: Any, saves: Sequence[int], weights: Sequence[float], prompts: Sequence[str]
    ) -> dict[str, str]:
        """Return the ``infotext`` to paste into the host, and the ``checkpoint`` to select there, or empty."""
        paths = [self._library.save_path(run, step) for step in saves]
        host = self._host(None)
        if to not in host.features:
            raise NotNow(f"There is no {to} here: try the saves out on this page.")
        recipe = self._library.recipe(run)
        infotext = host.handover(to, recipe, [path.stem for path in paths], weights, prompts)
        whole = to == "txt2img" and recipe.method.files in FULL
        return {"infotext": infotext, "checkpoint": host.checkpoint_name(paths[-1]) if whole else ""}

    def tryout(self, run: str, drawing: dict[str, Any], save: int | None) -> Image.Image:
        """Draw one picture with a save of a run, or with the base model. Raises NotNow where this host draws none."""
        from ..host.base import Drawing

        self._packages.wait()
        recipe = self._library.recipe(run)
        path = None if save is None else self._library.save_path(run, save)
        host = self._host(recipe)
        if "tryout" not in host.features:
            raise NotNow("Pictures are drawn in txt2img here: send the save there.")
        return host.draw(Drawing(save=path, method=recipe.method.name, clip_skip=recipe.model.clip_skip, **drawing))

    def _tries(self, run: str) -> list[str]:
        """Return the names of the temporary files that a run has written, oldest first."""
        events = self._library.logs.events(self._library.path(run))
        return [Path(str(event["file"])).stem for event in events if event.get("event") == "try"]

    def _new_folder(self, name: str) -> Path:
        """Make an empty folder for a run of this name, but not of a reserved one. Raises DeskError."""
        try:
            return new_folder(self._library.folder, name, is_reserved)
        except OSError as error:
            path = self._library.folder / name
            raise DeskError(
                f"The run's folder {path} can't be made ({error.strerror}); free space or choose another name."
            ) from error

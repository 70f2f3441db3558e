"""The command line's commands for runs: train, resume, sample, report, and recipe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ..recipe import MethodName, Recipe, RecipeError, presets
from ..recipe import file as recipe_file
from ..recipe.advice import advice
from ..recipe.docs import help_text, markdown
from .signals import FAILED, INTERRUPTED, OK, say, stopped_by_signals

if TYPE_CHECKING:
    from ..control import RunControl
    from ..run import RunResult
    from ..train.processes import Processes


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to what ``add_subparsers`` returned; ``common`` holds the options that every command has."""

    def add(
        name: str, function: Callable[[argparse.Namespace], int], help: str, **more: Any
    ) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(
            name, help=help, description=help, parents=[common], **more
        )
        command.set_defaults(command=function)
        return command

    train = add(
        "train",
        _train,
        "Train a recipe in a new folder. Ctrl-C saves and stops; a second one aborts.",
        epilog=help_text(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.add_argument("recipe", metavar="RECIPE.yaml", type=Path)
    train.add_argument("settings", nargs="*", metavar="section.key=value", help="settings that replace the recipe's")
    train.add_argument("--quiet", action="store_true", help="show no progress")

    resume = add("resume", _resume, "Continue a run that was stopped or killed.")
    resume.add_argument("run", metavar="RUN", type=Path, help="the run's folder")
    resume.add_argument(
        "settings", nargs="*", metavar="section.key=value", help="settings to change: learning rates, saves, pictures"
    )
    resume.add_argument("--quiet", action="store_true", help="show no progress")

    _sample_options(add("sample", _sample, "Draw pictures with a base model, with or without LoRAs."))

    report = add("report", _report, "Write a run's report again, from its folder.")
    report.add_argument("run", metavar="RUN", type=Path, help="the run's folder")

    recipe = add(
        "recipe",
        _recipe,
        "Print a commented recipe: every setting with its default, or a starting point for one method.",
    )
    recipe.add_argument(
        "method",
        nargs="?",
        choices=get_args(MethodName),
        metavar="METHOD",
        help=f"only this method's settings, with values to start from: {', '.join(get_args(MethodName))}",
    )
    recipe.add_argument("--docs", action="store_true", help="print docs/recipe.md instead")


def _sample_options(sample: argparse.ArgumentParser) -> None:
    sample.add_argument("prompts", nargs="+", metavar="PROMPT")
    sample.add_argument("--base", required=True, help="checkpoint or diffusers folder")
    sample.add_argument("--lora", action="append", default=[], metavar="FILE[:WEIGHT]", help="can be repeated")
    sample.add_argument("--out", type=Path, default=Path("samples"), help="folder for the pictures (default: samples)")
    sample.add_argument("--seed", type=int, default=1, help="seed of the first picture; each further one adds 1")
    sample.add_argument("--steps", type=int, default=20)
    sample.add_argument("--guidance", type=float, default=7.0)
    sample.add_argument("--negative", default="")
    sample.add_argument("--size", type=int, default=512, help="side in pixels")


def _train(options: argparse.Namespace) -> int:
    def train(control: RunControl, processes: Processes) -> RunResult:
        recipe = recipe_file.override(recipe_file.read(options.recipe), options.settings)
        for sentence in advice(recipe):
            say(f"sdft: note: {sentence}", sys.stderr)
        from .. import run

        return run.train(recipe, control=control, quiet=options.quiet, processes=processes)

    return _run_to_end(train, options.quiet)


def _resume(options: argparse.Namespace) -> int:
    def resume(control: RunControl, processes: Processes) -> RunResult:
        if not (options.run / "recipe.yaml").is_file():
            raise RecipeError(f"{options.run} is not the folder of a run: it has no recipe.yaml.")
        from .. import run

        return run.resume(
            options.run, settings=options.settings, control=control, quiet=options.quiet, processes=processes
        )

    return _run_to_end(resume, options.quiet)


def _run_to_end(start: Callable[[RunControl, Processes], RunResult], quiet: bool) -> int:
    """Run until the end, or until Ctrl-C (or SIGTERM) makes it save and stop; print where the results are.

    Of the processes that ``accelerate launch`` has started, only the main one reads, writes and prints.
    """
    from ..train.launch import launched

    with launched() as processes:
        message = "Saving and stopping after this step (again: abort) …" if processes.main else ""
        with stopped_by_signals(message, repeated=1.0 if processes.count > 1 else 0.0) as control:
            if not processes.main:
                from ..run.worker import run_worker

                run_worker(processes)
                return OK
            result = start(control, processes)
    if quiet:  # else the progress has printed it
        say(result.message)
    say(f"Report: {result.folder / 'report.md'}")
    return {"finished": OK, "stopped": INTERRUPTED, "failed": FAILED}[result.outcome]


def _sample(options: argparse.Namespace) -> int:
    from ..method.lora import applied
    from ..model.load import load
    from ..model.sample import SamplerSettings, sample
    from ..storage import atomic
    from ..tools.files import file_and_weight
    from ..watch.progress import Progress

    model, progress = load(options.base), Progress()
    files = [file_and_weight(text) for text in options.lora]
    side = options.size // 8 * 8
    with applied(files, model):
        pictures = sample(
            model,
            options.prompts,
            [options.seed + number for number in range(len(options.prompts))],
            SamplerSettings(options.negative, options.steps, options.guidance, side, side),
            batch=4,
            progress=lambda done, total: progress.show("Drawing", done, total),
        )
    for number, picture in enumerate(pictures):
        target = options.out / f"{options.seed + number:06d}.png"
        while target.exists():
            target = target.with_name(f"{target.stem}-new.png")
        atomic.write(target, lambda file, picture=picture: picture.save(file, "PNG"))  # type: ignore[misc]
        print(target)
    return OK


def _report(options: argparse.Namespace) -> int:
    if not (options.run / "recipe.yaml").is_file():
        raise RecipeError(f"{options.run} is not the folder of a run: it has no recipe.yaml.")
    from ..watch.report import report

    report(options.run)
    print(options.run / "report.md")
    return OK


def _recipe(options: argparse.Namespace) -> int:
    if options.docs:
        print(markdown(), end="")
    elif options.method is None:
        print(recipe_file.dumps(Recipe(), comments=True), end="")
    else:
        recipe = recipe_file.from_plain({})
        for path, value in presets.start(options.method, "subject", "sd1", 512).items():
            recipe_file.put(recipe, path, value)
        print(recipe_file.dumps(recipe, comments=True, method=options.method), end="")
    return OK

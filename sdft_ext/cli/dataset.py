"""The command line's ``dataset`` commands: inspect or prepare a folder of pictures, or draw one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..preparation.options import CHOICES, from_plain
from ..recipe import Recipe
from ..recipe import file as recipe_file
from ..storage.text import quantity
from .signals import FAILED, INTERRUPTED, OK, stopped_by_signals


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to what ``add_subparsers`` returned; ``common`` holds the options that every command has."""

    def add(name: str, function: Any, help: str) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help, parents=[common])
        command.set_defaults(command=function)
        return command

    _report_options(
        add("report", _report, "Inspect a folder of pictures as a dataset: sizes, captions, duplicates, what recurs.")
    )
    _prepare_options(
        add(
            "prepare",
            _prepare,
            "Prepare a folder's pictures for training in another folder: cropped to buckets, tiled, mirrored, "
            "converted. Originals stay as they are; pictures that are already prepared aren't made again.",
        )
    )
    _regularize_options(
        add(
            "regularize",
            _regularize,
            "Draw regularization pictures of a class with a base model. Existing ones aren't drawn again.",
        )
    )


def _report_options(report: argparse.ArgumentParser) -> None:
    report.add_argument("folder", type=Path)
    report.add_argument("--quick", action="store_true", help="read only names and headers: no picture is opened")
    report.add_argument("--json", action="store_true", help="print JSON, for programs")
    report.add_argument("settings", nargs="*", metavar="section.key=value", help="such as dataset.resolution=768")


def _prepare_options(prepare: argparse.ArgumentParser) -> None:
    prepare.add_argument("folder", type=Path)
    prepare.add_argument(
        "--out", type=Path, required=True, help="a new folder, or one that an earlier preparation made"
    )
    prepare.add_argument(
        "--cut", choices=CHOICES["cut"], default="buckets", help="to the buckets of training, or not at all"
    )
    prepare.add_argument(
        "--focus",
        choices=("middle", "edges", "entropy"),
        default="middle",
        help="where to crop, unless the crop was moved by hand",
    )
    prepare.add_argument(
        "--split",
        choices=CHOICES["split"],
        default="off",
        help="tile long pictures, or those twice their bucket's size",
    )
    prepare.add_argument(
        "--overlap", type=float, default=0.2, help="overlap of neighbouring tiles, as a share of their side"
    )
    prepare.add_argument("--mirror", action="store_true", help="add a mirrored copy of each picture")
    prepare.add_argument(
        "--alpha",
        choices=CHOICES["alpha"],
        default="composite",
        help="transparency: put onto the background, or made a mask as well",
    )
    prepare.add_argument("--background", default="white", help="colour behind transparent pictures: a name or #rrggbb")
    prepare.add_argument("--format", choices=CHOICES["format"], default="png")
    prepare.add_argument("--quality", type=int, default=95, help="of JPEG and WebP, 1–100")
    prepare.add_argument("--dry-run", action="store_true", help="show what would be done, and write nothing")
    prepare.add_argument("--json", action="store_true", help="print JSON, for programs")
    prepare.add_argument("--quiet", action="store_true", help="show no progress")
    prepare.add_argument("settings", nargs="*", metavar="section.key=value", help="such as dataset.resolution=768")


def _regularize_options(draw: argparse.ArgumentParser) -> None:
    draw.add_argument("folder", type=Path)
    draw.add_argument("--base", required=True, help="checkpoint or diffusers folder")
    draw.add_argument("--vae", default="", help="file of another VAE")
    draw.add_argument(
        "--prompt", action="append", required=True, metavar="PROMPT", help="such as 'a dog'; can be repeated"
    )
    draw.add_argument("--count", type=int, default=200, help="20–100 for each instance picture (default: 200)")
    draw.add_argument("--negative", default="")
    draw.add_argument("--seed", type=int, default=1, help="seed of the first picture; each further one adds 1")
    draw.add_argument("--steps", type=int, default=20)
    draw.add_argument("--guidance", type=float, default=7.0)
    draw.add_argument("--size", type=int, default=512, help="side in pixels")
    draw.add_argument("--at-once", type=int, default=1, help="pictures drawn together: faster, more memory")
    draw.add_argument("--keep-duplicates", action="store_true", help="don't replace near-duplicates")
    draw.add_argument("--quiet", action="store_true", help="show no progress")


def _report(options: argparse.Namespace) -> int:
    from ..analysis.summary import summarize
    from ..dataset.folder import scan
    from ..dataset.plan import Plan
    from ..watch.progress import Progress

    recipe = Recipe()
    recipe.dataset.concepts[0].instance = str(options.folder)
    recipe.dataset.concepts[0].name = options.folder.resolve().name
    recipe = recipe_file.override(recipe, options.settings)
    found = scan(recipe.dataset)
    plan = Plan(found, recipe.dataset, recipe.train)
    if options.quick:
        report = summarize(found, plan, method=recipe.method.name)
    else:
        from ..analysis.report import inspect

        progress = Progress()
        folder, method = _thumbnails_folder(recipe), recipe.method.name
        report = inspect(found, plan, folder, lambda *done: progress.show("Inspecting", *done), method)
        progress.end()
    print(json.dumps(report.data, indent=2) if options.json else report.text)
    return OK


def _prepare(options: argparse.Namespace) -> int:
    from ..dataset import crops
    from ..dataset.folder import scan
    from ..preparation import record
    from ..preparation.describe import describe
    from ..preparation.execute import check, execute
    from ..preparation.focus import CropFinder
    from ..preparation.plan import plan
    from ..preparation.stale_outputs import note_stale
    from ..watch.progress import Progress

    names = ("cut", "focus", "split", "overlap", "mirror", "alpha", "background", "format", "quality")
    chosen = from_plain({name: getattr(options, name) for name in names})
    folder, out = options.folder.absolute(), options.out.absolute()
    recipe = Recipe()
    recipe.dataset.concepts[0].instance = str(folder)
    dataset = recipe_file.override(recipe, options.settings).dataset
    found = scan(dataset)
    made = plan(found, folder, out, chosen, dataset, crops.read(folder), record.written(out))
    made = note_stale(made, check(made))
    if options.dry_run:
        print(json.dumps(describe(made), indent=2) if options.json else describe(made)["text"])
        return OK
    progress = Progress(quiet=options.quiet or options.json)
    with stopped_by_signals("Stopping after these pictures (again: abort) …") as control:
        done = execute(made, CropFinder(), lambda *done: progress.show("Preparing", *done), lambda: control.stopping)
    progress.end()
    facts = {"written": done.written, "skipped": done.skipped, "cancelled": done.cancelled, "problems": done.problems}
    if options.json:
        print(json.dumps({**describe(made), **facts}, indent=2))
    else:
        for sentence in [*(problem.text for problem in found.problems), *made.notes, *done.problems]:
            print(sentence)
        print(f"{quantity(done.written, 'picture')} written to {out}, {done.skipped} existed already.")
    return INTERRUPTED if done.cancelled else FAILED if done.problems else OK


def _thumbnails_folder(recipe: Recipe) -> Path | None:
    """Return the folder for thumbnails: in the cache, where there is one, or a folder of runs that it belongs to."""
    from ..dataset.cache import cache_folder

    where = cache_folder(recipe.dataset, recipe.save.output)
    return where / "looks" if recipe.dataset.cache_folder or where.parent.is_dir() else None


def _regularize(options: argparse.Namespace) -> int:
    from ..host.base import Files, Sampling
    from ..host.standalone import StandaloneHost
    from ..recipe import ModelRecipe
    from ..run.regularization import RegularizationSettings, regularize
    from ..watch.progress import Progress

    host, progress = StandaloneHost(ModelRecipe(base=options.base, vae=options.vae)), Progress(quiet=options.quiet)
    side = options.size // 8 * 8
    settings = RegularizationSettings(
        tuple(options.prompt),
        Files(options.base, options.vae),
        Sampling(host.samplers()[0], options.negative, options.steps, options.guidance, side, side),
        options.count,
        options.seed,
        options.at_once,
        not options.keep_duplicates,
    )

    def show(_state: str, done: int, total: int, _seconds: float, message: str) -> None:
        progress.show("Drawing", done, total)
        if message:
            progress.say(message)

    with stopped_by_signals("Stopping after this picture (again: abort) …") as control:
        made = regularize(settings, options.folder, host, control=control, on_progress=show)
    if options.quiet:
        print(made.message)
    return OK if made.outcome == "finished" else INTERRUPTED

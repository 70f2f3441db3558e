"""kohya's settings and datasets → a recipe: those of sd-scripts (TOML) and of its interface kohya_ss (JSON).

What each setting means is read from sd-scripts' own code: library/train_util.py, library/config_util.py,
train_network.py, networks/lora.py.
"""

from __future__ import annotations

import math
from pathlib import PurePosixPath

from .draft import Draft
from .files import Files
from .kohya_dataset import batches, read_datasets
from .kohya_gui import as_arguments
from .kohya_names import LEFT, QUIET
from .kohya_network import set_method
from .kohya_training import (
    PRECISIONS,
    set_computation,
    set_kohya_optimizer,
    set_length,
    set_loss_and_noise,
    set_rates,
    set_schedule,
    set_text_stop,
)
from .model_names import safe_name, set_model_path
from .prompts import kohya_prompts, set_prompts
from .source import SettingsFileError, Source, flattened, source
from .values import Values


def import_kohya(settings: Source | None, dataset: Source | None, files: Files) -> Draft:
    """Make a recipe of kohya's settings, its dataset file, or both. Raises SettingsFileError."""
    draft = Draft()
    if settings is None:
        assert dataset is not None
        table = Values(dataset.values, draft)
        read_datasets(Values({}, draft), table, files)
        table.report_unread(LEFT, QUIET)
        draft.note(
            f"{dataset.name} describes pictures only: the method, rates and length are this program's own. Import the "
            "settings' file as well (--config_file's TOML, or kohya_ss' JSON), or set them."
        )
        return draft
    arguments = _arguments(settings, draft)
    config = _config(arguments, dataset, files)
    datasets = read_datasets(arguments, config, files)
    optimizer = set_kohya_optimizer(arguments)
    method = set_method(arguments)
    set_rates(arguments, method)
    steps = set_length(arguments, datasets)
    set_schedule(arguments, optimizer, steps)
    set_text_stop(arguments, steps)
    set_loss_and_noise(arguments)
    set_computation(arguments)
    _set_model(arguments, files)
    per_epoch = batches(datasets)
    accumulation = draft.recipe.train.accumulation
    _set_saves(arguments, steps, None if per_epoch is None else math.ceil(per_epoch / accumulation))
    _set_samples(arguments, files, None if per_epoch is None else math.ceil(per_epoch / accumulation))
    arguments.report_unread(LEFT, QUIET)
    if config is not None:
        config.report_unread(LEFT, QUIET)
    return draft


def _arguments(settings: Source, draft: Draft) -> Values:
    flat = flattened(settings.values)
    if settings.kind == "kohya_ss settings":
        found, names = as_arguments(flat)
        return Values(found, draft, names=names, given=flat)
    return Values(flat, draft)


def _config(arguments: Values, dataset: Source | None, files: Files) -> Values | None:
    """Return the dataset file's settings: the given one, or the one that the settings name."""
    draft, path = arguments.draft, arguments.text("dataset_config")
    if dataset is not None:
        return Values(dataset.values, draft)
    if not path:
        inline = {name: arguments.raw(name) for name in ("general", "datasets") if name in arguments.values}
        return Values(inline, draft) if isinstance(inline.get("datasets"), list) else None
    content = files.read(path)
    if content is None:
        arguments.leave("dataset_config", "it wasn't found here. Import it together with this file.")
        return None
    found = source(path, content)
    if found.kind != "kohya dataset":
        raise SettingsFileError(f"{path}, which the settings name as dataset_config, is no kohya dataset file.")
    return Values(found.values, draft)


def _set_model(values: Values, files: Files) -> None:
    for path, name in (("model.base", "pretrained_model_name_or_path"), ("model.vae", "vae")):
        set_model_path(values, files, path, name, values.text(name))


def _set_saves(values: Values, steps: int | None, per_epoch: int | None) -> None:
    """Set names and saves. sd-scripts saves at the end alone where no interval is given."""
    if values.has("output_name"):
        values.set("save.name", "output_name", safe_name(values.text("output_name")))
    epochs, every = values.whole("save_every_n_epochs", 0), values.whole("save_every_n_steps", 0)
    ratio = values.whole("save_n_epoch_ratio", 0)
    in_steps = values.draft.recipe.train.length_unit == "steps"
    if ratio and steps and per_epoch:
        epochs = max(math.ceil(steps / per_epoch) // ratio, 1)
    elif ratio:
        values.set("save.every", "save_n_epoch_ratio", ratio)
        values.set("save.every_unit", "save_n_epoch_ratio", "times")
        return
    if epochs:
        name = "save_n_epoch_ratio" if ratio else "save_every_n_epochs"
        counted = in_steps and per_epoch is not None
        values.set("save.every", name, epochs * (per_epoch or 1) if counted else epochs)
        values.set("save.every_unit", name, "steps" if counted else "epochs")
        if every:
            values.leave("save_every_n_steps", "there is one interval of saves here: that of epochs was taken.")
    else:
        values.set("save.every", "save_every_n_steps", every or 0)
        values.set("save.every_unit", "save_every_n_steps", "steps")
    _set_kept(values, epochs, every)
    precision = values.text("save_precision", "float")
    values.set("save.precision", "save_precision", PRECISIONS.get(precision, precision))


def _set_kept(values: Values, epochs: int | None, steps: int | None) -> None:
    """Set how many saves are kept: there those of the last epochs or steps, here a number of files."""
    for name, every in (("save_last_n_epochs", epochs), ("save_last_n_steps", steps)):
        last = values.whole(name, 0)
        if last and every:
            values.set("save.keep_last", name, max(math.ceil(last / every), 1))


def _set_samples(values: Values, files: Files, per_epoch: int | None) -> None:
    """Set control prompts and how often they are drawn."""
    steps, epochs = values.whole("sample_every_n_steps", 0), values.whole("sample_every_n_epochs", 0)
    given = values.raw("sample_prompts")
    given = "\n".join(map(str, given)) + "\n" if isinstance(given, list) else values.text("sample_prompts")
    if given:
        text = _prompt_file(values, files, given)
        if text is not None:
            set_prompts(values.draft, kohya_prompts(text), values.name("sample_prompts"))
    if epochs and steps:  # library/train_util.py, sample_images_common: then the steps are ignored
        values.leave(
            "sample_every_n_steps", "kohya ignores it where sample_every_n_epochs is given, so it was left out."
        )
    if epochs and per_epoch is not None:
        values.set("watch.every", "sample_every_n_epochs", epochs * per_epoch)
    elif epochs:
        values.leave(
            "sample_every_n_epochs",
            "an epoch's steps couldn't be counted: control pictures are drawn at saves. Set watch.every.",
        )
    elif steps:
        values.set("watch.every", "sample_every_n_steps", steps)


def _prompt_file(values: Values, files: Files, given: str) -> str | None:
    """Return the text of a prompt file; kohya_ss has the prompts themselves in its settings."""
    if "\n" in given or " " in PurePosixPath(given).name.removesuffix(".txt").strip():
        return given
    content = files.read(given)
    if content is None or not given.endswith(".txt"):
        values.leave(
            "sample_prompts", "only prompts in a .txt file that is found here are read. Set watch.concept_prompts."
        )
        return None
    return content.decode("utf-8", errors="replace")

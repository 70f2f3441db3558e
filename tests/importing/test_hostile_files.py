"""Damaged files, files of another kind, and files that were made to do harm: one sentence each, and nothing is run."""

from __future__ import annotations

import builtins
import importlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.importing import MAX_BYTES, FoundPicture, LocalFiles, NoFiles, SettingsFileError, epochs, import_settings
from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file

from .importer import gui, kohya, onetrainer, pictures, says

KOHYA = {"network_module": "networks.lora", "network_dim": 8, "learning_rate": 1e-4}
BAD: list[tuple[str, bytes, tuple[str, ...]]] = [
    ("a.toml", b"", ("a.toml is empty", "Choose a kohya dataset")),
    ("a.json", b'{"network_dim": 8, ', ("a.json is damaged, or cut off", "Save it again")),
    ("a.toml", b"network_dim = \n", ("a.toml is neither JSON nor sound TOML", "line 1")),
    ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(range(128, 256)), ("a.png is no text file",)),
    ("a.toml", b"a = 1\0", ("NUL",)),
    (
        "a.json",
        b'{"_class_name": "UNet2DConditionModel", "act_fn": "silu"}',
        ("settings of another kind", "_class_name"),
    ),
    ("a.json", b'{"training_method": "lora", "gpu_count": 1}', ("settings of another kind",)),
    ("a.json", b"[1, 2, 3]", ("a list, but not of OneTrainer's concepts",)),
    ("a.json", b"{}", ("none at all",)),
    ("a.json", b"[" * 100_000, ("a.json",)),
    ("a.json", b'{"a":' * 50_000 + b"1" + b"}" * 50_000, ("a.json",)),
    ("a.toml", b"a = " + b"[" * 5_000 + b"]" * 5_000, ("a.toml",)),
    ("a.toml", b"a." * 2_000 + b"b = 1", ("a.toml",)),
    ("a.toml", b"a." * 400_000 + b"b = 1", ("a.toml is nested too deeply",)),
    ("a.toml", b"[" + b"a . " * 200_000 + b"b]", ("a.toml is nested too deeply",)),
    ("a.toml", b'x = ["""\n" """"", {' + b"a." * 400_000 + b"b = 1}]", ("a.toml is nested too deeply",)),
    ("a.toml", b"x = ['''\n' ''''', {" + b"a." * 400_000 + b"b = 1}]", ("a.toml is nested too deeply",)),
    ("a.toml", b"a = " + b'"\\' * 400_000, ("a.toml is neither JSON nor sound TOML",)),
    ("a.json", b'{"seed": ' + b"9" * 6_000 + b"}", ("a.json is damaged",)),
    ("recipe.yaml", recipe_file.dumps(Recipe()).encode(), ("is YAML", "load it as it is")),
    ("a.json", json.dumps(KOHYA).encode() + b" " * MAX_BYTES, ("larger than 1,000 kB",)),
    ("a\nb.toml", b"", ("a\\nb.toml is empty",)),
]


@pytest.mark.parametrize(("name", "content", "parts"), BAD, ids=lambda one: str(one)[:30])
def test_a_damaged_file_or_one_of_another_kind_is_refused_in_a_sentence(
    name: str, content: bytes, parts: tuple[str, ...]
) -> None:
    began = time.monotonic()
    with pytest.raises(SettingsFileError) as caught:
        import_settings({name: content}, NoFiles())
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message and len(message) < 600 and time.monotonic() - began < 5


def test_dots_in_texts_and_comments_are_no_nesting(tmp_path: Path) -> None:
    """Nor are those of many numbers in a line."""
    dots = "." * 200
    text = (
        f"# {dots}\nnetwork_module = 'networks.lora' # don't {dots}\nnetwork_dim = 8\n"
        f'output_name = "a \\" {dots}"\nsample_prompts = """\n{dots} "" {dots}\\"""{dots}"""""\n'
        f"numbers = [{'1.5, ' * 60}]\ncomment = '''\n{dots}'\n'''\n"
    )
    assert import_settings({"a.toml": text.encode()}, NoFiles()).recipe.method.lora.rank == 8


@pytest.mark.parametrize("name", ["optimizer_args", "network_args"])
def test_arguments_of_many_spaces_take_no_time(name: str) -> None:
    began = time.monotonic()
    text = "weight_decay=0.1 " + " " * 300_000 + "betas=(0.9, 0.95)"
    found = import_settings({"a.json": json.dumps({**KOHYA, name: text}).encode()}, NoFiles())
    assert says(found, name, "longer than 10,000 characters") and time.monotonic() - began < 5
    short = json.dumps({**KOHYA, "optimizer_args": "weight_decay=0.1" + " " * 5_000 + "betas=(0.9,  0.95)"}).encode()
    train = import_settings({"a.json": short}, NoFiles()).recipe.train
    assert (train.weight_decay, train.optimizer_options) == (0.1, {"betas": "0.9, 0.95"})


@pytest.mark.parametrize(
    "contents",
    [
        {},
        {"a.json": KOHYA, "b.json": KOHYA},
        {"a.json": KOHYA, "b.json": [{"path": "x"}]},
        {"a.json": KOHYA, "b.json": {"training_method": "LORA", "base_model_name": "x"}},
        {"a.json": KOHYA, "b.json": {**KOHYA, "LoRA_type": "Standard"}},
    ],
)
def test_files_that_do_not_belong_together_are_refused(contents: dict[str, Any]) -> None:
    with pytest.raises(SettingsFileError, match="import|name a settings file"):
        import_settings({name: json.dumps(one).encode() for name, one in contents.items()}, NoFiles())


WRONG = ("", [], {}, True, -1, 1e400, float("nan"), "x" * 5_000, [[1]], {"a": {"b": 1}}, 10**40, None)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda one: repr(one)[:20])
@pytest.mark.parametrize("program", [kohya, onetrainer])
def test_no_value_of_a_wrong_type_ends_the_import(tmp_path: Path, program: Any, wrong: Any) -> None:
    """Every setting that is read gets it, one after the other; the recipe stays valid by itself."""
    if program is kohya:
        from sdft_ext.importing.kohya_names import LEFT

        names = [*LEFT, *KOHYA_READ.split()]
    else:
        from sdft_ext.importing.onetrainer_names import LEFT, QUIET

        names = [*LEFT, *QUIET, *ONETRAINER_READ.split()]
    for name in names:
        config = (
            {**KOHYA, "max_train_steps": 10, name: wrong}
            if program is kohya
            else {"training_method": "LORA", "base_model_name": "x", "concepts": [{"path": "y"}], name: wrong}
        )
        try:
            found = import_settings({"a.json": json.dumps(config).encode()}, NoFiles())
        except SettingsFileError:
            continue
        assert all("\n" not in sentence and len(sentence) < 700 for sentence in found.left)


KOHYA_READ = """
    network_dim network_alpha network_args network_module optimizer_type optimizer_args lr_scheduler
    lr_warmup_steps max_train_steps max_train_epochs train_batch_size gradient_accumulation_steps learning_rate
    unet_lr text_encoder_lr resolution enable_bucket min_bucket_reso max_bucket_reso bucket_reso_steps
    train_data_dir reg_data_dir in_json dataset_config caption_extension keep_tokens shuffle_caption
    caption_dropout_rate flip_aug seed clip_skip mixed_precision save_precision save_every_n_epochs
    save_every_n_steps save_last_n_epochs save_n_epoch_ratio sample_prompts sample_every_n_steps
    sample_every_n_epochs noise_offset min_snr_gamma loss_type huber_c output_name pretrained_model_name_or_path
    vae token_string init_word num_vectors_per_token max_timestep min_timestep lr_scheduler_num_cycles
    lr_scheduler_power multires_noise_iterations prior_loss_weight max_grad_norm epoch
"""
ONETRAINER_READ = """
    model_type training_method concepts resolution batch_size epochs learning_rate learning_rate_scaler unet
    text_encoder optimizer learning_rate_scheduler learning_rate_warmup_steps ema ema_decay loss_weight_fn
    samples save_every save_every_unit output_model_destination train_dtype output_dtype lora_rank lora_alpha
    peft_type embedding additional_embeddings min_noising_strength max_noising_strength timestep_distribution
    noising_weight clip_grad_norm gradient_accumulation_steps vae layer_filter_preset sample_after
    base_model_name text_encoder_layer_skip
"""


HUGE = 10**400


@pytest.mark.parametrize("settings", [{"lr_warmup": HUGE}, {"max_train_steps": -HUGE}, {"max_grad_norm": 1e300}])
def test_a_number_beyond_all_settings_is_refused_by_name(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsFileError, match=f"gui.json: {next(iter(settings))} is a number beyond"):
        gui(tmp_path, **settings)


def test_a_number_of_many_digits_of_any_base_is_refused(tmp_path: Path) -> None:
    for text in ("0x" + "f" * 5_000, "0b" + "1" * 5_000):
        content = f"network_module = 'networks.lora'\nnetwork_dim = {text}\n".encode()
        with pytest.raises(SettingsFileError, match=r"a.toml: network_dim is a number beyond 2\^64"):
            import_settings({"a.toml": content}, NoFiles())


def test_numbers_up_to_the_largest_seed_are_read_to_the_last_digit(tmp_path: Path) -> None:
    assert kohya(tmp_path, seed=2**63 - 1).recipe.train.seed == 2**63 - 1


KOHYA_TEXTS: list[tuple[dict[str, Any], str]] = [
    ({"resolution": "1e200,1e200"}, "resolution"),
    ({"network_args": ["conv_dim=1e999", "conv_alpha=-1e999"]}, "conv_dim"),
    ({"network_args": ["conv_dim=" + "9" * 190]}, "conv_dim"),
    ({"optimizer_args": ["weight_decay=" + "9" * 190]}, "weight_decay"),
    ({"num_repeats": "1e308", "dataset_repeats": "1e308", "train_data_dir": "train/2_cat", "in_json": "a"}, "repeats"),
    ({"max_train_epochs": "1e308", "train_data_dir": "train"}, "max_train_epochs"),
    ({"min_bucket_reso": "1e300", "enable_bucket": True, "train_data_dir": "train"}, "min_bucket_reso"),
]
GUI_TEXTS: list[tuple[dict[str, Any], str]] = [
    (
        {"lr_warmup": "1e999", "lr_scheduler": "cosine", "dataset_config": "d.toml", "max_train_steps": "100"},
        "lr_warmup",
    ),
    (
        {"lr_warmup": "10", "lr_scheduler": "cosine", "dataset_config": "d.toml", "max_train_steps": "9" * 4_000},
        "max_train_steps",
    ),
    ({"epoch": "1e308", "train_data_dir": "train"}, "epoch"),
    ({"stop_text_encoder_training": "1e308"}, "stop_text_encoder_training"),
]
ONETRAINER_TEXTS: list[tuple[dict[str, Any], str]] = [
    ({"min_noising_strength": "1e306"}, "min_noising_strength"),
    ({"ema": "GPU", "ema_decay": -0.5}, "ema_decay is -0.5: a decay is from 0 to 1"),
    ({"ema": "GPU", "ema_decay": 0, "ema_update_step_interval": -3}, "ema_update_step_interval is -3"),
    ({"sample_after": "1e308", "sample_after_unit": "EPOCH"}, "sample_after"),
    ({"resolution": "9" * 5_000}, "resolution"),
    ({"resolution": "²"}, "resolution"),
    ({"epochs": "1e308"}, "epochs"),
]


@pytest.mark.parametrize(
    ("program", "settings", "part"),
    [(program, *one) for program, many in ((kohya, KOHYA_TEXTS), (gui, GUI_TEXTS)) for one in many]
    + [(onetrainer, *one) for one in ONETRAINER_TEXTS],
    ids=lambda one: one.__name__ if callable(one) else str(one)[:40],
)
def test_a_text_that_is_a_huge_number_is_left_out(
    tmp_path: Path, program: Any, settings: dict[str, Any], part: str
) -> None:
    """With pictures that are found, so that everything is calculated from it."""
    pictures(tmp_path / "train" / "2_cat", (3, 64, 64))
    concepts = {"concepts": [{"path": "train/2_cat"}]} if program is onetrainer else {}
    assert says(program(tmp_path, **concepts, **settings), part)


def test_small_buckets_of_onetrainer_have_a_side(tmp_path: Path) -> None:
    """At 64 pixels, a bucket of 1:4 would have a side of 0 multiples of 64."""
    pictures(tmp_path / "cats", (3, 32, 128))
    found = onetrainer(
        tmp_path, [{"path": "cats"}], model_type="STABLE_DIFFUSION_XL_10_BASE", resolution="64", epochs=4
    )
    assert (found.recipe.train.length, found.recipe.train.length_unit) == (4, "epochs") and not found.left


@pytest.mark.parametrize(("low", "high"), [(256, 10**12), (-(10**12), 1024), (-(10**12), 10**12)])
def test_buckets_without_number_are_refused_before_batches_are_counted(tmp_path: Path, low: int, high: int) -> None:
    pictures(tmp_path / "train" / "2_cat", (3, 64, 64))
    began = time.monotonic()
    sizes = {"resolution": 64, "enable_bucket": True, "min_bucket_reso": low, "max_bucket_reso": high}
    found = kohya(tmp_path, train_data_dir="train", max_train_epochs=2, **sizes)
    assert found.recipe.train.length == 2 and time.monotonic() - began < 5
    assert says(found, "max_bucket_reso" if high > 8192 else "min_bucket_reso", "left out")


def test_buckets_are_computed_once_for_all_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(*given: int) -> range:
        calls.append(given)
        return range(*given)

    monkeypatch.setattr(epochs, "range", counted, raising=False)
    buckets = epochs.KohyaBuckets(True, 1000, 1000, 72, 2000, 8, False)
    showings = [epochs.Showing(FoundPicture(100 + number, 500, False), 1) for number in range(100)]
    assert epochs.kohya_batches(showings, buckets, 1) == 100 and len(calls) == 1


def test_thousands_of_folders_are_refused_in_a_sentence_and_hundreds_take_no_time(tmp_path: Path) -> None:
    """A folder that is named many times is looked through once."""
    looked = []

    class Counting(LocalFiles):
        def pictures(self, folder: str) -> list[FoundPicture] | None:
            looked.append(folder)
            return super().pictures(folder)

    pictures(tmp_path / "cat", (3, 64, 64))
    subset, concept = "[[datasets.subsets]]\nimage_dir = 'cat'\n", {"path": "cat"}
    for number in (300, 20_000):
        began = time.monotonic()
        files = (
            {"d.toml": f"[[datasets]]\n{subset * number}".encode()},
            {"c.json": json.dumps([concept] * number).encode()},
        )
        for content in files:
            looked.clear()
            if number == 300:
                found = import_settings(content, Counting([tmp_path]))
                assert len(found.recipe.dataset.concepts) == 300 and len(looked) == 1
            else:
                with pytest.raises(SettingsFileError, match="more than 300 folders"):
                    import_settings(content, Counting([tmp_path]))
        assert time.monotonic() - began < 5


def test_what_no_reader_foresaw_is_a_sentence_that_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: Any) -> Any:
        raise OverflowError("int too large\nto convert")

    monkeypatch.setattr("sdft_ext.importing.import_kohya", fails)
    with pytest.raises(SettingsFileError, match=r"a\.json can't be imported.*int too large\\nto convert"):
        import_settings({"a.json": json.dumps(KOHYA).encode()}, NoFiles())


def test_no_code_that_a_file_names_is_imported_or_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(builtins, "eval", None)
    found = kohya(
        tmp_path,
        optimizer_type="evil.Optimizer",
        lr_scheduler_type="evil.Schedule",
        optimizer_args=["weight_decay=__import__('evil')", "betas=(lambda: 1)()"],
        network_args=["conv_dim=__import__('evil')"],
    )
    onetrainer(tmp_path, learning_rate_scheduler="CUSTOM", custom_learning_rate_scheduler="evil.Schedule")
    assert not (tmp_path / "ran").exists()
    assert says(found, "lr_scheduler_type", "aren't run") and found.recipe.train.optimizer == "adamw"


def test_without_leave_no_file_or_folder_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "10_sks cat").mkdir()
    config = {
        **KOHYA,
        "train_data_dir": str(tmp_path),
        "dataset_config": str(tmp_path / "d.toml"),
        "max_train_epochs": 2,
    }
    monkeypatch.setattr("os.scandir", None)
    monkeypatch.setattr("os.open", None)
    found = import_settings({"a.json": json.dumps(config).encode()}, NoFiles())
    assert found.recipe.dataset.concepts[0].instance == str(tmp_path)


def test_what_a_file_names_may_be_anything(tmp_path: Path) -> None:
    """A folder where a file is expected, a picture where a dataset file is, a path that no system has."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "p.toml").write_bytes(b"\x89PNG\r\n\x1a\n")
    files = LocalFiles([tmp_path])
    assert files.read("folder") is None and files.folders("p.toml") is None and files.pictures("a\0b") is None
    assert files.find("x" * 5_000) == "" and files.read("a\0b") is None
    for path in ("folder", "a" * 5_000, "../" * 500):
        assert says(kohya(tmp_path, dataset_config=path), "dataset_config")
    with pytest.raises(SettingsFileError, match="no text file"):
        kohya(tmp_path, dataset_config="p.toml")


@pytest.mark.parametrize("path", ["//server/share", r"\\server\share", r"/\server\share", " //server/share"])
def test_no_path_on_another_machine_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    files, looked = LocalFiles([tmp_path]), list[str]()

    def spy(path: Any, *given: Any, **named: Any) -> Any:
        looked.append(str(path))
        raise FileNotFoundError(path)

    with monkeypatch.context() as patched:
        for name in ("stat", "lstat", "scandir", "open"):
            patched.setattr(os, name, spy)
        found = files.find(path), files.read(path), files.folders(path), files.pictures(path)
    assert (found, looked) == (("", None, None, None), [])


def test_python_without_a_toml_reader_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if "toml" in name:
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(SettingsFileError, match="pip install tomli"):
        import_settings({"a.toml": b"network_dim = 4\nnetwork_module = 'networks.lora'\n"}, NoFiles())
    assert import_settings({"a.json": json.dumps(KOHYA).encode()}, NoFiles()).recipe.method.lora.rank == 8

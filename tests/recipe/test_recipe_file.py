import copy
import dataclasses
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sdft_ext.recipe import VERSION, Concept, Recipe, RecipeError
from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.advice import advice
from sdft_ext.recipe.rules import choices, fields, validate

AWKWARD = [
    "0123", "on", "no", "1e5", "${a}", "~", "null", "", " ", " a ", "a: b", "- a", "#x", "a #b", "'", '"', '\\', "\\n", "a\nb",
    "\r\n",     "\t", "{a}", "[a]", "&a",
    "*a", "!a", "!!int 3", "|", ">", "%", "@", "`", "0x1F", "1_000", ".inf", "2024-01-01", "=", "<<",
    "🐈‍⬛ καί 猫", "\u2028", "\u0085", "\ufeffx", "\x00", "\x1b", "\x7f",
    "\ud800", "\udce9", "é", "---", "...", "a" * 5000,
]  # fmt: skip


def changed(recipe: Recipe, path: str, value: object) -> Recipe:
    recipe = copy.deepcopy(recipe)
    recipe_file.put(recipe, path, value)
    return recipe


@pytest.mark.parametrize("text", AWKWARD, ids=ascii)
def test_awkward_text_survives(text):
    recipe = Recipe()
    recipe.dataset.concepts = [Concept(trigger=text, class_word=text)]
    recipe.watch.concept_prompts = [text, "x", text]
    recipe.train.optimizer_options = {text: text}
    if len(text) > 1000:  # longer than YAML lets a key be
        recipe.train.optimizer_options = {"a": text}
    assert recipe_file.loads(recipe_file.dumps(recipe)) == recipe
    assert recipe_file.loads(recipe_file.dumps(recipe, comments=True)) == recipe
    assert recipe_file.override(Recipe(), [f"dataset.concepts.0.trigger={text}"]).dataset.concepts[0].trigger == text


@settings(max_examples=30, deadline=None)
@given(text=st.text(), numbers=st.floats(0, 1e4, allow_nan=False), seed=st.integers(0, 2**63 - 1))
def test_any_text_and_number_survives(text, numbers, seed):
    recipe = Recipe()
    recipe.dataset.prefix = text
    recipe.train.text_encoder_learning_rate = min(numbers, 1.0)
    recipe.watch.seed = seed
    written = recipe_file.dumps(recipe)
    assert recipe_file.loads(written) == recipe
    other = yaml.safe_load(written)  # another YAML reader sees the same
    assert other["dataset"]["prefix"] == text
    assert other["train"]["text_encoder_learning_rate"] == min(numbers, 1.0)
    assert other["watch"]["seed"] == seed


@pytest.mark.parametrize("rate", [1e-5, 1e-10, 0.1 + 0.2, 1 / 3, 5e-324, 1.0])
def test_numbers_are_exact(rate):
    recipe = changed(Recipe(), "train.learning_rate", rate)
    assert recipe_file.loads(recipe_file.dumps(recipe)).train.learning_rate == rate
    assert yaml.safe_load(recipe_file.dumps(recipe))["train"]["learning_rate"] == rate


def test_what_is_typed_without_quotes_is_text():
    recipe = recipe_file.loads(
        "dataset:\n  prefix: 0123\n  suffix: on\n  template: ${a}\n"
        "  concepts:\n  - {trigger: 1e5, name: no, class_word: 'null'}\n"
    )
    concept = recipe.dataset.concepts[0]
    assert (recipe.dataset.prefix, recipe.dataset.suffix, recipe.dataset.template) == ("0123", "on", "${a}")
    assert (concept.trigger, concept.name, concept.class_word) == ("1e5", "no", "null")


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("Yes", True), ("ON", True), ("false", False), ("No", False), ("off", False)],
)
def test_true_and_false(text, value):
    assert recipe_file.loads(f"dataset: {{flip: 0, buckets: {text}}}").dataset.buckets is value


@pytest.mark.parametrize(("text", "value"), [("1e-4", 1e-4), ("1e5", 1e5), ("5", 5.0), (".5", 0.5), ("+1.", 1.0)])
def test_floats(text, value):
    recipe = recipe_file.override(Recipe(), [f"train.clip_norm={text}"])
    assert recipe.train.clip_norm == value and isinstance(recipe.train.clip_norm, float)


REFUSED = {
    "train.lerning_rate=1": ["train.lerning_rate", "train.learning_rate"],
    "learning_rate=1": ["learning_rate", "train.learning_rate"],
    "dataset.concepts.0.triger=x": ["dataset.concepts.0.triger", "dataset.concepts.0.trigger"],
    "wach.seed=1": ["wach", "watch"],
    "train.batch_size=1_0": ["train.batch_size", "'1_0'", "whole number from 1 to 4096"],
    "train.batch_size=1.5": ["train.batch_size", "whole number"],
    "train.batch_size=": ["train.batch_size", "empty"],
    "train.batch_size=0": ["train.batch_size", "out of range", "from 1 to 4096"],
    "train.clip_norm=1_0.0": ["train.clip_norm", "number"],
    "train.clip_norm=nan": ["train.clip_norm"],
    "train.clip_norm=1e999": ["train.clip_norm", "finite"],
    "train.seed=9223372036854775808": ["train.seed", "9223372036854775807"],
    "train.optimizer=adam": ["train.optimizer", "adafactor", "Did you mean adamw?"],
    "dataset.buckets=maybe": ["dataset.buckets", "true or false"],
    "dataset.buckets.x=1": ["dataset.buckets.x"],
    "train=1": ["train", "section"],
    "dataset.concepts.7.name=x": ["dataset.concepts", "0 to 1"],
    "dataset.concepts.x.name=x": ["dataset.concepts.x"],
    "watch.concept_prompts=a dog": ["watch.concept_prompts", "list"],
    "method.lora.block_ranks.mid=x": ["method.lora.block_ranks.mid", "whole number"],
    "method.lora.block_ranks.mid=-1": ["method.lora.block_ranks.mid", "out of range"],
    "train.learning_rate=0": ["train.learning_rate", "1e-4"],
    "train.learning_rate=1e3": ["train.learning_rate", "1000", "1e-4"],
    "train.schedule=steps": ["train.schedule_steps"],
    "save.name=a/b": ["save.name", "'a/b'"],
    "save.name=": ["save.name"],
    "save.name=con": ["save.name"],
    "watch.size=100": ["watch.size", "96"],
    "version=99": ["version", "newer"],
    "version=0": ["version"],
    "model.base=a\0b": ["model.base"],
    "no-equals": ["no-equals", "train.learning_rate=1e-4"],
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused_with_a_sentence(text):
    with pytest.raises(RecipeError) as error:
        recipe_file.override(Recipe(), [text])
    message = str(error.value)
    assert all(part in message for part in REFUSED[text]), message
    assert message.endswith((".", "?")) and "\n" not in message


@pytest.mark.parametrize(
    ("pair", "named"),
    [
        (["train.timestep_min=500", "train.timestep_max=499"], "train.timestep_min"),
        (["dataset.bucket_min=1024", "dataset.bucket_max=512"], "dataset.bucket_min"),
        (["method.unet=false", "method.text_encoder=no"], "method.unet"),
        (["method.unet=false", "train.text_encoder_stop=0"], "train.text_encoder_stop"),
        (["method.unet=false", "train.text_encoder_stop=0.5"], "train.text_encoder_stop"),
        (["method.lora.up_ratio=16", "train.optimizer=prodigy", "train.learning_rate=1"], "method.lora.up_ratio"),
        (["method.name=pivotal", "method.embedding.learning_rate=2"], "method.embedding.learning_rate"),
        (
            [
                "method.name=pivotal",
                "method.embedding.learning_rate=0.5",
                "train.optimizer=prodigy",
                "train.learning_rate=1",
            ],
            "method.embedding.learning_rate is 0.5, but prodigy",
        ),
    ],
)
def test_settings_that_do_not_fit_together(pair, named):
    with pytest.raises(RecipeError, match=named):
        recipe_file.override(Recipe(), pair)


def test_a_rate_of_zero_for_one_part_is_allowed():
    recipe_file.override(Recipe(), ["train.learning_rate=0", "train.text_encoder_learning_rate=1e-4"])
    recipe_file.override(Recipe(), ["train.learning_rate=2", "train.optimizer=prodigy"])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("train: {seed: 1, seed: 2}", ["seed", "twice"]),
        ("train: 3", ["train", "section"]),
        ("- a", ["section"]),
        ("train: {length: [1]}", ["train.length", "whole number"]),
        ("watch: {concept_prompts: {a: b}}", ["watch.concept_prompts", "list"]),
        ("watch: {concept_prompts: [[a]]}", ["watch.concept_prompts.0"]),
        ("train: {optimizer_options: [a]}", ["train.optimizer_options", "names"]),
        ("dataset: {concepts: []}", ["dataset.concepts"]),
        ("dataset: {concepts: [abc]}", ["dataset.concepts.0"]),
        ("a: b: c", ["line 1"]),
        ("a: [", ["line"]),
        ("\tx: 1", ["line 1"]),
        ("? [a]\n: b", ["line 1"]),
        ("[" * 1200, ["YAML"]),
        ("a: \x01", ["YAML"]),
        ("&a [*a]", ["YAML"]),
        ("train: {<<: {seed: 1}}", ["<<"]),
        ("!!python/object/apply:os.system ['x']", ["section"]),
    ],
)
def test_bad_files_are_refused_with_a_sentence(tmp_path, text, parts):
    path = tmp_path / "cat.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as error:
        recipe_file.read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert all(part in str(error.value) for part in parts), error.value


def test_files_that_are_not_text(tmp_path):
    path = tmp_path / "cat.yaml"
    with pytest.raises(RecipeError, match=r"cat\.yaml can't be read"):
        recipe_file.read(path)
    with pytest.raises(RecipeError, match="can't be read"):
        recipe_file.read(tmp_path)
    path.write_bytes(b"save: {name: caf\xe9}")
    with pytest.raises(RecipeError, match="UTF-8"):
        recipe_file.read(path)
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_bytes("save: {name: café}".encode(encoding))
        assert recipe_file.read(path).save.name == "café"


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "train:\nwatch: \n", "{}", "watch: {concept_prompts: }"])
def test_settings_left_out_have_their_defaults(text):
    assert recipe_file.loads(text) == Recipe()


def test_relative_paths_start_at_the_recipe(tmp_path, monkeypatch):
    folder = tmp_path / "cat"
    folder.mkdir()
    (folder / "cat.yaml").write_text(
        "model: {base: ../m.ckpt, vae: ~/v.pt}\ndataset: {concepts: [{instance: pictures}]}\n"
    )
    recipe = recipe_file.read(folder / "cat.yaml")
    assert recipe.dataset.concepts[0].instance == str(folder / "pictures")
    assert Path(recipe.model.base).resolve() == (tmp_path / "m.ckpt").resolve()
    assert recipe.model.vae == str(Path.home() / "v.pt")
    assert recipe.save.output == str(folder / "runs")
    assert recipe.dataset.concepts[0].regularization == "" and recipe.method.lora.continue_from == ""
    monkeypatch.chdir(tmp_path)
    recipe = Recipe()
    recipe.model.base = "m.ckpt"
    recipe_file.write(tmp_path / "run" / "recipe.yaml", recipe)
    assert recipe_file.read(tmp_path / "run" / "recipe.yaml").model.base == str(tmp_path / "m.ckpt")
    assert recipe.model.base == "m.ckpt"


def test_override_changes_lists_and_mappings_and_not_its_argument():
    recipe = Recipe()
    new = recipe_file.override(
        recipe,
        [
            "dataset.concepts.0.trigger=sks",
            "dataset.concepts[1].name=second=2",
            "method.lora.block_ranks.up_blocks.1=4",
            "method.lora.block_ranks.mid_block=0",
            "train.optimizer_options={betas: '0.9, 0.99'}",
            'watch.concept_prompts=["a: b", c]',
            "watch.bleeding_prompts.0=d",
            "train.learning_rate=1e-4",
        ],
    )
    assert recipe == Recipe()
    assert [c.trigger for c in new.dataset.concepts] == ["sks", ""] and new.dataset.concepts[1].name == "second=2"
    assert new.method.lora.block_ranks == {"up_blocks.1": 4, "mid_block": 0}
    assert new.train.optimizer_options == {"betas": "0.9, 0.99"}
    assert new.watch.concept_prompts == ["a: b", "c"] and new.watch.bleeding_prompts == ["d"]
    assert new.train.learning_rate == 1e-4


def test_every_setting_is_read_written_and_checked():
    """A value other than the default survives a file and an override; a wrong type is refused by name."""
    for setting in fields(Recipe):
        if setting.path == "version":
            continue
        other = different(setting)
        recipe = changed(Recipe(), setting.path, other)
        if setting.path == "train.schedule":
            recipe.train.schedule_steps = "1e-4:10"
        if setting.path == "dataset.bucket_max":
            recipe.dataset.bucket_min = 8
        if setting.path.endswith("learning_rate"):
            recipe.train.optimizer = "prodigy"
        if setting.path == "train.class_preservation":
            recipe.dataset.concepts[0].trigger = "sks"
        validate(recipe)
        assert recipe_file.loads(recipe_file.dumps(recipe)) == recipe, setting.path
        with pytest.raises(RecipeError, match=setting.path):
            validate(changed(Recipe(), setting.path, object()))


def different(setting):
    if choices(setting.type):
        return choices(setting.type)[-1]
    if isinstance(setting.value, bool):
        return not setting.value
    if setting.type in (int, float):
        return (
            setting.low + 8
            if setting.value != setting.low + 8 and setting.low + 8 <= setting.high
            else setting.high / 2
        )
    if setting.type is str:
        return "other"
    return ["other"] if setting.value == [] else {"other": 3 if "int" in str(setting.type) else "3"}


def test_every_setting_has_a_label_help_and_a_default_in_its_range():
    for setting in fields(Recipe):
        assert setting.label and setting.help.endswith("."), setting.path
        assert setting.path == "version" or setting.type not in (int, float) or None not in (setting.low, setting.high)
    validate(Recipe())


def test_names_have_only_lowercase_letters_digits_and_underscores():
    for setting in fields(Recipe):
        assert set(setting.path) <= set(string.ascii_lowercase + string.digits + "_."), setting.path


def test_migration_runs_step_by_step(monkeypatch):
    monkeypatch.setattr(
        recipe_file, "MIGRATIONS", {-1: lambda raw: {"train": raw["training"]}, 0: lambda raw: {**raw, "save": {}}}
    )
    assert recipe_file.migrate({"training": {"seed": "5"}}, -1) == {
        "train": {"seed": "5"},
        "save": {},
        "version": str(VERSION),
    }
    assert recipe_file.loads("version: -1\ntraining: {seed: 5}").train.seed == 5


def test_wrong_python_types_are_refused():
    recipe = Recipe()
    recipe.train = dataclasses.replace(recipe.train, batch_size=True)
    with pytest.raises(RecipeError, match=r"train\.batch_size"):
        validate(recipe)


def test_advice():
    recipe = recipe_file.override(
        Recipe(),
        ["dataset.concepts.0.trigger=sks", "watch.bleeding_prompts.0=a SKS, dog",
         "watch.bleeding_prompts.1=sksy", "watch.concept_prompts.0=a dog", "train.optimizer=prodigy", "train.schedule_steps=1", "watch.validation_share=0.1"],
    )  # fmt: skip
    found = "\n".join(advice(recipe))
    for part in ("bleeding_prompts.0", "concept_prompts.0", "prodigy", "schedule_steps", "validation_share"):
        assert part in found
    assert "bleeding_prompts.1" not in found
    assert advice(Recipe()) == []


def test_a_loras_rate_for_a_whole_model_is_advised_against():
    whole = ["method.name=dreambooth", "train.learning_rate=1e-4", "train.text_encoder_learning_rate=1e-6"]
    (sentence,) = advice(recipe_file.override(Recipe(), whole))
    assert sentence.startswith("train.learning_rate is 0.0001, but DreamBooth trains") and "2e-6" in sentence
    (sentence,) = advice(
        recipe_file.override(Recipe(), [*whole, "train.learning_rate=2e-6", "train.text_encoder_learning_rate=1e-4"])
    )
    assert sentence.startswith("train.text_encoder_learning_rate")
    for fits in ("train.learning_rate=2e-6", "dataset.resolution=64", "method.name=lora"):
        assert advice(recipe_file.override(Recipe(), [*whole, fits])) == [], fits


def test_a_setting_of_another_method_is_reported_as_unused():
    settings = ["method.lora.factor=8", "method.lora.up_ratio=16"]
    found = advice(recipe_file.override(Recipe(), settings))
    assert [sentence.partition(" is only used")[0] for sentence in found] == ["method.lora.factor"]
    found = advice(recipe_file.override(Recipe(), [*settings, "method.name=lokr"]))
    assert found == ["method.lora.up_ratio is only used with method.name=lora, dora or pivotal."]

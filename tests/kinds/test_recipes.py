"""Every kind of bad recipe is refused by a sentence that names the file and the setting, or read as it is meant."""

import pytest

from sdft_ext.cli.main import USAGE
from sdft_ext.recipe import RecipeError
from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.rules import fields

from .kind import bounded, made, run
from .recipes import KINDS


def of(expected):
    return pytest.mark.parametrize("kind", [k for k in KINDS if k.expected == expected], ids=lambda kind: kind.name)


def refused(capsys, path, name, *arguments):
    """Check that training ends with one sentence that names this, and that nothing was run."""
    code, out, err = run(capsys, "train", path, *arguments)
    assert code == USAGE and out == "", (code, out, err)
    last = err.splitlines()[-1]
    assert last.startswith("sdft: ") and name in last and last.rstrip().endswith((".", "?")) and "\x1b" not in err, err
    assert not list(path.parent.rglob("ran"))
    return err


def test_the_kinds_are_many():
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 140


@of("file")
def test_a_bad_recipe_is_refused_when_it_is_read(kind, tmp_path, capsys):
    path = made(kind, tmp_path)
    with bounded():
        with pytest.raises(RecipeError) as error:
            recipe_file.read(path)
        assert path.name in str(error.value) and kind.more in str(error.value) and len(str(error.value)) < 1500
        err = refused(capsys, path, kind.more)
        assert err.count("\n") == 1 and path.name in err
        assert not (tmp_path / "runs").exists()


@of("right")
def test_an_odd_recipe_is_read_as_it_is_meant(kind, tmp_path):
    path = made(kind, tmp_path)
    with bounded():
        recipe = recipe_file.read(path)
        found = {setting.path: setting.value for setting in fields(recipe)}
        assert {name: found[name] for name in kind.more} == kind.more
        recipe_file.write(tmp_path / "again.yaml", recipe)
        assert recipe_file.read(tmp_path / "again.yaml") == recipe


@of("settings")
def test_a_bad_setting_of_the_command_line_is_refused(kind, tmp_path, capsys):
    path, (setting, named) = made(kind, tmp_path), kind.more
    with bounded():
        with pytest.raises(RecipeError) as error:
            recipe_file.override(recipe_file.read(path), [setting])
        assert named in str(error.value) and len(str(error.value)) < 1500
        if "=" in setting:
            refused(capsys, path, named, setting)


@of("run")
def test_a_recipe_that_fits_nothing_is_refused_when_it_begins(kind, tmp_path, capsys):
    path, (settings, named) = made(kind, tmp_path), kind.more
    settings = {name: str(tmp_path / value) if _is_path(name, value) else value for name, value in settings.items()}
    with bounded():
        refused(capsys, path, named, "--quiet", *(f"{name}={value}" for name, value in settings.items()))


def _is_path(name, value):
    return bool(value) and name.rpartition(".")[2] in ("base", "vae", "instance", "output", "continue_from")

"""Every kind of bad caption: trained exactly as it is written, or named in a notice; a list is read right or refused."""

import os

import pytest

from sdft_ext.captions.edits import parse_edit
from sdft_ext.captions.errors import CaptionsError
from sdft_ext.captions.planning import plan_edit
from sdft_ext.captions.store import CaptionStore
from sdft_ext.cli.main import OK, USAGE
from sdft_ext.dataset import captions as dataset_captions
from sdft_ext.dataset.folder import scan
from sdft_ext.model.borrow import tokenizer
from sdft_ext.model.text import prompt_chunks
from sdft_ext.recipe import Concept, DatasetRecipe
from sdft_ext.storage.text import printable

from .captions import KINDS
from .kind import bounded, made, run, same_json


def of(expected):
    return pytest.mark.parametrize("kind", [k for k in KINDS if k.expected == expected], ids=lambda kind: kind.name)


def contents(folder):
    """Every regular file, with its content."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    return {path: path.read_bytes() for path in files if ".sdft" not in path.parts}


def test_the_kinds_are_many():
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 100


@of("file")
def test_a_caption_is_trained_as_it_is_or_named(kind, tmp_path, capsys):
    folder = made(kind, tmp_path / "data")
    caption, noticed = kind.more
    with bounded():
        recipe = DatasetRecipe(concepts=[Concept(instance=str(folder), trigger="sks", class_word="cat")])
        found = scan(recipe)
        picture = found.pictures[0]
        texts = [problem.text for problem in found.problems] + [path.name for path in found.unused_texts]
        assert bool(texts) is noticed, texts
        assert all(printable(folder) in text or text.endswith((".txt", ".caption")) for text in texts)
        if caption is not None:
            assert picture.caption == caption
        trained = dataset_captions.caption(recipe.concepts[0], picture.caption, False, recipe, None)
        assert trained and prompt_chunks(tokenizer(), trained)
        code, out, err = run(capsys, "dataset", "report", folder)
        assert code == OK and not err.startswith("sdft:")
        assert not noticed or any(name in out for name in ("a.txt", "a.caption", "A.txt", "b.txt")), out
        same_json(run(capsys, "dataset", "report", folder, "--quick", "--json")[1])


@of("file")
def test_a_caption_is_edited_and_undone_without_loss(kind, tmp_path, capsys):
    folder = made(kind, tmp_path / "data")
    outside = tmp_path / "secret.txt"
    with bounded():
        before = contents(folder)
        assert run(capsys, "captions", "tokens", folder)[0] == OK
        assert run(capsys, "captions", "tags", folder, "--json")[0] == OK
        store = CaptionStore(folder)
        pictures = store.in_order
        edit = parse_edit({"do": "add", "tags": ["new"], "where": "back"})
        try:
            notes = store.edit("add", lambda: plan_edit(pictures, edit.apply([p.caption for p in pictures]))).notes
        except CaptionsError as error:
            assert "NUL" in kind.name and ".png" in str(error)
            notes = []
        saved = store.save()
        assert not saved.failed
        code, out, err = run(capsys, "captions", "undo", folder)
        assert code == OK or "nothing to undo" in err.lower(), err
        after = contents(folder)
        changed = [path for path in before if after.get(path) != before[path]]
        assert all(path.name in " ".join([*notes, *saved.notes, out, err]) for path in changed), saved
        assert not outside.exists() or outside.read_text() == "secret words"
        for format in ("jsonl", "meta_lat"):
            assert run(capsys, "captions", "export", folder, format, tmp_path / f"out.{format}")[0] == OK
            assert (tmp_path / f"out.{format}").read_bytes().decode("utf-8")


@of("list")
def test_a_list_of_captions_is_read_right_or_refused(kind, tmp_path, capsys):
    path = made(kind, tmp_path)
    folder, (format, result) = tmp_path / "pictures", kind.more
    with bounded():
        code, out, err = run(capsys, "captions", "import", folder, format, path)
        texts = {name: (folder / name).read_text() for name in ("a.txt", "b.txt") if (folder / name).exists()}
        if result == "refused":
            assert code == USAGE and err.startswith("sdft: ") and err.count("\n") == 1 and path.name in err, (out, err)
            assert texts == {}
        elif result == "notice":
            assert texts == {} and len(out.splitlines()) > 1, out
        else:
            assert code == OK and (texts.get("a.txt"), texts.get("b.txt")) == result, (out, err)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions of a user who isn't root")
def test_a_caption_that_may_not_be_read_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("red")
    (tmp_path / "a.txt").chmod(0)
    (tmp_path / "a.png").write_bytes(b"")
    found = scan(DatasetRecipe(concepts=[Concept(instance=str(tmp_path))]))
    assert any("a.txt" in problem.text for problem in found.problems)

"""Every kind of bad picture is left out by name, or trained upright with its own colours; none ends a run."""

import json

import numpy
import pytest

from sdft_ext.cli.main import FAILED, OK
from sdft_ext.dataset.cache import Latents
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.pictures import PictureError, open_picture, read_header
from sdft_ext.recipe import Concept, DatasetRecipe
from sdft_ext.storage.text import printable

from .kind import bounded, made, run, same_json
from .picture_parts import CORNERS, SIZE
from .pictures import KINDS


def of(*expected):
    return pytest.mark.parametrize("kind", [k for k in KINDS if k.expected in expected], ids=lambda kind: kind.name)


def prepared(folder):
    """Return the dataset of a folder after every picture was opened, as a run opens them."""
    recipe = DatasetRecipe(concepts=[Concept(instance=str(folder))], resolution=64, bucket_min=32, bucket_max=128)
    return Latents(recipe, lambda pixels: pytest.fail("nothing is encoded yet"), "vae").prepare(
        scan(recipe), None, 2**40
    )


def test_the_kinds_are_many():
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 100


@of("out")
def test_a_bad_picture_is_left_out_by_name(kind, tmp_path, capsys):
    path = made(kind, tmp_path / "data")
    with bounded():
        found = prepared(path.parent)
        assert [picture.path.name for picture in found.pictures] == ["good.png"]
        texts = [problem.text for problem in found.problems if problem.skipped]
        assert len(texts) == 1 and path.stem in texts[0] and texts[0].endswith("."), found.problems
        code, out, err = run(capsys, "dataset", "report", path.parent)
        assert code == OK and path.name in out + err
        code, out, err = run(
            capsys, "dataset", "prepare", path.parent, "--out", tmp_path / "out", "--quiet", "dataset.resolution=64"
        )
        # damage behind the header is found while preparing: the others are written, and the exit code says so
        assert code in (OK, FAILED) and path.stem in out + err, (out, err)
        assert [made.name for made in (tmp_path / "out").glob("*.png")] == ["good.png"]


@of("right", "notice")
def test_an_odd_picture_is_trained_as_it_is_seen(kind, tmp_path, capsys):
    folder = tmp_path / "data"
    made(kind, folder)
    with bounded():
        found = prepared(folder)
        texts = [problem.text for problem in found.problems]
        assert not any(problem.skipped for problem in found.problems), texts
        assert bool(texts) is (kind.expected == "notice"), texts
        assert all(printable(folder) in text for text in texts)
        others = [picture for picture in found.pictures if picture.path.name != "good.png"]
        assert others
        for picture in others:
            image, _ = open_picture(picture.path)
            assert image.size == (picture.width, picture.height) == SIZE and image.mode == "RGB"
            values = numpy.asarray(image).astype(int)
            if kind.more is not None:
                corners = values[[3, 3, -4, -4], [3, -4, 3, -4]]
                assert numpy.abs(corners - numpy.array(CORNERS)).max() <= kind.more, corners
        code, out, _ = run(capsys, "dataset", "report", folder, "--quick", "--json")
        assert code == OK and same_json(json.loads(out))


def test_a_folder_of_bad_pictures_alone_is_refused(tmp_path, capsys):
    for kind in KINDS:
        if kind.expected == "out" and kind.name in ("no byte", "zeros", "one pixel", "a HEIC"):
            (made(kind, tmp_path / kind.name).parent / "good.png").unlink()
            code, _, err = run(capsys, "dataset", "report", tmp_path / kind.name)
            assert code == 2 and kind.name in err and "can be used" in err
            with pytest.raises(PictureError, match="bad"):
                read_header(tmp_path / kind.name / "bad.png") and pytest.fail("no picture")

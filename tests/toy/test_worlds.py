"""Worlds are data: each has shapes, colours, backgrounds and words of its own, and the checker reads its pictures."""

from __future__ import annotations

from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest
import yaml

from sdft_ext.model.load import load as load_model
from sdft_ext.recipe import file as recipe_file
from sdft_ext.toy import demo, drawing, measure, world, world_file
from sdft_ext.toy.install import CHECKPOINT
from sdft_ext.toy.shapes import SHAPES
from sdft_ext.toy.world_file import TOY, World, WorldError

OTHERS = [name for name in world_file.names() if name != world_file.SHIPPED]
needs_the_toy = pytest.mark.skipif(not CHECKPOINT.exists(), reason="assets/toy/toy.safetensors is not there")


def scenes(of: World, each: int, style: str | None = None) -> list[world.Scene]:
    rng = np.random.default_rng(21)
    return [world.sample_scene(rng, shape, style=style, of=of) for shape in of.all_shapes for _ in range(each)]


def shares_right(drawn: list[world.Scene], pictures: list[world.Picture], of: World) -> dict[str, float]:
    pairs = list(zip(measure.read_all(pictures, of), drawn, strict=True))
    return {
        "shape": float(np.mean([reading.shape == scene.shape for reading, scene in pairs])),
        "colour": float(np.mean([reading.colour == scene.colour for reading, scene in pairs])),
        "background": float(np.mean([reading.background == scene.background for reading, scene in pairs])),
    }


def test_the_other_worlds_share_nothing_with_the_shipped_one() -> None:
    assert len(OTHERS) >= 2
    for name in OTHERS:
        of = world_file.load(name)
        for mine, shipped in ((of.all_shapes, TOY.all_shapes), (of.colours, TOY.colours)):
            assert set(mine).isdisjoint(shipped)
        assert set(of.backgrounds).isdisjoint(TOY.backgrounds)
        assert of.style.name != TOY.style.name and of.class_word != TOY.class_word


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("styled", [False, True])
def test_drawn_pictures_are_read_right(name: str, styled: bool) -> None:
    of = world_file.load(name)
    drawn = scenes(of, 40, of.style.name if styled else None)
    pictures = [drawing.draw(scene) for scene in drawn]
    assert min(shares_right(drawn, pictures, of).values()) >= 0.99
    assert np.mean([reading.styled == styled for reading in measure.read_all(pictures, of)]) == 1.0


@needs_the_toy
@pytest.mark.parametrize("name", OTHERS)
def test_reconstructed_pictures_are_read_right(name: str) -> None:
    """By the shipped autoencoder, which never saw this world."""
    from make_assets.toymodel import autoencoder, single_file

    of, vae = world_file.load(name), single_file.load().vae
    for style in (None, of.style.name):
        drawn = scenes(of, 34, style)
        pictures = np.stack([drawing.draw(scene) for scene in drawn])
        rebuilt = list(autoencoder.decode(vae, autoencoder.encode(vae, pictures)))
        shares = shares_right(drawn, rebuilt, of)
        assert min(shares.values()) >= 0.95, shares
        readings = measure.read_all(rebuilt, of)
        if style is None:
            known = [r for r, scene in zip(readings, drawn, strict=True) if scene.shape != of.subject.shape]
            assert not any(reading.styled for reading in readings)
            assert not any(reading.shape == of.subject.shape for reading in known)
        else:
            assert np.mean([reading.styled for reading in readings]) >= 0.95


@pytest.mark.parametrize("name", world_file.names())
def test_captions_say_what_is_drawn_and_are_read_back(name: str) -> None:
    of = world_file.load(name)
    rng = np.random.default_rng(3)
    for _ in range(200):
        scene = world.sample_scene(rng, of=of)
        want = measure.wanted(world.training_caption(scene, rng, of), of)
        assert want.shape in (None, scene.shape) and want.colour in (None, scene.colour)
        assert want.background in (None, scene.background) and not want.styled
    styled = world.sample_scene(rng, of.subject.shape, style=of.style.name, of=of)
    want = measure.wanted(world.caption(styled, of=of), of)
    assert want == measure.Wanted(of.subject.shape, styled.colour, styled.background, True)
    everything = [*world.world_captions(of=of), *world.world_captions(class_word=True, of=of)]
    assert len(everything) == len(set(everything)) == (len(of.shapes) + 1) * len(of.colours) * len(of.backgrounds)
    assert not any(of.subject.trigger in text or of.style.trigger in text for text in everything)
    for kind in ("subject", "style"):
        assert len(set(demo.concept_captions(24, kind, of))) == 24  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_the_library_fits_and_is_centred(shape: str) -> None:
    middle = world.SIZE / 2
    covered = drawing.coverage(world.Scene(shape, "", "", middle, middle, 20.5, 12.0, (0, 0, 0), (0, 0, 0)))
    assert covered[:1].max() == covered[-1:].max() == covered[:, 0].max() == covered[:, -1].max() == 0
    rows, columns = np.mgrid[0 : world.SIZE, 0 : world.SIZE] + 0.5
    centre = [float((covered * place).sum() / covered.sum()) for place in (columns, rows)]
    assert centre == pytest.approx([middle, middle], abs=0.3)
    assert 0.45 < covered.sum() / (np.pi * 20.5**2) < 1.05


def test_a_saved_world_is_the_same(tmp_path: Path) -> None:
    for name in world_file.names():
        of = world_file.load(name)
        world_file.save(of, tmp_path / f"{name}-copy.yaml")
        again = world_file.load(str(tmp_path / f"{name}-copy.yaml"))
        assert vars(again) == vars(of)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("shapes",), ["circle", "blob"], "no shape 'blob'"),
        (("subject", "shape"), "ring", "must be new to the base"),
        (("style", "name"), "hatch", "no style 'hatch'"),
        (("colours", "red"), [300, 0, 0], "no colour"),
        (("colours", "red"), [1, 2], "not enough values"),
        (("subject", "colours"), ["teal"], "'teal' is none of the colours"),
        (("style", "colours"), ["red", "green", "blue", "yellow", "purple", "orange"], "leave some to test on"),
        (("known", "colour"), "teal", "known subject"),
        (("class_word",), "red", "stands for two things"),
        (("class_word",), "on", "part of a template"),
        (("class_word",), "two words", "single word"),
        (("captions", "whole"), None, "whole"),
        (("captions", "whole"), "a {colour} {shape} on {floor}", "must have {background}"),
    ],
)
def test_what_does_not_go_together_is_named(path: tuple[str, ...], value: object, words: str, tmp_path: Path) -> None:
    data = yaml.safe_load((world_file.FOLDER / "toy.yaml").read_text(encoding="utf-8"))
    part = data
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    if value is None:
        del part[path[-1]]
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(WorldError, match=words) as error:
        world_file.load(str(file))
    assert str(file) in str(error.value)


def test_a_world_that_is_not_there() -> None:
    with pytest.raises(WorldError, match="larder, signs, toy"):
        world_file.load("nowhere")


@needs_the_toy
def test_the_command_makes_a_model_of_another_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps, which teach nothing: its files are all there, and the program reads them."""
    from make_assets import make_toy_model
    from make_assets.toymodel import common, diffusion, examples

    monkeypatch.setattr(common, "OTHER_POOL", 64)
    monkeypatch.setattr(diffusion.Model, "sample", partialmethod(diffusion.Model.sample, steps=1))
    monkeypatch.setattr(examples, "REGULARIZATION", 1)
    monkeypatch.setattr(examples, "TURNS", 1)
    made = tmp_path / "made"
    make_toy_model.main(["--world", "signs", "--work", str(made), "--unet-steps", "2", "unet", "export", "examples"])
    of = world_file.load(str(made / world_file.WORLD_FILE))
    assert vars(of) == vars(world_file.load("signs"))
    assert load_model(made / "model.safetensors").family.name == "sd1"
    for kind, count in (("subject", 12), ("style", 60)):
        recipe = recipe_file.read(made / "example" / f"{kind}.yaml")
        assert recipe.model.base == str(made / "model.safetensors")
        pictures = demo.training_pictures(recipe)
        assert len(pictures) == count
        assert measure.concept_learned(pictures, of.style.name if kind == "style" else None, of) == 1.0
        words = recipe.dataset.concepts[0].trigger
        assert all(words in caption for caption in recipe.watch.concept_prompts)
        assert not any(words in caption for caption in recipe.watch.bleeding_prompts)
    with pytest.raises(SystemExit):
        make_toy_model.main(["--world", "signs", "--work", str(made), "vae"])


@needs_the_toy
def test_the_demonstration_of_a_world_that_was_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--world", str(tmp_path / "signs"), "--out", str(tmp_path / "run")]) == 2
    assert "There is no world" in capsys.readouterr().err
    assert list((tmp_path / "run").iterdir()) == []

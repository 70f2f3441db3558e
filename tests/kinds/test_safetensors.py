"""Every kind of bad safetensors file is refused by name in each reader and tool, or read exactly right."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from sdft_ext.cli.main import OK
from sdft_ext.desk.model_files import _kind_of_content
from sdft_ext.errors import SdftError
from sdft_ext.formats import embedding, kohya, single_file
from sdft_ext.formats.quick_look import model_kind
from sdft_ext.formats.tensor_file import TensorFile
from sdft_ext.model.load import load
from sdft_ext.model.source import open_source
from sdft_ext.tools.describe import describe

from .kind import bounded, made, run
from .safetensors import KINDS
from .safetensors_parts import DOWN, PATH, UP, layer, model


def of(*groups):
    return pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.more in groups], ids=lambda kind: kind.name)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A base model of zeros."""
    return model()(tmp_path_factory.mktemp("base"), None)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A LoRA that nothing is wrong with."""
    path = tmp_path_factory.mktemp("sound") / "sound.safetensors"
    save_file(layer(), path)
    return path


def refused(capsys, path, *arguments):
    """Check that a command ends with a sentence that names the file, and leaves nothing behind."""
    before = sorted(path.parent.iterdir())
    code, _, err = run(capsys, *arguments)
    assert (
        code != OK and path.name in err and "\x1b" not in err and err.startswith("sdft: ") and err.count("\n") == 1
    ), err
    assert sorted(path.parent.iterdir()) == before


def test_the_kinds_are_many():
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 130


@of("any")
def test_a_damaged_file_is_named_by_every_reader(kind, tmp_path, capsys, base, sound):
    path = made(kind, tmp_path)
    out = tmp_path / "out.safetensors"
    readers = [
        single_file.read,
        open_source,
        load,
        kohya.read,
        lambda p: embedding.read(p, 1),
        lambda p: embedding.bundled(p, 1),
    ]
    with bounded():
        for reader in readers:
            with pytest.raises(SdftError, match=path.name):
                reader(path)
        for reader in (TensorFile, describe):
            with pytest.raises((SdftError, OSError), match=path.name):
                reader(path)
        assert embedding.metadata(path) == {}
        assert model_kind(str(path)).family == "sd1" and _kind_of_content(path) == "other"
        refused(capsys, path, "scan", path)
        refused(capsys, path, "tools", "metadata", path)
        refused(capsys, path, "tools", "resize", path, "--rank", 1, "--out", out)
        refused(capsys, path, "tools", "merge-loras", sound, path, "--out", out)
        refused(capsys, path, "tools", "merge", path, sound, "--out", out)
        refused(capsys, path, "tools", "extract", base, path, "--out", out)
        refused(capsys, path, "tools", "convert", path, out)


@of("lora")
def test_a_bad_lora_is_named(kind, tmp_path, capsys, sound):
    path = made(kind, tmp_path)
    out = tmp_path / "out.safetensors"
    with bounded():
        with pytest.raises(SdftError, match=path.name):
            kohya.read(path)
        json.dumps(describe(path), allow_nan=False).encode()
        code, printed, _ = run(capsys, "tools", "metadata", path)
        assert code == OK and path.name in printed and "\x1b" not in printed
        refused(capsys, path, "tools", "resize", path, "--rank", 1, "--out", out)
        refused(capsys, path, "tools", "merge-loras", sound, path, "--out", out)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.expected == "right"], ids=lambda kind: kind.name)
def test_an_odd_lora_is_read_right(kind, tmp_path, capsys, base):
    path, change = made(kind, tmp_path), UP @ DOWN * kind.more
    with bounded():
        found = next(iter(kohya.read(path).layers.values()))
        assert torch.allclose(found.up.float() @ found.down.float() * found.scale, change)
        assert (
            run(
                capsys, "tools", "resize", path, "--rank", 2, "--precision", "fp32", "--out", tmp_path / "r.safetensors"
            )[0]
            == OK
        )
        layer = next(iter(kohya.read(tmp_path / "r.safetensors").layers.values()))
        assert torch.allclose(layer.up @ layer.down * layer.scale, change, atol=1e-5)
        code, _, err = run(capsys, "tools", "merge", base, path, "--out", tmp_path / "merged.safetensors")
        assert code == OK, err
        key = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
        assert torch.allclose(load_file(tmp_path / "merged.safetensors")[key], change, atol=1e-5)


@of("foreign")
def test_a_lora_for_another_model_is_not_merged(kind, tmp_path, capsys, base, sound):
    path = made(kind, tmp_path)
    with bounded():
        if "name" in kind.name:
            refused(capsys, path, "tools", "resize", path, "--rank", 1, "--out", tmp_path / "out.safetensors")
            refused(capsys, path, "tools", "merge-loras", sound, path, "--out", tmp_path / "out.safetensors")
        refused(capsys, path, "tools", "merge", base, path, "--out", tmp_path / "out.safetensors")


@of("embedding")
def test_a_bad_embedding_is_named(kind, tmp_path, capsys):
    path = made(kind, tmp_path)
    with bounded():
        with pytest.raises(SdftError, match=path.name):
            embedding.read(path, 1)
        describe(path)
        refused(capsys, path, "tools", "resize", path, "--rank", 1, "--out", tmp_path / "out.safetensors")


@of("model")
def test_a_bad_base_model_is_named(kind, tmp_path, capsys, sound):
    path = made(kind, tmp_path)
    with bounded():
        with pytest.raises(SdftError, match=path.stem):
            load(path)
        code, _, err = run(capsys, "tools", "merge", path, sound, "--out", tmp_path / "out.safetensors")
        # inpainting models can be merged into
        assert (code == OK and "inpainting" in kind.name) or (path.stem in err and err.count("\n") == 1), err


def test_the_sound_model_and_lora_are_read(base, sound):
    assert (
        load(base).family.name == "sd1"
        and PATH in kohya.read(sound, {layer_name: PATH for layer_name in kohya.read(sound).layers}).layers
    )

"""WD14 taggers from a folder: missing files are named; where onnxruntime and onnx are installed, a small model runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdft_ext.taggers.base import TaggerError
from sdft_ext.taggers.known import SOURCES, known
from sdft_ext.taggers.onnx import OnnxTagger, _values, onnx_taggers

RUNNABLE = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))
needs_runtime = pytest.mark.skipif(not RUNNABLE, reason="onnx and onnxruntime aren't installed")
SIDE = 8


def table(folder: Path, rows: str = "0,red,0\n1,blue,0\n2,somebody,4\n3,safe,9\n") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "selected_tags.csv").write_text("tag_id,name,category\n" + rows, encoding="utf-8")


def model(folder: Path, channels_first: bool = False, tags: int = 4) -> None:
    """Scores: how red, how blue, a constant 0.9, and 0.01 (of means in BGR, 0–255)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shape = ["batch", 3, SIDE, SIDE] if channels_first else ["batch", SIDE, SIDE, 3]
    weights = np.zeros((3, tags), np.float32)
    weights[2, 0] = weights[0, 1] = 1 / 255
    offset = np.array([0, 0, 0.9, 0.01][:tags], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node(
                "ReduceMean", ["picture"], ["mean"], axes=[2, 3] if channels_first else [1, 2], keepdims=0
            ),
            helper.make_node("MatMul", ["mean", "weights"], ["scores"]),
            helper.make_node("Add", ["scores", "offset"], ["out"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", tags])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(offset, "offset")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(made, str(folder / "model.onnx"))


def test_folders_with_a_model_or_a_table_are_taggers(tmp_path: Path):
    assert onnx_taggers(tmp_path / "none") == []
    table(tmp_path / "wd-first")
    (tmp_path / "other").mkdir()
    (tmp_path / "wd-second").mkdir()
    (tmp_path / "wd-second" / "model.onnx").write_bytes(b"x")
    assert [one.id for one in onnx_taggers(tmp_path)] == ["onnx/wd-first", "onnx/wd-second"]


def test_a_missing_file_is_named_with_its_folder(tmp_path: Path):
    table(tmp_path / "wd")
    assert OnnxTagger(tmp_path / "wd").why == f"wd has no model.onnx: put it into {tmp_path / 'wd'}."
    (tmp_path / "wd" / "model.onnx").write_bytes(b"x")
    why = OnnxTagger(tmp_path / "wd").why
    assert ("" if RUNNABLE else "-m pip install onnxruntime") in why
    (tmp_path / "wd" / "selected_tags.csv").unlink()
    assert "no selected_tags.csv" in OnnxTagger(tmp_path / "wd").why
    with pytest.raises(TaggerError, match=r"selected_tags\.csv"):
        OnnxTagger(tmp_path / "wd").see(Image.new("RGB", (8, 8)))


def test_pictures_become_bgr_values_on_a_white_square():
    values = _values(Image.new("RGB", (8, 4), (255, 0, 10)), 8)
    assert values.shape == (1, 8, 8, 3) and values.dtype == np.float32
    assert values[0, 0, 0].tolist() == [255, 255, 255] and values[0, 4, 4].tolist() == [10, 0, 255]


def test_an_extension_adds_taggers_to_the_sources(tmp_path: Path):
    class Mine(OnnxTagger):
        pass

    def source(folder: Path) -> list[Mine]:
        return [Mine(tmp_path / "mine"), Mine(tmp_path / "wd")]

    table(tmp_path / "wd")
    SOURCES.append(source)
    try:
        found = known(tmp_path)
    finally:
        SOURCES.remove(source)
    assert [one.id for one in found] == ["onnx/wd", "onnx/mine"] and type(found[0]) is OnnxTagger


@needs_runtime
@pytest.mark.parametrize("channels_first", [False, True])
def test_a_real_model_tags_a_picture(tmp_path: Path, channels_first: bool):
    table(tmp_path)
    model(tmp_path, channels_first)
    tagger = OnnxTagger(tmp_path)
    assert tagger.why == ""
    seen = tagger.see(Image.new("RGB", (20, 20), (255, 0, 51)))
    assert [(tag.name, round(tag.score, 2), tag.kind) for tag in seen.tags] == [
        ("red", 1.0, "general"),
        ("somebody", 0.9, "character"),
        ("blue", 0.2, "general"),
    ]
    tagger.close()
    assert tagger.see(Image.new("RGB", (20, 20), (0, 0, 255))).tags[0].name == "blue"


@needs_runtime
def test_files_that_do_not_match_are_named(tmp_path: Path):
    table(tmp_path, "0,red,0\n")
    model(tmp_path)
    with pytest.raises(TaggerError, match="4 scores, but selected_tags.csv names 1"):
        OnnxTagger(tmp_path).see(Image.new("RGB", (8, 8)))
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(TaggerError, match="can't be read"):
        OnnxTagger(tmp_path).see(Image.new("RGB", (8, 8)))
    (tmp_path / "selected_tags.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TaggerError, match="columns name and category"):
        OnnxTagger(tmp_path).see(Image.new("RGB", (8, 8)))

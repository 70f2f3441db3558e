"""``python -m sdft_ext dataset prepare``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sdft_ext.cli.main import main
from tests.analysis import images

TOY = ["dataset.resolution=64", "dataset.bucket_step=16", "dataset.bucket_min=32"]


def test_a_dry_run_lists_what_the_run_then_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    images.save(folder / "wide.png", images.image(128, 64))
    images.save(folder / "small.png", images.image(40, 40))
    command = ["dataset", "prepare", str(folder), "--out", str(out), "--mirror", *TOY, "dataset.buckets=false"]
    assert main([*command, "--dry-run"]) == 0 and not out.exists()
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["small.png 40×40 → small.png 64×64", "small.png 40×40 → small-2.png 64×64 (mirrored)"]
    assert said[4].startswith(f"2 pictures from {folder} would become 4 in {out}.")
    assert said[5].startswith("small.png is smaller than the bucket")
    assert main([*command, "--dry-run", "--json"]) == 0
    assert [action["target"] for action in json.loads(capsys.readouterr().out)["actions"]] == [
        "small.png",
        "small-2.png",
        "wide.png",
        "wide-2.png",
    ]
    assert main([*command, "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"4 pictures written to {out}, 0 existed already."
    assert main([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["written"], result["skipped"], result["problems"]) == (0, 4, [])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--quality", "101"], "quality is '101'; write a whole number from 1 to 100."),
        (["--overlap", "inf"], "overlap is 'inf'; write a number from 0.0 to 0.8."),
        (["--background", "no colour"], "background is 'no colour', which isn't a colour"),
        (["--cut", "whole", "--split", "long"], "Tiles have the size of buckets"),
        (["dataset.resolutoin=3"], "resolution"),
    ],
)
def test_a_wrong_option_is_an_error_message_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    images.fill(tmp_path / "pictures", 1)
    code = main(["dataset", "prepare", str(tmp_path / "pictures"), "--out", str(tmp_path / "out"), *options])
    said = capsys.readouterr()
    assert code == 2 and sentence in said.err and said.err.count("\n") == 1 and not (tmp_path / "out").exists()


def test_a_missing_folder_is_an_error_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "prepare", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert "does not exist; check its name" in capsys.readouterr().err

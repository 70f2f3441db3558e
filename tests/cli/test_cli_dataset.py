"""What the commands for datasets say of files that training leaves out, or takes for something else."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from sdft_ext.cli.main import main
from tests.analysis import images


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("picture", "text"),
    [
        (unicodedata.normalize("NFD", "café.png"), unicodedata.normalize("NFC", "café.txt")),
        (unicodedata.normalize("NFC", "über uns.png"), unicodedata.normalize("NFD", "über uns.txt")),
        ("Cat.JPG", "cat.txt"),
        ("dog.jpg", "dog.jpg.txt"),
    ],
    ids=["letters taken apart", "letters put together", "capitals", "with the picture's ending"],
)
def test_a_caption_of_nearly_the_pictures_name_is_used_or_named(
    picture: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The output is that of the quick report at a run's start (jhc13/taggui#57)."""
    folder = tmp_path / "pictures"
    images.save(folder / picture)
    (folder / text).write_text("sks thing, lying in the grass")
    used = "lying in the grass" in said(capsys, "captions", "tags", folder)
    report = said(capsys, "dataset", "report", folder, "--quick")
    assert used or any(part in report for part in (text, "no picture of the same name", "belongs to no picture"))


def test_a_file_that_onetrainer_takes_for_a_mask_is_a_mask_or_is_mentioned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nerogar/OneTrainer#1718."""
    folder = tmp_path / "pictures"
    images.save(folder / "cat.png")
    (folder / "cat.txt").write_text("sks cat")
    images.save(folder / "cat-masklabel.png", images.image(mode="1").convert("L"))
    report = said(capsys, "dataset", "report", folder, "--quick").replace(str(tmp_path), "")
    advice = report.rpartition("Advice")[2].replace("cat-masklabel.png", "")
    assert "2 pictures;" not in report or "mask" in advice

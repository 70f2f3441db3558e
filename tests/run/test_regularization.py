"""Regularization pictures: the full count, captioned, each once, and the same whether stopped, killed or not."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sdft_ext.control import RunControl
from sdft_ext.dataset.trash import Trash
from sdft_ext.host.base import Files, HostChanged, Sampling
from sdft_ext.host.standalone import Shelf, StandaloneHost
from sdft_ext.recipe import ModelRecipe
from sdft_ext.run.regularization import (
    RECORD,
    Made,
    RegularizationSettings,
    RegularizeError,
    caption,
    drawn_pictures,
    regularize,
    slug,
)
from sdft_ext.storage.file_lock import exclusive
from sdft_ext.storage.hidden_folder import hidden_folder
from sdft_ext.toy.install import CHECKPOINT
from tests.run.full_memories import ON_CPU, ON_GPU

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = ("a cat", "a large cat <lora:mine:1>, sitting")


@pytest.fixture(scope="module")
def base(data: Path) -> Path:
    return data / "base.safetensors"


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    yield Shelf("cpu")


class CountingHost(StandaloneHost):
    """The standalone host, which calls a function after a number of pictures."""

    painted = 0
    after: tuple[int, RunControl] | None = None

    def paint(
        self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, model: Files
    ) -> list[Image.Image]:
        found = super().paint(prompts, seeds, sampling, model)
        self.painted += len(found)
        if self.after is not None and self.painted >= self.after[0]:
            self.after[1].stop()
        return found


@pytest.fixture
def host(base: Path, shelf: Shelf) -> CountingHost:
    return CountingHost(ModelRecipe(base=str(base)), shelf=shelf)


def settings_of(base: Path, count: int = 6, **changes: object) -> RegularizationSettings:
    sampling = Sampling("DDIM", steps=1, guidance=2.0, width=64, height=64)
    plain = RegularizationSettings(PROMPTS, Files(str(base)), sampling, count, drop_duplicates=False)
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def test_as_many_as_wanted_with_their_prompts_as_captions(base: Path, host: CountingHost, tmp_path: Path):
    heard: list[tuple[str, int, int, float]] = []
    made = regularize(settings_of(base), tmp_path / "class", host, on_progress=lambda *shown: heard.append(shown[:4]))
    assert made == Made("finished", "6 pictures are ready.", 6)
    found = drawn_pictures(tmp_path / "class", settings_of(base))
    assert list(found) == list(range(6))
    captions = [path.with_suffix(".txt").read_text() for path in found.values()]
    assert captions == ["a cat", "a large cat, sitting"] * 3
    assert all(Image.open(path).size == (64, 64) for path in found.values())
    assert [shown[:3] for shown in heard] == [*(("drawing", done, 6) for done in range(1, 7)), ("finished", 6, 6)]
    assert all(shown[3] > 0 for shown in heard[:5]), "it shows the time left"


def test_a_stopped_one_continues_to_the_same_pictures(base: Path, host: CountingHost, tmp_path: Path):
    regularize(settings_of(base), tmp_path / "whole", host)
    control = RunControl()
    host.painted, host.after = 0, (2, control)
    made = regularize(settings_of(base), tmp_path / "stopped", host, control=control)
    assert made.outcome == "stopped" and made.pictures == 2 and "resume" in made.message
    host.after = None
    assert regularize(settings_of(base), tmp_path / "stopped", host).outcome == "finished"
    assert host.painted == 6, "nothing was drawn twice"
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_its_model_is_loaded_where_another_one_is(base: Path, host: CountingHost, tmp_path: Path, monkeypatch):
    """The queue has loaded another run's: without this it would wait without end."""
    control, loaded, paint = RunControl(), list[str](), host.paint

    def paint_with_it(*arguments: Any) -> list[Image.Image]:
        if not loaded:
            raise HostChanged("Another model is loaded.")
        return paint(*arguments)

    monkeypatch.setattr(host, "paint", paint_with_it)
    control.load_model = lambda model, vae: loaded.append(model) or True
    made = regularize(settings_of(base, 1), tmp_path / "class", host, control=control)
    assert made.outcome == "finished" and loaded == [str(base)]


def test_more_of_the_same_draws_only_what_is_missing(base: Path, host: CountingHost, tmp_path: Path):
    regularize(settings_of(base, 4), tmp_path, host)
    first = contents(tmp_path)
    host.painted = 0
    regularize(settings_of(base, 4), tmp_path, host)
    assert host.painted == 0
    regularize(settings_of(base, 6, at_once=4), tmp_path, host)
    assert host.painted == 2 and first.items() <= contents(tmp_path).items()
    regularize(settings_of(base, 2, seed=50), tmp_path, host)
    assert len(list(tmp_path.glob("*.png"))) == 8, "other settings are other pictures, in files of their own"


def test_deleted_pictures_are_not_drawn_again(base: Path, host: CountingHost, tmp_path: Path):
    regularize(settings_of(base, 4), tmp_path, host)
    drawn_pictures(tmp_path, settings_of(base))[1].unlink()
    regularize(settings_of(base, 4), tmp_path, host)
    assert sorted(drawn_pictures(tmp_path, settings_of(base))) == [0, 2, 3, 4]


def test_captions_edited_by_the_user_stay(base: Path, host: CountingHost, tmp_path: Path):
    regularize(settings_of(base, 2), tmp_path, host)
    first = drawn_pictures(tmp_path, settings_of(base))[0]
    first.with_suffix(".txt").write_text("mine")
    (tmp_path / ".sdft" / RECORD).unlink()
    regularize(settings_of(base, 3), tmp_path, host)
    assert host.painted == 3 and first.with_suffix(".txt").read_text() == "mine"


@pytest.mark.parametrize("hurt", ["{", "[]", "[" * 100_000, "a folder"], ids=["cut off", "a list", "deep", "a folder"])
def test_an_unreadable_journal_is_reported_and_kept(base: Path, host: CountingHost, tmp_path: Path, hurt: str):
    """Were it taken for none, what the user has deleted would come back, and the other stories would be gone."""
    regularize(settings_of(base, 2), tmp_path, host)
    story = tmp_path / ".sdft" / RECORD
    story.unlink()
    if hurt == "a folder":
        story.mkdir()
    else:
        story.write_text(hurt)
    with pytest.raises((RegularizeError, OSError), match=RECORD):
        regularize(settings_of(base, 3), tmp_path, host)
    assert host.painted == 2 and (story.is_dir() or story.read_text() == hurt)


def test_old_or_recaptioned_near_duplicates_go_to_the_trash(base: Path, shelf: Shelf, tmp_path: Path):
    class Twice(CountingHost):
        def paint(
            self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, model: Files
        ) -> list[Image.Image]:
            from tests.analysis.images import image

            return [image(64, 64, seed=min(seed, 3)) for seed in seeds]

    host = Twice(ModelRecipe(base=str(base)), shelf=shelf)
    regularize(settings_of(base, 4), tmp_path, host)
    found = drawn_pictures(tmp_path, settings_of(base))
    found[3].with_suffix(".txt").write_text("mine")
    regularize(settings_of(base, 4, drop_duplicates=True), tmp_path, host)
    assert sorted(drawn_pictures(tmp_path, settings_of(base))) == [0, 1, 2]
    names = {name for removal in Trash(tmp_path).removals() for name in removal.files}
    assert names == {found[3].name, found[3].with_suffix(".txt").name}
    assert len(list(tmp_path.glob("*.txt"))) == 3


def test_near_duplicates_are_dropped_and_others_drawn(base: Path, shelf: Shelf, tmp_path: Path):
    class Repeating(CountingHost):
        """Every third picture is one that was there before."""

        def paint(
            self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, model: Files
        ) -> list[Image.Image]:
            self.painted += len(seeds)
            return [drawn(seed - 1 if seed % 3 == 0 else seed) for seed in seeds]

    def drawn(seed: int) -> Image.Image:
        from tests.analysis.images import image

        return image(64, 64, seed=seed)

    host = Repeating(ModelRecipe(base=str(base)), shelf=shelf)
    (tmp_path / "mine.png").parent.mkdir(exist_ok=True)
    drawn(7).save(tmp_path / "mine.png")  # of the user's own: it stays, and ours like it goes
    choice = settings_of(base, 10, drop_duplicates=True)
    made = regularize(choice, tmp_path, host)
    assert made.outcome == "finished" and made.pictures == 10 and "dropped" in made.message
    seeds = [choice.seed + number for number in drawn_pictures(tmp_path, choice)]
    assert not any(seed % 3 == 0 for seed in seeds) and 7 not in seeds and len(seeds) == 10
    assert len(list(tmp_path.glob("*.txt"))) == 10, "a dropped picture takes its caption with it"
    assert (tmp_path / "mine.png").is_file()


def test_a_prompt_that_gives_one_picture_again_and_again_ends_with_a_sentence(base: Path, shelf: Shelf, tmp_path: Path):
    class Same(CountingHost):
        def paint(
            self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, model: Files
        ) -> list[Image.Image]:
            return [Image.radial_gradient("L").resize((64, 64)).convert("RGB") for _ in seeds]

    host = Same(ModelRecipe(base=str(base)), shelf=shelf)
    made = regularize(settings_of(base, 5, drop_duplicates=True), tmp_path, host)
    assert made.outcome == "finished" and made.pictures == 1 and "again and again" in made.message


def test_another_model_is_waited_for(base: Path, shelf: Shelf, tmp_path: Path):
    host = StandaloneHost(ModelRecipe(base=str(CHECKPOINT)), shelf=shelf)
    with pytest.raises(HostChanged, match="base.safetensors"):
        host.paint(["a cat"], [1], settings_of(base).sampling, Files(str(base)))
    control, heard = RunControl(), list[tuple[str, str]]()

    def tell(state: str, done: int, total: int, seconds: float, message: str) -> None:
        heard.append((state, message))
        control.stop()

    assert regularize(settings_of(base), tmp_path, host, control=control, on_progress=tell).outcome == "stopped"
    assert heard[0][0] == "paused" and "base.safetensors" in heard[0][1]


@pytest.mark.parametrize("error", [*ON_GPU, *ON_CPU])
def test_a_full_memory_is_a_sentence_and_what_was_drawn_stays(
    error: Exception, base: Path, host: CountingHost, tmp_path: Path
):
    """Whether torch's allocator, the driver or one of its libraries reports it."""

    class Full(CountingHost):
        def paint(
            self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, model: Files
        ) -> list[Image.Image]:
            if self.painted == 2:
                raise error
            return super().paint(prompts, seeds, sampling, model)

    full = Full(ModelRecipe(base=str(base)), shelf=host.shelf)
    with pytest.raises(RegularizeError, match=r"memory is full.*resume draws the rest"):
        regularize(settings_of(base), tmp_path, full)
    assert len(drawn_pictures(tmp_path, settings_of(base))) == 2
    assert regularize(settings_of(base), tmp_path, host).pictures == 6 and host.painted == 4


def test_one_program_at_a_time_draws_into_a_folder(base: Path, host: CountingHost, tmp_path: Path):
    lock = hidden_folder(tmp_path, make=True) / "drawing.lock"
    with exclusive(lock), pytest.raises(RegularizeError, match="Another program is drawing"):
        regularize(settings_of(base), tmp_path, host)
    assert host.painted == 0 and regularize(settings_of(base), tmp_path, host).pictures == 6


def test_any_other_error_of_the_host_is_raised_as_it_is(base: Path, shelf: Shelf, tmp_path: Path):
    class Broken(CountingHost):
        def paint(
            self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, model: Files
        ) -> list[Image.Image]:
            raise RuntimeError("wrong shape")

    with pytest.raises(RuntimeError, match="wrong shape"):
        regularize(settings_of(base), tmp_path, Broken(ModelRecipe(base=str(base)), shelf=shelf))


def test_a_pause_holds_it(base: Path, host: CountingHost, tmp_path: Path):
    control = RunControl()
    control.pause()
    heard: list[str] = []
    thread = threading.Thread(
        target=lambda: regularize(
            settings_of(base, 2), tmp_path, host, control=control, on_progress=lambda s, *_: heard.append(s)
        )
    )
    thread.start()
    end = time.monotonic() + 10
    while heard != ["paused"] and time.monotonic() < end:
        time.sleep(0.01)
    assert heard == ["paused"] and host.painted == 0
    control.resume()
    thread.join(30)
    assert heard[-1] == "finished" and host.painted == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"prompts": ()}, "No class prompt"),
        ({"prompts": ("a cat", " ")}, "No class prompt"),
        ({"count": 0}, "0 pictures"),
        ({"seed": -1}, "seed -1"),
        ({"at_once": 17}, "17 pictures at once"),
        ({"sampling": Sampling("DDIM", width=65)}, "65 × 512"),
        ({"sampling": Sampling("DDIM", steps=0)}, "0 sampling steps"),
        ({"sampling": Sampling("DDIM", guidance=99.0)}, "guidance 99.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(base: Path, change: dict[str, object], says: str):
    with pytest.raises(RegularizeError, match=says):
        settings_of(base, **change)  # type: ignore[arg-type]


def test_settings_come_back_as_they_were_written(base: Path):
    choice = settings_of(base, at_once=3)
    assert RegularizationSettings.from_plain(choice.plain()) == choice
    assert choice.signature == settings_of(base, 99).signature != settings_of(base, seed=2).signature
    with pytest.raises(RegularizeError, match="can't be read"):
        RegularizationSettings.from_plain({"prompts": ["a cat"]})


def test_names_and_captions():
    assert slug("A <lora:x:1> Dog, (fluffy:1.2)!") == "a-dog-fluffy-1-2" and slug("猫") == "picture"
    assert caption("a  dog, <lora:x:1>") == "a dog"


@pytest.mark.slow
def test_a_killed_one_leaves_no_partial_file_and_continues_to_the_same_pictures(
    base: Path, host: CountingHost, tmp_path: Path
):
    """Killed at any moment, again and again, until it has come to its end."""
    regularize(settings_of(base, 12), tmp_path / "whole", host)
    folder = tmp_path / "killed"
    command = [
        sys.executable, "-m", "sdft_ext", "dataset", "regularize", str(folder), "--base", str(base), "--count", "12",
        "--prompt", PROMPTS[0], "--prompt", PROMPTS[1], "--steps", "1", "--guidance", "2", "--size", "64",
        "--keep-duplicates",
    ]  # fmt: skip
    kills = 0
    while True:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
        before, end = len(list(folder.glob("[!.]*.png"))), time.monotonic() + 90
        while process.poll() is None and time.monotonic() < end:
            if kills < 2 and len(list(folder.glob("[!.]*.png"))) >= before + 2:
                process.kill()
                kills += 1
            time.sleep(0.001)
        assert time.monotonic() < end
        for path in folder.glob("[!.]*.png"):
            Image.open(path).load()
            assert path.with_suffix(".txt").read_text(), "a picture that is there has its caption"
        if process.returncode == 0:
            break
    assert kills == 2
    assert contents(folder) == contents(tmp_path / "whole")

"""The log: what is written, what a kill leaves, what a resumed run keeps."""

import json
import math
import struct
from dataclasses import replace

import pytest
from tensorboardX.proto.event_pb2 import Event

from sdft_ext.recipe import WatchRecipe
from sdft_ext.run_folder.log import FILE, Log, Smoother, losses, read

QUIET = WatchRecipe(tensorboard=False)


def board(folder):
    """(step, tag, value) of every TensorBoard event, and where files say that earlier steps are void."""
    found, purged = [], []
    for path in sorted((folder / "tensorboard").iterdir(), key=lambda path: path.stat().st_mtime_ns):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            event = Event.FromString(content[place + 12 : place + 12 + length])
            found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
            if event.session_log.status:
                purged.append(event.step)
            place += 16 + length
    return found, purged


def test_smoothing_has_no_bias_at_its_start():
    smoother, values = Smoother(0.9), [3.0, 1.0, 4.0, 1.0, 5.0]
    got = [smoother.add(value) for value in values]
    for n in range(1, 6):
        weights = [0.9 ** (n - 1 - i) for i in range(n)]
        assert got[n - 1] == pytest.approx(sum(w * v for w, v in zip(weights, values, strict=False)) / sum(weights))
    assert math.isnan(Smoother(0.9).value)
    plain = Smoother(0.0)
    assert [plain.add(value) for value in values] == values


def test_a_smoother_continues_exactly():
    one, two = Smoother(0.98), Smoother(0.98)
    for n in range(50):
        one.add(math.sin(n))
    two.load(json.loads(json.dumps(one.state())))
    assert [one.add(n / 7) for n in range(20)] == [two.add(n / 7) for n in range(20)]


def test_lines_come_back_as_written(tmp_path):
    log = Log(tmp_path, QUIET)
    log.write(1, {"epoch": 1, "loss": 0.1 + 0.2, "lr/unet": 1e-4})
    log.event(1, "save", file="a\u2028b\x85c\n🐈.safetensors")
    log.write(2, {"loss": math.nan, "gradient_norm": math.inf})
    first, save, second = read(tmp_path)
    assert (first["step"], first["loss"], first["lr/unet"]) == (1, 0.1 + 0.2, 1e-4)
    assert save["event"] == "save" and save["file"] == "a\u2028b\x85c\n🐈.safetensors"
    for text in (tmp_path / FILE).read_text(encoding="utf-8").split("\n")[:-1]:
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert math.isnan(losses([second])[0][1]) and losses([first, save]) == [(1, 0.1 + 0.2)]


def test_every_line_is_there_before_the_file_is_closed(tmp_path):
    log = Log(tmp_path, QUIET)
    for step in range(1, 4):
        log.write(step, {"loss": 1.0})
        assert len(read(tmp_path)) == step


@pytest.mark.parametrize("rest", ['{"step": 3, "lo', "12", "null", "[1]", '{"loss": 1}', "\x00\x00\x00", "\ufffd"])
def test_partial_lines_are_skipped_and_completed(tmp_path, rest):
    log = Log(tmp_path, QUIET)
    for step in (1, 2):
        log.write(step, {"loss": float(step)})
    log.close()
    with open(tmp_path / FILE, "a", encoding="utf-8") as file:
        file.write(rest)
    assert [line["step"] for line in read(tmp_path)] == [1, 2]
    log = Log(tmp_path, QUIET)
    log.resume(2)
    log.write(3, {"loss": 3.0})
    texts = (tmp_path / FILE).read_text(encoding="utf-8").split("\n")
    assert [json.loads(text)["loss"] for text in texts if text] == [1.0, 2.0, 3.0]


def test_a_resumed_run_keeps_its_steps_and_drops_the_others(tmp_path):
    log = Log(tmp_path, QUIET)
    for step in range(6):
        log.write(step, {"loss": 1 / (step + 3)})
        log.event(step, "save")
    before = (tmp_path / FILE).read_text().splitlines()
    log.resume(3)
    assert (tmp_path / FILE).read_text().splitlines() == before[:8]
    log.resume(0)
    assert read(tmp_path) == []


def test_tensorboard_gets_the_numbers(tmp_path):
    log = Log(tmp_path, WatchRecipe())
    for step in (1, 2, 3):
        log.write(step, {"epoch": 1, "loss": step / 2, "lr/unet": 0.25, "gradient_norm": math.nan})
    log.close()
    log = Log(tmp_path, WatchRecipe())
    log.resume(2)
    log.write(3, {"loss": 8.0})
    log.close()
    found, purged = board(tmp_path)
    expected = [(step, tag, value) for step in (1, 2, 3) for tag, value in (("loss", step / 2), ("lr/unet", 0.25))]
    assert found == [*expected, (3, "loss", 8.0)] and purged == [3]


def test_no_tensorboard_unless_asked(tmp_path):
    log = Log(tmp_path, replace(WatchRecipe(), tensorboard=False))
    log.write(1, {"loss": 1.0})
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_no_log_yet(tmp_path):
    assert read(tmp_path) == []

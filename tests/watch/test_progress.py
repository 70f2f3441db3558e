"""Progress: on a terminal one line that moves, elsewhere lines now and then; never the end of a run."""

import io

import pytest

from sdft_ext.watch import progress
from sdft_ext.watch.progress import Progress, duration, seconds_left


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Ascii(io.StringIO):
    encoding = "ascii"

    def write(self, text):
        return super().write(text.encode("ascii").decode())


class Gone(io.StringIO):
    encoding = "utf-8"

    def write(self, text):
        raise BrokenPipeError


@pytest.fixture
def clock(monkeypatch):
    """A clock that is put forward by hand."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_elsewhere_a_line_every_five_seconds_and_at_the_end(clock):
    stream = io.StringIO()
    shown = Progress(stream)
    for done in range(101):
        shown.show("Training", done, 100, "loss 0.1")
        clock[0] += 0.2
    lines = stream.getvalue().splitlines()
    assert lines[0] == "Training: 0 of 100, loss 0.1" and lines[-1] == "Training: 100 of 100, loss 0.1"
    assert 4 <= len(lines) <= 7
    assert "Training: 50 of 100, 10 s left, loss 0.1" in lines
    assert "\r" not in stream.getvalue()


def test_time_left_counts_from_where_this_run_began(clock):
    stream = io.StringIO()
    shown = Progress(stream)
    shown.show("Training", 90, 100)
    clock[0] += 10
    shown.show("Training", 95, 100)
    assert stream.getvalue().splitlines()[-1] == "Training: 95 of 100, 10 s left"


def test_on_a_terminal_the_line_moves_and_leaves_nothing_behind(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    shown = Progress(stream)
    shown.show("Encoding pictures", 1, 20, "a long remark that does not fit into forty columns")
    clock[0] += 1
    shown.show("Encoding pictures", 2, 20)
    clock[0] += 1
    shown.show("Encoding pictures", 20, 20)
    shown.say("done")
    parts = stream.getvalue().split("\r")[1:]
    assert all(len(part.rstrip("\n")) < 40 for part in parts[:-1])
    assert len(parts[1]) >= len(parts[0])
    assert stream.getvalue().count("\n") == 2 and stream.getvalue().endswith("\ndone\n")


def test_a_new_label_is_shown_at_once(clock):
    stream = io.StringIO()
    shown = Progress(stream)
    shown.show("One", 0, 9)
    shown.show("Two", 0, 9)
    assert stream.getvalue().splitlines() == ["One: 0 of 9", "Two: 0 of 9"]


def test_quiet_says_nothing():
    stream = io.StringIO()
    shown = Progress(stream, quiet=True)
    shown.show("One", 1, 1)
    shown.say("x")
    assert stream.getvalue() == ""


def test_letters_that_the_stream_lacks_do_not_end_the_run():
    stream = Ascii()
    Progress(stream).say("caf\u00e9 \U0001f408 64×64")
    assert stream.getvalue() == "caf? ? 64?64\n"


def test_a_reader_that_has_gone_away_does_not_end_the_run():
    shown = Progress(Gone())
    shown.show("One", 1, 2)
    shown.say("x")


def test_durations():
    assert [duration(s) for s in (0, 59.4, 61, 3600, 7260)] == ["0 s", "59 s", "1 min 1 s", "1 h 0 min", "2 h 1 min"]
    assert seconds_left(10, 5, 20) == 30 and seconds_left(10, 0, 20) == 0

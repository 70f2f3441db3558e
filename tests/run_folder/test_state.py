"""A run goes on from its state bit for bit; damage and full disks cost at most the newest state."""

import json
import math
import os
import shutil
import subprocess
import sys

import pytest
import torch

from sdft_ext.method.base import ParameterGroup
from sdft_ext.randomness import generator
from sdft_ext.recipe import TrainRecipe
from sdft_ext.run_folder import state
from sdft_ext.train.ema import EMA
from sdft_ext.train.optimizers import build, evaluation_weights
from sdft_ext.train.precision import Precision

OPTIMIZERS = ["adamw", "lion", "prodigy", "dadaptadam", "adafactor", "came", "adamw_schedule_free"]


def same(one, other):
    """Equal to the bit: kinds, keys and their order, floats, tensors with their type and strides."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        bits = [value.detach().contiguous().reshape(-1).view(torch.uint8) for value in (one, other)]
        return one.dtype == other.dtype and one.stride() == other.stride() and torch.equal(*bits)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return one.hex() == other.hex() if isinstance(one, float) else one == other


AWKWARD = {
    "numbers": [0, -1, 2**70, 0.1, -0.0, 1e-310, math.inf, -math.inf, math.nan, True, False, None],
    "texts": ["", "0123", "a/b", "ß🎈", '"', "__metadata__"],
    "tuple": (0.9, (0.99, [1]), ()),
    "keys": {0: "int", "0": "text", "a/b": torch.ones(1), "a": {"b": torch.zeros(1)}, True: 1},
    "empty": {"dict": {}, "list": [], "tensor": torch.zeros(0, 3)},
    "scalars": [torch.tensor(3), torch.tensor(0.1), torch.tensor(7.0, dtype=torch.float64), torch.tensor(True)],
    "formats": [torch.randn(3).to(kind) for kind in (torch.bfloat16, torch.float16, torch.float64)],
    "bytes": torch.arange(5, dtype=torch.uint8),
    "not finite": torch.tensor([math.nan, math.inf, -0.0]),
    "transposed": torch.arange(6.0).reshape(2, 3).t(),
    "channels last": torch.arange(48.0).reshape(2, 3, 2, 4).contiguous(memory_format=torch.channels_last),
    "parameter": torch.nn.Parameter(torch.ones(2)).detach(),
}


def test_everything_comes_back_to_the_bit(tmp_path):
    state.write(tmp_path, 7, AWKWARD)
    step, tree = state.read_last(tmp_path)
    assert step == 7
    for key, value in AWKWARD.items():
        assert same(tree[key], value), key


def test_views_with_gaps_and_shared_tensors_keep_their_values(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    state.write(tmp_path, 1, {"gaps": whole[:, ::2], "spread": torch.ones(1).expand(3, 2), "one": whole, "two": whole})
    _, tree = state.read_last(tmp_path)
    assert torch.equal(tree["gaps"], whole[:, ::2]) and torch.equal(tree["spread"], torch.ones(3, 2))
    assert torch.equal(tree["one"], whole) and torch.equal(tree["two"], whole)


def test_what_can_not_be_kept_is_refused_by_its_place(tmp_path):
    with pytest.raises(TypeError, match=r"/a/1: set"):
        state.write(tmp_path, 1, {"a": [1, {2}]})
    assert state.states(tmp_path) == []


class Training:
    """A small training with everything that a state holds."""

    def __init__(self, name, precision="fp32"):
        draws = generator(3, "problem")
        self.inputs, self.answer = torch.randn(32, 8, generator=draws), torch.randn(32, 6, generator=draws)
        self.weights = [
            torch.nn.Parameter(torch.randn(shape, generator=draws) * 0.3) for shape in ((8, 5), (5, 6), (6,))
        ]
        rate = 1.0 if name in ("prodigy", "dadaptadam") else 1e-2
        groups = [
            ParameterGroup("unet", self.weights[:2], rate),
            ParameterGroup("text_encoder", self.weights[2:], rate),
        ]
        self.optimizer = build(groups, TrainRecipe(optimizer=name, learning_rate=rate))
        self.rate, self.ema, self.precision = rate, EMA(self.weights, 0.9), Precision(precision, torch.device("cpu"))

    def run(self, first, last):
        for step in range(first, last):
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate * (1 - step / 20)
            rows = torch.randperm(32, generator=generator(1, "rows", step))[:8]
            with self.precision.autocast():
                hidden = (self.inputs[rows] @ self.weights[0]).tanh()
                loss = (hidden @ self.weights[1] + self.weights[2] - self.answer[rows]).float().square().mean()
            self.precision.backward(loss)
            self.precision.step(self.optimizer, self.weights, 1.0)
            self.optimizer.zero_grad()
            self.ema.update()
            if step == 3:
                with evaluation_weights(self.optimizer):  # as a save in between does
                    pass
        return self

    def tree(self):
        return {
            "weights": [weight.detach() for weight in self.weights],
            "optimizer": state.optimizer_state(self.optimizer),
            "scaler": self.precision.state(),
            "ema": {"mean": self.ema.mean, "updates": self.ema.updates},
        }

    def load(self, tree):
        with torch.no_grad():
            for weight, saved in zip(self.weights, tree["weights"], strict=True):
                weight.copy_(saved)
        state.load_optimizer(self.optimizer, tree["optimizer"])
        self.precision.load_state(tree["scaler"])
        self.ema.load(tree["ema"]["mean"], tree["ema"]["updates"])
        return self


needs_cpu_scaler = pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="torch before 2.3")
CASES = [(name, "fp32") for name in OPTIMIZERS] + [("adamw", "bf16")]


@pytest.mark.parametrize(("name", "precision"), [*CASES, pytest.param("adamw", "fp16", marks=needs_cpu_scaler)])
def test_five_steps_saved_and_five_more_are_ten(name, precision, tmp_path):
    whole = Training(name, precision).run(0, 10)
    state.write(tmp_path, 5, Training(name, precision).run(0, 5).tree())
    for _ in range(2):  # resuming twice too
        step, tree = state.read_last(tmp_path)
        resumed = Training(name, precision).load(tree)
        assert same(resumed.tree()["optimizer"]["state"], tree["optimizer"]["state"])
        assert same(resumed.run(step, 10).tree(), whole.tree())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_before_the_first_step(name, tmp_path):
    state.write(tmp_path, 0, Training(name).tree())
    resumed = Training(name).load(state.read_last(tmp_path)[1]).run(0, 3)
    assert same(resumed.tree(), Training(name).run(0, 3).tree())


def test_another_optimizer_or_other_parameters_are_refused():
    tree = Training("adamw").run(0, 1).tree()
    with pytest.raises(state.StateError, match=r"the optimizer AdamW.*train\.optimizer"):
        Training("lion").load(tree)
    tree["optimizer"]["param_groups"][0]["params"].append(99)
    with pytest.raises(state.StateError, match="other trained parameters"):
        Training("adamw").load(tree)


def test_the_last_two_states_are_kept(tmp_path):
    for step in (10, 20, 30, 1000000, 1000010):
        state.write(tmp_path, step, {"step": step})
    assert [path.name for path in state.states(tmp_path)] == ["step-1000000", "step-1000010"]
    assert sorted(os.listdir(tmp_path)) == ["step-1000000", "step-1000010"]


def test_the_same_step_may_be_written_again(tmp_path):
    state.write(tmp_path, 10, {"value": 1})
    state.write(tmp_path, 10, {"value": 2})
    assert state.read_last(tmp_path) == (10, {"value": 2}) and os.listdir(tmp_path) == ["step-000010"]


def damage(path, how):
    tensors, values = path / state.TENSORS, path / state.VALUES
    if how == "tensors cut":
        tensors.write_bytes(tensors.read_bytes()[:-3])
    elif how == "one bit":
        content = bytearray(tensors.read_bytes())
        content[-2] ^= 4
        tensors.write_bytes(content)
    elif how == "one digit":
        values.write_text(values.read_text().replace('"count", 41', '"count", 42'))
    elif how == "another step":
        values.write_text(values.read_text().replace('"step": 20', '"step": 10'))
    elif how == "values cut":
        values.write_text(values.read_text()[:-9])
    elif how == "values empty":
        values.write_bytes(b"\0" * 50)
    elif how == "other values":
        values.write_text(json.dumps([1, 2]))
    elif how == "no tensors":
        tensors.unlink()
    else:
        shutil.rmtree(path)
        path.mkdir()


DAMAGES = [
    "tensors cut",
    "one bit",
    "one digit",
    "values cut",
    "values empty",
    "other values",
    "no tensors",
    "empty",
    "another step",
]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_state_is_passed_over_for_the_one_before(how, tmp_path):
    for step in (10, 20):
        state.write(tmp_path, step, {"count": 41, "weight": torch.full((8,), float(step))})
    before = (tmp_path / "step-000020" / state.VALUES).read_bytes()
    damage(tmp_path / "step-000020", how)
    if how in ("one digit", "another step"):
        assert (tmp_path / "step-000020" / state.VALUES).read_bytes() != before
    step, tree = state.read_last(tmp_path)
    assert step == 10 and tree["weight"].eq(10).all()
    # The run comes to step 15: the damaged, later ones must not push out what is whole.
    (tmp_path / "step-000030").mkdir()
    state.write(tmp_path, 15, tree)
    assert state.read_last(tmp_path)[0] == 15
    state.write(tmp_path, 20, tree)
    assert state.read_last(tmp_path)[0] == 20


def test_two_states_are_left_whatever_was_damaged_or_unfinished(tmp_path):
    """The run goes on from step 20, and writes its states at other steps than before, as those by the time do."""
    for step in (10, 20, 30):
        state.write(tmp_path, step, {"weight": torch.full((8,), float(step))})
    damage(tmp_path / "step-000030", "one bit")
    (tmp_path / "step-000031").write_bytes(b"a file")
    for name in (".step-000031.tmp", ".step-000007.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / state.TENSORS).write_bytes(b"half")
    assert state.read_last(tmp_path)[0] == 20
    state.write(tmp_path, 25, {"weight": torch.full((8,), 25.0)})
    assert sorted(os.listdir(tmp_path)) == ["step-000020", "step-000025"]
    state.write(tmp_path, 33, {"weight": torch.full((8,), 33.0)})
    damage(tmp_path / "step-000033", "tensors cut")
    assert state.read_last(tmp_path)[0] == 25, "the one before is whole"


@pytest.mark.parametrize("name", [state.TENSORS, state.VALUES])
def test_a_folder_in_the_place_of_a_states_file_is_a_damaged_state(name, tmp_path):
    for step in (10, 20):
        state.write(tmp_path, step, {"weight": torch.full((8,), float(step))})
    (tmp_path / "step-000020" / name).unlink()
    (tmp_path / "step-000020" / name).mkdir()
    assert state.read_last(tmp_path)[0] == 10


def test_none_is_a_new_beginning_and_all_damaged_are_refused(tmp_path):
    assert state.read_last(tmp_path / "missing") is None
    for step in (10, 20):
        state.write(tmp_path, step, {"a": torch.ones(1)})
        damage(tmp_path / f"step-{step:06d}", "tensors cut")
    with pytest.raises(state.StateError, match="step-000010 and step-000020 .* damaged"):
        state.read_last(tmp_path)


def test_a_damaged_state_is_mentioned(tmp_path):
    for step in (10, 20):
        state.write(tmp_path, step, {"a": torch.ones(1)})
    damage(tmp_path / "step-000020", "one bit")
    said: list[str] = []
    assert state.read_last(tmp_path, said.append)[0] == 10
    assert len(said) == 1 and "step-000020 is damaged" in said[0] and "step 10" in said[0]


def test_a_state_that_cannot_be_read_at_present_is_not_passed_over(tmp_path, monkeypatch):
    for step in (10, 20):
        state.write(tmp_path, step, {"a": torch.ones(1)})

    def away(path):
        raise OSError(116, "Stale file handle", str(path))

    monkeypatch.setattr(state, "_file_sum", away)
    with pytest.raises(OSError, match="Stale"):
        state.read_last(tmp_path)


def test_strange_names_in_the_folder_are_left_alone(tmp_path):
    for name in ("step-1x", "step-", "my step-000099", ".step-000050.tmp"):
        (tmp_path / name).mkdir()
    state.write(tmp_path, 10, {"a": 1})
    assert state.read_last(tmp_path) == (10, {"a": 1})
    assert (tmp_path / "my step-000099").exists()


def write_and_die(folder, after):
    """In a process of its own, write state 20 and end before the change of the disk after so many. Its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    calls = 0

    def ending(event, arguments):
        nonlocal calls
        if event in ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove") and str(folder) in str(arguments[0]):
            calls += 1
            if calls > after:
                os._exit(9)

    try:
        sys.addaudithook(ending)
        state.write(folder, 20, {"weight": torch.full((8,), 21.0)})
    finally:
        os._exit(0 if state.states(folder) else 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("rewriting", [False, True])
def test_killed_at_any_moment_of_writing_leaves_a_whole_state(rewriting, tmp_path):
    """The writer ends before its n-th change of the disk, for every n; after each, a state that is whole can be
    read.
    """
    allowed = {(20, 20.0), (20, 21.0)} if rewriting else {(15, 15.0), (20, 21.0)}
    found, code, after = set(), 9, 0
    while code == 9 and after < 60:
        folder = tmp_path / str(after)
        for step in (20,) if rewriting else (10, 15):
            state.write(folder, step, {"weight": torch.full((8,), float(step))})
        code = write_and_die(folder, after)
        step, tree = state.read_last(folder)
        found.add((step, float(tree["weight"][0])))
        state.write(folder, 30, {"weight": torch.zeros(8)})  # what was left behind is no hindrance
        assert state.read_last(folder)[0] == 30
        after += 1
    assert code == 0 and after > 5 and found == allowed


FULL = """
import resource, signal, sys
from pathlib import Path
import torch
from sdft_ext.run_folder import state
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    state.write(Path(sys.argv[1]), 20, {"weight": torch.zeros(100_000)})
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="no limit on file sizes here")
def test_a_full_disk_is_an_error_message_and_nothing_is_lost(tmp_path):
    state.write(tmp_path, 10, {"weight": torch.ones(3)})
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert "can't write the state" in done.stdout and "step-000020" in done.stdout and "free space" in done.stdout
    assert os.listdir(tmp_path) == ["step-000010"] and state.read_last(tmp_path)[0] == 10


MEMORY = """
import resource, sys
from pathlib import Path
import torch
from sdft_ext.run_folder import state
tree = {"weights": [torch.ones(1000, 1000, 8) for _ in range(5)]}
state.write(Path(sys.argv[1]), 1, {"weight": tree["weights"][0][0]})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
state.write(Path(sys.argv[1]), 2, tree)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports peak memory in KiB")
def test_written_tensors_are_not_in_memory_twice(tmp_path):
    """160 MB of weights; less than one of the five tensors comes on top while they are written."""
    done = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 30_000
    assert torch.equal(state.read_last(tmp_path)[1]["weights"][4], torch.ones(1000, 1000, 8))


def test_a_number_format_that_a_state_can_not_hold_is_refused_by_its_place(tmp_path):
    with pytest.raises(TypeError, match=r"/a/0: complex64"):
        state.write(tmp_path, 1, {"a": [torch.ones(1, dtype=torch.complex64)]})


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "state").write_text("mine")
    with pytest.raises(OSError, match=r"can't write the state .*step-000010.*make the folder writable"):
        state.write(tmp_path / "state", 10, {"a": torch.ones(1)})
    assert (tmp_path / "state").read_text() == "mine"

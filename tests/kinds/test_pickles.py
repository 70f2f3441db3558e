"""Every kind of bad pickle is judged, its weight is read right or refused by name, and nothing in it is run."""

import pickle

import pytest
import torch

from sdft_ext.cli.main import FAILED, OK, USAGE
from sdft_ext.cli.signals import UNKNOWN
from sdft_ext.errors import SdftError
from sdft_ext.formats import embedding, hypernetwork, kohya, pickle_machine, pickles, single_file

from .kind import bounded, made, run
from .pickle_parts import RAN, WEIGHT, archive, weights
from .pickles import KINDS, system

CODES = {"dangerous": FAILED, "suspicious": UNKNOWN, "damaged": UNKNOWN, "harmless": OK, "refused": USAGE}


def test_the_kinds_are_many_and_their_witness_works(tmp_path):
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 100
    program = weights(system(tmp_path)).replace(b"Q", b"0")  # the tensor's storage needs torch's own unpickler
    with pytest.raises(Exception, match=r".*"):
        pickle.loads(program[: program.index(b"ctorch")] + b"N0N0" + system(tmp_path) + b"\xff")
    assert (tmp_path / RAN).exists()
    assert torch.equal(pickles.load_tensors(archive(tmp_path / "good.ckpt", weights()))[0]["a.weight"], WEIGHT)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_pickle_is_judged_and_never_run(kind, tmp_path, capsys, monkeypatch):
    for module in (pickle_machine, pickles):
        monkeypatch.setattr(module, "MAX_STEPS", 60_000)
    path = made(kind, tmp_path)
    with bounded():
        try:
            verdict = single_file.scan(path).verdict
        except SdftError as error:
            verdict = "refused"
            assert path.name in str(error)
        assert verdict in kind.expected.split()
        code, out, err = run(capsys, "scan", path)
        assert code == CODES[verdict] and path.name in out + err and "\x1b" not in out + err
        _check_weights(path, kind.more)
        for reader in (lambda: embedding.read(path, 1), lambda: hypernetwork.read(path), lambda: kohya.read(path)):
            with pytest.raises(SdftError, match=path.name):
                reader()
        code, out, err = run(capsys, "convert", path, tmp_path / "new.safetensors")
        assert (code == OK) is bool(kind.more) and path.name in out + err
        assert (tmp_path / "new.safetensors").exists() is bool(kind.more)
    assert not (tmp_path / RAN).exists()


def _check_weights(path, read):
    """Check that the weight is read right (its values), or that the file is refused by name."""
    if not read:
        with pytest.raises(SdftError, match=path.name):
            single_file.read(path)
        return
    expected = WEIGHT if read is True else torch.tensor(read)
    assert {key: value.tolist() for key, value in single_file.read(path).items()} == {"a.weight": expected.tolist()}

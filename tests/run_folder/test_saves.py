import pytest

from sdft_ext.run_folder.saves import Saves
from sdft_ext.storage import atomic


def write(saves, step, last=False):
    return saves.write(step, 1, 0.5, last, lambda path: path.write_text(str(step)) and ())


def test_saves_are_indexed_and_old_ones_go(tmp_path):
    saves = Saves(tmp_path, "cat", keep_last=2)
    for step in (10, 20, 30):
        write(saves, step)
    write(saves, 35, last=True)
    assert [path.name for path in saves.paths()] == ["cat-000030.safetensors", "cat.safetensors"]
    assert sorted(path.name for path in (tmp_path / "saves").glob("*.safetensors")) == [
        "cat-000030.safetensors",
        "cat.safetensors",
    ]


def test_a_resumed_run_repeats_its_saves_without_doubling_the_index(tmp_path):
    saves = Saves(tmp_path, "cat", keep_last=0)
    for step in (10, 20, 30, 20):
        write(saves, step)
    assert [save.step for save in saves.all()] == [10, 20]


def test_saves_in_the_hosts_folder_are_pointed_to(tmp_path):
    host = tmp_path / "models" / "Lora"
    saves = Saves(tmp_path / "run", "cat", keep_last=0, folder=host)
    path = write(saves, 10)
    assert path.parent == host and Saves(tmp_path / "run", "cat", 0).paths() == [path.resolve()]


def test_further_files_of_a_save_come_and_go_with_it(tmp_path):
    """In folders of a host: a save of one kind, what belongs to it in another."""
    saves = Saves(tmp_path / "run", "cat", 1, tmp_path / "lora", ".pt", tmp_path / "words")

    def writer(path):
        path.write_text("file")
        further = saves.extra_folder / f"{path.stem}-sks.pt"
        further.parent.mkdir(exist_ok=True)
        further.write_text("word")
        return [further]

    saves.write(10, 1, 0.5, False, writer)
    saves.write(20, 1, 0.5, True, writer)
    (last,) = Saves(tmp_path / "run", "cat", 1).all()
    assert [path.name for path in saves.files(last)] == ["cat.pt", "cat-sks.pt"]
    tried = saves.write_try(25, writer)
    assert [path.name for path in tried] == ["cat-try-000025.pt", "cat-try-000025-sks.pt"]
    assert sorted(saves.tries()) == sorted(tried)
    names = {path.name for path in tmp_path.rglob("*.pt")}
    assert names == {"cat.pt", "cat-sks.pt", *(path.name for path in tried)}


@pytest.mark.parametrize("name", ["cat", "a name of thirty-seven characters ---", "[x]" * 20])
def test_half_written_saves_of_this_run_are_cleared(name, tmp_path):
    saves = Saves(tmp_path, name, keep_last=0)
    names = []

    def writer(path):
        # What a kill leaves: the temporary file is there, its end never comes.
        atomic.write(path, lambda temporary: names.append(temporary.name))
        return ()

    saves.write(10, 1, 0.5, False, writer)
    saves.write(20, 1, 0.5, True, writer)
    for temporary in (*names, ".dog-abcdefgh.tmp.safetensors", f".{name[:20]}s-abcdefgh.tmp.safetensors"):
        (saves.folder / temporary).write_text("half")
    saves.clear()
    left = [path.name for path in saves.folder.glob(".*.tmp*")]
    assert sorted(left) == sorted([".dog-abcdefgh.tmp.safetensors", f".{name[:20]}s-abcdefgh.tmp.safetensors"])
    assert len(saves.paths()) == 2 and all(path.exists() for path in saves.paths())


def test_saves_on_request_and_scheduled_ones_are_counted_apart(tmp_path):
    saves = Saves(tmp_path, "cat", keep_last=2)
    for step, scheduled in ((10, True), (13, False), (20, True), (23, False), (26, False), (27, False)):
        saves.write(step, 1, 0.5, False, lambda path: path.write_text("x") and (), scheduled)
    assert [(save.step, save.scheduled) for save in saves.all()] == [(10, True), (20, True), (26, False), (27, False)]
    saves.write(30, 1, 0.5, False, lambda path: path.write_text("x") and ())
    assert [save.step for save in saves.all()] == [20, 26, 27, 30]
    assert len(list((tmp_path / "saves").glob("*.safetensors"))) == 4

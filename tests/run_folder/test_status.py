"""What a run is doing, on disk: at once when it changes, else once a second."""

import json

from sdft_ext.run_folder import status
from sdft_ext.run_folder.status import Status


def test_changes_are_written_at_once_and_steps_once_a_second(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(status.time, "monotonic", lambda: now[0])
    shown = Status(tmp_path)

    def read():
        return json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))

    shown.set("preparing")
    assert read()["state"] == "preparing"
    shown.set("training", 1, 10, 9.04)
    assert (read()["state"], read()["step"], read()["total"], read()["seconds_left"]) == ("training", 1, 10, 9.0)
    shown.set("training", 2, 10, 8.0)
    assert read()["step"] == 1
    now[0] += 1.1
    shown.set("training", 3, 10, 7.0)
    assert read()["step"] == 3
    shown.set("failed", 3, 10, message="The loss became nan.")
    assert read()["state"] == "failed" and read()["message"] == "The loss became nan."
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]

"""Pictures sent to a dataset over the API: what arrives, and what is refused."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sdft_ext.api import mount
from sdft_ext.api import uploads as api_uploads
from sdft_ext.desk import Desk, examples, unpack, uploads
from sdft_ext.desk.errors import NotNow
from tests.analysis.images import fill, image, save
from tests.api.conftest import HOME, our_page
from tests.desk import setting

V1 = "/sdft/v1/datasets"
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def desk(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = setting.desk(data, tmp_path_factory.mktemp("uploads") / "runs")
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(desk: Desk) -> TestClient:
    """One for all tests here: each has a folder of its own."""
    return our_page(desk)


def png(seed: int = 0) -> bytes:
    data = io.BytesIO()
    image(64, 64, seed).save(data, "PNG")
    return data.getvalue()


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", how) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return data.getvalue()


def send(client: TestClient, folder: Path | str, *files: tuple[str, bytes]) -> dict[str, Any]:
    """Send files and finish; return the server's answer, with the ``errors`` of single files."""
    begun = client.post(f"{V1}/uploads", json={"folder": str(folder), "name": "mine"})
    assert begun.status_code == 200, begun.text
    upload, errors = begun.json()["id"], []
    for name, content in files:
        answer = client.post(f"{V1}/uploads/{upload}/files", params={"name": name}, content=content, headers=BYTES)
        if answer.status_code != 200:
            assert answer.status_code == 400, answer.text
            errors.append(answer.json()["detail"])
    done = client.post(f"{V1}/uploads/{upload}/finish", json={})
    assert done.status_code == 200, done.text
    return {**done.json(), "errors": errors}


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def one_line(sentences: list[str]) -> bool:
    return all("\n" not in text and text[-1:] in ".)" for text in sentences)


def test_a_new_folder_among_the_runs_receives_the_upload(client: TestClient, desk: Desk):
    done = send(client, "", ("a.png", png()), ("sub/b.PNG", png(1)), ("a.txt", b"one"), ("notes.md", b"x"))
    folder = Path(done["folder"])
    assert folder == desk.folder / "datasets" / "mine"
    assert tree(folder) == ["a.png", "a.txt", "sub/b.PNG"] and (folder / "a.png").read_bytes() == png()
    assert (done["pictures"], done["captions"], done["same"], done["renamed"]) == (2, 1, 0, 0)
    assert done["refused"] == ["1 left out, being neither pictures nor captions: notes.md."]
    assert send(client, "", ("a.png", png()))["folder"] != str(folder), "another one gets a folder of its own"
    assert desk.queued()["runs"] == []


def test_a_zip_is_unpacked_with_its_folders_and_without_what_systems_leave(client: TestClient, tmp_path: Path):
    archive = packed(
        ("10_sks cat/1.png", png()), ("10_sks cat/1.txt", b"a cat"), ("__MACOSX/._1.png", b""), (".x", b"")
    )
    done = send(client, tmp_path / "new", ("cats.zip", archive))
    assert tree(tmp_path / "new") == ["10_sks cat/1.png", "10_sks cat/1.txt"] and done["refused"] == []


def test_names_that_are_taken_are_not_written_over(client: TestClient, tmp_path: Path):
    folder = tmp_path / "cats"
    save(folder / "A.png", image(64, 64, 1))
    (folder / "A.txt").write_text("mine")
    save(folder / "same.png", image(64, 64, 2))
    (folder / "same.txt").write_text("mine too")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    sent = [
        ("a.png", png(7)),
        ("a.txt", b"yours"),
        ("a-mask.png", png(8)),
        ("same.png", png(2)),
        ("same.txt", b"other"),
    ]
    done = send(client, folder, *sent)
    assert {path: path.read_bytes() for path in before} == before
    assert (folder / "a (2).png").read_bytes() == png(7) and (folder / "a (2).txt").read_text() == "yours"
    assert (folder / "a (2)-mask.png").is_file(), "a mask stays with its picture"
    assert (done["renamed"], done["same"]) == (1, 1)
    assert done["refused"] == ["same.txt already exists with another caption; the existing file was kept."]
    again = send(client, folder, ("same.png", png(2)))
    assert (again["pictures"], again["same"]) == (0, 1) and len(tree(folder)) == 7


def test_a_picture_never_gets_the_caption_of_another_with_its_name(client: TestClient, tmp_path: Path):
    folder = tmp_path / "dogs"
    save(folder / "dog.jpg", image(64, 64, 1))
    (folder / "dog.txt").write_text("a red dog")
    for _ in range(2):  # sent again, it is there already
        done = send(client, folder, ("dog.png", png(2)), ("dog.txt", b"a blue dog"))
        assert tree(folder) == ["dog (2).png", "dog (2).txt", "dog.jpg", "dog.txt"]
    assert (done["pictures"], done["captions"], done["same"], done["refused"]) == (0, 0, 2, [])
    assert (folder / "dog (2).txt").read_text() == "a blue dog" and (folder / "dog.txt").read_text() == "a red dog"
    send(client, folder, ("dog.webp", png(3)))
    assert (folder / "dog (3).webp").is_file(), "without words of its own it gets none"


def test_pictures_that_share_a_caption_in_an_upload_share_it(client: TestClient, tmp_path: Path):
    sent = [("dog.jpg", png(1)), ("dog.png", png(2)), ("dog.txt", b"a dog")]
    for _ in range(2):
        done = send(client, tmp_path / "dogs", *sent)
        assert tree(tmp_path / "dogs") == ["dog.jpg", "dog.png", "dog.txt"] and done["refused"] == []
    assert done["same"] == 3


def test_another_mask_makes_no_second_picture(client: TestClient, tmp_path: Path):
    folder = tmp_path / "cats"
    send(client, folder, ("cat.png", png(1)), ("cat-mask.png", png(2)), ("party-mask.png", png(4)))
    done = send(client, folder, ("cat.png", png(1)), ("cat-mask.png", png(3)), ("party-mask.png", png(5)))
    assert tree(folder) == ["cat-mask.png", "cat.png", "party (2)-mask.png", "party-mask.png"]
    assert done["refused"] == ["cat-mask.png already exists with another mask; the existing file was kept."]
    assert (folder / "cat-mask.png").read_bytes() == png(2)


def test_names_that_differ_in_capitals_are_mentioned(client: TestClient, tmp_path: Path):
    sent = ("A.png", png(1)), ("a.png", png(2)), ("a.PNG", png(1)), ("b.txt", b"one"), ("b.txt", b"two")
    done = send(client, tmp_path / "cats", *sent)
    assert tree(tmp_path / "cats") == ["A.png", "b.txt"]
    assert done["refused"] == [
        "a.png was sent as A.png, too, which is the same name on some systems, with different content: the first was "
        "added; "
        "rename this one.",
        "b.txt was sent twice, with different content: the first was added; rename this one.",
    ]


def test_cancelling_ends_what_is_being_unpacked(desk: Desk, tmp_path: Path, monkeypatch: Any):
    """Cancelled in the middle: the next file of the archive isn't unpacked."""
    upload = desk.uploads.begin(str(tmp_path / "cats"), "")
    receiver = desk.uploads.receive(upload.id, "cats.zip")
    assert receiver is not None
    receiver.write(packed(*((f"{number}.txt", b"words") for number in range(50))))
    seen: list[threading.Thread] = []
    take = uploads.Receiver._take

    def cancelling(self: uploads.Receiver, *what: Any) -> None:
        if len(upload.files) == 3 and not seen:
            seen.append(threading.Thread(target=desk.uploads.cancel, args=(upload.id,)))
            seen[0].start()
            while not upload.over and time.monotonic() < began + 5:
                time.sleep(0.01)
        take(self, *what)

    began = time.monotonic()
    monkeypatch.setattr(uploads.Receiver, "_take", cancelling)
    with pytest.raises(NotNow, match="has already ended"):
        receiver.end()
    receiver.close()
    seen[0].join(10)
    assert len(upload.files) == 3 and not (tmp_path / "cats").exists()


def test_two_sweeps_at_once_do_not_interfere(data: Path, tmp_path: Path, monkeypatch: Any):
    desk = setting.desk(data, tmp_path / "runs")
    monkeypatch.setattr(uploads, "STALE", -1.0)
    fill(tmp_path / "cats", 1)
    for folder in ("", str(tmp_path / "cats")):
        with ThreadPoolExecutor(8) as pool:  # each throws away what the others have begun
            for begun in [pool.submit(desk.uploads.begin, folder, "x") for _ in range(100)]:
                begun.result()
    desk.close()


@pytest.mark.parametrize(
    "name",
    [
        "../evil.png",
        "a/../../evil.png",
        "/evil.png",
        "C:\\evil.png",
        "\\\\host\\evil.png",
        "..\\evil.png",
        "//evil.png",
    ],
)
def test_names_that_lead_out_of_the_folder(client: TestClient, tmp_path: Path, name: str):
    folder = tmp_path / "outer" / "inner"
    folder.mkdir(parents=True)
    inside = packed((name, png()), ("good.png", png(1)))
    done = send(client, folder, ("pictures.zip", inside), (name, png()))
    assert tree(tmp_path / "outer") == ["inner/good.png"]
    assert len(done["refused"]) == 1 and len(done["errors"]) == 1 and one_line([*done["refused"], *done["errors"]])
    assert not Path("/evil.png").exists()


def test_links_in_a_zip_are_not_unpacked(client: TestClient, tmp_path: Path):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    device = zipfile.ZipInfo("device.png")
    device.external_attr = (stat.S_IFCHR | 0o777) << 16
    folder = tmp_path / "cats"
    done = send(client, folder, ("x.zip", packed((link, b"/etc/passwd"), (device, b""), ("link.png/in.png", png()))))
    assert tree(folder) == ["link.png/in.png"] and not (folder / "link.png").is_symlink()
    assert len(done["refused"]) == 2 and all("link" in text for text in done["refused"])


def test_a_link_in_the_folder_leads_nothing_out_of_it(client: TestClient, tmp_path: Path):
    (tmp_path / "outside").mkdir()
    folder = tmp_path / "cats"
    folder.mkdir()
    (folder / "sub").symlink_to(tmp_path / "outside")
    done = send(client, folder, ("sub/new/a.png", png()), ("b.png", png(1)))
    assert tree(tmp_path / "outside") == [] and not (tmp_path / "outside" / "new").exists()
    assert (folder / "b.png").is_file() and "sub is a link" in done["refused"][0]
    (folder / ".sdft").rmdir() if (folder / ".sdft").is_dir() else None
    (folder / ".sdft").symlink_to(tmp_path / "outside")
    refused = client.post(f"{V1}/uploads", json={"folder": str(folder)})
    assert refused.status_code == 400 and "is a link" in refused.json()["detail"]


def test_bombs_are_not_unpacked(client: TestClient, tmp_path: Path):
    zeros = bytes(32 * 2**20)
    bomb = packed(("zeros.png", zeros), how=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    nested = packed(*((f"{n}.zip", bomb) for n in range(3)), ("good.png", png()))
    pixels = png_that_claims(50_000, 50_000)
    done = send(client, tmp_path / "new", ("bomb.zip", bomb), ("nested.zip", nested), ("pixels.png", pixels))
    assert tree(tmp_path / "new") == ["good.png"]
    assert "zip bomb" in done["errors"][0] and "pixels.png" in done["errors"][1] and len(done["errors"]) == 2
    assert "neither pictures nor captions" in done["refused"][0] and one_line(done["errors"])


def test_bytes_that_are_used_several_times_are_a_bomb(client: TestClient, tmp_path: Path):
    """The central directory names one file thousands of times."""
    archive = packed(("a.png", png()), ("b.png", png(1)))
    end = archive.rindex(b"PK\x05\x06")
    start = struct.unpack("<I", archive[end + 16 : end + 20])[0]
    one = archive[start : start + (end - start) // 2]
    many = archive[:start] + one * 2000
    many += archive[end : end + 8] + struct.pack("<HHII", 2000, 2000, 2000 * len(one), start) + b"\0\0"
    done = send(client, tmp_path / "new", ("many.zip", many))
    assert done["pictures"] == 0 and "zip bomb" in done["errors"][0] and not (tmp_path / "new").exists()


def png_that_claims(width: int, height: int) -> bytes:
    data = bytearray(png())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def test_damaged_archives_and_pictures_are_refused_and_the_rest_stays(client: TestClient, tmp_path: Path):
    good = packed(("a.png", png()), ("b.png", png(1)))
    torn = bytearray(good)
    torn[100:140] = bytes(40)
    files = [("torn.zip", bytes(torn)), ("short.zip", good[:-30]), ("no.zip", b"hello"), ("text.png", b"<b>hi</b>"),
             ("empty.png", b""), ("half.png", png()[:100]), ("good.png", png(3))]  # fmt: skip
    done = send(client, tmp_path / "new", *files)
    assert {"b.png", "good.png"} <= set(tree(tmp_path / "new")) and "text.png" not in tree(tmp_path / "new")
    sentences = [*done["errors"], *done["refused"]]
    for name in ("a.png", "short.zip", "no.zip", "text.png", "empty.png"):
        assert any(name in text for text in sentences), name
    assert one_line(sentences)


def test_files_that_are_too_large_are_refused_as_they_come(client: TestClient, tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr(unpack, "MOST_PICTURE", 5_000)
    monkeypatch.setattr(unpack, "MOST_TEXT", 100)
    done = send(client, tmp_path / "new", ("a.png", png()), ("a.txt", b"x" * 101), ("b.txt", b"x"))
    assert tree(tmp_path / "new") == ["b.txt"] and len(done["errors"]) == 2 and "larger than" in done["errors"][0]


@pytest.mark.parametrize(
    "name",
    ["<img src=x onerror=alert(1)>.png", "katze 🐱.png", "two\nlines.png", "tab\t.png", "x" * 300 + ".png", "ß.png"],
)
def test_odd_names_are_names(client: TestClient, tmp_path: Path, name: str):
    folder = tmp_path / "new"
    done = send(client, folder, (name, png()), ("z.zip", packed((f"sub/{name}", png(1)))))
    assert done["pictures"] == 2 and done["refused"] == done["errors"] == []
    kept = next(path for path in folder.iterdir() if path.suffix == ".png")
    assert "\n" not in kept.name and len(kept.name.encode()) <= 255
    if len(name) < 100:
        assert kept.name == name.replace("\n", "_").replace("\t", "_")
    shown = client.get(f"{V1}", params={"folder": str(folder)}).json()["thumbnails"]
    assert shown[0]["name"] == kept.name
    taken = send(client, folder, (name, png(2)))
    assert taken["renamed"] == 1 and taken["pictures"] == 1


def test_a_read_only_folder_is_an_error_message_and_nothing_is_lost(client: TestClient, tmp_path: Path):
    """The system's own read-only file system: not even root can write there."""
    folder = Path("/sys/kernel")
    if os.access(folder, os.W_OK) and not _refuses(folder):
        pytest.skip("there is no folder here that can't be written")
    answer = client.post(f"{V1}/uploads", json={"folder": str(folder)})
    assert answer.status_code == 400
    assert "/sys/kernel can't be written" in answer.json()["detail"] and one_line([answer.json()["detail"]])


def _refuses(folder: Path) -> bool:
    try:
        (folder / "sdft-test").mkdir()
    except OSError:
        return True
    (folder / "sdft-test").rmdir()
    return False


def test_a_disk_that_becomes_full_leaves_the_dataset_as_it_was(data: Path, tmp_path: Path):
    """A process that may write files of 20 kB only, as the system enforces it."""
    folder = tmp_path / "cats"
    fill(folder, 2)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    script = f"""
import resource, signal
from pathlib import Path
from tests.desk import setting
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
desk = setting.desk(Path({str(data)!r}), Path({str(tmp_path / "runs")!r}))
upload = desk.uploads.begin({str(folder)!r}, "")
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
receiver = desk.uploads.receive(upload.id, "new.png")
try:
    receiver.write(bytes(100_000))
    receiver.end()
except Exception as error:
    print("said:", type(error).__name__, error)
receiver.close()
print(desk.uploads.finish(upload.id))
desk.close()
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=Path.cwd(), timeout=120)
    assert "can't be written (File too large)" in ended.stdout, ended.stdout + ended.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_vanishes_is_named(client: TestClient, tmp_path: Path):
    folder = tmp_path / "cats"
    fill(folder, 1)
    upload = client.post(f"{V1}/uploads", json={"folder": str(folder)}).json()["id"]
    answer = client.post(f"{V1}/uploads/{upload}/files", params={"name": "a.png"}, content=png(), headers=BYTES)
    assert answer.status_code == 200
    folder.rename(tmp_path / "moved")
    for route, more in (
        ("files", {"params": {"name": "b.png"}, "content": png(), "headers": BYTES}),
        ("finish", {"json": {}}),
    ):
        said = client.post(f"{V1}/uploads/{upload}/{route}", **more)
        assert said.status_code == 404 and one_line([said.json()["detail"]])
    assert not folder.exists() and [p for p in tree(tmp_path / "moved") if not p.startswith(".sdft")] == ["000.png"]


def test_a_cancelled_upload_leaves_nothing(client: TestClient, desk: Desk, tmp_path: Path):
    fill(tmp_path / "cats", 1)
    for folder in (str(tmp_path / "cats"), ""):
        begun = client.post(f"{V1}/uploads", json={"folder": folder, "name": "x"}).json()
        client.post(f"{V1}/uploads/{begun['id']}/files", params={"name": "a.png"}, content=png(), headers=BYTES)
        assert client.post(f"{V1}/uploads/{begun['id']}/cancel", json={}).status_code == 200
        assert client.post(f"{V1}/uploads/{begun['id']}/finish", json={}).status_code == 404
    assert tree(tmp_path / "cats") == ["000.png"] and [p.name for p in (tmp_path / "cats").iterdir()] == ["000.png"]
    assert not (desk.folder / "datasets" / "x").exists()


def test_others_send_into_allowed_folders_only(data: Path, tmp_path: Path):
    mine = tmp_path / "mine"
    mine.mkdir()
    desk = setting.desk(data, tmp_path / "runs", local=False, roots=(mine,))
    app = FastAPI()
    mount(app, desk)
    client = TestClient(app, base_url=HOME)
    client.headers["X-SDFT-Token"] = client.get("/sdft/v1/session").json()["token"]
    for folder in (tmp_path, tmp_path / "new", mine / ".." / "new", "/etc", "~", "//host/share", "new"):
        answer = client.post(f"{V1}/uploads", json={"folder": str(folder)})
        assert answer.status_code in (400, 403), folder
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine"]
    assert send(client, mine / "cats", ("a.png", png()))["pictures"] == 1
    assert send(client, "", ("a.png", png()))["folder"].startswith(str(tmp_path / "runs" / "datasets"))
    desk.close()


def test_a_file_comes_as_plain_bytes_with_the_token(client: TestClient, tmp_path: Path):
    upload = client.post(f"{V1}/uploads", json={"folder": "", "name": "x"}).json()["id"]
    path = f"{V1}/uploads/{upload}/files?name=a.png"
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", "image/png", ""):
        assert client.post(path, content=png(), headers={"Content-Type": kind}).status_code == 400, kind
    assert client.post(path, content=png(), headers={**BYTES, "X-SDFT-Token": "wrong"}).status_code == 403
    assert client.post(path, content=png(), headers={**BYTES, "Origin": "http://evil.example"}).status_code == 403
    assert client.post(path, content=png(), headers=BYTES).json() == {"taken": True}
    assert client.post(f"{V1}/uploads/{'0' * 16}/files?name=a.png", content=b"", headers=BYTES).status_code == 404


def test_abandoned_uploads_are_removed(client: TestClient, desk: Desk, tmp_path: Path, monkeypatch: Any):
    left = tmp_path / "cats" / ".sdft" / "incoming" / "0123"
    save(left / "0-x", image(), format="PNG")
    os.utime(left, (0, 0))
    upload = client.post(f"{V1}/uploads", json={"folder": str(tmp_path / "cats")}).json()["id"]
    assert not left.exists()
    monkeypatch.setattr(uploads, "STALE", -1.0)
    client.post(f"{V1}/uploads", json={"folder": "", "name": "x"})
    assert client.post(f"{V1}/uploads/{upload}/finish", json={}).status_code == 404


@pytest.mark.parametrize("drop", [b"", b"x"], ids=["silent", "a byte at a time"])
def test_a_file_that_never_ends_is_given_up(client: TestClient, tmp_path: Path, monkeypatch: Any, drop: bytes):
    monkeypatch.setattr(api_uploads, "BLOCK_SECONDS", 0.3)
    fill(tmp_path / "cats", 1)
    upload = client.post(f"{V1}/uploads", json={"folder": str(tmp_path / "cats")}).json()["id"]
    sent = {"host": HOME.partition("//")[2], "content-type": BYTES["Content-Type"]}
    headers = [(key.encode(), value.encode()) for key, value in {**client.headers, **sent}.items()]
    path = f"{V1}/uploads/{upload}/files"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"name=a.png"}
    answers: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(0.02 if drop else 60)
        return {"type": "http.request", "body": drop, "more_body": True}

    async def send(message: Any) -> None:
        answers.append(message)

    async def ask() -> None:
        whole = {**scope, "headers": headers, "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 80)}
        await asyncio.wait_for(client.app({**whole, "root_path": "", "client": None}, receive, send), 20)

    with ThreadPoolExecutor(1) as thread:  # tests in a browser leave a loop running in this one
        thread.submit(asyncio.run, ask()).result()
    assert answers[0]["status"] == 408 and b"too slowly" in answers[1]["body"]
    client.post(f"{V1}/uploads/{upload}/finish", json={})
    assert tree(tmp_path / "cats") == ["000.png"]


def test_nothing_is_sent_into_the_examples_of_the_program(client: TestClient):
    before = sorted(path for path in examples.FOLDER.rglob("*"))
    for folder in (examples.FOLDER, examples.FOLDER / "subject" / "instance", examples.FOLDER / "new"):
        answer = client.post(f"{V1}/uploads", json={"folder": str(folder)})
        assert answer.status_code == 400 and "choose a folder of your own" in answer.json()["detail"]
    assert sorted(path for path in examples.FOLDER.rglob("*")) == before

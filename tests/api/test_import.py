"""Imports of settings through the API: what they answer, and that they read only what the page may read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from sdft_ext.api.imports import ImportResponse
from sdft_ext.desk import Desk
from tests.analysis.images import fill
from tests.desk import setting

from .conftest import our_page

V1 = "/sdft/v1"
LORA = 'network_module = "networks.lora"\nnetwork_dim = 8\nmax_train_epochs = 3\nresolution = 64\n'


def sent(client: TestClient, text: str, paths: list[str] | None = None, name: str = "a.toml") -> Any:
    files = [{"name": name, "text": text}] if text else []
    return client.post(f"{V1}/import", json={"files": files, "paths": paths or []})


def test_an_upload_becomes_a_recipe_and_a_report(desk: Desk, client: TestClient, tmp_path: Path) -> None:
    fill(tmp_path / "train" / "2_sks cat", 4)
    desk.folders.remember(tmp_path / "train")  # the user has chosen it before
    text = f"{LORA}train_data_dir = {json.dumps(str(tmp_path / 'train'))}\ncolor_aug = true\n"
    found = ImportResponse(**sent(client, text + 'pretrained_model_name_or_path = "/m/base.safetensors"\n').json())
    concept = found.recipe["dataset"]["concepts"][0]
    assert (concept["instance"], concept["trigger"]) == (str(tmp_path / "train" / "2_sks cat"), "sks")
    assert any("color_aug is true" in one for one in found.left)
    assert any("train base.safetensors: load that model" in one for one in found.left)
    assert found.recipe["model"]["base"] == "" and "rank: 8" in found.yaml
    rank = next(one for one in found.taken if one.setting == "method.lora.rank")
    assert (rank.name, rank.value, rank.becomes) == ("network_dim", "8", "8")
    figures = client.post(f"{V1}/calculate", json={"recipe": found.recipe}).json()
    assert (figures["pictures"], figures["steps"]) == (4, 24)


def test_a_path_is_read_and_what_it_names_relative_to_it(client: TestClient, tmp_path: Path) -> None:
    fill(tmp_path / "set" / "cats", 2)
    (tmp_path / "set" / "d.toml").write_text(
        "[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'cats'\n", encoding="utf-8"
    )
    (tmp_path / "set" / "a.toml").write_text(LORA + "dataset_config = 'd.toml'\n", encoding="utf-8")
    found = sent(client, "", [f'"{tmp_path / "set" / "a.toml"}"']).json()
    assert found["recipe"]["dataset"]["concepts"][0]["instance"] == str(tmp_path / "set" / "cats")
    both = sent(client, LORA, [str(tmp_path / "set" / "d.toml")]).json()
    assert both["recipe"]["dataset"]["concepts"][0]["instance"] == str(tmp_path / "set" / "cats")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("{", "a.toml is damaged"),
        ('{"model_type": "FLUX_DEV_1", "training_method": "LORA"}', "another kind of model"),
        ("", "Choose one file, or 2"),
        ("\ufffdPNG\0", "no text file"),
        ("[" * 50_000, "a.toml"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused_in_a_sentence(client: TestClient, text: str, parts: str) -> None:
    answer = sent(client, text)
    assert answer.status_code == 400 and parts in answer.json()["detail"], answer.text


def test_others_read_only_allowed_folders(data: Path, tmp_path: Path) -> None:
    """Of files and folders elsewhere, not even whether they exist is said; links don't lead there."""
    outside = tmp_path / "outside"
    fill(outside / "5_cats", 3)
    (outside / "a.toml").write_text(LORA, encoding="utf-8")
    (outside / "prompts.txt").write_text("a secret prompt", encoding="utf-8")
    desk = setting.desk(data, tmp_path / "runs", local=False)
    try:
        client = our_page(desk)
        for name in ("a.toml", "gone.toml"):
            answer = sent(client, "", [str(outside / name)])
            assert answer.status_code == 403 and "not in the allowed folders" in answer.text
        prompts = json.dumps(str(outside / "prompts.txt"))
        named = f"train_data_dir = {json.dumps(str(outside))}\nsample_prompts = {prompts}\n"
        gone = named.replace(str(outside), str(tmp_path / "nowhere"))
        answers = [sent(client, LORA + text).json() for text in (named, gone)]
        for found in answers:
            assert "secret" not in json.dumps(found)
        first, second = (json.dumps(one["left"]).replace(str(outside), "X") for one in answers)
        assert first == second.replace(str(tmp_path / "nowhere"), "X")
        (data / "link.toml").symlink_to(outside / "a.toml")
        assert sent(client, "", [str(data / "link.toml")]).status_code == 403
    finally:
        desk.close()


OUTSIDE = "Nothing outside the allowed folders was looked up"


def test_a_strangers_file_makes_no_path_elsewhere_be_looked_up(
    client: TestClient, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for a local user: Windows would send the login to a machine that such a path names."""
    fill(tmp_path / "elsewhere" / "5_cats", 3)
    (tmp_path / "set").mkdir()
    looked: list[str] = []
    for name in ("stat", "lstat", "scandir", "open"):
        real = getattr(os, name)

        def spy(path: Any, *given: Any, real: Any = real, **named: Any) -> Any:
            looked.append(str(path))
            return real(path, *given, **named)

        monkeypatch.setattr(os, name, spy)
    for path in (
        str(tmp_path / "elsewhere"),
        str(data / ".." / "elsewhere"),
        r"\\elsewhere\share",
        "//elsewhere/share",
        r"/\elsewhere\share",
        "'//elsewhere/share'",
        "~nobody/share",
        "../../elsewhere",
    ):
        settings = LORA + "".join(
            f"{name} = {json.dumps(path)}\n"
            for name in ("train_data_dir", "reg_data_dir", "vae", "sample_prompts", "pretrained_model_name_or_path")
        )
        (tmp_path / "set" / "a.toml").write_text(settings, encoding="utf-8")
        looked.clear()
        for answer in (sent(client, settings), sent(client, "", [str(tmp_path / "set" / "a.toml")])):
            found = answer.json()
            assert found["recipe"]["dataset"]["concepts"][0]["instance"] == path
            assert "wasn't found here" in json.dumps(found["left"])
        assert any("a.toml" in one for one in looked) and not any("elsewhere" in one for one in looked), path
    answer = sent(client, f"{LORA}train_data_dir = {json.dumps(str(tmp_path / 'elsewhere'))}\n").json()
    assert any(one.startswith(OUTSIDE) and "import again" in one for one in answer["left"])
    model = f"{LORA}pretrained_model_name_or_path = {json.dumps(str(tmp_path / 'elsewhere' / 'm.safetensors'))}\n"
    assert not any(one.startswith(OUTSIDE) for one in sent(client, model).json()["left"])


def test_the_home_of_nobody_is_a_sentence(client: TestClient) -> None:
    answer = sent(client, "", ["~nobody-here/a.toml"])
    assert answer.status_code == 400 and "not an absolute path" in answer.json()["detail"]


def test_two_uploads_of_one_name_are_two_files(client: TestClient) -> None:
    config = {"training_method": "LORA", "model_type": "STABLE_DIFFUSION_15"}
    files = [{"name": "a.json", "text": json.dumps(one)} for one in (config, [{"path": "/cats", "name": "cat"}])]
    found = client.post(f"{V1}/import", json={"files": files}).json()
    assert found["recipe"]["dataset"]["concepts"][0]["instance"] == "/cats"


def test_an_import_needs_the_token(client: TestClient) -> None:
    assert client.post(f"{V1}/import", json={}, headers={"X-SDFT-Token": "x"}).status_code == 403

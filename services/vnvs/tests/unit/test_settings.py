"""What the environment may say."""

from pathlib import Path

import pytest

from vncore.errors import Misconfigured
from vncore.settings import load
from vnvs.settings import VnvsSettings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch):
    for name in VnvsSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_by_default_nothing_may_be_fetched():
    settings = load(VnvsSettings)
    assert settings.hydration_file_root is None
    assert settings.hydration_s3_buckets == ()
    assert settings.hydration_processes >= 1


@pytest.mark.parametrize(
    ("text", "buckets"),
    [
        pytest.param("market-data", ("market-data",), id="one"),
        pytest.param(" a-b.c , d-e ,", ("a-b.c", "d-e"), id="blanks and a last comma"),
        pytest.param("", (), id="empty means none"),
    ],
)
def test_buckets_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, text: str, buckets: tuple[str, ...]
):
    monkeypatch.setenv("HYDRATION_S3_BUCKETS", text)
    assert load(VnvsSettings).hydration_s3_buckets == buckets


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("HYDRATION_S3_BUCKETS", "arn:aws:s3:::market", id="an ARN is no bucket"),
        pytest.param("HYDRATION_S3_BUCKETS", "Upper", id="capitals"),
        pytest.param("HYDRATION_FILE_ROOT", "/no/such/folder", id="missing folder"),
        pytest.param("HYDRATION_PROCESSES", "0", id="no process"),
        pytest.param("MAX_CONCURRENT_REQUESTS", "many", id="no number"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match=name):
        load(VnvsSettings)


def test_an_empty_file_root_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYDRATION_FILE_ROOT", "")
    assert load(VnvsSettings).hydration_file_root is None


def test_a_relative_file_root_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRATION_FILE_ROOT", ".")
    root = load(VnvsSettings).hydration_file_root
    assert root is not None
    assert root.is_absolute()
    assert root.samefile(tmp_path)


def test_limits_reach_hydration(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYDRATION_MAX_TASKS", "7")
    monkeypatch.setenv("HYDRATION_FETCH_MAX_BYTES", "8")
    limits = load(VnvsSettings).hydration_limits()
    assert (limits.max_tasks, limits.max_fetch_bytes) == (7, 8)

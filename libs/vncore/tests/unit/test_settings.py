"""Settings come from the environment, are checked at start, and never show a secret."""

import pytest
from pydantic import SecretStr, field_validator

from vncore.errors import Misconfigured
from vncore.settings import CommonSettings, effective, load, printed


def shown(settings: CommonSettings) -> dict[str, str]:
    return {line.name: line.value for line in effective(settings)}


def test_a_field_is_read_from_the_variable_of_its_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TASK_WAIT_TIMEOUT_MS", "2500")
    assert load(CommonSettings).task_wait_timeout_ms == 2500


def test_every_wrong_variable_is_named_and_no_value_is_repeated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TASK_WAIT_TIMEOUT_MS", "hunter2")
    monkeypatch.setenv("MAX_TASK_RETRIES", "-7")
    with pytest.raises(Misconfigured) as refused:
        load(CommonSettings)
    assert "TASK_WAIT_TIMEOUT_MS" in refused.value.message
    assert "MAX_TASK_RETRIES" in refused.value.message
    assert "hunter2" not in refused.value.message


@pytest.mark.parametrize(
    ("url", "mask"),
    [
        ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
        ("redis://user:secret@host:6379/0", "redis://**********@host:6379/0"),
        ("rediss://:secret@host/0?ssl_ca_certs=x", "rediss://**********@host/0?**********"),
        ("unix:///tmp/v.sock?password=secret", "unix:///tmp/v.sock?**********"),
        ("secret", "**********"),
    ],
)
def test_a_secret_in_the_redis_url_is_masked(url: str, mask: str):
    assert shown(CommonSettings(redis_url=SecretStr(url)))["REDIS_URL"] == mask


def test_every_setting_is_explained_and_says_whether_it_is_the_default(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    lines = {line.name: line for line in effective(load(CommonSettings))}
    assert all(line.help.endswith(".") for line in lines.values())
    assert not lines["LOG_LEVEL"].default
    assert lines["MAX_TASK_RETRIES"].default


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch):
    for name in CommonSettings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    assert all(line.default for line in effective(load(CommonSettings)))


def test_settings_are_printed_a_line_each(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAX_TASK_RETRIES", "5")
    lines = printed(load(CommonSettings), as_json=False).splitlines()
    assert "MAX_TASK_RETRIES=5   (set)" in lines
    assert "REDIS_URL=redis://127.0.0.1:6379" in lines
    assert len(lines) == len(CommonSettings.model_fields)


class Refusing(CommonSettings):
    word: str = "fine"

    @field_validator("word")
    @classmethod
    def _refuse(cls, value: str) -> str:
        raise ValueError("no such word")


def test_what_a_setting_of_ours_refuses_is_said_in_our_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORD", "x")
    with pytest.raises(Misconfigured) as refused:
        load(Refusing)
    assert refused.value.message == "WORD: no such word"

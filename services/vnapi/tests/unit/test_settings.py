"""The settings from the environment, and how ``vnapi config`` shows them."""

import json
import os
import socket
from tempfile import TemporaryFile

import pytest

from vnapi.main import _listen, main
from vnapi.settings import ApiSettings
from vncore.errors import Misconfigured
from vncore.settings import load


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ApiSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_the_defaults_are_those_of_the_design(environment: pytest.MonkeyPatch) -> None:
    settings = load(ApiSettings)
    assert settings.http_port == 8080
    assert settings.payload_max_bytes == 10_485_760
    assert settings.sync_wait_timeout_ms == 120_000
    assert settings.lifecycle_block_ms == 1_000
    assert settings.orchestrators == "local"


def test_a_function_takes_the_requests_when_one_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REQUEST_ORCHESTRATOR_ARN", "arn:aws:lambda:eu-west-1:1:function:vnvs")
    assert load(ApiSettings).orchestrators == "lambda"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PORT", "-1"),
        ("HTTP_PORT", "65536"),
        ("HTTP_PORT", "http"),
        ("PAYLOAD_MAX_BYTES", "0"),
        ("LOG_LEVEL", "x"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(Misconfigured, match=name):
        load(ApiSettings)


@pytest.mark.parametrize("name", ApiSettings.model_fields)
def test_every_setting_explains_itself(name: str) -> None:
    assert ApiSettings.model_fields[name].description


def test_secrets_are_masked_and_origins_told(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("REDIS_URL", "rediss://user:hunter2@cache.example:6379")
    environment.setenv("HTTP_PORT", "9000")
    environment.setattr("sys.argv", ["vnapi", "config", "--json"])
    main()
    shown = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert "hunter2" not in str(shown)
    assert "cache.example" in shown["REDIS_URL"]["value"]
    assert (shown["HTTP_PORT"]["value"], shown["HTTP_PORT"]["default"]) == ("9000", False)
    assert shown["HTTP_HOST"]["default"] is True


def test_small_answers_are_not_held_back(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PORT", "0")
    with _listen(load(ApiSettings)) as listener:
        assert listener.proto == socket.IPPROTO_TCP  # what asyncio and uvloop look at


def test_an_inherited_socket_is_listened_on(environment: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        environment.setenv("HTTP_SOCKET_FD", str(os.dup(bound.fileno())))
        with _listen(load(ApiSettings)), socket.create_connection(bound.getsockname()):
            pass


def test_a_descriptor_that_is_no_socket_is_refused(environment: pytest.MonkeyPatch) -> None:
    with TemporaryFile() as file:
        environment.setenv("HTTP_SOCKET_FD", str(file.fileno()))
        with pytest.raises(Misconfigured, match="HTTP_SOCKET_FD: cannot listen on"):
            _listen(load(ApiSettings))


def test_a_wrong_setting_ends_the_command_with_its_own_status(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("HTTP_PORT", "none")
    environment.setattr("sys.argv", ["vnapi", "config"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 78
    assert "HTTP_PORT" in capsys.readouterr().err

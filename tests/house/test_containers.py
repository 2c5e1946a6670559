"""The images and the composed house, checked without an engine; their health check on a server."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vnapi.settings import ApiSettings
from vnas.settings import WorkerSettings
from vncore.connection import Connections
from vncore.keys import ORCHESTRATORS, WORKERS, Keys
from vncore.settings import CommonSettings
from vncore.streams import Consumer
from vnvs.settings import VnvsSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
SERVICES = ("vnapi", "vnvs", "vnas")
DOCKERFILES = [ROOT / "services" / service / "Dockerfile" for service in SERVICES]
TOOLS = Path(sys.executable).parent


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)


def compose_config(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # Neither the caller's environment nor a .env file decides what is checked.
    compose = (TOOLS / "docker-compose", "--env-file", os.devnull, "--file", file)
    return run(*compose, "config", *options, cwd=ROOT, env={"PATH": os.defpath, "HOME": str(ROOT)})


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The composed services as Compose itself reads the file."""
    shown = compose_config(COMPOSE, "--format", "json")
    assert shown.returncode == 0, shown.stderr
    services: dict[str, Any] = json.loads(shown.stdout)["services"]
    return services


# --- compose -----------------------------------------------------------------------------------


def test_compose_accepts_the_file() -> None:
    checked = compose_config(COMPOSE, "-q")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param("    mem_limit:", "    memory_limit:", id="unknown key"),
        pytest.param("condition: service_healthy", "condition: service_is_well", id="condition"),
        pytest.param("      - valkey-data:/data", "      - lost-data:/data", id="unknown volume"),
    ],
)
def test_compose_refuses_a_broken_copy(tmp_path: Path, right: str, wrong: str) -> None:
    text = COMPOSE.read_text()
    assert right in text
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(text.replace(right, wrong, 1))
    assert compose_config(broken, "-q").returncode != 0


def test_only_the_door_is_published_and_only_on_the_loopback_interface(
    composed: dict[str, Any],
) -> None:
    published = {
        (name, port["host_ip"], port["published"])
        for name, service in composed.items()
        for port in service.get("ports", [])
    }
    assert published == {("vnapi", "127.0.0.1", "8080")}


def test_every_service_can_be_scaled_is_confined_checked_and_restarted(
    composed: dict[str, Any],
) -> None:
    assert set(composed) == {"valkey", *SERVICES}
    for name, service in composed.items():
        assert "container_name" not in service, name
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name
        assert int(service["mem_limit"]) > 0, name
        assert service["cpus"] > 0, name


def test_the_server_keeps_an_append_only_file_and_evicts_nothing(composed: dict[str, Any]) -> None:
    command = composed["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    [volume] = composed["valkey"]["volumes"]
    assert (volume["type"], volume["target"]) == ("volume", "/data")


def test_the_examples_are_what_file_references_read(composed: dict[str, Any]) -> None:
    [volume] = composed["vnvs"]["volumes"]
    assert volume["read_only"]
    assert Path(volume["source"]) == ROOT / "examples" / "requests"
    assert composed["vnvs"]["environment"]["HYDRATION_FILE_ROOT"] == volume["target"]


@pytest.mark.parametrize(
    ("service", "settings"),
    [("vnapi", ApiSettings), ("vnvs", VnvsSettings), ("vnas", WorkerSettings)],
)
def test_every_variable_that_compose_sets_is_a_setting_of_the_service_or_common(
    composed: dict[str, Any], service: str, settings: type[CommonSettings]
) -> None:
    given: dict[str, str] = composed[service]["environment"]
    assert set(given) <= {field.upper() for field in settings.model_fields}
    # The values that stand in the file are ones that the service starts with.
    root = {"HYDRATION_FILE_ROOT": str(ROOT)} if "HYDRATION_FILE_ROOT" in given else {}
    read = {name.lower(): value for name, value in (given | root).items()}
    assert settings.model_validate(read).redis_url.get_secret_value().endswith("valkey:6379/0")


# --- images ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=SERVICES)
def test_hadolint_has_nothing_to_say(dockerfile: Path) -> None:
    checked = run(TOOLS / "hadolint", "--no-color", dockerfile)
    assert checked.returncode == 0, checked.stdout


def test_hadolint_refuses_a_careless_copy(tmp_path: Path) -> None:
    careless = tmp_path / "Dockerfile"
    careless.write_text(DOCKERFILES[0].read_text() + "RUN cd /tmp && pip install lxml\n")
    assert run(TOOLS / "hadolint", careless).returncode != 0


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=SERVICES)
def test_the_image_runs_as_a_user_without_privileges_and_builds_everywhere(
    dockerfile: Path,
) -> None:
    text = dockerfile.read_text()
    final = text.rpartition("\nFROM ")[2]
    [user] = re.findall(r"^USER (\d+):\d+$", final, re.MULTILINE)
    assert int(user) > 0
    assert "pip" not in final
    # Not every builder that we use knows these.
    for newer in ("<<", "COPY --link", "--start-interval"):
        assert newer not in text


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=SERVICES)
def test_what_the_image_copies_exists_and_is_let_into_the_context(dockerfile: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    sources = re.findall(r"^COPY (?!--from)(\S+) \S+$", dockerfile.read_text(), re.MULTILINE)
    assert len(sources) >= 3
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source.partition('/')[0]}" in ignored, source


# --- the health check that the images carry ------------------------------------------------------


def health(service: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "scripts" / "container_health.py"
    return run(sys.executable, script, service, env=environment)


@pytest.mark.parametrize(
    ("service", "stream", "group"),
    [
        pytest.param("vnvs", Keys().ingest, ORCHESTRATORS, id="vnvs"),
        pytest.param("vnas", Keys().dispatch, WORKERS, id="vnas"),
    ],
)
async def test_a_service_is_healthy_while_its_consumer_reads(
    connections: Connections, redis_url: str, service: str, stream: str, group: str
) -> None:
    before = health(service, REDIS_URL=redis_url)
    assert before.returncode == 1
    assert "no consumer" in before.stderr

    name = f"{service}-{socket.gethostname()}-1-abcdef"
    consumer = Consumer(connections, stream, group, name, idle_ms=1_000)
    await consumer.join()
    await consumer.read(1)
    assert health(service, REDIS_URL=redis_url).returncode == 0


def test_a_service_that_cannot_reach_its_server_is_not_healthy(tmp_path: Path) -> None:
    checked = health("vnas", REDIS_URL=f"unix://{tmp_path}/nobody.sock")
    assert checked.returncode == 1
    assert checked.stderr.startswith("vnas: ")
    assert "Traceback" not in checked.stderr


def test_a_door_that_does_not_answer_is_not_healthy() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but nobody listens
        checked = health("vnapi", HTTP_PORT=str(unused.getsockname()[1]))
    assert checked.returncode == 1
    assert "Traceback" not in checked.stderr

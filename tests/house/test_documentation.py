"""What the documentation says exists: links, settings, targets, commands, decisions, codes."""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from vnapi.settings import ApiSettings
from vnas.settings import WorkerSettings
from vnclient.cli import app
from vncore.codes import CODES
from vncore.fsck import Fault
from vnvs.settings import VnvsSettings

ROOT = Path(__file__).resolve().parents[2]
ADR = ROOT / "docs" / "adr"
TOOLS = Path(sys.executable).parent

CAPITALS = re.compile(r"\b[A-Z]+[A-Z0-9]*(?:_[A-Z0-9]+)+\b")

# Words in capitals that are no setting: the script's contract, the client's, the system's.
NOT_SETTINGS = frozenset(
    {
        "VN_REQUEST_ID",
        "VN_GROUP_INDEX",
        "VN_GROUP_NAME",
        "VN_TASK_ID",
        "VN_VALUATION_NAME",
        "VN_ATTEMPT",
        "VN_DEADLINE",
        "VN_SCRIPT_MODE",
        "VN_TASK_DIRECTORY",
        "VN_URL",
        "EX_TEMPFAIL",
    }
)


@cache
def repository_files() -> tuple[Path, ...]:
    """Every file of the repository, those not committed yet included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def pages() -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".md"]


def guides() -> list[Path]:
    """The pages about the code as it is; a decision record may speak of what is not built."""
    return [path for path in pages() if ADR not in path.parents]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- generated pages ----------------------------------------------------------------------------


GENERATED = [
    pytest.param("errors_doc.py", "ERRORS.md", ("XML", "YAML"), id="errors"),
    pytest.param("pricing_doc.py", "PRICING.md", ("| `future` |", "| `past` |"), id="pricing"),
]


def generator(script: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in (sys.executable, ROOT / "scripts" / script, *options)],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(("script", "name", "change"), GENERATED)
def test_a_generated_page_is_current_and_an_outdated_one_is_noticed(
    script: str, name: str, change: tuple[str, str], tmp_path: Path
) -> None:
    checked = generator(script, "--check")
    assert checked.returncode == 0, checked.stderr
    outdated = tmp_path / name
    outdated.write_text((ROOT / "docs" / name).read_text().replace(*change, 1))
    checked = generator(script, "--check", "--page", outdated)
    assert checked.returncode == 1
    assert "make docs" in checked.stderr
    assert generator(script, "--page", outdated).returncode == 0
    assert outdated.read_text() == (ROOT / "docs" / name).read_text()


# --- links --------------------------------------------------------------------------------------


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def without_links(text: str) -> str:
    return re.sub(r"\]\([^)\s]+\)", "]", text)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ +(.+?) *$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            yield target


def test_every_relative_link_leads_somewhere() -> None:
    dead = {named(page): found for page in pages() if (found := list(dead_links(page)))}
    assert not dead


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Here\n[a](page.md) [b](#here) [c](nowhere.md) [d](#there) `[e](code.md)`\n")
    assert list(dead_links(page)) == ["nowhere.md", "#there"]


# --- names --------------------------------------------------------------------------------------


def settings() -> set[str]:
    return {
        field.upper()
        for kind in (ApiSettings, VnvsSettings, WorkerSettings)
        for field in kind.model_fields
    }


def test_every_setting_and_code_that_a_guide_names_exists() -> None:
    known = settings() | set(CODES) | {fault.value for fault in Fault} | NOT_SETTINGS
    unknown = {
        named(page): sorted(found)
        for page in guides()
        if (found := set(CAPITALS.findall(without_links(page.read_text()))) - known)
    }
    assert not unknown


def test_the_operations_page_says_what_to_do_about_every_fault() -> None:
    page = (ROOT / "docs" / "OPERATIONS.md").read_text()
    assert not {fault.value for fault in Fault if f"`{fault.value}`" not in page}


def architecture() -> str:
    return (ROOT / "docs" / "ARCHITECTURE.md").read_text()


def test_the_architecture_page_lists_every_setting() -> None:
    rows = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", architecture(), re.MULTILINE))
    assert rows == settings()


def test_the_architecture_page_names_every_module_and_no_other() -> None:
    packages = [path for path in ROOT.glob("*/*/src/*") if path.name.isidentifier()]
    modules = {
        path.name for package in packages for path in package.rglob("*.py") if path.stem[0] != "_"
    }
    kinds = {path.name for path in ROOT.glob("services/vnas/src/vnas/engine/kinds/*.py")}
    listed = set(re.findall(r"`(?:[a-z0-9_]+/)*(?!test_)([a-z0-9_]+\.py)`", architecture()))
    assert sorted(modules - kinds - listed) == []
    assert sorted(listed - modules) == []


def test_the_architecture_page_names_every_lua_script() -> None:
    scripts = {path.stem for path in ROOT.glob("libs/vncore/src/vncore/lua/*.lua")}
    assert len(scripts) > 10
    assert not {name for name in scripts if f"`{name}`" not in architecture()}


def test_every_test_that_the_reliability_page_names_exists() -> None:
    page = (ROOT / "docs" / "RELIABILITY.md").read_text()
    listed = set(re.findall(r"`([a-z0-9_/]*test_\w+\.py)`", page))
    assert len(listed) > 8
    assert not {path for path in listed if not (ROOT / path).is_file()}


def test_every_vn_command_that_a_page_names_exists() -> None:
    commands = {
        command.callback.__name__ for command in app.registered_commands if command.callback
    }
    assert {"run", "value"} <= commands
    said = r"(?:`|^)(?:\.venv/bin/)?vn ([a-z]+)"
    unknown = {
        named(page): sorted(found)
        for page in guides()
        if (found := set(re.findall(said, page.read_text(), re.MULTILINE)) - commands)
    }
    assert not unknown


def test_the_script_in_the_guide_prices_a_task(tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/SCRIPTS.md").read_text(), re.DOTALL)
    script, task = tmp_path / "price.py", tmp_path / "task.xml"
    script.write_text(code)
    script.chmod(0o755)

    def value(instrument: str) -> subprocess.CompletedProcess[str]:
        valuation = f"<valuation><instrument>{instrument}</instrument></valuation>"
        task.write_text(f"<vnml><project><group>{valuation}</group></project></vnml>")
        command = [str(TOOLS / "vn"), "value", str(task), "--script", str(script)]
        return subprocess.run(command, capture_output=True, text=True)

    priced = value("<years>2</years>")
    assert priced.returncode == 0, priced.stderr
    assert "<price><amount>90.4837" in priced.stdout
    assert value("<yield/>").returncode == 65


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= targets
    unknown = {
        named(page): sorted(found)
        for page in pages()
        if (found := set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.M)) - targets)
    }
    assert not unknown


def test_every_target_that_help_lists_is_in_the_guide_for_contributors() -> None:
    listed = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    assert not [target for target in listed if f"`make {target}`" not in guide]


def test_the_readme_begins_with_the_two_commands() -> None:
    commands = re.findall(r"make [a-z]+", (ROOT / "README.md").read_text())
    assert commands[:2] == ["make demo", "make test"]


def test_the_first_request_of_the_guide_gives_the_numbers_of_the_guide(tmp_path: Path) -> None:
    guide = (ROOT / "docs/GETTING_STARTED.md").read_text()
    request = tmp_path / "first.xml"
    request.write_text(re.findall(r"```xml\n(.*?)```", guide, re.DOTALL)[0])
    command = [str(TOOLS / "vn"), "run", str(request)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    amounts = re.findall(r"<price currency=\"USD\"><amount[^>]*>([0-9.]+)<", ran.stdout)
    assert len(amounts) == 3
    for amount in amounts:
        assert f"{float(amount):,.2f}" in guide
    assert amounts[0] in guide


# --- decisions ----------------------------------------------------------------------------------


def test_decision_records_are_numbered_once_titled_alike_and_indexed() -> None:
    records = sorted(ADR.glob("[0-9]*.md"))
    numbers = [record.name[:4] for record in records]
    assert len(numbers) == len(set(numbers))
    index = (ADR / "README.md").read_text()
    for number, record in zip(numbers, records, strict=True):
        text = record.read_text()
        assert text.startswith(f"# {number}. "), record.name
        assert re.search(r"^Status: (proposed|accepted|superseded)", text, re.MULTILINE), (
            record.name
        )
        assert f"]({record.name})" in index, f"{record.name} is not in docs/adr/README.md"


# --- what must not be in the repository ---------------------------------------------------------

# Hosts of registries and folders of whoever built this have no place in it. Put together here, so
# that this file is none of those it looks for.
HOSTS = ("pypi org", "pythonhosted org", "npmjs org", "debian org", "docker io", "golang org")
FOLDERS = ("home", "Users")
FOREIGN = {
    **{host: re.escape(".".join(host.split())) for host in HOSTS},
    **{folder: rf"(?<![\w./}}])/{folder}/" for folder in FOLDERS},
}


@pytest.mark.parametrize("pattern", FOREIGN.values(), ids=FOREIGN)
def test_no_file_names_a_registry_or_a_folder_of_its_makers(pattern: str) -> None:
    found = [
        named(path)
        for path in repository_files()
        if re.search(pattern, path.read_bytes().decode("utf-8", errors="replace"))
    ]
    assert not found


def test_a_folder_of_its_makers_is_noticed() -> None:
    assert re.search(FOREIGN["home"], "see " + "/".join(("", "home", "me")))
    assert not re.search(FOREIGN["home"], "docs/home/me")

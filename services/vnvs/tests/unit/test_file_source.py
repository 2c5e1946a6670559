"""Files are read below the root and nowhere else, by no trick of path or link."""

import os
import socket
from pathlib import Path

import pytest

from vncore.errors import HydrationFailed
from vnvs import file_source
from vnvs.file_source import FileSource, parts_below

SECRET = b"<secret/>"
LIMIT = 1_000


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(params=["openat2", "part by part"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a document, among everything that leads out of it."""
    if request.param == "part by part":

        def absent(*_: object) -> int:
            raise NotImplementedError

        monkeypatch.setattr(file_source, "_openat2", absent)
    outside, root = tmp_path / "outside", tmp_path / "root"
    for folder in (outside, root / "sub", tmp_path / "root-evil"):
        folder.mkdir(parents=True)
    (outside / "secret.xml").write_bytes(SECRET)
    (tmp_path / "root-evil" / "secret.xml").write_bytes(SECRET)
    (root / "sub" / "usd.xml").write_bytes(b"<usd/>")
    (root / "odd name?#1.xml").write_bytes(b"<odd/>")
    (root / "big.xml").write_bytes(b"x" * (LIMIT + 1))
    (root / "full.xml").write_bytes(b"x" * LIMIT)
    (root / "link.xml").symlink_to(outside / "secret.xml")
    (root / "dangling.xml").symlink_to(outside / "absent.xml")
    (root / "inner-link.xml").symlink_to(root / "sub" / "usd.xml")
    (root / "link-folder").symlink_to(outside)
    (root / "hard.xml").hardlink_to(outside / "secret.xml")
    os.mkfifo(root / "fifo.xml")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(root, os.O_DIRECTORY)
        listener.bind(f"/proc/self/fd/{here}/socket.xml")
        os.close(here)
    return root


@pytest.mark.parametrize(
    ("path", "code"),
    [
        pytest.param("{root}/link.xml", "HREF_FORBIDDEN", id="link to an outside file"),
        pytest.param("{root}/dangling.xml", "HREF_FORBIDDEN", id="link to nothing"),
        pytest.param("{root}/inner-link.xml", "HREF_FORBIDDEN", id="link that stays inside"),
        pytest.param("{root}/hard.xml", "HREF_FORBIDDEN", id="hard link"),
        pytest.param("{root}-evil/secret.xml", "HREF_FORBIDDEN", id="neighbour with the prefix"),
        pytest.param("{root}/../outside/secret.xml", "HREF_FORBIDDEN", id="dots that leave"),
        pytest.param("{root}/../outside/absent.xml", "HREF_FORBIDDEN", id="dots to nothing"),
        pytest.param("{root}/../root/sub/usd.xml", "HREF_FORBIDDEN", id="dots out and in again"),
        pytest.param("{root}/sub/./usd.xml", "HREF_FORBIDDEN", id="not canonical"),
        pytest.param("{root}/sub//usd.xml", "HREF_FORBIDDEN", id="empty name"),
        pytest.param("{root}/%2e%2e/outside/secret.xml", "HREF_FORBIDDEN", id="encoded dots"),
        pytest.param("{root}/sub%2fusd.xml", "HREF_FORBIDDEN", id="encoded slash"),
        pytest.param("{root}/sub\\usd.xml", "HREF_FORBIDDEN", id="backslash"),
        pytest.param("{root}/usd.xml\0.txt", "HREF_FORBIDDEN", id="NUL"),
        pytest.param("{root}/a\nb", "HREF_FORBIDDEN", id="line break"),
        pytest.param("/etc/passwd", "HREF_FORBIDDEN", id="another place"),
        pytest.param("/proc/self/root/etc/passwd", "HREF_FORBIDDEN", id="magic link"),
        pytest.param("localhost{root}/sub/usd.xml", "HREF_FORBIDDEN", id="host"),
        pytest.param("", "HREF_FORBIDDEN", id="nothing"),
        pytest.param("/", "HREF_FORBIDDEN", id="the root of all"),
        pytest.param("{root}/fifo.xml", "HREF_UNAVAILABLE", id="FIFO does not block"),
        pytest.param("{root}/socket.xml", "HREF_UNAVAILABLE", id="socket"),
        pytest.param("{root}/sub", "HREF_UNAVAILABLE", id="folder"),
        pytest.param("{root}/sub/", "HREF_UNAVAILABLE", id="folder with a slash"),
        pytest.param("{root}", "HREF_UNAVAILABLE", id="the root itself"),
        pytest.param("{root}/absent.xml", "HREF_UNAVAILABLE", id="missing"),
        pytest.param("{root}/sub/usd.xml/x", "HREF_UNAVAILABLE", id="below a file"),
        pytest.param("{root}/" + "n" * 300, "HREF_UNAVAILABLE", id="too long a name"),
        pytest.param("{root}/big.xml", "HREF_LIMIT", id="too large"),
    ],
)
def test_what_is_not_a_plain_file_below_the_root_is_refused(root: Path, path: str, code: str):
    uri = "file://" + path.format(root=root)
    with pytest.raises(HydrationFailed) as refused:
        FileSource(root).read(uri, LIMIT)
    assert refused.value.code == code
    assert refused.value.place.uri == uri
    assert refused.value.rule in {"R3", "R7", "T4"}


def test_a_folder_link_inside_the_root_leads_nowhere(root: Path):
    with pytest.raises(HydrationFailed) as refused:
        FileSource(root).read(f"file://{root}/link-folder/secret.xml", LIMIT)
    assert refused.value.code in {"HREF_FORBIDDEN", "HREF_UNAVAILABLE"}


@pytest.mark.parametrize(
    ("there", "absent"),
    [
        pytest.param("../outside/secret.xml", "../outside/absent.xml", id="dots"),
        pytest.param("link.xml", "dangling.xml", id="links"),
        pytest.param("link-folder/secret.xml", "link-folder/absent.xml", id="linked folder"),
    ],
)
def test_an_error_does_not_tell_whether_an_outside_file_exists(root: Path, there: str, absent: str):
    told = []
    for name in (there, absent):
        with pytest.raises(HydrationFailed) as refused:
            FileSource(root).read(f"file://{root}/{name}", LIMIT)
        told.append((refused.value.code, refused.value.message, refused.value.rule))
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        pytest.param("sub/usd.xml", b"<usd/>", id="in a folder"),
        pytest.param("odd name?#1.xml", b"<odd/>", id="any character that a canonical URI has"),
        pytest.param("full.xml", b"x" * LIMIT, id="as large as allowed"),
    ],
)
def test_a_plain_file_below_the_root_is_read(root: Path, name: str, body: bytes):
    fetched = FileSource(root).read(f"file://{root}/{name}", LIMIT)
    assert fetched.body == body
    assert fetched.digest.startswith("sha256:")
    assert len(fetched.digest) == 7 + 64


def test_a_root_that_is_a_link_is_the_operators_choice(root: Path, tmp_path: Path):
    linked = tmp_path / "linked-root"
    linked.symlink_to(root)
    assert FileSource(linked).read(f"file://{linked}/sub/usd.xml", LIMIT).body == b"<usd/>"


def test_without_a_root_every_file_is_refused(root: Path):
    with pytest.raises(HydrationFailed) as refused:
        FileSource(None).read(f"file://{root}/sub/usd.xml", LIMIT)
    assert refused.value.code == "HREF_FORBIDDEN"


def test_no_descriptor_is_left_open(root: Path):
    before = open_descriptors()
    for name in ("sub/usd.xml", "link.xml", "hard.xml", "fifo.xml", "absent.xml", "a/b/c"):
        try:
            FileSource(root).read(f"file://{root}/{name}", LIMIT)
        except HydrationFailed:
            continue
    assert open_descriptors() == before


def test_the_root_of_the_file_system_may_be_the_root(root: Path):
    assert parts_below(f"file://{root}/sub/usd.xml", Path("/"))[-1] == "usd.xml"

"""The warm examples keep the protocol of docs/SCRIPTS.md, and its example exchange is true."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conversation import Conversation
from examples import CHECKS, GUIDE, PATH, SCRIPTS, examples, tasks_of, valuations
from lxml import etree

Talk = Callable[..., Conversation]


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    """Start persistent scripts; they are ready, and gone after the test."""
    begun: list[Conversation] = []

    def begin(example: str, *, blocking: bool = True) -> Conversation:
        begun.append(Conversation(SCRIPTS[example], tmp_path, path=PATH, blocking=blocking))
        assert begun[-1].header() == b"READY 1\n"
        return begun[-1]

    yield begin
    for conversation in begun:
        conversation.close()


@pytest.fixture(scope="module")
def zeros() -> list[bytes]:
    return tasks_of("shell")


@pytest.fixture(scope="module")
def trades() -> list[bytes]:
    return tasks_of("ore")


def with_result(task: bytes, output: bytes) -> etree._Element:
    """Give the valuation of an answer that is one number or a valuation."""
    if output.startswith(b"<"):
        return etree.fromstring(output)
    [valuation] = valuations(task)
    valuation.find("analytics/price/amount").text = output.decode()
    return valuation


@examples("python", "node", "ore")
def test_a_warm_script_answers_task_after_task_whatever_failed_before(
    example: str, zeros: list[bytes], trades: list[bytes], talk: Talk
) -> None:
    documents = trades if example == "ore" else zeros
    script = talk(example)
    first = [script.ask(document) for document in documents]
    assert script.ask(b"<valuation/>") == (65, b"")
    assert script.ask(b"no document at all")[0] == 65
    assert [script.ask(document) for document in documents] == first
    CHECKS[example]([with_result(d, out) for d, (_, out) in zip(documents, first, strict=True)])
    assert script.end() == 0


@examples("python", "node")
def test_a_frame_may_arrive_in_pieces_and_counts_bytes(
    example: str, zeros: list[bytes], talk: Talk
) -> None:
    script = talk(example)
    plain = script.ask(zeros[0])
    longer = zeros[0].replace(b"</project>", "<note>Zinssätze, €</note></project>".encode())
    assert script.ask(longer, piece=7) == plain
    assert script.end() == 0


@examples("node")
def test_a_descriptor_that_does_not_block_is_waited_for(
    example: str, zeros: list[bytes], talk: Talk
) -> None:
    script = talk(example, blocking=False)
    assert script.ask(zeros[0], piece=100)[0] == 0
    assert script.end() == 0


@examples("python", "node")
def test_a_task_that_breaks_off_is_not_answered(
    example: str, zeros: list[bytes], talk: Talk
) -> None:
    script = talk(example)
    script.send(b"TASK n0nce 2 100\n{}<vnml>")
    script.end()
    assert script.read(1) == b""


def exchange() -> list[tuple[str, bytes]]:
    """Read the example exchange of the guide: who sends, and the bytes."""
    [block] = re.findall(r"```text\n(script  READY.*?)```", GUIDE.read_text(), re.DOTALL)
    sent: list[tuple[str, str]] = []
    for line in block.splitlines():
        who, text = line[:8].strip(), line[8:]
        if who:
            sent.append((who, text))
        else:
            sent[-1] = (sent[-1][0], sent[-1][1] + text)
    return [(who, text.replace("⏎", "\n").encode()) for who, text in sent]


@examples("python", "node")
def test_the_exchange_in_the_guide_is_what_happens_byte_by_byte(example: str, talk: Talk) -> None:
    (_, ready), (_, task), (_, result) = exchange()
    assert ready == b"READY 1\n"
    header, _, rest = task.partition(b"\n")
    _, nonce, facts, document = header.split()
    assert len(rest) == int(facts) + int(document)
    script = talk(example)
    (script.folder / "task").mkdir()
    folder = f"{script.folder}/task".encode()
    # Only the directory differs from the page: it has to exist.
    there = rest[: int(facts)].replace(b"/tmp/vn/7/task", folder)
    script.send(b"TASK %s %d %s\n" % (nonce, len(there), document) + there + rest[int(facts) :])
    assert script.header() + script.read(int(result.split()[3])) == result

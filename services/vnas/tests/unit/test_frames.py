"""The frames of persistent mode: what is written is read back, and nothing else is accepted."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnas import frames
from vnas.frames import Answer, AnswerReader, NoFrame, TooLarge

NONCES = st.text("0123456789abcdefABCDEF", min_size=1, max_size=64)
ANSWERS = st.builds(Answer, NONCES, st.integers(0, 999), st.binary(max_size=300))


def in_pieces(data: st.DataObject, frame: bytes) -> list[bytes]:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(frame) - 1), max_size=6)))
    return [frame[a:b] for a, b in zip([0, *cuts], [*cuts, len(frame)], strict=True)]


def ready_reader(max_output_bytes: int = 1000) -> AnswerReader:
    reader = AnswerReader(max_output_bytes)
    assert reader.feed(frames.ready_frame()) is None
    assert reader.is_ready
    return reader


@given(st.data(), st.lists(ANSWERS, min_size=1, max_size=3))
def test_answers_are_read_in_whatever_pieces_they_arrive(data, answers):
    reader = AnswerReader(1000)
    for piece in in_pieces(data, frames.ready_frame()):
        assert reader.feed(piece) is None
    assert reader.is_ready
    for answer in answers:
        *first, last = in_pieces(data, frames.answer_frame(answer))
        assert all(reader.feed(piece) is None for piece in first)
        assert reader.feed(last) == answer


@given(
    NONCES,
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    st.binary(),
)
def test_a_task_frame_counts_bytes_not_characters(nonce, facts, document):
    frame = frames.task_frame(nonce, facts, document)
    header, _, rest = frame.partition(b"\n")
    told, facts_bytes, document_bytes = frames.parse_task_header(header + b"\n")
    assert told == nonce
    assert json.loads(rest[:facts_bytes]) == facts
    assert rest[facts_bytes:] == document
    assert len(document) == document_bytes


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param(b"hello\n", "READY 1 was to come first", id="something else"),
        pytest.param(b"RESULT a 0 0\n", "READY 1 was to come first", id="an answer"),
        pytest.param(b"READY 2\n", "version 2", id="another version"),
        pytest.param(b"READY 1\nRESULT a 0 0\n", "more than was asked for", id="more than it"),
        pytest.param(b"x" * 200, "not a header", id="no line at all"),
    ],
)
def test_what_is_no_readiness_is_refused(said, words):
    with pytest.raises(NoFrame, match=words):
        AnswerReader(1000).feed(said)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"RESULT a 0\n", id="no length"),
        pytest.param(b"RESULT a 0 -1\n", id="a negative length"),
        pytest.param(b"RESULT a 0 1_0\n", id="a number as Python writes it"),
        pytest.param(b"RESULT a -9 0\n", id="a negative status"),
        pytest.param(b"RESULT a 0 0\r\n", id="a carriage return"),
        pytest.param(b"RESULT  a 0 0\n", id="two blanks"),
        pytest.param(b"RESULT a;b 0 0\n", id="a nonce of other characters"),
        pytest.param("RESULT a 0 １\n".encode(), id="other digits"),
        pytest.param(b"result a 0 0\n", id="small letters"),
        pytest.param(b"READY 1\n", id="readiness once more"),
        pytest.param(b"RESULT a 0 1\nxy", id="a byte too many"),
        pytest.param(b"<valuation/>\n", id="a bare result"),
    ],
)
def test_what_is_no_answer_is_refused(said):
    with pytest.raises(NoFrame):
        ready_reader().feed(said)


def test_an_answer_that_announces_too_much_is_refused_before_it_comes():
    with pytest.raises(TooLarge):
        ready_reader(max_output_bytes=10).feed(b"RESULT a 0 11\n")


def test_an_answer_of_just_the_limit_is_read():
    answer = Answer("a", 0, b"0123456789")
    assert ready_reader(max_output_bytes=10).feed(frames.answer_frame(answer)) == answer


@given(st.binary(max_size=40))
def test_whatever_a_script_says_is_an_answer_or_the_start_of_one_or_a_fault(said):
    reader = ready_reader()
    try:
        answer = reader.feed(said)
    except (NoFrame, TooLarge):
        return
    assert answer is None or said.startswith(b"RESULT ")

"""Warm processes against real scripts: what each task is given, how it ends, what is left of it."""

import asyncio
import os
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from processes import descriptors, is_alive, until_gone

from vnas.limits import ScriptLimits, find_prlimit
from vnas.pool import WarmScripts
from vnas.scriptfile import ScriptFile
from vnas.warm import Recipe
from vncore.errors import Misconfigured, ScriptFailed, ScriptTimedOut

PRLIMIT = find_prlimit()
needs_prlimit = pytest.mark.skipif(PRLIMIT is None, reason="no prlimit on this system")

PRICER = """
import os, sys, time
from vnas import sdk

def value(document):
    said, rest = document[:4].decode().strip(), document[5:].decode()
    if said == "pid":
        return b"%d" % os.getpid()
    return eval(rest).encode() if said == "eval" else exec(rest) or b"done"

sdk.serve_documents(value)
"""


@pytest.fixture
def warm(write_script, tmp_path):
    """Give a function that opens a pool on a script; limits and the recipe's fields by keyword."""
    directories = tmp_path / "processes"
    directories.mkdir()

    @asynccontextmanager
    async def opened(
        body=PRICER,
        *,
        slots=1,
        interpreter=sys.executable,
        prlimit=PRLIMIT,
        timeout_ms=20_000,
        memory_bytes=0,
        cpu_seconds=0,
        file_bytes=10**6,
        output_bytes=10**6,
        open_files=0,
        **lives,
    ):
        script = ScriptFile(write_script(body, interpreter=interpreter))
        recipe = Recipe(
            script=script.path,
            limits=ScriptLimits(
                timeout_ms=timeout_ms,
                memory_bytes=memory_bytes,
                cpu_seconds=cpu_seconds,
                file_bytes=file_bytes,
                output_bytes=output_bytes,
                open_files=open_files,
            ),
            prlimit=prlimit,
            directories=directories,
            **lives,
        )
        before = descriptors()
        async with WarmScripts(script, recipe, slots=slots, strays=None) as scripts:
            yield scripts
        assert scripts.running == 0
        assert list(directories.iterdir()) == []
        assert descriptors() == before

    return opened


async def pid_of(scripts, facts) -> int:
    return int(await scripts.run(b"pid", facts))


async def until_replaced(scripts, facts, pid: int, seconds: float = 5.0) -> None:
    """A process is looked at some time after its task, and replaced then."""
    deadline = time.monotonic() + seconds
    while await pid_of(scripts, facts) == pid:
        assert time.monotonic() < deadline, "it was not replaced"
        await asyncio.sleep(0.01)


# --- what a task is given -------------------------------------------------------------------------


async def test_one_process_serves_many_tasks(warm, facts):
    async with warm() as scripts:
        assert len({await pid_of(scripts, facts) for _ in range(20)}) == 1


async def test_documents_and_answers_of_any_size_pass(warm, facts):
    document = b"exec " + b"#" * 3_000_000
    async with warm(output_bytes=5_000_000) as scripts:
        assert await scripts.run(document, facts) == b"done"
        assert await scripts.run(b"eval 'x' * 4000000", facts) == b"x" * 4_000_000


async def test_the_environment_is_clean_and_knows_the_task(warm, facts, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://:secret@example.invalid")
    async with warm() as scripts:
        told = await scripts.run(b"eval repr(dict(os.environ))", facts)
    environment = eval(told)
    assert environment.items() >= {**facts.variables(), "VN_SCRIPT_MODE": "persistent"}.items()
    assert environment.keys() == facts.variables().keys() | {
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "VN_SCRIPT_MODE",
        "VN_TASK_DIRECTORY",
    } | ({"LC_CTYPE"} & environment.keys())
    assert environment["TMPDIR"] == environment["VN_TASK_DIRECTORY"]
    assert environment["TMPDIR"].startswith(environment["HOME"] + "/")


async def test_no_descriptor_but_the_contracts_is_inherited(warm, facts, tmp_path):
    with (tmp_path / "open").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        async with warm(slots=3) as scripts:
            listed = await scripts.run(b"eval ' '.join(os.listdir('/proc/self/fd'))", facts)
    assert set(listed.split()) - {b"5"} == {b"0", b"1", b"2", b"3", b"4"}, "5 is the listing itself"


async def test_each_task_starts_in_an_empty_directory_whatever_the_last_one_did(warm, facts):
    leave = b"exec os.makedirs('a/b'); open('a/b/c', 'w').write('x'); os.chmod('a', 0)"
    moved = b"exec os.rename(os.getcwd(), '../elsewhere')"
    linked = b"exec os.rmdir(os.getcwd()); os.symlink('/', os.environ['VN_TASK_DIRECTORY'])"
    async with warm() as scripts:
        for deed in (leave, moved, linked, leave):
            await scripts.run(deed, facts)
            assert await scripts.run(b"eval repr(os.listdir())", facts) == b"[]"
        assert await scripts.run(b"eval oct(os.stat('.').st_mode & 0o777)", facts) == b"0o700"
    assert os.listdir("/"), "a link is removed, not followed"  # noqa: PTH208


async def test_a_process_whose_directory_cannot_be_emptied_gives_its_result_and_is_replaced(
    warm, facts, monkeypatch
):
    def refuse(_path):
        raise OSError("busy")

    monkeypatch.setattr("vnas.warm.make_anew", refuse)
    async with warm() as scripts:
        pid = await pid_of(scripts, facts)
        assert await scripts.run(b"exec open('left', 'w').write('x')", facts) == b"done"
        assert await pid_of(scripts, facts) != pid


async def test_a_name_that_fits_no_variable_is_refused_as_in_exec_mode(warm, facts):
    async with warm() as scripts:
        pid = await pid_of(scripts, facts)
        with pytest.raises(ScriptFailed) as caught:
            await scripts.run(b"pid", replace(facts, valuation_name="a\0b"))
        assert caught.value.code == "SCRIPT_ENVIRONMENT_REFUSED"
        assert await pid_of(scripts, facts) == pid


# --- how a task ends ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [(1, "SCRIPT_FAILED", True), (65, "SCRIPT_REJECTED_DATA", False), (75, "SCRIPT_FAILED", True)],
)
async def test_a_failed_task_costs_an_attempt_and_not_the_process(
    warm, facts, status, code, retryable
):
    async with warm() as scripts:
        pid = await pid_of(scripts, facts)
        with pytest.raises(ScriptFailed) as caught:
            await scripts.run(b"exec print('no'); sys.exit(%d)" % status, facts)
        failed = caught.value
        assert (failed.code, failed.retryable, failed.exit_status) == (code, retryable, status)
        assert failed.stderr_tail == "no\n"
        assert await pid_of(scripts, facts) == pid


async def test_what_is_printed_belongs_to_its_task(warm, facts):
    async with warm() as scripts:
        await scripts.run(b"exec print('of the first task')", facts)
        with pytest.raises(ScriptFailed) as caught:
            await scripts.run(b"exec print('two', file=sys.stderr); raise ValueError('x')", facts)
    assert caught.value.stderr_tail.startswith("two\nTraceback")
    assert "ValueError: x" in caught.value.message


@pytest.mark.parametrize(
    ("deed", "code", "words"),
    [
        pytest.param("os.abort()", "SCRIPT_FAILED", "SIGABRT", id="a crash"),
        pytest.param("os.kill(os.getpid(), 9)", "SCRIPT_FAILED", "SIGKILL", id="killed"),
        pytest.param("os._exit(3)", "SCRIPT_FAILED", "status 3", id="an exit"),
        pytest.param("os._exit(65)", "SCRIPT_REJECTED_DATA", "bad data", id="an exit with 65"),
        pytest.param("os._exit(0)", "SCRIPT_PROTOCOL", "ended with 0 before", id="a silent end"),
        pytest.param("os.close(4); time.sleep(60)", "SCRIPT_PROTOCOL", "closed", id="hung up"),
        pytest.param("os.write(4, b'hello\\n')", "SCRIPT_PROTOCOL", "hello", id="no frame"),
        pytest.param(
            "os.write(4, b'RESULT n0 0 0\\n'); time.sleep(60)",
            "SCRIPT_PROTOCOL",
            "another task",
            id="other nonce",
        ),
        pytest.param(
            "os.write(4, b'RESULT n0 0 9999999\\n')",
            "SCRIPT_OUTPUT_TOO_LARGE",
            "1000000",
            id="huge",
        ),
    ],
)
async def test_a_process_that_misbehaves_costs_one_attempt_and_is_replaced(
    warm, facts, deed, code, words
):
    async with warm(slots=2) as scripts:
        pid = await pid_of(scripts, facts)
        with pytest.raises(ScriptFailed) as caught:
            await scripts.run(f"exec print('last words', flush=True); {deed}".encode(), facts)
        assert caught.value.code == code
        assert words in caught.value.message
        assert caught.value.stderr_tail == "last words\n"
        assert not is_alive(pid)
        for _ in range(5):
            assert is_alive(await pid_of(scripts, facts))


async def test_a_task_over_its_limit_ends_its_process_and_no_other(warm, facts):
    deaf = b"exec import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    async with warm(slots=2, timeout_ms=10_000) as scripts:
        pids = {await pid_of(scripts, facts)}
        late = asyncio.ensure_future(scripts.run(deaf, facts, timeout_ms=300))
        other = asyncio.ensure_future(scripts.run(b"exec time.sleep(0.5)", facts))
        with pytest.raises(ScriptTimedOut, match="300 ms"):
            await late
        assert not any(map(is_alive, pids))
        assert await other == b"done"


async def test_a_script_that_never_reads_its_task_is_stopped_at_its_limit(warm, facts):
    body = "import os, time\nos.write(4, b'READY 1\\n')\ntime.sleep(60)"
    async with warm(body) as scripts:
        with pytest.raises(ScriptTimedOut):
            await scripts.run(b"x" * 3_000_000, facts, timeout_ms=300)


async def test_an_answer_before_the_task_was_read_is_refused(warm, facts):
    body = (
        "import os, time\nos.write(4, b'READY 1\\n')\n"
        "nonce = os.read(3, 100).split()[1]\n"
        "os.write(4, b'RESULT %s 0 2\\nok' % nonce)\ntime.sleep(60)"
    )
    async with warm(body) as scripts:
        with pytest.raises(ScriptFailed, match="before the whole task was read"):
            await scripts.run(b"x" * 3_000_000, facts)


async def test_a_cancelled_task_ends_its_process_at_once(warm, facts, tmp_path):
    marker = tmp_path / "pid"
    async with warm() as scripts:
        run = asyncio.ensure_future(
            scripts.run(
                f"exec open('{marker}.new', 'w').write(str(os.getpid()));"
                f" os.rename('{marker}.new', '{marker}'); time.sleep(60)".encode(),
                facts,
            )
        )
        while not marker.exists():
            await asyncio.sleep(0.01)
        run.cancel()
        await asyncio.sleep(0)
        run.cancel()  # twice: the clearing away must not be interrupted
        with pytest.raises(asyncio.CancelledError):
            await run
        pid = int(marker.read_text())
        assert not is_alive(pid)
        assert await pid_of(scripts, facts) != pid


# --- floods and limits ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prlimit", [pytest.param(PRLIMIT, marks=needs_prlimit), None], ids=["kernel", "looking"]
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_a_flood_of_text_costs_one_attempt(warm, facts, prlimit, stream):
    async with warm(prlimit=prlimit, output_bytes=1000, file_bytes=100_000) as scripts:
        with pytest.raises(ScriptFailed) as caught:
            await scripts.run(
                b"exec\nwhile True: sys.%s.write('y' * 1000)" % stream.encode(), facts
            )
        assert caught.value.code == "SCRIPT_OUTPUT_TOO_LARGE"
        assert await scripts.run(b"exec pass", facts) == b"done"


async def test_text_of_earlier_tasks_does_not_add_up_to_a_flood(warm, facts):
    async with warm(output_bytes=1000, file_bytes=100_000) as scripts:
        pid = await pid_of(scripts, facts)
        for _ in range(5):
            await scripts.run(b"exec print('y' * 60000)", facts)
        assert await pid_of(scripts, facts) == pid


@needs_prlimit
async def test_a_task_that_eats_memory_costs_one_attempt(warm, facts):
    async with warm(memory_bytes=400_000_000) as scripts:
        with pytest.raises(ScriptFailed) as caught:
            await scripts.run(b"exec bytearray(600_000_000)", facts)
        assert "MemoryError" in caught.value.message
        assert await scripts.run(b"exec pass", facts) == b"done"


@needs_prlimit
async def test_processor_time_is_granted_to_each_task_anew(warm, facts):
    burn = b"exec\nt = time.process_time()\nwhile time.process_time() < t + %s: pass"
    async with warm(cpu_seconds=1) as scripts:
        pid = await pid_of(scripts, facts)
        for _ in range(3):  # 1.8 s together
            await scripts.run(burn % b"0.6", facts)
        assert await pid_of(scripts, facts) == pid
        with pytest.raises(ScriptFailed, match=r"SIGXCPU .*VNAS_CPU_SECONDS"):
            await scripts.run(burn % b"9", facts)


# --- how long a process lives ---------------------------------------------------------------------


async def test_a_process_is_replaced_after_its_share_of_tasks(warm, facts):
    async with warm(recycle_after=3) as scripts:
        pids = [await pid_of(scripts, facts) for _ in range(9)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 3]


async def test_a_process_that_holds_too_much_memory_is_replaced_after_its_task(warm, facts):
    hold = b"exec sys.held = b'x' * 100_000_000"
    async with warm(recycle_memory_bytes=80_000_000) as scripts:
        pid = await pid_of(scripts, facts)
        assert await scripts.run(hold, facts) == b"done", "its result counts"
        await until_replaced(scripts, facts, pid)


async def test_a_task_that_leaves_a_process_behind_gives_its_result_and_no_more(warm, facts):
    fork = b"eval str(os.fork() or time.sleep(300))"
    async with warm() as scripts:
        pid = await pid_of(scripts, facts)
        lingering = int(await scripts.run(fork, facts))
        assert await until_gone(lingering), "also when no other task comes"
        assert await pid_of(scripts, facts) != pid


async def test_processes_that_were_there_before_the_first_task_may_stay(warm, facts):
    body = PRICER.replace(
        "sdk.serve", "import subprocess; subprocess.Popen(['sleep', '60'])\nsdk.serve"
    )
    async with warm(body) as scripts:
        assert len({await pid_of(scripts, facts) for _ in range(3)}) == 1


async def test_a_changed_script_is_started_anew(warm, facts, write_script):
    async with warm() as scripts:
        await pid_of(scripts, facts)
        write_script(PRICER.replace('b"done"', 'b"changed"'), interpreter=sys.executable)
        assert await scripts.run(b"exec pass", facts) == b"changed"


async def test_a_process_that_ends_or_speaks_between_tasks_is_replaced_before_the_next(warm, facts):
    for deed in ("os._exit(1)", "os.write(4, b'x')"):
        body = PRICER.replace("    if said", f"    later(lambda: {deed})\n    if said").replace(
            "def value",
            "import threading\ndef later(do):\n    threading.Timer(0.05, do).start()\n\ndef value",
        )
        async with warm(body) as scripts:
            pid = await pid_of(scripts, facts)
            assert await until_gone(pid) if "exit" in deed else await asyncio.sleep(0.2) is None
            assert await pid_of(scripts, facts) != pid


async def test_stopping_lets_the_scripts_end_by_themselves(warm, facts, tmp_path):
    marker = tmp_path / "ended"
    body = PRICER + f"\nopen({str(marker)!r}, 'a').write('ended by itself\\n')"
    async with warm(body, slots=2) as scripts:
        await pid_of(scripts, facts)
    assert marker.read_text() == "ended by itself\n" * 2


# --- how it starts --------------------------------------------------------------------------------


async def test_all_processes_start_at_the_same_time(warm, facts, tmp_path):
    # Each waits until all have started: this ends only if they start together.
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    body = (
        f"import os, time\nopen('{meeting}/%d' % os.getpid(), 'w')\n"
        f"while len(os.listdir('{meeting}')) < 3: time.sleep(0.01)\n" + PRICER
    )
    async with warm(body, slots=3) as scripts:
        assert scripts.running == 3


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param("cat", r"status 0 before it was ready; .*VNAS_SCRIPT_MODE=exec", id="exec"),
        pytest.param("echo no library >&2; exit 3", "status 3 .*: no library", id="it dies"),
        pytest.param("kill -11 $$", "SIGSEGV", id="it crashes"),
        pytest.param("echo hello >&4; sleep 60", "READY 1 was to come first", id="another word"),
        pytest.param("exec 4>&-; sleep 60", "closed its answers", id="it hangs up"),
        pytest.param("sleep 60", "not ready within 300 ms", id="silence"),
        pytest.param("exec nosuchcommand", "status 127", id="no such command"),
    ],
)
async def test_a_script_that_does_not_become_ready_stops_the_start_with_its_reason(
    warm, body, words
):
    with pytest.raises(Misconfigured, match=words):
        async with warm(body, interpreter="/bin/sh", slots=2, start_timeout_ms=300):
            pytest.fail("it began")


async def test_a_script_that_starts_no_more_breaks_after_three_tries_and_no_loop(
    warm, facts, write_script
):
    async with warm() as scripts:
        pid = await pid_of(scripts, facts)
        write_script("exit 3")
        for _ in range(3):
            with pytest.raises(ScriptFailed) as caught:
                await scripts.run(b"pid", facts)
            assert (caught.value.code, caught.value.retryable) == ("SCRIPT_NOT_READY", True)
        await asyncio.wait_for(scripts.broken(), timeout=1)
        assert not is_alive(pid)


async def test_one_start_that_fails_is_tried_again(warm, facts, tmp_path):
    flag = tmp_path / "fails"
    body = f"import os\nif os.path.exists({str(flag)!r}): os._exit(3)\n" + PRICER
    async with warm(body) as scripts:
        await pid_of(scripts, facts)
        flag.touch()
        with pytest.raises(ScriptFailed):
            await scripts.run(b"exec os.abort()", facts)
        with pytest.raises(ScriptFailed, match="before it was ready"):
            await scripts.run(b"pid", facts)
        flag.unlink()
        started = time.monotonic()
        assert is_alive(await pid_of(scripts, facts))
        assert time.monotonic() - started < 10

"""The runner against real scripts: what they are given, how they end, and what is left of them."""

import asyncio
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from processes import descriptors, is_alive, until_gone

from vnas import environment
from vnas.limits import find_prlimit
from vncore.errors import ScriptFailed, ScriptTimedOut

needs_prlimit = pytest.mark.skipif(find_prlimit() is None, reason="no prlimit on this system")

EXPECTED_VARIABLES = {
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "VN_REQUEST_ID",
    "VN_GROUP_INDEX",
    "VN_GROUP_NAME",
    "VN_TASK_ID",
    "VN_VALUATION_NAME",
    "VN_ATTEMPT",
    "VN_DEADLINE",
    "TRACEPARENT",
}


def children() -> set[str]:
    """The ids of this process's children, zombies included."""
    me = str(os.getpid())
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[1] == me:
                found.add(stat.parent.name)
    return found


def is_there(path: str) -> bool:
    return os.path.lexists(path)


# --- what a script is given ----------------------------------------------------------------------


async def test_the_document_goes_in_on_stdin_and_stdout_comes_back(make_runner, facts):
    document = b"<vnml>" + bytes(range(32, 127)) * 20_000 + b"</vnml>"
    assert await make_runner(Path("/bin/cat")).run(document, facts) == document


async def test_the_environment_is_exactly_the_contract(make_runner, facts, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://:secret@example.invalid")
    monkeypatch.setenv("PATH", "/opt/extra/bin:" + os.environ["PATH"])
    monkeypatch.setenv("PYTHONPATH", "/opt/extra/lib")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/extra/lib")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    output = await make_runner(Path("/usr/bin/env")).run(b"", facts)
    variables = dict(line.split("=", 1) for line in output.decode().splitlines())
    assert variables.keys() == EXPECTED_VARIABLES
    assert variables["PATH"] == f"{Path(sys.executable).parent}:{environment.STANDARD_PATH}"
    assert variables["HOME"] == variables["TMPDIR"]
    assert {name: value for name, value in variables.items() if name.startswith(("VN", "TR"))} == {
        "VN_REQUEST_ID": facts.request_id,
        "VN_GROUP_INDEX": "1",
        "VN_GROUP_NAME": "prices",
        "VN_TASK_ID": "7",
        "VN_VALUATION_NAME": "bond <7> ü",
        "VN_ATTEMPT": "2",
        "VN_DEADLINE": "1790000000000",
        "TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }


async def test_python3_in_a_script_is_the_interpreter_of_the_worker(
    make_runner, write_script, facts
):
    script = write_script("import sys; print(sys.prefix)", interpreter="/usr/bin/env python3")
    assert (await make_runner(script).run(b"", facts)).decode().strip() == sys.prefix


async def test_no_descriptor_is_inherited(make_runner, write_script, facts, tmp_path):
    with (tmp_path / "open").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        output = await make_runner(write_script("ls /proc/self/fd")).run(b"", facts)
    assert output.split() == [b"0", b"1", b"2", b"3"], "3 is the directory that ls reads"


async def test_the_script_leads_a_session_of_its_own(make_runner, write_script, facts):
    script = write_script(
        "import os; print(os.getpid() == os.getsid(0) == os.getpgrp())",
        interpreter=sys.executable,
    )
    assert await make_runner(script).run(b"", facts) == b"True\n"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("x" * (128 * 1024), id="longer than the kernel takes"),
        pytest.param("a\0b", id="a NUL character"),
        pytest.param("a\ud800b", id="half a surrogate pair"),
    ],
)
async def test_a_name_that_fits_no_variable_is_a_permanent_failure(make_runner, facts, value):
    with pytest.raises(ScriptFailed) as caught:
        await make_runner(Path("/bin/cat")).run(b"", replace(facts, valuation_name=value))
    assert caught.value.code == "SCRIPT_ENVIRONMENT_REFUSED"
    assert not caught.value.retryable
    assert "VN_VALUATION_NAME" in caught.value.message


async def test_the_longest_name_that_the_kernel_takes_arrives(make_runner, write_script, facts):
    name = "x" * (128 * 1024 - len("VN_VALUATION_NAME=") - 1)
    script = write_script('printf %s "${#VN_VALUATION_NAME}"')
    assert await make_runner(script).run(b"", replace(facts, valuation_name=name)) == b"%d" % len(
        name
    )


# --- how it ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "retryable", "words"),
    [
        pytest.param("exit 1", "SCRIPT_FAILED", True, "status 1", id="1"),
        pytest.param("exit 75", "SCRIPT_FAILED", True, "status 75", id="75 is a passing fault"),
        pytest.param("exit 65", "SCRIPT_REJECTED_DATA", False, "bad data", id="65 is bad data"),
        pytest.param("exit 70", "SCRIPT_FAILED", True, "status 70", id="70"),
        pytest.param("nosuchcommand", "SCRIPT_NOT_RUNNABLE", False, "not found", id="127"),
        pytest.param("/etc/passwd", "SCRIPT_NOT_RUNNABLE", False, "may not be", id="126"),
        pytest.param("kill -SEGV $$", "SCRIPT_FAILED", True, "SIGSEGV", id="a signal"),
        pytest.param("kill -KILL $$", "SCRIPT_FAILED", True, "SIGKILL", id="killed"),
        pytest.param("kill -TERM 0", "SCRIPT_FAILED", True, "SIGTERM", id="kills its own group"),
    ],
)
async def test_the_exit_status_decides(
    make_runner, write_script, facts, body, code, retryable, words
):
    with pytest.raises(ScriptFailed) as caught:
        await make_runner(write_script(body)).run(b"", facts)
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert words in caught.value.message


@pytest.mark.parametrize("prlimit", [find_prlimit(), None], ids=["prlimit", "without prlimit"])
@pytest.mark.parametrize(
    "first_line", ["#!/nonexistent/interpreter\n", "#!/etc/passwd\n"], ids=["absent", "no program"]
)
async def test_a_script_without_interpreter_is_a_configuration_fault(
    make_runner, tmp_path, facts, prlimit, first_line
):
    script = tmp_path / "script"
    script.write_text(first_line)
    script.chmod(0o755)
    with pytest.raises(ScriptFailed) as caught:
        await make_runner(script, prlimit=prlimit).run(b"", facts)
    assert (caught.value.code, caught.value.retryable) == ("SCRIPT_NOT_RUNNABLE", False)


async def test_a_script_that_vanished_is_a_configuration_fault(make_runner, tmp_path, facts):
    with pytest.raises(ScriptFailed) as caught:
        await make_runner(tmp_path / "gone").run(b"", facts)
    assert caught.value.code == "SCRIPT_NOT_RUNNABLE"


async def test_the_engines_last_line_becomes_message_and_place(make_runner, write_script, facts):
    script = write_script(
        "echo noise >&2\n"
        "echo 'VNP-201 /vnml/project/group/valuation/model: required element is missing' >&2\n"
        "exit 65"
    )
    with pytest.raises(ScriptFailed) as caught:
        await make_runner(script).run(b"", facts)
    assert caught.value.message == (
        "VNP-201 /vnml/project/group/valuation/model: required element is missing"
    )
    assert caught.value.place.element == "/vnml/project/group/valuation/model"
    assert caught.value.stderr_tail.startswith("noise\n")


async def test_the_last_four_kibibytes_of_stderr_are_kept(make_runner, write_script, facts):
    script = write_script(
        "import sys; sys.stderr.buffer.write(b'a' * 9000 + b'\\xff' + b'end'); sys.exit(3)",
        interpreter=sys.executable,
    )
    with pytest.raises(ScriptFailed) as caught:
        await make_runner(script).run(b"", facts)
    assert caught.value.stderr_tail == "a" * (4096 - 4) + "\ufffdend"
    assert caught.value.exit_status == 3


async def test_reopening_stderr_by_its_path_leaves_no_hole(make_runner, write_script, facts):
    script = write_script("echo first, longer >&2; echo two > /dev/stderr; echo three >&2; exit 1")
    with pytest.raises(ScriptFailed) as caught:
        await make_runner(script).run(b"", facts)
    assert caught.value.stderr_tail == "two\nthree\n"


async def test_a_script_that_never_ends_is_stopped_at_its_limit(make_runner, write_script, facts):
    script = write_script("trap '' TERM INT HUP; echo begun >&2; while :; do sleep 60; done")
    started = time.monotonic()
    with pytest.raises(ScriptTimedOut) as caught:
        await make_runner(script, timeout_ms=300).run(b"", facts)
    assert time.monotonic() - started < 5
    assert caught.value.code == "SCRIPT_TIMED_OUT"
    assert "300 ms" in caught.value.message
    assert caught.value.stderr_tail == "begun\n"


async def test_a_nearer_deadline_shortens_the_limit_and_a_farther_one_does_not(
    make_runner, write_script, facts
):
    runner = make_runner(write_script("sleep 60"), timeout_ms=200)
    for timeout_ms, limit in ((100, "100 ms"), (10_000, "200 ms")):
        with pytest.raises(ScriptTimedOut, match=limit):
            await runner.run(b"", facts, timeout_ms=timeout_ms)


# --- floods and limits ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prlimit", [pytest.param(find_prlimit(), marks=needs_prlimit), None], ids=["kernel", "looking"]
)
@pytest.mark.parametrize("stream", [1, 2])
async def test_a_flood_is_stopped_and_refused(make_runner, write_script, facts, prlimit, stream):
    script = write_script(f"exec yes >&{stream}")
    runner = make_runner(script, prlimit=prlimit, output_bytes=100_000, file_bytes=100_000)
    with pytest.raises(ScriptFailed) as caught:
        await runner.run(b"", facts)
    assert (caught.value.code, caught.value.retryable) == ("SCRIPT_OUTPUT_TOO_LARGE", False)
    assert ("stdout" if stream == 1 else "stderr") in caught.value.message


@pytest.mark.parametrize(("size", "accepted"), [(1000, True), (1001, False)])
async def test_the_output_limit_is_exact(make_runner, write_script, facts, size, accepted):
    runner = make_runner(
        write_script(f"head -c {size} /dev/zero"), output_bytes=1000, file_bytes=10
    )
    if accepted:
        assert await runner.run(b"", facts) == bytes(size)
    else:
        with pytest.raises(ScriptFailed, match="more than 1000 bytes"):
            await runner.run(b"", facts)


@needs_prlimit
async def test_a_script_that_outgrows_its_memory_fails_alone(make_runner, write_script, facts):
    script = write_script("x = bytearray(400_000_000)", interpreter=sys.executable)
    with pytest.raises(ScriptFailed) as caught:
        await make_runner(script, memory_bytes=200_000_000).run(b"", facts)
    assert "MemoryError" in caught.value.stderr_tail


@needs_prlimit
async def test_a_script_that_burns_too_much_processor_time_is_told_so(
    make_runner, write_script, facts
):
    with pytest.raises(ScriptFailed, match=r"SIGXCPU .*VNAS_CPU_SECONDS"):
        await make_runner(write_script("while :; do :; done"), cpu_seconds=1).run(b"", facts)


@needs_prlimit
async def test_file_size_and_open_files_are_limited(make_runner, write_script, facts):
    script = write_script("ulimit -n; ulimit -c; head -c 200000 /dev/zero > big; exit $?")
    runner = make_runner(script, open_files=64, file_bytes=100_000, output_bytes=1000)
    with pytest.raises(ScriptFailed) as caught:
        await runner.run(b"", facts)
    assert caught.value.code == "SCRIPT_FAILED"
    assert caught.value.exit_status == 128 + signal.SIGXFSZ, "the shell tells of its child's signal"
    counted = write_script("ulimit -n; ulimit -c", name="counted")
    assert await make_runner(counted, open_files=64).run(b"", facts) == b"64\n0\n"


async def test_a_script_that_reads_nothing_does_not_harm(make_runner, write_script, facts):
    runner = make_runner(write_script("exec <&-; echo 1"))
    assert await runner.run(b"x" * 3_000_000, facts) == b"1\n"


# --- what is left --------------------------------------------------------------------------------


async def test_the_tasks_directory_is_private_empty_and_removed(make_runner, write_script, facts):
    script = write_script(
        'ls -A; stat -c %a .; [ "$PWD" = "$HOME" ] && pwd\n'
        "mkdir -p a/b && echo x > a/b/c && ln -s / root && chmod 0 a/b a"
    )
    mode, path = (await make_runner(script).run(b"", facts)).decode().split()
    assert mode == "700"
    assert not is_there(path)
    assert is_there("/etc/passwd"), "links are removed, not followed"


async def test_fifty_runs_leave_no_descriptor_process_or_directory(
    make_runner, write_script, facts, tmp_path
):
    runner = make_runner(write_script("cat; [ $(($(date +%N) % 2)) = 0 ]"))
    await asyncio.gather(runner.run(b"x", facts), return_exceptions=True)
    before, children_before = descriptors(), children()
    for _ in range(50):
        await asyncio.gather(runner.run(b"x", facts), return_exceptions=True)
    assert descriptors() == before
    assert runner.running == 0
    assert list((tmp_path / "tasks").iterdir()) == []
    assert children() == children_before


async def test_background_processes_of_the_group_end_with_the_script(
    make_runner, write_script, facts
):
    runner = make_runner(write_script("sleep 300 & echo $!"))
    started = time.monotonic()
    pid = int(await runner.run(b"", facts))
    assert time.monotonic() - started < 5, "nobody waits for a grandchild that holds stdout"
    assert await until_gone(pid)


async def test_runs_overlap_in_time_and_keep_their_outputs_apart(
    make_runner, write_script, tmp_path, facts
):
    # Each waits until all have started: this ends only if they run at the same time.
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    script = write_script(
        f"read x; : > {meeting}/$x; until [ $(ls {meeting} | wc -l) = 5 ]; do sleep 0.01; done;"
        " echo $x"
    )
    runner = make_runner(script)
    runs = [runner.run(b"%d\n" % number, facts) for number in range(5)]
    assert await asyncio.gather(*runs) == [b"%d\n" % number for number in range(5)]


async def test_a_cancelled_run_kills_its_script_and_leaves_nothing(
    make_runner, write_script, facts, tmp_path
):
    marker = tmp_path / "pid"
    runner = make_runner(
        write_script(f"echo $$ > {marker}.new; mv {marker}.new {marker}; sleep 99")
    )
    run = asyncio.ensure_future(runner.run(b"", facts))
    while not marker.exists():
        await asyncio.sleep(0.01)
    run.cancel()
    await asyncio.sleep(0)
    run.cancel()  # twice: the clearing away must not be interrupted
    with pytest.raises(asyncio.CancelledError):
        await run
    assert not is_alive(int(marker.read_text()))
    assert runner.running == 0
    assert list((tmp_path / "tasks").iterdir()) == []


async def test_without_pidfd_and_memfd_the_contract_is_the_same(
    make_runner, write_script, facts, monkeypatch
):
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.delattr(os, "memfd_create", raising=False)
    runner = make_runner(write_script("cat; sleep 0.05; exit 0"), prlimit=None)
    assert await runner.run(b"<valuation/>", facts) == b"<valuation/>"
    with pytest.raises(ScriptTimedOut):
        await make_runner(write_script("sleep 99", name="slow"), timeout_ms=150, prlimit=None).run(
            b"", facts
        )
    with pytest.raises(ScriptFailed, match="status 3"):
        await make_runner(write_script("exit 3", name="three")).run(b"", facts)


async def test_no_place_for_the_tasks_directory_is_worth_a_retry(make_runner, facts, tmp_path):
    runner = make_runner(Path("/bin/cat"))
    shutil.rmtree(tmp_path / "tasks")
    with pytest.raises(ScriptFailed) as caught:
        await runner.run(b"", facts)
    assert (caught.value.code, caught.value.retryable) == ("INTERNAL", True)

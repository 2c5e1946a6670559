"""Processes that leave their script's group and session, found by the worker that adopts them.

Each test runs in a process of its own: a sweep kills every child of its process, and this one has
others.
"""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc")

PRELUDE = """
import asyncio, json, os, sys, time
from pathlib import Path
from vnas.environment import TaskFacts
from vnas.hardening import become_subreaper
from vnas.limits import ScriptLimits, find_prlimit
from vnas.script import ScriptRunner
from vnas.strays import StrayChildren

FACTS = TaskFacts(request_id="r", group_index=0, group_name="", task_id=1, valuation_name="",
                  attempt=1)

def script(name, body):
    path = Path(sys.argv[1]) / name
    path.write_text("#!/bin/sh\\n" + body + "\\n")
    path.chmod(0o755)
    return path

def runner(path, **limits):
    return ScriptRunner(path, ScriptLimits(**limits), prlimit=find_prlimit(),
                        strays=StrayChildren(), directories=Path(sys.argv[1]))

def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False

def children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()

assert become_subreaper()
"""


def run_apart(tmp_path: Path, body: str) -> object:
    """Run Python in a process of its own; what it prints as JSON comes back."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(body), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param("setsid sleep 300 & echo $!", id="another session"),
        pytest.param(
            "setsid sh -c 'setsid sleep 300 & echo $!; sleep 300' & sleep 0.1", id="twice over"
        ),
        pytest.param("(setsid sleep 300 & echo $!)", id="double fork"),
        pytest.param(
            "(setsid sh -c 'trap \"\" TERM; echo $$; sleep 300' &) ; sleep 0.1", id="deaf"
        ),
        pytest.param(
            f"exec {sys.executable} -c 'import os, time\n"
            "if os.fork(): os._exit(0)\n"
            "os.setsid()\n"
            "if os.fork(): os._exit(0)\n"
            "print(os.getpid(), flush=True); time.sleep(300)' & wait; sleep 0.3",
            id="a proper daemon",
        ),
    ],
)
def test_a_process_that_left_the_group_ends_with_its_task(tmp_path, leave):
    found = run_apart(
        tmp_path,
        f"""
        output = asyncio.run(runner(script("s", {leave!r})).run(b"", FACTS))
        pids = [int(pid) for pid in output.split()]
        print(json.dumps({{"pids": pids, "alive": [p for p in pids if alive(p)],
                          "children": children()}}))
        """,
    )
    assert found["pids"], "the script told who it left behind"
    assert found["alive"] == []
    assert found["children"] == [], "all are reaped"


def test_strays_end_also_when_the_script_ran_out_of_time(tmp_path):
    found = run_apart(
        tmp_path,
        """
        marker = Path(sys.argv[1]) / "pid"
        slow = script("s", f"setsid sleep 300 & echo $! > {marker}; sleep 300")
        try:
            asyncio.run(runner(slow, timeout_ms=300).run(b"", FACTS))
        except Exception as err:
            print(json.dumps([err.code, alive(int(marker.read_text())), children()]))
        """,
    )
    assert found == ["SCRIPT_TIMED_OUT", False, []]


def test_a_running_script_and_its_orphans_survive_the_sweeps_of_others(tmp_path):
    """A script may well put a part of itself in the background, as long as it goes on itself."""
    found = run_apart(
        tmp_path,
        """
        ready, go = Path(sys.argv[1]) / "ready", Path(sys.argv[1]) / "go"
        wait = f"while [ ! -e {go} ]; do sleep 0.01; done"
        long = script("long", f"(sh -c '{wait}; echo orphan' &); : > {ready}; {wait}; sleep 0.2")
        strays = StrayChildren()
        def sharing(path):
            made = runner(path)
            made._strays = strays
            return made
        async def both():
            one = sharing(long)
            running = asyncio.ensure_future(one.run(b"", FACTS))
            while not ready.exists():
                await asyncio.sleep(0.01)
            one._command[-1] = str(script("short", "setsid sleep 300 & echo short"))
            short = await one.run(b"", FACTS)
            go.touch()
            return [short.decode(), (await running).decode()]
        print(json.dumps([asyncio.run(both()), children()]))
        """,
    )
    assert found == [["short\n", "orphan\n"], []]


def test_children_from_before_are_spared(tmp_path):
    found = run_apart(
        tmp_path,
        """
        import subprocess
        with subprocess.Popen(["sleep", "300"]) as own:
            asyncio.run(runner(script("s", "true")).run(b"", FACTS))
            spared = alive(own.pid)
            own.kill()
        print(json.dumps(spared))
        """,
    )
    assert found is True


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that every user may use; pytest's own are below one of mode 700."""
    with tempfile.TemporaryDirectory(prefix="vn-test-") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_a_worker_that_is_not_root_hides_its_environment_from_scripts(open_path: Path):
    if os.geteuid() != 0:
        pytest.skip("becomes another user, which only root can")
    found = run_apart(
        open_path,
        """
        import concurrent.futures.thread, ctypes  # later, files are out of reach
        from vnas.hardening import hide_from_scripts
        peek = script("s", "tr '\\\\0' '\\\\n' < /proc/$PPID/environ | grep -c ^PATH; exit 0")
        locked = script("locked", "mkdir -p a/b; : > a/b/c; chmod 0 a/b a; echo 1")
        peek.chmod(0o755)
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as it is when started as this user
        seen = [asyncio.run(runner(peek).run(b"", FACTS)).decode()]
        seen.append(hide_from_scripts())
        seen.append(asyncio.run(runner(peek).run(b"", FACTS)).decode())
        seen.append(asyncio.run(runner(locked).run(b"", FACTS)).decode())
        seen.append([path.name for path in Path(sys.argv[1]).glob("vn-task-*")])
        seen.append(children())
        print(json.dumps(seen))
        """,
    )
    before, hidden, after, locked, left, children = found
    assert before == "1\n", "without it a script reads its parent's environment"
    assert hidden is True
    assert after == "0\n"
    assert (locked, left, children) == ("1\n", [], []), (
        "locked directories are removed all the same"
    )


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param("os.setsid(); os.fork() and os._exit(0)", id="another session"),
        pytest.param("os.fork() and os._exit(0)", id="an orphan in the session"),
        pytest.param("pass", id="a child"),
    ],
)
def test_what_a_task_of_a_warm_script_leaves_behind_ends_with_its_process(tmp_path, leave):
    body = f"""
import os, time
from pathlib import Path
from vnas import sdk

def value(document):
    pid = os.getpid()
    if document != b"leave":
        return b"%d" % pid
    if os.fork() == 0:
        {leave}
        Path({str(tmp_path)!r}, "left").write_text(str(os.getpid()))
        time.sleep(300)
    while not Path({str(tmp_path)!r}, "left").exists():
        time.sleep(0.01)
    return b"%d" % pid

sdk.serve_documents(value)
"""
    (tmp_path / "warm.py").write_text(f"#!{sys.executable}\n{body}")
    (tmp_path / "warm.py").chmod(0o755)
    found = run_apart(
        tmp_path,
        """
        from vnas.pool import WarmScripts
        from vnas.scriptfile import ScriptFile
        from vnas.warm import Recipe

        async def main():
            script = ScriptFile(Path(sys.argv[1]) / "warm.py")
            recipe = Recipe(script=script.path, limits=ScriptLimits(), prlimit=find_prlimit(),
                            directories=Path(sys.argv[1]))
            async with WarmScripts(script, recipe, slots=1, strays=StrayChildren()) as scripts:
                pid = int(await scripts.run(b"", FACTS))
                assert int(await scripts.run(b"leave", FACTS)) == pid, "its result counts"
                left = int((Path(sys.argv[1]) / "left").read_text())
                give_up_at = time.monotonic() + 5
                while alive(left) and time.monotonic() < give_up_at:
                    await asyncio.sleep(0.01)
                return int(await scripts.run(b"", FACTS)) == pid, alive(left)

        print(json.dumps([*asyncio.run(main()), children()]))
        """,
    )
    assert found == [False, False, []], "a fresh process, and nothing left of the other"

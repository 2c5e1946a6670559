"""Small functions that tests run in hydration children."""

import ctypes
import os
import signal
import time
from pathlib import Path

from lxml import etree

from vncore.errors import HydrationFailed, Place
from vnvs.frames import Answer, dumps, receive, send


def echo(value):
    return value


def pid():
    return os.getpid()


def environment():
    return dict(os.environ)


def explode(document):
    """Evaluate an innocent looking expression that takes half a minute, in C code."""
    return etree.fromstring(document).xpath("count(//*[count(//*)>1])")


def hoard(size):
    return len(bytearray(size))


KEPT = []


def hoard_and_keep(size):
    KEPT.append(bytearray(size))
    return os.getpid()


def die(number):
    os.kill(os.getpid(), number)
    time.sleep(60)


def die_once(marker, number):
    path = Path(marker)
    if path.exists():
        return "done"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    os.kill(os.getpid(), number)
    return "unreachable"


def say_pid_and_wait(marker, uri, fetch):
    fetch([uri, str(os.getpid())])
    time.sleep(60)


def pid_after_a_while():
    time.sleep(0.3)
    return os.getpid()


def ask_for_another(named):
    cells = dict(zip(named.__code__.co_freevars, named.__closure__, strict=True))
    connection = cells["self"].cell_contents._connection
    send(connection, dumps((Answer.ASK.value, ("another", None))))
    receive(connection)


def refuse():
    raise HydrationFailed("SELECT_NOTHING", "no match", rule="S2", place=Place(line=3))


def crash():
    raise ZeroDivisionError("on purpose")


def give_a_function():
    return os.system


def give_an_object():
    return Path("/")


def fetch_both(uris, fetch):
    return {
        uri: fetched if isinstance(fetched, str) else fetched.code
        for uri, fetched in fetch(uris).items()
    }


def fetch_then_explode(document, fetch):
    fetch(["slow"])
    return explode(document)


def fetch_again_and_again(times, fetch):
    for _ in range(times):
        fetch(["slow"])
    return times


def stop_itself():
    os.kill(os.getpid(), signal.SIGSTOP)


def segfault():
    ctypes.string_at(0)


def open_descriptors():
    return sorted(int(path.name) for path in Path("/proc/self/fd").iterdir())

"""Runs one command and says what it cost."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Cost:
    """What a command and every process it waited for used: seconds, seconds, and the bytes of the largest process."""

    cpu: float
    wall: float
    rss: int


# The kernel carries the size of the starting process over to what it starts, so a program as small as can be does the
# starting: peaks below its 10 MB cannot be seen. Arguments: file for output, file for errors, then the command.
LAUNCHER = """
import json, os, sys, time
flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
actions += [(os.POSIX_SPAWN_OPEN, number, path, flags, 0o600) for number, path in ((1, sys.argv[1]), (2, sys.argv[2]))]
began = time.monotonic()
pid = os.posix_spawnp(sys.argv[3], sys.argv[3:], os.environ, file_actions=actions)
_, status, used = os.wait4(pid, 0)
wall = time.monotonic() - began
print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, wall, used.ru_maxrss * 1024]))
"""


class CommandFailed(Exception):
    """A tool did not do what it was asked for."""


def run(argv, env=None, cwd=None, log=os.devnull, ok=(0,)):
    """Runs `argv` to its end, its output appended to the file `log`."""
    argv = [str(word) for word in argv]
    with open(log, "a") as sink:
        sink.write(f"\n$ {' '.join(argv)}\n")
    os.sync()  # what earlier steps wrote is not this step's business
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(log), str(log), *argv]
    answer = subprocess.run(launcher, env={**os.environ, **(env or {})}, cwd=cwd, stdout=subprocess.PIPE, check=True)
    code, cpu, wall, rss = json.loads(answer.stdout)
    if code not in ok:
        tail = "\n".join(Path(log).read_text(errors="replace").splitlines()[-15:])
        raise CommandFailed(f"`{' '.join(argv)}` ended with {code}\n{tail}")
    return Cost(cpu, wall, rss)


def size_of(folder):
    """(bytes, files) below a folder: what a vault occupies, by the lengths of its objects."""
    total = count = 0
    for here, _, names in os.walk(folder):
        for name in names:
            total += os.lstat(os.path.join(here, name)).st_size
            count += 1
    return total, count


def on_disk(folder):
    """Bytes that the files below a folder occupy; holes are free."""
    return sum(os.lstat(os.path.join(here, name)).st_blocks * 512 for here, _, names in os.walk(folder) for name in names)


def warm(folder):
    """Reads every file once, so that no tool pays for the disk."""
    for here, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(here, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            with open(path, "rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass

"""Run a command and record its time and memory; the launcher itself is small.

python -I -S launch.py NOTE.json LOG COMMAND ...

Until a new process has started, the kernel attributes the memory of its parent to it, so that a child of a large
program would never look small. This launcher therefore imports only a few modules of the standard library.
"""

import json
import os
import sys
import time


def main() -> None:
    """Run the command; write exit status, wall and CPU time [s] and peak memory [MB] to the note."""
    note, log, *command = sys.argv[1:]
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    redirect = [(os.POSIX_SPAWN_DUP2, sink, 1), (os.POSIX_SPAWN_DUP2, sink, 2)]
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=redirect)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    measured = {
        "status": os.waitstatus_to_exitcode(status),
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss / 1024,
    }
    with open(note, "w") as file:
        json.dump(measured, file)


if __name__ == "__main__":
    main()

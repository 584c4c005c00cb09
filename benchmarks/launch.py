"""Start a command and note what it cost: a launcher that is itself small.

python -I -S launch.py NOTE.json LOG COMMAND ...

The kernel counts the memory of whoever starts a process as that of the process until it has begun, so that a child of
a large program would never look small. Only the standard library, and little of it, is imported here.
"""

import json
import os
import sys
import time


def main() -> None:
    """Run the command; the status is in the note, with wall and CPU time [s] and the largest process [MB]."""
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

"""Run Snakemake in copies of a process that has imported it: each run takes 2 s less.

A copy has read no Snakefile yet, and no module of nightcal. Unlike a new process, it iterates over sets in the order of
all other copies.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

READY = "numpy", "jsonschema", "yaml"
"""What the rules import, too."""

LONGEST = 600
"""Time after which a run is stopped [s]."""


@cache
def start_server():
    """Start the process that is copied; it ends with this one."""
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    atexit.register(server.communicate)
    return server


def run_snakemake(arguments, cwd):
    """Run Snakemake as ``subprocess.run(["snakemake", *arguments], ...)`` would."""
    server = start_server()
    with tempfile.TemporaryDirectory() as folder:
        told = [str(Path(folder, name)) for name in ("stdout", "stderr")]
        arguments = [str(word) for word in arguments]
        asked = {"arguments": arguments, "cwd": str(cwd), "told": told, "environment": dict(os.environ)}
        print(json.dumps(asked), file=server.stdin)
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(["snakemake", *arguments], code, *(Path(path).read_text() for path in told))


def run_new_snakemake(arguments, cwd):
    """Run Snakemake in a new process, which has an order of sets of its own."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=LONGEST)


def serve():
    """Answer each line of the standard input, which is a run, with its exit code."""
    import importlib

    import snakemake.cli

    for name in READY:
        importlib.import_module(name)
    snakemake.cli.get_argument_parser()  # imports plugins
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run_as_told(snakemake.cli.main, **json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def run_as_told(main, arguments, cwd, told, environment):
    """Become a process of its own, and run."""
    signal.alarm(LONGEST)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path[0] = cwd
    sys.argv = ["snakemake", *arguments]
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    for path, number in zip(told, (1, 2), strict=True):
        with open(path, "wb") as file:
            os.dup2(file.fileno(), number)
    main(arguments)


if __name__ == "__main__":
    serve()

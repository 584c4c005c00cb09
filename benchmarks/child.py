"""Run one job with one program in a separate process.

python -m benchmarks.child PEER JOB.json RESULT              run once and write the result
python -m benchmarks.child PEER JOB.json --inside WARM.json  run WARM, then time the job; prints wall and CPU seconds

When timed, a master stays in memory; a science frame is written, since that is most of its work.
"""

from __future__ import annotations

import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType

from benchmarks.jobs import Job


def work(peer: ModuleType, job: Job, out: Path) -> None:
    """Run the job as it is timed in a warm process."""
    result = getattr(peer, job.task)(job)
    if job.task == "science":
        peer.write(result, out)


def main() -> None:
    """Run the job given on the command line."""
    peer, job = import_module(f"benchmarks.peers.{sys.argv[1]}"), Job.load(Path(sys.argv[2]))
    if sys.argv[3] != "--inside":
        peer.write(getattr(peer, job.task)(job), Path(sys.argv[3]))
        return
    with tempfile.TemporaryDirectory(dir=Path(sys.argv[2]).parent) as scratch:
        for n in range(getattr(peer, "WARM_UPS", 0)):
            work(peer, job, Path(scratch) / f"warm_up_{n}.fits")
        work(peer, Job.load(Path(sys.argv[4])), Path(scratch) / "warm_up.fits")
        wall, cpu = time.perf_counter(), time.process_time()
        work(peer, job, Path(scratch) / "timed.fits")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"inside {wall:.6f} {cpu:.6f}")


if __name__ == "__main__":
    main()

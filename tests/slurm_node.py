"""A real SLURM of one node, on loopback and without systemd, for the time of the tests."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONF = Path("/etc/slurm/slurm.conf")  # the inner srun of a job looks nowhere else
LOCK = Path("/run/lock/nightcal-slurm.lock")
OURS = "# written by the tests of nightcal, and removed by them\n"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "srun", "setpriv")
SETTINGS = """\
ClusterName=night
SlurmctldHost=localhost
SlurmctldAddr=127.0.0.1
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={work}/munge.socket
SlurmctldPort={control_port}
SlurmdPort={node_port}
StateSaveLocation={work}/state
SlurmdSpoolDir={work}/spool
SlurmctldPidFile={work}/slurmctld.pid
SlurmdPidFile={work}/slurmd.pid
SlurmctldLogFile={work}/slurmctld.log
SlurmdLogFile={work}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
DefMemPerCPU=1000
CompleteWait=0
KillWait=2
MpiDefault=none
ReturnToService=2
MinJobAge=3600
SlurmdParameters=config_overrides
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 State=UNKNOWN
PartitionName=night Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Job:
    """A job as squeue tells it."""

    number: int
    state: str
    rule: str
    memory_mb: int


@dataclass(frozen=True)
class Cluster:
    """The running cluster, by its commands."""

    work: Path

    def jobs(self, rule=""):
        """Jobs of the rules whose names begin so, those that have ended too, the oldest first."""
        told = ask("squeue", "--states=all", "--noheader", "--format=%i|%T|%k|%m").splitlines()
        rows = (line.split("|") for line in told)
        jobs = [Job(int(i), state, comment.partition("_wildcards")[0], megabytes(m)) for i, state, comment, m in rows]
        return sorted((job for job in jobs if job.rule.startswith(f"rule_{rule}")), key=lambda job: job.number)

    def catch_running(self, rule, seconds=240):
        """Wait for a job to run, and return it."""
        return wait_for(lambda: next((job for job in self.jobs(rule) if job.state == "RUNNING"), None), seconds)

    def state_of(self, job):
        """State of a job, as it is now."""
        return next(now.state for now in self.jobs() if now.number == job.number)

    def log(self):
        """What the controller wrote."""
        return (self.work / "slurmctld.log").read_text()


def megabytes(text):
    """Read 700M or 2G as MB."""
    return int(float(text[:-1]) * {"M": 1, "G": 1024}[text[-1]])


def ask(*words):
    """Answer of a command of SLURM."""
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout


def wait_for(answer, seconds):
    """Ask until there is an answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := answer():
            return found
        time.sleep(0.1)
    raise TimeoutError(f"nothing came in {seconds} s")


def why_not():
    """Why no cluster can be started here; empty if it can."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: slurmctld slurmd slurm-client munge)"
    if os.geteuid():
        return "SLURM's daemons need root"
    if Path("/proc/1/comm").read_text().strip() in ("systemd", "init") and not os.environ.get("CI"):
        return f"this is no container, and {CONF} belongs to the machine"
    if CONF.exists() and not CONF.read_text().startswith(OURS):
        return f"there is a {CONF} which is not ours"
    return ""


@contextmanager
def running_cluster(work):
    """Start munge, controller and node; stop them at the end, by their numbers.

    Parameters
    ----------
    work : Path
        An empty folder for sockets, logs and state.

    Yields
    ------
    Cluster
    """
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another session of the tests may have its cluster up
        daemons = []
        try:
            write_settings(work)
            for command in commands(work):
                daemons.append(start(work, command))
            wait_for(lambda: "idle" in ask("sinfo", "--noheader", "--format=%T"), 60)
            yield Cluster(work)
        finally:
            for daemon in reversed(daemons):
                stop(daemon)
            CONF.unlink(missing_ok=True)


def write_settings(work):
    """Write slurm.conf, a key for munge, and the folders that SLURM wants."""
    for name in ("state", "spool"):
        (work / name).mkdir()
    key = work / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    CONF.parent.mkdir(parents=True, exist_ok=True)
    CONF.write_text(OURS + SETTINGS.format(work=work, control_port=free_port(), node_port=free_port()))


def commands(work):
    """Command lines of the daemons, each to stay in the foreground."""
    munge = [f"--{name}-file={work}/munge.{name}" for name in ("key", "pid", "seed", "log")]
    yield ["munged", "--foreground", "--force", f"--socket={work}/munge.socket", *munge]
    yield ["slurmctld", "-D", "-f", str(CONF)]
    yield ["slurmd", "-D", "-f", str(CONF), "-N", "localhost"]


def start(work, command):
    """Start a daemon, which ends with us if we are killed, and wait a moment for what it offers."""
    with (work / f"{command[0]}.out").open("w") as out:
        path = f"{os.environ['PATH']}:/usr/sbin"
        program = shutil.which(command[0], path=path)
        daemon = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    if command[0] == "munged":
        wait_for(lambda: (work / "munge.socket").exists() or daemon.poll() is not None, 10)
    if daemon.poll() is not None:
        raise RuntimeError(f"{command[0]} ended: {(work / f'{command[0]}.out').read_text()[-2000:]}")
    return daemon


def stop(daemon):
    """End a daemon by its number."""
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(timeout=20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def free_port():
    """Number of a port that nobody listens on."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]

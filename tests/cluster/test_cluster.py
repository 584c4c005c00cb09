"""The same night on a SLURM cluster: the same bytes, whatever happens to its jobs."""

import subprocess
import sys

import pytest
from astropy.io import fits
from helpers import MEASUREMENTS, REPOSITORY, digests
from nightcal.simulation.night import simulate_night
from slurm_node import ask, wait_for

pytestmark = pytest.mark.slow

NIGHT = "20240301"
SMALL = {"shape": (96, 128), "n_bias": 6, "n_dark": 3, "n_flat": 3, "n_science": 4, "filters": ("V",), "n_stars": 20}
TWO_BATCHES = 2
IN_HASTE = ("--slurm-init-seconds-before-status-checks", "1")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A night of two batches whose gain has to be measured, in a folder that a shell would stumble over."""
    folder = tmp_path_factory.mktemp("night") / "a night & $HOME"
    simulate_night(folder, folder.parent / "truth", **SMALL)
    for path in folder.glob("*.fits"):
        fits.delval(path, "GAIN")
        fits.delval(path, "RDNOISE")
    return folder


@pytest.fixture(scope="module")
def here(raw, tmp_path_factory, snakemake):
    """Products of the night, reduced on this machine without a cluster."""
    return snakemake.reduced(raw, tmp_path_factory.mktemp("here") / "results", batch_size=TWO_BATCHES)


class Submitted:
    """Snakemake as an observer starts it on the login node, in a folder of its own."""

    def __init__(self, folder, raw, *targets):
        self.results = folder / "results"
        self.told = folder / "snakemake.log"
        options = ["--snakefile", REPOSITORY / "Snakefile", "--workflow-profile", "slurm", *IN_HASTE]
        config = [f"raw={raw}", "results=results", f"batch_size={TWO_BATCHES}"]
        config += [f"{step}={{enabled: false}}" for step in MEASUREMENTS]
        with self.told.open("w") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *targets, *options, "--config", *config],
                cwd=folder,
                stdout=told,
                stderr=told,
            )

    def finish(self):
        """Wait for a night that must succeed, and return its log."""
        code = self.process.wait(timeout=300)
        told = self.told.read_text()
        assert code == 0, told[-4000:]
        return told


@pytest.fixture
def submit(cluster, raw, tmp_path):
    """Starts a night on the cluster; what still runs at the end of a test is stopped."""
    started = []

    def start(*targets):
        started.append(Submitted(tmp_path, raw, *targets))
        return started[-1]

    yield start
    for night in started:
        if night.process.poll() is None:
            night.process.kill()
            night.process.wait()
            ask("scancel", "--user=root")


def everything(results):
    """Hashes of the products, and the text of the report."""
    return digests(results) | {"report.html": (results / NIGHT / "report.html").read_text()}


def test_a_night_on_the_cluster_has_the_bytes_of_a_night_here(cluster, submit, here):
    submitted = submit()
    submitted.finish()
    kinds = sorted(job.rule.removeprefix("rule_") for job in cluster.jobs())
    assert kinds == [
        "make_bad_pixel_mask",
        "make_master_bias",
        "make_master_dark",
        "make_master_flat",
        "measure_gain",
        f"reduce_science_{NIGHT}_0001",
        f"reduce_science_{NIGHT}_0002",
    ]
    made = everything(submitted.results)
    assert {name.rpartition(".")[2] for name in made} == {"fits", "csv", "json", "html"}
    assert made == everything(here)


def test_cancelled_jobs_are_made_again_with_more_memory_and_the_night_is_the_same(cluster, submit, here):
    submitted = submit()
    cancelled = [cancel_one(cluster, rule) for rule in ("make_master_dark", "reduce_science")]
    told = submitted.finish()
    for job in cancelled:
        assert f"SLURM-job '{job.number}' failed, SLURM status is: 'CANCELLED'" in told
        (again,) = [other for other in cluster.jobs(job.rule.removeprefix("rule_")) if other.number > job.number]
        assert again.state == "COMPLETED"
        assert again.memory_mb == 2 * job.memory_mb
    assert told.count("Trying to restart job") == len(cancelled)
    assert everything(submitted.results) == everything(here)


def cancel_one(cluster, rule):
    """Cancel a job of a rule while it runs, and make sure that it was not too late."""
    job = cluster.catch_running(rule)
    ask("scancel", str(job.number))
    assert wait_for(lambda: cluster.state_of(job) not in ("RUNNING", "COMPLETING") and cluster.state_of(job), 60) == (
        "CANCELLED"
    )
    return job


def test_a_job_whose_node_dies_runs_again_and_leaves_the_same_bytes(cluster, submit, here):
    submitted = submit("--until", "make_master_bias")
    job = cluster.catch_running("make_master_bias")
    ask("scontrol", "update", "nodename=localhost", "state=down", "reason=test")
    assert wait_for(lambda: cluster.state_of(job) == "PENDING", 30)
    ask("scontrol", "update", f"jobid={job.number}", "starttime=now")  # SLURM would wait for two minutes
    submitted.finish()
    assert f"requeue job JobId={job.number} due to failure of node" in cluster.log()
    assert wait_for(lambda: cluster.state_of(job) == "COMPLETED", 180)
    made = digests(submitted.results)
    assert any("masters/bias_" in name for name in made)
    assert made.items() <= digests(here).items()

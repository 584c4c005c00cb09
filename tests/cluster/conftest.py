"""Fixtures of the tests on a real SLURM."""

import pytest
from slurm_node import running_cluster, why_not


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A SLURM of one node with two cores."""
    if reason := why_not():
        pytest.skip(f"no SLURM: {reason}")
    with running_cluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster

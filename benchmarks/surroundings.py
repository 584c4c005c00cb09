"""Describe the machine and the versions of the programs compared."""

from __future__ import annotations

import os
import platform
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ALWAYS = ("nightcal", "numpy", "scipy", "astropy", "numba", "snakemake")


def describe(peers: list[str]) -> str:
    """Name the machine and all versions in two lines.

    Parameters
    ----------
    peers : list of str
        Modules of `benchmarks.peers`.

    Returns
    -------
    str
    """
    names = dict.fromkeys(ALWAYS)
    for peer in peers:
        module = import_module(f"benchmarks.peers.{peer}")
        if hasattr(module, "version"):
            names[module.NAME] = module.version() if not module.missing() else None
        else:
            names.update(dict.fromkeys(module.VERSIONS))
    found = {name: known or _version(name) for name, known in names.items()}
    versions = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB, Linux {platform.release()}"
    return f"Machine: {processor}, Python {platform.python_version()}.\nVersions: {versions}."


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()

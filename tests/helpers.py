"""What several test files share: running Snakemake as an observer does, and comparing what comes out."""

import hashlib
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


class Runner:
    """Runs Snakemake in the repository, with options as typed."""

    def __call__(self, *arguments, cwd=REPOSITORY, **config):
        words = [f"{key}={value}" for key, value in config.items()]
        command = [sys.executable, "-m", "snakemake", *arguments, *(["--config", *words] if words else [])]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)

    def reduced(self, raw, results, *arguments, **config):
        """Reduce a night that must succeed; return the folder of its products."""
        done = self("--cores", "2", *arguments, raw=raw, results=results, **config)
        assert done.returncode == 0, "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        return Path(results)


def digests(folder):
    """Hash of each product and plan below a folder, by path; logs tell times and are left out."""
    kept = (
        path for path in sorted(Path(folder).rglob("*")) if path.is_file() and path.suffix in (".fits", ".csv", ".json")
    )
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}

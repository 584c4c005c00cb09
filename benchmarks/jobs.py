"""A job for one program, passed to the child process as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Job:
    """One reduction.

    Attributes
    ----------
    task : str
        ``bias``, ``dark``, ``flat``, ``science`` or ``cosmic_rays``; ``night`` for a folder of raw frames.
    frames : list of str
        Raw files; for a night, its folder.
    masters : dict
        File names of the ``bias``, ``dark`` and ``flat`` to apply.
    cores : int
        Number of cores for a night.
    settings : list of str
        For a night, as typed after ``snakemake --config``.
    """

    task: str
    frames: list[str]
    masters: dict[str, str] = field(default_factory=dict)
    cores: int = 1
    settings: list[str] = field(default_factory=list)

    def save(self, path: Path) -> Path:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self)))
        return path

    @classmethod
    def load(cls, path: Path) -> Job:
        """Read what `save` wrote."""
        return cls(**json.loads(Path(path).read_text()))

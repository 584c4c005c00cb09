"""Find the observer's files of rules, and apply them to the frames of the nights that they are for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from nightcal.errors import ConfigurationError
from nightcal.io.schema import read_yaml
from nightcal.planning.frames import Frame
from nightcal.planning.night_file import FILE_NAME, Rule, explain_unmatched, find_overrides, read_rules
from nightcal.planning.overrides import Override
from nightcal.planning.plan import assign_nights

SCHEMA_NAME = "night.schema.yaml"


class NightFiles:
    """The rules of the observer: one file for all nights, or one in the results of each night.

    Called with the frames as their headers describe them, it returns what the rules say of some, by name.

    Parameters
    ----------
    chosen : str or None
        ``auto`` for a ``night.yaml`` in the results of each night, the path of a file, or None for no rules.
    results : Path
        Folder of the products.
    schemas : Path
        Folder of the schemas.
    where : str
        Name of the configuration key, for messages.

    Attributes
    ----------
    remarks : dict of str to list of str
        For each night, its rules that match no file.
    rules : dict of str to tuple of Rule
        For each night, all its rules.

    Raises
    ------
    ConfigurationError
        If the file does not exist.
    """

    def __init__(self, chosen: str | None, results: Path, schemas: Path, where: str) -> None:
        if chosen not in (None, "auto") and not (Path(chosen).is_file() and chosen.endswith((".yaml", ".yml"))):
            raise ConfigurationError(f"{where} is {chosen!r}; expected auto, null, or the path of a .yaml file.")
        self.chosen, self.results, self.schemas = chosen, results, schemas
        self.remarks: dict[str, list[str]] = {}
        self.rules: dict[str, tuple[Rule, ...]] = {}

    def __call__(self, frames: Sequence[Frame]) -> dict[str, Override]:
        """Apply the rules; errors as for `nightcal.planning.night_file.read_rules`."""
        self.remarks, self.rules = {}, {}
        if self.chosen is None:
            return {}
        nights: dict[str, list[str]] = defaultdict(list)
        for frame in assign_nights(frames):
            nights[frame.night].append(frame.name)
        if self.chosen != "auto":
            return self._apply(Path(self.chosen), frames, list(nights))
        found: dict[str, Override] = {}
        by_name = {frame.name: frame for frame in frames}
        for night, names in nights.items():
            path = self.results / night / FILE_NAME
            if path.is_file():
                found |= self._apply(path, [by_name[name] for name in names], [night])
        return found

    def _apply(self, path: Path, frames: Sequence[Frame], nights: Sequence[str]) -> dict[str, Override]:
        rules = read_rules(path, read_yaml(self.schemas / SCHEMA_NAME))
        overrides, unmatched = find_overrides(rules, frames)
        remarks = [explain_unmatched(rule, frames) for rule in unmatched]
        self.remarks |= dict.fromkeys(nights, remarks)
        self.rules |= dict.fromkeys(nights, rules)
        return overrides

"""Write a template of night.yaml: every file of a night once, with what was understood of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from nightcal.io.atomic import write_text
from nightcal.planning.naming import make_printable
from nightcal.planning.night_file import FILE_NAME
from nightcal.planning.plan import Entry
from nightcal.planning.verdict import read_values

TEMPLATE_NAME = f"{FILE_NAME}.template"
SHOWN = ("type", "filter", "exposure")
KINDS = ("bias", "dark", "flat", "science")

HEAD = """\
# Night {night}: every file, and what nightcal understood of it.
#
# To correct something, copy this file to {name}, in the same folder. There, take away the hash before the hyphen of
# a file, change what is wrong, and delete what is right. The last rule that says something of a file counts.
#
# Files: file (a name, a pattern such as flat_*.fits, a list), folder, from, to, where.
# Words: ignore, type, filter, exposure, time, time_shift, gain, read_noise, temperature, mode, group, use, note.
# The manual explains them: docs/night_yaml.md.

"""


def write_template(folder: Path, night: str, entries: Sequence[Entry]) -> None:
    """Write the template of a night into the folder of its products, unless the observer has made his own rules.

    Parameters
    ----------
    folder : Path
    night, entries
        As for `make_template`.
    """
    if not (folder / FILE_NAME).exists():
        write_text(folder / TEMPLATE_NAME, make_template(night, entries))


def make_template(night: str, entries: Sequence[Entry]) -> str:
    """Write the template of a night.

    Parameters
    ----------
    night : str
    entries : sequence of Entry
        Rows of the plan, one for each file.

    Returns
    -------
    str
        YAML in which each file is a comment of one line: a rule that says what nightcal understood.
    """
    files = {entry.frame.file: entry for entry in reversed(entries)}  # of the colours of a mosaic, the first
    bases = Counter(PurePosixPath(file).name for file in files)
    lines = (_write_line(entry, bases) for entry in reversed(files.values()))
    return HEAD.format(night=night, name=FILE_NAME) + "".join(lines)


def _write_line(entry: Entry, bases: Counter[str]) -> str:
    name = make_printable(entry.frame.file)
    alone = "/" in name or bases[name] == 1
    known = {word: value for word, value in read_values(entry.frame).items() if word in SHOWN}
    if known.get("type") not in KINDS:
        known.pop("type", None)
    rule: dict[str, Any] = {"file": name if alone else f"./{name}"} | (known or {"ignore": True})
    time = read_values(entry.frame).get("time", "no time")
    words = ", ".join(f"{word}: {_quote(value)}" for word, value in rule.items())
    return f"# - {{{words}}}  # {time}; {make_printable(entry.role)}: {make_printable(entry.reason)}\n"


def _quote(value: Any) -> str:
    """Write a value as YAML; names in quotes, since they may mean something else."""
    if isinstance(value, str) and value not in KINDS:
        return json.dumps(make_printable(value))
    return value if isinstance(value, str) else json.dumps(value)

"""Write the tables of steps, options and keywords in the manual, and the sections of measurements in config.yaml.

    python docs/make_tables.py            # write them
    python docs/make_tables.py --check    # only name the files that would change

What they say comes from `nightcal.science.steps` and `nightcal.io.keyword_registry`. A table goes between the lines
``<!-- table: NAME -->`` and ``<!-- end of table -->``.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from textwrap import wrap
from typing import Any

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME / "workflow"))

from nightcal.io.keyword import MASTERS, Keyword  # noqa: E402
from nightcal.io.keyword_registry import KEYWORDS  # noqa: E402
from nightcal.io.options import Options  # noqa: E402
from nightcal.science.steps import MEASUREMENTS, STEPS  # noqa: E402
from nightcal.warning_names import WARNINGS  # noqa: E402

PAGES = [HOME / "README.md", *sorted((HOME / "docs").glob("*.md"))]
CONFIG = HOME / "config" / "config.yaml"
COMMENT_COLUMN, WIDTH = 30, 120
BLOCK = re.compile(r"(?s)(<!-- table: (\w+)(?: (\w+))? -->\n).*?(\n<!-- end of table -->)")


def markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Write a table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("|" + "|".join(f" {cell} ".replace("  ", " ") for cell in line) + "|" for line in lines)


def meaning(keyword: Keyword) -> str:
    """Say in the manual what a keyword means, with its unit."""
    return (keyword.note or keyword.comment) + (f" [{keyword.unit}]" if keyword.unit else "")


def steps(_: str) -> str:
    """List the steps of a science frame."""
    return markdown(("step", "what it does"), ((page(step.name), step.summary) for step in STEPS))


def measurements(_: str) -> str:
    """List the sections of the configuration that measure."""
    rows = (
        (page(name), step.summary, ", ".join(f"`{key}`" for key in ("enabled", *step.options.defaults())))
        for name, step in MEASUREMENTS.items()
    )
    return markdown(("section", "what it does", "keys"), rows)


def page(name: str) -> str:
    """Link to the page of a step, if it has one."""
    return f"[`{name}`]({name}.md)" if (HOME / "docs" / f"{name}.md").exists() else f"`{name}`"


def options(name: str) -> str:
    """List the options of a measurement."""
    chosen = MEASUREMENTS[name].options
    values = chosen.defaults()
    return markdown(
        ("key", "default", "meaning", "when to change it"),
        (
            (f"`{key.name}`", yaml(values[key.name]), key.metadata["meaning"], key.metadata["advice"])
            for key in fields(chosen)
        ),
    )


def keywords(name: str) -> str:
    """List the keywords of one step."""
    found = MEASUREMENTS[name].keywords if name in MEASUREMENTS else KEYWORDS[name]
    return markdown(("keyword", "meaning"), ((f"`{k.name}`", meaning(k)) for k in found if not k.standard))


def science_keywords(_: str) -> str:
    """List the keywords of science frames, those of the measurements by name only."""
    return markdown(("step", "keyword", "meaning"), science_rows())


def science_rows() -> Iterator[tuple[str, str, str]]:
    """Rows of that table."""
    calibration = [step.name for step in STEPS if step.options is None]
    for group in ("provenance", "exposure", *calibration, "skipped", "sky", "mask"):
        step = f"`{group}`" if group in calibration else ""
        for keyword in KEYWORDS.get(group, ()):
            if "science" in keyword.products:
                yield step, f"`{keyword.name}`", meaning(keyword)
    for name, measurement in MEASUREMENTS.items():
        own = ", ".join(f"`{keyword.name}`" for keyword in measurement.keywords if not keyword.standard)
        yield f"`{name}`", own, f"see {page(name)}"


def master_keywords(_: str) -> str:
    """List the keywords of masters."""
    found = [keyword for name in KEYWORDS if name != "file" for keyword in KEYWORDS[name]]
    rows = ((f"`{k.name}`", products(k), meaning(k)) for k in found if set(k.products) & set(MASTERS))
    return markdown(("keyword", "in", "meaning"), rows)


def products(keyword: Keyword) -> str:
    """Name the masters that have a keyword."""
    kinds = [kind for kind in MASTERS if kind in keyword.products]
    return "all" if len(kinds) == len(MASTERS) else ", ".join(kinds)


def warnings(_: str) -> str:
    """List the names of warnings."""
    rows = ((f"`{warning.name}`", warning.meaning, warning.remedy) for warning in WARNINGS)
    return markdown(("warning", "what it means", "what to do"), rows)


TABLES: dict[str, Callable[[str], str]] = {
    made.__name__: made
    for made in (steps, measurements, options, keywords, science_keywords, master_keywords, warnings)
}


def yaml(value: Any) -> str:
    """Write a value as YAML has it."""
    if isinstance(value, list):
        return f"[{', '.join(f'{number:g}' for number in value)}]"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.replace("e-0", ".0e-") if isinstance(value, float) and "." not in text else text


def commented(entry: str, comment: str) -> str:
    """Write a line of config.yaml, its comment wrapped beside it."""
    first, *more = wrap(comment, WIDTH - COMMENT_COLUMN - 2, break_on_hyphens=False) or [""]
    return "\n".join([f"{entry:{COMMENT_COLUMN - 1}} # {first}", *(f"{'':{COMMENT_COLUMN}}# {line}" for line in more)])


def section(name: str, chosen: type[Options]) -> str:
    """Write the section of a measurement as it ships; a mapping keeps what stands in config.yaml."""
    manual = f"; docs/{name}.md" if (HOME / "docs" / f"{name}.md").exists() else ""
    lines = [
        commented(f"{name}:", MEASUREMENTS[name].summary + manual),
        commented("  enabled: true", f"false: {chosen.disabled}"),
    ]
    values = chosen.defaults()
    for key in fields(chosen):
        value = "" if isinstance(values[key.name], dict) else f" {yaml(values[key.name])}"
        lines.append(commented(f"  {key.name}:{value}", key.metadata["meaning"]))
    return "\n".join(lines) + "\n"


def configuration(text: str) -> str:
    """Write the sections of the measurements into the text of config.yaml."""
    for name, step in MEASUREMENTS.items():
        found = re.search(rf"(?m)^{name}:.*\n(?:[ #].*\n)*", text)
        if found is None:
            text = f"{text.rstrip()}\n\n{section(name, step.options)}"
            continue
        kept = "".join(line for line in found[0].splitlines(keepends=True) if re.match(r" {4}\w", line))
        text = text[: found.start()] + section(name, step.options) + kept + text[found.end() :]
    return text


def manual(text: str) -> str:
    """Write the tables of a page."""
    return BLOCK.sub(lambda block: block[1] + TABLES[block[2]](block[3] or "") + block[4], text)


def main() -> None:
    """Write everything, or name what would change."""
    made = {path: manual(path.read_text()) for path in PAGES} | {CONFIG: configuration(CONFIG.read_text())}
    changed = [path for path, text in made.items() if text != path.read_text()]
    for path in changed:
        print(path.relative_to(HOME))
        if "--check" not in sys.argv:
            path.write_text(made[path])
    sys.exit(bool(changed) if "--check" in sys.argv else 0)


if __name__ == "__main__":
    main()

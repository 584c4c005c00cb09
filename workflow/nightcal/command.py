"""The command ``nightcal``: reduce a night from any folder, without knowing Snakemake.

It only puts together the command line of Snakemake, so the products are those of ``snakemake`` in a checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from nightcal.errors import ConfigurationError
from nightcal.resources import find_home

EPILOG = """\
Settings are key=value, as in strict=true or rejection.stack_sigma=4; `nightcal init` writes a file that lists them all.
"""

SETTINGS_FILE, NIGHT_FILE = "nightcal.yaml", "night.yaml.example"

NIGHT_EXAMPLE = """\
# What you know better than the headers. Copy this file to results/<night>/night.yaml, take away a hash, and change the
# line; the last rule that says something of a file counts. `nightcal plan` writes a template there, with every file.
#
# - {file: flat_V_003.fits, ignore: true, note: "a cloud"}
# - {file: "dark_*.fits", exposure: 120}
# - {from: "21:30", to: "22:10", type: flat, filter: V}
"""


class Parser(argparse.ArgumentParser):
    """A parser whose messages are one sentence."""

    def error(self, message: str) -> NoReturn:
        """End with the mistake and where to find help."""
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help.\n")


def make_parser() -> Parser:
    """Make the parser of all subcommands."""
    parser = Parser(prog="nightcal", description="From the raw CCD frames of a night to calibrated, measured frames.")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)

    def add(name: str, text: str, act: Callable[[argparse.Namespace], int]) -> Parser:
        made: Parser = commands.add_parser(name, help=text, description=f"{text}.", epilog=EPILOG)
        made.set_defaults(act=act)
        return made

    for name, (text, target, options) in TARGETS.items():
        made = add(name, text, run_snakemake)
        made.set_defaults(target=target, options=options)
        made.add_argument("raw", metavar="RAW", help="folder with raw frames, of one night or many")
        made.add_argument("settings", nargs="*", default=[], metavar="KEY=VALUE", help="settings")
        made.add_argument("--results", metavar="DIR", help="folder for the products (results)")
        made.add_argument("--settings-file", metavar="FILE", help="file with settings, as `nightcal init` writes it")
        if name in ("run", "report"):
            made.add_argument("--cores", type=_count_cores, metavar="N", help="number of cores (all)")
            made.add_argument("--profile", metavar="NAME", help="where the jobs run: default, slurm, or a folder")
            made.add_argument("-n", "--dry-run", action="store_true", help="only say what would be done")
    check = add("check", "Show how a raw frame is understood", check_frames)
    check.add_argument("frames", nargs="+", type=Path, metavar="FRAME")
    check.add_argument("--camera", metavar="FILE", help="camera file, or the name of one that comes with nightcal")
    folder = add("init", "Write a file with all settings, to change, and an example of night.yaml", write_settings)
    folder.add_argument("folder", nargs="?", default=".", type=Path, metavar="FOLDER")
    demo = add("demo", "Simulate a night in ./demo, reduce it, and compare it with the truth", run_demo)
    demo.add_argument("--cores", type=_count_cores, metavar="N", default=2, help="number of cores (%(default)s)")
    return parser


QUIET = ["--cores", "1", "--quiet", "all"]

TARGETS: Mapping[str, tuple[str, str, Sequence[str]]] = {
    "run": ("Reduce the nights of a folder", "", ()),
    "plan": ("Say what will be done with each frame, and write plan.csv", "plan", (*QUIET, "--force")),
    "missing": ("List the calibration frames that should still be taken", "missing", QUIET),
    "report": ("Write the reports again", "", ("--forcerun", "report_night")),
    "archive": ("Add the accepted masters to a library (archive=FOLDER)", "archive", QUIET),
    "fetch-stars": ("Download reference stars, once (needs a network)", "fetch_stars", QUIET),
}
"""Subcommands that run a target of the workflow: what they do, the target, and options of Snakemake."""


def run_snakemake(args: argparse.Namespace) -> int:
    """Run Snakemake in the place of this process."""
    command = make_command(args)
    os.execv(command[0], command)


def make_command(args: argparse.Namespace) -> list[str]:
    """Make the command line of Snakemake.

    Raises
    ------
    ConfigurationError
        For a mistake that Snakemake would not explain.
    """
    home = find_home()
    if not Path(args.raw).is_dir():
        raise ConfigurationError(f"{args.raw!r} is not a folder; expected the folder of the raw frames")
    settings = read_settings(args.settings)
    if args.command == "fetch-stars":
        settings = {"catalog": {"download": "refcat2"} | settings.pop("catalog", {})} | settings
    given = {"raw": args.raw} | ({"results": args.results} if args.results else {}) | settings
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(home / "Snakefile")]
    command += [args.target] if args.target else []
    command += _find_profile(getattr(args, "profile", None), home)
    command += ["--cores", str(args.cores)] if getattr(args, "cores", None) else []
    command += ["--dry-run"] if getattr(args, "dry_run", False) else []
    if args.settings_file is not None:
        if not Path(args.settings_file).is_file():
            raise ConfigurationError(f"{args.settings_file!r} does not exist; expected a file with settings")
        command += ["--configfile", args.settings_file]
    return [*command, *args.options, "--config", *(f"{key}={_write(value)}" for key, value in given.items())]


def _find_profile(name: str | None, home: Path) -> list[str]:
    if name is None:
        return ["--workflow-profile", str(home / "profiles" / "default")]
    known = sorted(path.name for path in (home / "profiles").iterdir())
    folder = home / "profiles" / name if name in known else Path(name)
    if not (folder / "config.yaml").is_file():
        raise ConfigurationError(
            f"there is no profile {name!r}; expected {', '.join(known)}, or a folder with config.yaml"
        )
    return ["--workflow-profile", str(folder)]


def read_settings(words: Sequence[str]) -> dict[str, Any]:
    """Read settings such as ``strict=true`` or ``rejection.stack_sigma=4``.

    Parameters
    ----------
    words : sequence of str

    Returns
    -------
    dict
        Keys with a dot as groups. Values stay text, unless they are written as a group or a list.

    Raises
    ------
    ConfigurationError
        If a word is no setting, or a key is set twice.
    """
    settings: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        names = key.split(".")
        if not equals or not all(name.isidentifier() for name in names):
            hint = "put a path with blanks in quotes" if "=" not in word else "a key has letters, _ and dots"
            raise ConfigurationError(f"{word!r} is not a setting; expected key=value ({hint})")
        group = settings
        for name in names[:-1]:
            group = group.setdefault(name, {})
            if not isinstance(group, dict):
                raise ConfigurationError(f"{key} is set, and so is {name} as a whole; expected one of them")
        if names[-1] in group:
            raise ConfigurationError(f"{key} is set twice; expected one value")
        group[names[-1]] = _read_value(key, value)
    return settings


def _read_value(key: str, value: str) -> Any:
    """Read a group or a list; other values are read later, as those of Snakemake's command line."""
    if not value.startswith(("{", "[")):
        return value
    import yaml

    try:
        return yaml.load(value, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        raise ConfigurationError(f"{key} is {value!r}, which has a bracket or a quote too many or too few") from None


def _write(value: Any) -> str:
    """Write a value as Snakemake reads it; text that YAML would take for something else stays text."""
    if not isinstance(value, str):
        return json.dumps(value)
    import yaml

    try:
        same = yaml.load(value, Loader=yaml.BaseLoader) == value
    except yaml.YAMLError:
        same = False
    return value if same and value else json.dumps(value)


def _count_cores(text: str) -> str:
    if text != "all" and not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of cores; expected 1, 2, ... or all")
    return text


def check_frames(args: argparse.Namespace) -> int:
    """Show how raw frames are understood."""
    from nightcal.check_camera import print_checks
    from nightcal.config import choose_cameras

    cameras = choose_cameras(args.camera or "auto", find_home() / "config" / "cameras")
    return 0 if print_checks(cameras, args.frames) else 1


def write_settings(args: argparse.Namespace) -> int:
    """Write a file with all settings, and an example of night.yaml; files that exist stay."""
    texts = {
        SETTINGS_FILE: (find_home() / "config" / "config.yaml").read_text(encoding="utf-8"),
        NIGHT_FILE: NIGHT_EXAMPLE,
    }
    existing = [name for name in texts if (args.folder / name).exists()]
    if existing:
        raise ConfigurationError(f"{args.folder / existing[0]} exists; expected a folder without it")
    try:
        args.folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (args.folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{args.folder} cannot be written: {error.strerror}") from error
    path = shlex.quote(str(args.folder / SETTINGS_FILE))
    print(f"Set raw in {path}, then: nightcal run RAW --settings-file {path}")
    return 0


def run_demo(args: argparse.Namespace) -> int:
    """Simulate a night, reduce it, and compare the products with the truth."""
    folder = Path("demo")
    raw, truth, results = (str(folder / name) for name in ("raw", "truth", "results"))
    steps = [
        ["nightcal.command", "run", raw, "--results", results, "--cores", str(args.cores), "crosscheck=true"],
        ["nightcal.simulation.truth", f"{results}/20240301/science", truth],
    ]
    if not (folder / "raw").is_dir():
        steps.insert(0, ["nightcal.simulation.night", raw, truth])
    for step in steps:
        status = subprocess.run([sys.executable, "-m", *step], check=False).returncode
        if status:
            return status
    print(f"Products: {results}/20240301; open report.html there.")
    return 0


def parse_arguments(parser: Parser, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse arguments; settings may stand before, between and after options."""
    args, rest = parser.parse_known_args(arguments)
    options = [word for word in rest if word.startswith("-")]
    if options or (rest and not hasattr(args, "settings")):
        parser.error(f"unknown {'option' if options else 'argument'} {(options or rest)[0]!r}")
    if rest:
        args.settings = [*args.settings, *rest]
    return args


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a subcommand."""
    parser = make_parser()
    args = parse_arguments(parser, arguments)
    if args.version:
        from nightcal.version import __version__

        parser.exit(0, f"nightcal {__version__}\n")
    if args.command is None:
        parser.print_help()
        sys.exit(2)
    try:
        sys.exit(args.act(args))
    except BrokenPipeError:  # the reader of the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except ConfigurationError as mistake:
        sys.exit(f"nightcal: {str(mistake).rstrip('.')}.")


if __name__ == "__main__":
    main()

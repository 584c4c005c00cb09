"""The command ``nightcal``: it says what Snakemake would do, and a mistake in one sentence."""

import os
import shutil
import subprocess
import sys

import pytest
import yaml
from helpers import REPOSITORY, digests, simulate_small_night
from nightcal.command import make_command, make_parser, parse_arguments, read_settings


def run(*arguments, cwd=REPOSITORY, path=REPOSITORY / "workflow"):
    environment = os.environ | {"PYTHONPATH": str(path)}
    command = [sys.executable, "-m", "nightcal.command", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def translate(*arguments):
    return make_command(parse_arguments(make_parser(), [*map(str, arguments)]))


def read_config(command):
    words = command[command.index("--config") + 1 :]
    return {key: yaml.load(value, Loader=yaml.BaseLoader) for key, value in (word.split("=", 1) for word in words)}


def test_settings_with_dots_become_groups():
    words = ["strict=true", "rejection.stack_sigma=4", "rejection.floor=no", "photometry.filters.V.band=V"]
    assert read_settings([*words, "library=[a, b]", "dark={scaling: exact}", "raw=a=b"]) == {
        "strict": "true",
        "rejection": {"stack_sigma": "4", "floor": "no"},
        "photometry": {"filters": {"V": {"band": "V"}}},
        "library": ["a", "b"],
        "dark": {"scaling": "exact"},
        "raw": "a=b",
    }


def test_a_run_is_a_run_of_snakemake_with_the_same_settings(tmp_path):
    command = translate("run", tmp_path, "strict=true", "--cores", 3, "bias.max_age_days=2", "--results", "out", "-n")
    assert command[1:5] == ["-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    assert command[command.index("--cores") + 1] == "3"
    assert "--dry-run" in command
    expected = {"raw": str(tmp_path), "results": "out", "strict": "true", "bias": {"max_age_days": "2"}}
    assert read_config(command) == expected


@pytest.mark.parametrize("name", ["with blank", "a: b", "[x", "#1", "007", "it's", "~", "null"])
def test_any_folder_arrives_unchanged(tmp_path, name):
    (tmp_path / name).mkdir()
    assert read_config(translate("run", tmp_path / name))["raw"] == str(tmp_path / name)


def test_stars_are_fetched_from_refcat_unless_another_source_is_given(tmp_path):
    assert read_config(translate("fetch-stars", tmp_path))["catalog"] == {"download": "refcat2"}
    other = translate("fetch-stars", tmp_path, "catalog.download=gaia", "catalog.faintest=17")
    assert read_config(other)["catalog"] == {"download": "gaia", "faintest": "17"}


MISTAKES = {
    "no folder": (["run", "nowhere"], "'nowhere' is not a folder; expected the folder of the raw frames."),
    "no raw": (["run"], "the following arguments are required: RAW"),
    "blank in a path": (
        ["run", ".", "frames"],
        "'frames' is not a setting; expected key=value (put a path",
    ),
    "key": (["run", ".", "a b=1"], "'a b=1' is not a setting"),
    "empty key": (["run", ".", "=1"], "'=1' is not a setting"),
    "twice": (["run", ".", "strict=true", "strict=no"], "strict is set twice; expected one value."),
    "twice in a group": (["run", ".", "dark.hot=1", "dark.hot=2"], "dark.hot is set twice"),
    "group and key": (["run", ".", "dark=1", "dark.hot=2"], "dark.hot is set, and so is dark as a whole"),
    "brace": (["run", ".", "dark={hot: 3"], "dark is '{hot: 3', which has a bracket or a quote too many or too few."),
    "cores": (["run", ".", "--cores", "many"], "'many' is not a number of cores; expected 1, 2, ... or all"),
    "no cores": (["run", ".", "--cores", "0"], "'0' is not a number of cores"),
    "profile": (["run", ".", "--profile", "pbs"], "there is no profile 'pbs'; expected default, slurm, or a folder"),
    "settings file": (
        ["run", ".", "--settings-file", "x.yaml"],
        "'x.yaml' does not exist; expected a file",
    ),
    "option": (["run", ".", "--jobs", "3"], "unknown option '--jobs'"),
    "command": (["reduce", "."], "argument COMMAND: invalid choice: 'reduce'"),
    "no frame": (["check"], "the following arguments are required: FRAME"),
    "no camera": (["check", "--camera", "mine", "x.fits"], "configuration: camera is 'mine'; expected auto, one of"),
    "no camera file": (["check", "--camera", "mine.yaml", "x.fits"], "mine.yaml: cannot be read"),
    "superfluous": (["init", "a", "b"], "unknown argument 'b'"),
    "init in a file": (["init", "setup.cfg"], "setup.cfg cannot be written"),
}


@pytest.mark.parametrize(("arguments", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_one_sentence_and_nothing_is_written(tmp_path, arguments, said):
    (tmp_path / "setup.cfg").touch()
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode not in (0, None)
    (line,) = done.stderr.splitlines()
    assert said in line
    assert [path.name for path in tmp_path.iterdir()] == ["setup.cfg"]


def test_a_wrong_setting_is_told_by_the_workflow(tmp_path):
    (tmp_path / "raw").mkdir()
    done = run("run", "raw", "gain=measure", cwd=tmp_path)
    assert done.returncode != 0
    assert "configuration: gain is 'measure'; expected auto, header or measured" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_settings_that_are_written_are_those_of_the_workflow(tmp_path):
    done = run("init", "night", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = tmp_path / "night" / "nightcal.yaml"
    assert written.read_text() == (REPOSITORY / "config/config.yaml").read_text()
    again = run("init", "night", cwd=tmp_path)
    assert again.stderr == "nightcal: night/nightcal.yaml exists; expected a folder without it.\n"


def test_a_broken_pipe_has_no_traceback(tmp_path):
    script = f"{sys.executable} -m nightcal.command check nowhere.fits | true"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "workflow")}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return simulate_small_night(tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The package from a wheel, in a folder that nobody may write to."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        if not name.startswith(("tests/", "docs/", "benchmarks/")) and (REPOSITORY / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, folder / "source" / name)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, folder / "source"], check=True)
    (wheel,) = folder.glob("nightcal-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    shutil.rmtree(folder / "source")
    for path in (folder / "site").rglob("*"):
        path.chmod(path.stat().st_mode & ~0o222)
    return folder / "site"


@pytest.mark.slow
def test_a_wheel_reduces_a_night_to_the_same_bytes(night, installed, tmp_path, snakemake):
    here = snakemake.reduced(night, tmp_path / "here", measured=True)
    done = run("run", night, "--results", "there", "--cores", 2, cwd=tmp_path, path=installed)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Night 20240301: " in done.stderr
    assert digests(tmp_path / "there") == digests(here)
    planned = run("plan", night, "--results", "there", cwd=tmp_path, path=installed)
    assert "for science frames" in planned.stdout
    assert "rule plan" not in planned.stderr
    missing = run("missing", night, "--results", "there", cwd=tmp_path, path=installed)
    assert missing.stdout.startswith("20240301: ")

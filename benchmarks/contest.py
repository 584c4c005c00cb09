"""Run one case: all programs in turn, in several rounds; then compare their results."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

from benchmarks.cases import Case, Workplace
from benchmarks.jobs import Job
from benchmarks.limits import find_limit
from benchmarks.measure import ONE_THREAD, ChildFailedError, Sample, run, warm_page_cache
from benchmarks.peers import another_nightcal, with_nightcal

REPOSITORY = with_nightcal.REPOSITORY
NIGHTCAL = ("with_nightcal", "another_nightcal")
SURROUNDINGS = {**ONE_THREAD, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@dataclass(slots=True)
class Contender:
    """One row of the table, filled while the case runs."""

    label: str
    peer: str
    job: Job
    reason: str = ""  # why it was not run, or what went wrong
    whole: list[Sample] = field(default_factory=list)
    inside: list[Sample] = field(default_factory=list)
    difference: dict[str, float] = field(default_factory=dict)
    agrees: bool | None = None

    @property
    def module(self) -> ModuleType:
        """Module of the program."""
        return import_module(f"benchmarks.peers.{self.peer}")


def hold(name: str, case: Case, place: Workplace, repeat: int, peers: list[str]) -> list[Contender]:
    """Run a case.

    Parameters
    ----------
    name : str
    case : Case
    place : Workplace
    repeat : int
        Rounds; in each round every contender runs once.
    peers : list of str
        Modules to take part; empty for all.

    Returns
    -------
    list of Contender
        Programs that could not run have a reason.
    """
    job, warm_up = place.prepared(case)
    folder = place.work / "runs" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    contenders = _contenders(case, job, peers)
    warm_page_cache([file for path in map(Path, job.frames) for file in ([path] if path.is_file() else path.iterdir())])
    warm_path = warm_up.save(folder / "warm_up.json")
    for turn in range(repeat):
        for number, contender in enumerate(contenders):
            if contender.reason:
                continue
            print(f"{name}: round {turn + 1} of {repeat}: {contender.label}", file=sys.stderr)
            try:
                _run_once(contender, folder / str(number), warm_path)
            except ChildFailedError as failure:
                contender.reason = f"failed: {failure}"
                print(failure, file=sys.stderr)
    _judge(contenders, folder)
    return contenders


def _contenders(case: Case, job: Job, peers: list[str]) -> list[Contender]:
    found = []
    own, *others = case.peers
    for peer in (own, *["another_nightcal"] * another_nightcal.wanted(), *others):
        module = import_module(f"benchmarks.peers.{peer}")
        reason = module.LACKS.get(case.task, "") or module.missing()
        if peers and peer not in (*peers, *NIGHTCAL):
            reason = "not selected"
        for cores in case.cores if peer in NIGHTCAL else (1,):
            label = module.NAME + (f", {cores} core{'s' * (cores > 1)}" if case.task == "night" else "")
            found.append(Contender(label, peer, replace(job, cores=cores), reason))
    return found


def _run_once(contender: Contender, stem: Path, warm_up: Path) -> None:
    """Time a whole process and, if the program has one, the same job in a warm process."""
    module, result, log = contender.module, _result(contender, stem), stem.with_suffix(".log")
    saved = contender.job.save(stem.with_suffix(".json"))
    if hasattr(module, "command") and contender.job.task not in getattr(module, "IN_CHILD", ()):
        command = module.command(contender.job, result)
    else:
        command = [sys.executable, "-m", "benchmarks.child", contender.peer, str(saved), str(result)]
    if result.is_dir():
        shutil.rmtree(result)
    folder = another_nightcal.repository() if module is another_nightcal else REPOSITORY
    surroundings = {**SURROUNDINGS, "PYTHONPATH": str(folder / "workflow")}
    contender.whole.append(run(command, log, folder, surroundings))
    if hasattr(module, "inside"):
        contender.inside.append(Sample(module.inside(log), float("nan")))
    elif hasattr(module, contender.job.task):
        log = stem.with_suffix(".inside.log")
        command = [sys.executable, "-m", "benchmarks.child", contender.peer, str(saved), "--inside", str(warm_up)]
        run(command, log, REPOSITORY, SURROUNDINGS)
        _, wall, cpu = next(line for line in log.read_text().splitlines() if line.startswith("inside ")).split()
        contender.inside.append(Sample(float(wall), float(cpu)))


def _result(contender: Contender, stem: Path) -> Path:
    return stem if contender.job.task == "night" else stem.with_suffix(".fits")


def _judge(contenders: list[Contender], folder: Path) -> None:
    """Compare all results with those of nightcal."""
    own = contenders[0]
    if own.reason:
        return
    references = {"default": _result(own, folder / "0"), "same clipping": folder / "reference.fits"}
    if any(find_limit(c.job.task, c.peer).reference == "same clipping" for c in contenders):
        command = with_nightcal.reference_command(own.job, references["same clipping"])
        run(command, folder / "reference.log", REPOSITORY)
    for number, contender in enumerate(contenders):
        limit = find_limit(contender.job.task, contender.peer)
        result, reference = _result(contender, folder / str(number)), references[limit.reference]
        if contender.reason or result == reference:
            continue
        log = folder / f"agreement_{number}.log"
        words = [contender.job.task, contender.peer, str(result), str(reference)]
        run([sys.executable, "-m", "benchmarks.agreement", *words], log, REPOSITORY)
        difference = json.loads(log.read_text().splitlines()[-1])
        contender.difference = difference
        contender.agrees = (
            abs(difference["median"]) <= limit.median
            and difference[limit.statistic] <= limit.most
            and abs(difference["scale"] - 1) <= limit.scale
        )


def as_record(case: Case, contenders: list[Contender], small: bool) -> dict:
    """Return the measurements as plain data for a JSON file."""
    rows = []
    for contender in contenders:
        limit = find_limit(case.task, contender.peer)
        rows.append(
            {
                "label": contender.label,
                "peer": contender.peer,
                "reason": contender.reason,
                "whole": [asdict(sample) for sample in contender.whole],
                "inside": [asdict(sample) for sample in contender.inside],
                "difference": contender.difference,
                "limit": asdict(limit),
                "agrees": contender.agrees,
            }
        )
    return {"what": case.what + ", shrunk for a quick try" * small, "rows": rows}

"""Judge a master by its own frames, and by comparison with the last accepted one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from nightcal.io.master_maps import MasterMaps
from nightcal.io.verdict import Check, Outcome, Verdict
from nightcal.masters.checks import compare_masters
from nightcal.masters.compare_maps import are_alike
from nightcal.masters.fringe_agreement import SIGNIFICANT, Agreement
from nightcal.masters.trends import list_numbers

ACCEPT, REJECT = "accept", "reject"
"""First words of what the observer says of a master."""


RESIDUALS = {"RESNOIS": "noise of the residuals", "RESHALF": "noise between halves of the set"}
"""What is left of the frames once the master is taken off, by the root of the keyword."""

OTHER_NOISE = 0.05
"""Departure of such a noise from what is promised that is told."""

DOUBTFUL_NOISE = 1.5
"""Noise over what is promised that makes a master doubtful: its error bars are too small by as much."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier master of the same kind, and the verdict on it; None if nobody judged it."""

    maps: MasterMaps
    verdict: Verdict | None

    @property
    def outcome(self) -> Outcome:
        """The outcome; a master that nobody judged is accepted."""
        return Outcome.ACCEPTED if self.verdict is None else self.verdict.outcome

    @property
    def name(self) -> str:
        """Name and night."""
        return f"{self.maps.facts['NAME']} of {self.maps.facts.get('NIGHT', 'an unknown night')}"


def judge(maps: MasterMaps, earlier: Sequence[Earlier] = (), by_hand: str = "") -> Verdict:
    """Reach a verdict on a master.

    Parameters
    ----------
    maps : MasterMaps
        Summary of the master.
    earlier : sequence of Earlier
        Up to a few masters of its kind that are earlier in observing time, the latest first.
    by_hand : str
        What the observer says, beginning with ``accept`` or ``reject``; it decides, unless the master is empty. Empty
        if he says nothing.

    Returns
    -------
    Verdict

    Notes
    -----
    A master is compared with the last accepted one, or with a doubtful one if there is none. One that departs from it
    but agrees with a later one that was rejected or doubtful is doubtful, not rejected: then the instrument has
    changed, and every night would be rejected for ever.
    """
    own = [_check_itself(maps), *_check_residuals(maps), *_check_halves(maps)]
    reference = _choose_reference(maps, earlier)
    compared: list[Check] = []
    if reference is not None and own[0].outcome is not Outcome.REJECTED:
        compared = _compare(maps, reference, earlier)
    outcome, why = _find_worst(own, compared, reference)
    if by_hand and "EMPTY" not in maps.facts:
        outcome, why = _obey(by_hand, why)
    return Verdict(
        master=str(maps.facts["NAME"]),
        night=str(maps.facts.get("NIGHT", "")),
        kind=str(maps.facts.get("MASTER", "")),
        outcome=outcome,
        why=why,
        compared_with="" if reference is None else reference.name,
        checks=(*own, *compared),
        numbers=list_numbers(maps),
    )


def _check_itself(maps: MasterMaps) -> Check:
    """Repeat what the master's own frames tell of it."""
    facts = maps.facts
    if "EMPTY" in facts:
        return Check("own frames", outcome=Outcome.REJECTED, text=f"empty: {facts['EMPTY']}")
    outcome = Outcome.parse(str(facts.get("OWNVERD", Outcome.ACCEPTED.word)))
    return Check("own frames", outcome=outcome, text=str(facts.get("OWNWHY", "")))


def _check_residuals(maps: MasterMaps) -> list[Check]:
    """Compare what is left of its frames with their noise; gain and read noise may be of the same frames."""
    if "EMPTY" in maps.facts:
        return []
    measured = str(maps.facts.get("GAINSRC", "")).startswith("measured")
    where = ", which were measured in frames of this night" if measured else ""
    checks = []
    for keyword, name in RESIDUALS.items():
        for amplifier in count(1):
            ratio = maps.find_number(f"{keyword}{amplifier}")
            if ratio is None:
                break
            text = f"{name} {ratio:.2f} times what gain and read noise promise{where}"
            if amplifier > 1 or maps.find_number(f"{keyword}2") is not None:
                text = f"amplifier {amplifier}: {text}"
            outcome = Outcome.DOUBTFUL if ratio > DOUBTFUL_NOISE else Outcome.ACCEPTED
            checks.append(Check(name, ratio, 1 + OTHER_NOISE, outcome, text if abs(ratio - 1) > OTHER_NOISE else ""))
    return checks


def _check_halves(maps: MasterMaps) -> list[Check]:
    """Repeat how much of a fringe frame its odd and even frames share; other masters have no such check."""
    significance, rms = maps.find_number("FRNGSIG"), maps.find_number("FRNGRMS")
    if significance is None or rms is None:
        return []
    there = not Agreement(rms, significance, float("nan")).why_not
    text = f"odd and even frames share a pattern of {100 * rms:.2f} percent of the sky ({significance:.0f} sigma)"
    outcome = Outcome.ACCEPTED if there else Outcome.REJECTED
    return [Check("odd and even frames", significance, SIGNIFICANT, outcome, text if there else "")]


def _choose_reference(maps: MasterMaps, earlier: Sequence[Earlier]) -> Earlier | None:
    """Choose the last accepted master; a doubtful one if none is accepted."""
    usable = [one for one in earlier if "EMPTY" not in one.maps.facts and are_alike(maps, one.maps)]
    ranked = sorted((one for one in usable if one.outcome is not Outcome.REJECTED), key=lambda one: one.outcome)
    return ranked[0] if ranked else None


def _compare(maps: MasterMaps, reference: Earlier, earlier: Sequence[Earlier]) -> list[Check]:
    """Compare with the reference; a departure that a later master shares makes doubtful at most."""
    checks = compare_masters(maps, reference.maps)
    if max(check.outcome for check in checks) is not Outcome.REJECTED:
        return checks
    for other in earlier:
        if other is reference:
            break
        usable = "EMPTY" not in other.maps.facts and are_alike(maps, other.maps)
        if usable and max(check.outcome for check in compare_masters(maps, other.maps)) is Outcome.ACCEPTED:
            text = f"agrees with {other.name}, which departs as much: the instrument changed, or the fault stays"
            return [*(_soften(check) for check in checks), Check("lasting change", outcome=Outcome.DOUBTFUL, text=text)]
    return checks


def _soften(check: Check) -> Check:
    outcome = min(check.outcome, Outcome.DOUBTFUL)
    return Check(check.name, check.value, check.limit, outcome, check.text)


def _find_worst(own: Sequence[Check], compared: Sequence[Check], reference: Earlier | None) -> tuple[Outcome, str]:
    """Find the outcome, and the sentence of the checks that decide."""
    checks = [*own, *compared]
    outcome = max(check.outcome for check in checks)
    if outcome > Outcome.ACCEPTED:
        texts = [check.text for check in checks if check.outcome is outcome and check.text]
        by_comparison = reference is not None and any(check.outcome is outcome for check in compared)
        return outcome, "; ".join(texts) + (f" (against {reference.name})" if by_comparison and reference else "")
    first = "nothing to compare with: no earlier one of its kind is accepted"
    remarks = [check.text for check in checks if check.text]
    return outcome, "; ".join([first if reference is None else f"agrees with {reference.name}", *remarks])


def _obey(by_hand: str, why: str) -> tuple[Outcome, str]:
    """Let the observer decide; the sentence keeps what the checks found."""
    outcome = Outcome.REJECTED if by_hand.startswith(REJECT) else Outcome.ACCEPTED
    return outcome, f"{by_hand}; by itself: {why}"

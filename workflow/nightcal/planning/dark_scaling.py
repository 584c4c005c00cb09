"""Which darks may serve a frame of which exposure, and by how much that multiplies their noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SAME_EXPOSURE = 0.01
"""Relative difference up to which two exposures count as equal."""

Span = tuple[float, float]
"""Shortest and longest exposure of some frames [s]."""


@dataclass(frozen=True, slots=True)
class DarkPolicy:
    """What an observer allows darks to be used for.

    Attributes
    ----------
    scaling : str
        ``exact``: a dark serves frames of its own exposure; ``down``: also shorter ones; ``up``: also longer ones;
        ``bias_only``: none.
    largest_factor : float or None
        With ``up``: by how much a dark may be scaled up; None for any factor.
    otherwise : str
        ``skip`` the step of a frame that no dark may serve, or ``refuse`` the frame.
    unscalable : frozenset of str
        Names of the cameras whose amplifiers glow: their darks serve frames of equal exposure only.
    """

    scaling: str = "up"
    largest_factor: float | None = 2.0
    otherwise: str = "skip"
    unscalable: frozenset[str] = frozenset()

    def scaling_of(self, camera: str) -> str:
        """How the darks of a camera may be scaled."""
        return "exact" if camera in self.unscalable and self.scaling != "bias_only" else self.scaling

    def allows(self, camera: str, darks: Span, frames: Span) -> bool:
        """Whether darks of some exposures may serve frames of others.

        Parameters
        ----------
        camera : str
        darks, frames : (float, float)
            Shortest and longest exposure [s].

        Returns
        -------
        bool
        """
        scaling, factor = self.scaling_of(camera), amplification(darks, frames)
        if scaling == "up":
            return self.largest_factor is None or factor <= self.largest_factor * (1 + SAME_EXPOSURE)
        return factor == 1 if scaling == "down" else scaling == "exact" and equal(darks, frames)

    def refusal(self, camera: str, darks: Sequence[Span], frames: Span) -> str:
        """Why none of some darks may serve frames, in words; parameters as for `allows`."""
        scaling, longest = self.scaling_of(camera), max(span[1] for span in darks)
        if scaling == "exact":
            glow = " and amplifier glow does not scale" if camera in self.unscalable else ""
            there = ", ".join(sorted({in_words(span) for span in darks}))
            return f"no dark of {in_words(frames)} (there are those of {there}){glow}"
        if scaling == "down":
            return f"no dark of {frames[1]:g} s or longer (the longest has {longest:g} s)"
        return (
            f"no dark for {in_words(frames)}: the longest of {longest:g} s would be scaled up "
            f"{amplification((longest, longest), frames):.3g} times, the limit is {self.largest_factor:g}"
        )


def same_exposure(one: float, other: float) -> bool:
    """Whether two exposures [s] differ by no more than 1 percent of the longer."""
    return abs(one - other) <= SAME_EXPOSURE * max(one, other)


def equal(darks: Span, frames: Span) -> bool:
    """Whether all darks and all frames have one exposure."""
    return same_exposure(min(darks[0], frames[0]), max(darks[1], frames[1]))


def amplification(darks: Span, frames: Span) -> float:
    """By how much the noise of darks is multiplied for the longest frame.

    Parameters
    ----------
    darks, frames : (float, float)
        Shortest and longest exposure [s].

    Returns
    -------
    float
        1 where the longest dark is at least as long, to 1 percent. Not the mean but the longest dark counts: a night
        with short darks besides long ones has no worse a dark than one with the long ones only.
    """
    if frames[1] <= darks[1] or same_exposure(frames[1], darks[1]):
        return 1.0
    return frames[1] / darks[1] if darks[1] > 0 else float("inf")


def in_words(span: Span) -> str:
    """Exposures as ``80 s`` or ``10 to 30 s``."""
    return f"{span[0]:g} s" if same_exposure(*span) else f"{span[0]:g} to {span[1]:g} s"


def use_in_words(darks: Span, frames: Span) -> str:
    """Tell what a dark of some exposures is to frames of others, as ``80 s scaled up 2 times``."""
    factor = amplification(darks, frames)
    if factor > 1:
        return f"{in_words(darks)} scaled up {factor:.2g} times"
    return "of the same exposure" if equal(darks, frames) else f"{in_words(darks)} scaled down"

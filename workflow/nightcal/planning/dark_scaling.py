"""Which darks may be used for which exposure times, and how much scaling them amplifies their noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SAME_EXPOSURE = 0.01
"""Relative difference up to which two exposure times count as equal."""

Span = tuple[float, float]
"""Shortest and longest exposure time of some frames [s]."""


@dataclass(frozen=True, slots=True)
class DarkPolicy:
    """How darks may be used.

    Attributes
    ----------
    scaling : str
        A dark may be used for frames of the same exposure time (``exact``), also for shorter ones (``down``), also for
        longer ones (``up``), or not at all (``bias_only``).
    largest_factor : float or None
        With ``up``: largest factor by which a dark may be scaled up; None for any.
    otherwise : str
        For a frame without a permitted dark: ``skip`` the step or ``reject`` the frame.
    unscalable : frozenset of str
        Cameras with amplifier glow: their darks are used for the same exposure time only.
    """

    scaling: str = "up"
    largest_factor: float | None = 2.0
    otherwise: str = "skip"
    unscalable: frozenset[str] = frozenset()

    def find_scaling(self, camera: str) -> str:
        """Find how the darks of a camera may be scaled."""
        return "exact" if camera in self.unscalable and self.scaling != "bias_only" else self.scaling

    def allows(self, camera: str, darks: Span, frames: Span, pedestal: float = 0.0, any_factor: bool = False) -> bool:
        """Check whether darks may be used for frames.

        Parameters
        ----------
        camera : str
        darks, frames : (float, float)
            Shortest and longest exposure time [s].
        pedestal : float
            Exposure time of the darks that serve as bias [s]; 0 for bias frames. Frames of this exposure time need no
            scaling either.
        any_factor : bool
            Whether darks may be scaled up by any factor, if by any: the job of a flat finds out whether it is worth it.

        Returns
        -------
        bool
        """
        scaling, factor = self.find_scaling(camera), amplification(darks, frames, pedestal)
        if scaling == "up":
            return any_factor or self.largest_factor is None or factor <= self.largest_factor * (1 + SAME_EXPOSURE)
        if scaling == "down":
            return factor == 1
        is_zero = pedestal > 0 and are_equal((pedestal, pedestal), frames)
        return scaling == "exact" and (is_zero or are_equal(darks, frames))

    def explain_rejection(self, camera: str, darks: Sequence[Span], frames: Span, pedestal: float = 0.0) -> str:
        """Explain why none of the darks may be used; parameters as for `allows`."""
        scaling, longest = self.find_scaling(camera), max(span[1] for span in darks)
        if scaling == "exact":
            glow = "; amplifier glow does not scale" if camera in self.unscalable else ""
            available = ", ".join(sorted({describe_span(span) for span in darks}))
            return f"no dark of {describe_span(frames)} (available: {available}){glow}"
        if scaling == "down":
            return f"no dark of {frames[1]:g} s or longer (longest: {longest:g} s)"
        factor = amplification((longest, longest), frames, pedestal)
        return (
            f"no dark for {describe_span(frames)}: the longest ({longest:g} s) would be scaled up {factor:.3g} times "
            f"(limit {self.largest_factor:g})"
        )


def same_exposure(first: float, second: float) -> bool:
    """Check whether two exposure times [s] differ by at most 1 percent of the longer."""
    return abs(first - second) <= SAME_EXPOSURE * max(first, second)


def are_equal(darks: Span, frames: Span) -> bool:
    """Check whether all darks and all frames have the same exposure time."""
    return same_exposure(min(darks[0], frames[0]), max(darks[1], frames[1]))


def amplification(darks: Span, frames: Span, pedestal: float = 0.0) -> float:
    """Compute the factor by which the noise of darks is amplified in the longest frame.

    Parameters
    ----------
    darks, frames : (float, float)
        Shortest and longest exposure time [s].
    pedestal : float
        Exposure time of the darks that serve as bias [s]; 0 for bias frames. Exposure times are counted from it, and
        the frame farthest from it matters.

    Returns
    -------
    float
        1 if the longest dark is at least as long as the frame, to 1 percent. The longest dark counts, not the mean:
        adding short darks to long ones does not make the master worse.
    """
    time, longest = max(frames[1] - pedestal, pedestal - frames[0]), darks[1] - pedestal
    if time <= longest or same_exposure(pedestal + time, darks[1]):
        return 1.0
    return time / longest if longest > 0 else float("inf")


def describe_span(span: Span) -> str:
    """Write exposure times as ``80 s`` or ``10 to 30 s``."""
    return f"{span[0]:g} s" if same_exposure(*span) else f"{span[0]:g} to {span[1]:g} s"


def describe_use(darks: Span, frames: Span, pedestal: float = 0.0) -> str:
    """Describe how a dark is scaled to frames, as in ``80 s scaled up 2 times``."""
    factor = amplification(darks, frames, pedestal)
    if factor > 1:
        return f"{describe_span(darks)} scaled up {factor:.2g} times"
    if frames[0] < pedestal and not same_exposure(frames[0], pedestal):
        return f"{describe_span(darks)} extrapolated to less than the {pedestal:g} s of the bias"
    if pedestal > 0 and are_equal((pedestal, pedestal), frames):
        return f"same exposure time as the {pedestal:g} s of the bias"
    return "same exposure time" if are_equal(darks, frames) else f"{describe_span(darks)} scaled down"

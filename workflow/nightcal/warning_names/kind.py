"""What a kind of warning is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WarningName:
    """A kind of warning: what it means, and what an observer can do.

    Attributes
    ----------
    name, meaning, remedy : str
    is_handled : bool
        Whether nothing is wrong with the products, since nightcal has done what was needed.
    """

    name: str
    meaning: str
    remedy: str
    is_handled: bool = False

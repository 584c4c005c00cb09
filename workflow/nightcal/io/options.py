"""Options of a step: default, meaning and limits of each key, for the configuration, its schema and the manual."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, Self

from nightcal.errors import ConfigurationError
from nightcal.io.keyword import Keyword

TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", tuple: "array"}


def option(
    default: Any,
    meaning: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    choices: Sequence[Any] = (),
    schema: Mapping[str, Any] | None = None,
    advice: str = "",
) -> Any:
    """Declare one key of `Options`.

    Parameters
    ----------
    default : bool, int, float, str, tuple or dict
        Its type is the type of the option.
    meaning : str
        A short phrase for ``config.yaml`` and the manual.
    unit : str
        In the plural, as in "pixels".
    minimum, above, maximum : float, optional
        Limits; ``above`` itself is not allowed.
    choices : sequence
        Allowed values, if there are only a few.
    schema : mapping, optional
        JSON schema of the value, if the above does not suffice.
    advice : str
        When to change it, for the manual.

    Returns
    -------
    dataclasses.Field
    """
    limits = {"minimum": minimum, "exclusiveMinimum": above, "maximum": maximum}
    made: dict[str, Any] = {key: value for key, value in limits.items() if value is not None}
    made |= {"enum": list(choices)} if choices else {"type": TYPES.get(type(default), "object")}
    made["description"] = _expected(default, unit, minimum, above, maximum, choices)
    meaning = f"{meaning} [{unit}]" if unit else meaning
    metadata = {"meaning": meaning, "advice": advice, "schema": dict(schema or made)}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def _expected(
    default: Any,
    unit: str,
    minimum: float | None,
    above: float | None,
    maximum: float | None,
    choices: Sequence[Any],
) -> str:
    """Complete the sentence "expected ..."."""
    if choices:
        *most, last = map(str, choices)
        return f"{', '.join(most)} or {last}"
    if isinstance(default, bool):
        return "true or false"
    noun = unit or ("a whole number" if isinstance(default, int) else "a number")
    if above is not None:
        return f"{noun} above {above:g}" + ("" if maximum is None else f" and up to {maximum:g}")
    if minimum is not None:
        return f"{noun} of {minimum:g} or more" if maximum is None else f"{noun} from {minimum:g} to {maximum:g}"
    return noun


@dataclass(frozen=True)
class Options:
    """Options of one step, checked when they are made; subclasses are frozen dataclasses of `option`.

    Raises
    ------
    ConfigurationError
        If a value is wrong, with section, key, value and what was expected.
    """

    section: ClassVar[str]
    """Name of the step's section in the configuration."""

    disabled: ClassVar[str] = "skip this step"
    """What ``enabled: false`` means."""

    keywords: ClassVar[tuple[Keyword, ...]] = ()
    """Keywords that the step writes, unless `nightcal.io.keyword_registry` has them by its name."""

    def __post_init__(self) -> None:
        from nightcal.io.schema import find_mistake  # jsonschema takes 0.15 s to import

        values = {key.name: _plain(getattr(self, key.name)) for key in fields(self)}
        mistake = find_mistake({self.section: values}, {"properties": {self.section: self.schema()}})
        if mistake:
            raise ConfigurationError(mistake)

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """Write the JSON schema of the section, with ``enabled`` as its first key."""
        keys = {key.name: key.metadata["schema"] for key in fields(cls)}
        keys = {"enabled": {"type": "boolean", "description": "true or false"}} | keys
        *most, last = keys
        return {
            "type": "object",
            "description": f"{', '.join(most)} and {last}",
            "additionalProperties": False,
            "properties": keys,
        }

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """List the default of each key, as YAML has it."""
        return {
            key.name: _plain(key.default if key.default_factory is MISSING else key.default_factory())
            for key in fields(cls)
        }

    @classmethod
    def read(cls, section: Mapping[str, Any]) -> Self:
        """Read options from a section of the configuration; a key that is missing keeps its default.

        Raises
        ------
        ConfigurationError
            If a key or a value is wrong.
        """
        if not isinstance(section, Mapping):
            raise ConfigurationError(f"{cls.section} is {section!r}; expected its options by name.")
        known = [key.name for key in fields(cls)]
        if unknown := sorted(set(section) - set(known)):
            raise ConfigurationError(f"{cls.section}.{unknown[0]} is not a known key; expected {', '.join(known)}.")
        defaults = cls.defaults()
        return cls(**{key: _like(defaults[key], value) for key, value in section.items()})

    @classmethod
    def select(cls, section: Mapping[str, Any], filters: Collection[str]) -> dict[str, Any]:
        """Keep of a section what concerns frames taken in some filters: all of it, unless a subclass knows better."""
        return dict(section)

    def for_filter(self, name: str) -> Self:
        """Keep what concerns a frame taken in one filter: all of it, unless a subclass knows better."""
        return self


def _like(default: Any, value: Any) -> Any:
    """Give a value from YAML the type of the default, so that 5 and 5.0 are the same."""
    if isinstance(value, list):
        return tuple(float(item) if type(item) is int else item for item in value)
    return float(value) if isinstance(default, float) and type(value) is int else value


def _plain(value: Any) -> Any:
    """Write a value as YAML has it."""
    if is_dataclass(value):
        return {key.name: _plain(getattr(value, key.name)) for key in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value

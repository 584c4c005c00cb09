"""Check configuration and camera files against their schemas, with messages that an observer can act on."""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from nightcal.errors import ConfigurationError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times faster if PyYAML was built with libyaml."""


class _Loader(LOADER):  # type: ignore[valid-type, misc]
    """Reject duplicate keys, of which PyYAML silently takes the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
        scalars = [key for key in keys if isinstance(key, yaml.ScalarNode)]
        for n, key in enumerate(scalars):
            if (key.tag, key.value) in ((other.tag, other.value) for other in scalars[:n]):
                text = f"duplicate key: {key.value}"
                raise yaml.constructor.ConstructorError(None, None, text, key.start_mark)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    ConfigurationError
        If the file is missing, unreadable or not YAML; with the line if known.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error


def check(document: Any, schema: Mapping[str, Any], where: str) -> None:
    """Compare a document with its JSON schema.

    Parameters
    ----------
    document : object
        As read from YAML.
    schema : mapping
        A JSON schema whose ``description`` of each value completes the sentence "expected ..."; ``x-renamed`` maps keys
        or values of earlier versions to their new names.
    where : str
        File name for the message.

    Raises
    ------
    ConfigurationError
        With the key, the value and what was expected, for the first mistake.
    """
    if mistake := find_mistake(document, schema):
        raise ConfigurationError(f"{where}: {mistake}")


def find_mistake(document: Any, schema: Mapping[str, Any]) -> str:
    """Describe the first mistake in a document in one sentence; empty if there is none.

    Parameters
    ----------
    document, schema
        As for `check`.

    Returns
    -------
    str
    """
    mistakes = sorted(
        jsonschema.Draft202012Validator(schema).iter_errors(_spell_out(document)),
        key=lambda e: list(map(str, e.path)),
    )
    return _make_sentence(mistakes[0]) if mistakes else ""


def _spell_out(document: Any) -> Any:
    """Replace NaN and infinity by text, since the bounds of a schema do not exclude them."""
    if isinstance(document, Mapping):
        return {key: _spell_out(value) for key, value in document.items()}
    if isinstance(document, list):
        return [_spell_out(value) for value in document]
    return _NotFinite(document) if isinstance(document, float) and not math.isfinite(document) else document


class _NotFinite(str):
    """Text of a number that is not finite, shown without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _quote(value: Any) -> str:
    """Write a value as in YAML, text in quotes."""
    return "empty" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def _make_sentence(mistake: jsonschema.ValidationError) -> str:
    key = ".".join(map(str, mistake.absolute_path))
    instance: Any = mistake.instance
    schema: Any = mistake.schema
    if mistake.validator == "additionalProperties":
        known = list(schema.get("properties", {}))
        unknown = sorted(set(instance) - set(known), key=str)[0]
        if renamed := schema.get("x-renamed", {}).get(unknown):
            return f"{key + '.' if key else ''}{unknown} is now called {renamed}."
        near = get_close_matches(str(unknown), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}."
        return f"{key + '.' if key else ''}{unknown} is not a known key; {hint}"
    if mistake.validator == "required":
        missing = sorted(set(schema["required"]) - set(instance))[0]
        return f"{key + '.' if key else ''}{missing} is missing."
    start = f"{key or 'the file'} is {_quote(instance)}"
    if isinstance(instance, str) and (renamed := schema.get("x-renamed", {}).get(instance)):
        return f"{start}; it is now called {renamed}."
    return f"{start}; expected {schema.get('description', mistake.message)}."

"""A mistake in a configuration or camera file is explained in one sentence: key, value, and what was expected."""

import copy

import pytest
import yaml
from helpers import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.config import read_config_schema
from nightcal.errors import ConfigurationError
from nightcal.io.schema import check, read_yaml

HOME = REPOSITORY
SCHEMA = read_config_schema(HOME)
SHIPPED = yaml.safe_load((HOME / "config/config.yaml").read_text())


def changed(path, value):
    document = copy.deepcopy(SHIPPED)
    *above, key = path.split(".")
    place = document
    for name in above:
        place = place[name]
    place[key] = value
    return document


def sentence_about(document):
    with pytest.raises(ConfigurationError) as caught:
        check(document, SCHEMA, "config.yaml")
    return str(caught.value)


@pytest.mark.parametrize("name", ["config", "camera"])
def test_schemas_use_only_words_of_json_schema(name):
    """A comma in an unquoted description would end it there, and leave the rest as an unknown word."""
    known = {
        "$schema",
        "$ref",
        "$defs",
        "title",
        "type",
        "description",
        "additionalProperties",
        "required",
        "x-renamed",
        "properties",
        "items",
        "enum",
        "oneOf",
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minLength",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "propertyNames",
    }

    def words(schema):
        for word, value in schema.items():
            yield word
            if word in ("properties", "$defs"):
                for inner in value.values():
                    yield from words(inner)
            for inner in value if word == "oneOf" else [value]:
                if word in ("oneOf", "items", "additionalProperties") and isinstance(inner, dict):
                    yield from words(inner)

    assert set(words(yaml.safe_load((HOME / f"workflow/schemas/{name}.schema.yaml").read_text()))) <= known


def test_the_shipped_configuration_is_right():
    check(SHIPPED, SCHEMA, "config.yaml")


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("rejection.stack_sigma", -3, "config.yaml: rejection.stack_sigma is -3; expected a number above 0."),
        ("rejection.stack_sigma", "3", "config.yaml: rejection.stack_sigma is '3'; expected a number above 0."),
        ("rejection.floor", "yes", "config.yaml: rejection.floor is 'yes'; expected true or false."),
        ("batch_size", 2.5, "config.yaml: batch_size is 2.5; expected a whole number above 0."),
        ("batch_size", True, "config.yaml: batch_size is true; expected a whole number above 0."),
        ("unit", "electrons", "config.yaml: unit is 'electrons'; expected electron or adu."),
        ("results", None, "config.yaml: results is empty; expected a folder."),
        ("dark.otherwise", "refuse", "config.yaml: dark.otherwise is 'refuse'; it is now called reject."),
        ("bias.too_old", "refuse", "config.yaml: bias.too_old is 'refuse'; it is now called reject."),
        ("raw", "", "config.yaml: raw is ''; expected a folder."),
        ("night", "2024-03-01", "config.yaml: night is '2024-03-01'; expected a night as in 20240301, or null."),
        ("library", ["here", 5], "config.yaml: library.1 is 5; expected a folder."),
        ("bias", None, "config.yaml: bias is empty; expected split_hours, age_days, max_age_days and too_old."),
        ("bias.too_old", "drop", "config.yaml: bias.too_old is 'drop'; expected use, skip or reject."),
        ("flat.max_age_days", -1, "config.yaml: flat.max_age_days is -1; expected days above 0, or null."),
        ("dark.split_hours", "6 h", "config.yaml: dark.split_hours is '6 h'; expected hours above 0, or null."),
        (
            "dark.temperature_tolerance",
            -2,
            "config.yaml: dark.temperature_tolerance is -2; expected degrees of 0 or more.",
        ),
    ],
)
def test_a_wrong_value_is_reported_with_key_value_and_expectation(path, value, sentence):
    assert sentence_about(changed(path, value)) == sentence


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("batchsize", "config.yaml: batchsize is not a known key; did you mean batch_size?"),
        (
            "dark.temperature_tolerence",
            "config.yaml: dark.temperature_tolerence is not a known key; did you mean temperature_tolerance?",
        ),
        ("rejection.stack_sigm", "config.yaml: rejection.stack_sigm is not a known key; did you mean stack_sigma?"),
        (
            "rejection.zzz",
            "config.yaml: rejection.zzz is not a known key; expected one of frame_sigma, stack_sigma, floor.",
        ),
    ],
)
def test_a_mistyped_key_is_reported_with_a_suggestion(path, sentence):
    assert sentence_about(changed(path, 1)) == sentence


@pytest.mark.parametrize("key", ["raw", "rejection", "flat"])
def test_a_missing_key_is_named(key):
    document = {name: value for name, value in SHIPPED.items() if name != key}
    assert sentence_about(document) == f"config.yaml: {key} is missing."


@pytest.mark.parametrize("document", [None, [], "text", 5])
def test_a_file_that_is_not_a_mapping_is_reported(document):
    shown = "empty" if document is None else repr(document)
    assert sentence_about(document) == f"config.yaml: the file is {shown}; expected the keys of config/config.yaml."


@pytest.mark.parametrize("path", ["rejection.stack_sigma", "bias.max_age_days"])
def test_nan_is_not_accepted_as_a_number(path):
    assert path in sentence_about(changed(path, float("nan")))


@settings(deadline=None, derandomize=True, database=None, max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    st.sampled_from(["raw", "night", "library", "rejection", "dark", "batch_size"]),
)
def test_any_yaml_is_accepted_or_reported_in_one_sentence(value, key):
    sentence = f"config.yaml: {key}."
    try:
        check(changed(key, value), SCHEMA, "config.yaml")
    except ConfigurationError as error:
        sentence = str(error)
    assert sentence.startswith(f"config.yaml: {key}")
    assert sentence.endswith((".", "?"))


def test_yaml_is_read(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [1, 2]\nb: é\n", encoding="utf-8")
    assert read_yaml(tmp_path / "a.yaml") == {"a": [1, 2], "b": "é"}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "a.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"a\.yaml: cannot be read"):
        read_yaml(path)


def test_a_syntax_error_is_reported_with_its_line(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("raw: here\nresults: [there\nnight: null\n")
    with pytest.raises(ConfigurationError, match=r"a\.yaml: not valid YAML: .*line 3") as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["gain: 1.5\nname: a\ngain: 1.8\n", "cards: {gain: A, gain: B}\n"])
def test_a_duplicate_key_is_reported(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"a\.yaml: not valid YAML: .*duplicate key: gain.*line [13]"):
        read_yaml(path)


@pytest.mark.parametrize("text", ["!!map 5\n", "a: !!map [1]\n", "? [1]\n: 2\n"])
def test_a_malformed_mapping_is_reported(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="not valid YAML"):
        read_yaml(path)


def test_yaml_cannot_make_python_objects(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(f"raw: !!python/object/apply:os.system ['touch {tmp_path / 'trace'}']\n")
    with pytest.raises(ConfigurationError, match="not valid YAML"):
        read_yaml(path)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [("rejection.level", "frame_sigma"), ("rejection.stack", "stack_sigma"), ("defects.level", "bias_sigma")],
)
def test_a_key_of_an_earlier_version_is_reported_with_its_new_name(old, new):
    assert sentence_about(changed(old, 1)) == f"config.yaml: {old} is now called {new}."

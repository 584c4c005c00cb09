"""The same frames give the same bytes, however they are named and on however many cores."""

import pytest

pytestmark = pytest.mark.slow


def test_a_relative_path_and_one_core_give_the_same_bytes_as_an_absolute_path_and_two(arcsat, arcsat_otherwise):
    assert len(arcsat.digests) == 19 + 12
    assert arcsat_otherwise.digests == arcsat.digests


def test_they_give_the_same_plan(arcsat, arcsat_otherwise):
    assert arcsat_otherwise.plan == arcsat.plan

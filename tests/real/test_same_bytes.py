"""The same frames give the same bytes, however they are named and on however many cores."""

import pytest

pytestmark = pytest.mark.slow


def test_a_relative_path_gives_the_same_bytes_as_an_absolute_one(arcsat, arcsat_by_relative_path):
    assert len(arcsat.digests) == 19
    assert arcsat_by_relative_path.digests == arcsat.digests


def test_a_relative_path_gives_the_same_plan(arcsat, arcsat_by_relative_path):
    assert arcsat_by_relative_path.plan == arcsat.plan


def test_one_core_gives_the_same_bytes_as_two(arcsat, arcsat_on_one_core):
    assert len(arcsat.digests) == 19
    assert arcsat_on_one_core.digests == arcsat.digests

"""The tables of verdicts and of numbers that are followed from night to night."""

import csv
import io

import numpy as np
from nightcal.io.master_maps import MasterMaps
from nightcal.io.verdict import Check, Outcome, Verdict
from nightcal.masters.trends import list_numbers, write_trend_table, write_verdict_table

NO_BLOCKS = np.zeros((0, 0), np.float32)
NO_LINE = np.zeros(0, np.float32)


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def maps(**facts):
    """Make the summary of a master that has a header and no pixels."""
    empty = NO_BLOCKS.astype(np.int8), NO_LINE, NO_LINE, NO_LINE.astype(np.int32)
    return MasterMaps(facts, NO_BLOCKS, NO_BLOCKS, *empty)


def test_numbers_are_named_and_those_of_further_amplifiers_are_numbered():
    numbers = list_numbers(maps(BIASLVL=300.5, RNMEAS1=4.0, RNMEAS2=5.0, RNERR2=0.1, MASTER="bias", NCOMBINE=12))
    assert numbers == {"level": 300.5, "read_noise": 4.0, "read_noise_2": 5.0, "frames": 12.0}


def test_each_master_has_one_row_of_numbers():
    verdicts = [
        Verdict("bias_x", "20240301", "bias", Outcome.ACCEPTED, "", numbers={"read_noise": 4.0, "read_noise_2": 5.0}),
        Verdict("dark_60", "20240301", "dark", Outcome.REJECTED, "leak", numbers={"dark_current": 0.0625}),
    ]
    bias, dark = read(write_trend_table(verdicts))
    assert (bias["master"], bias["read_noise"], bias["read_noise_2"], bias["dark_current"]) == ("bias_x", "4", "5", "")
    assert (dark["kind"], dark["verdict"], dark["dark_current"]) == ("dark", "rejected", "0.0625")


def test_each_check_has_a_row_in_the_table_of_verdicts():
    checks = (Check("level", 12.5, 5.0, Outcome.REJECTED, "level 12 e- higher"), Check("shape", 1.0, 5.0))
    verdict = Verdict("bias_x", "20240302", "bias", Outcome.REJECTED, "level", "bias_x of 20240301", checks)
    alone = Verdict("flat_V", "20240302", "flat", Outcome.ACCEPTED, "nothing to compare with\n")
    level, shape, flat = read(write_verdict_table([verdict, alone]))
    assert (level["check"], level["value"], level["limit"], level["outcome"]) == ("level", "12.5", "5", "rejected")
    assert (shape["verdict"], shape["outcome"], shape["compared_with"]) == (
        "rejected",
        "accepted",
        "bias_x of 20240301",
    )
    assert (flat["why"], flat["check"]) == ("nothing to compare with\\n", "")

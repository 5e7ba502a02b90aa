"""Digits follow the interval; timings become medians and rates with honest intervals."""

import numpy as np
import pandas as pd
import pytest

from reports.numbers import (
    column_decimals,
    common_decimals,
    decimals,
    fixed,
    in_full,
    listed,
    p_value,
    significant,
    written,
)
from reports.quantities import Quantity, latency, throughput


@pytest.mark.parametrize(
    ("half_width", "places"),
    [(0.022, 3), (0.0354, 3), (0.0356, 2), (0.05, 2), (0.95, 1), (1.2, 1), (4, 0), (12, 0), (120, -1), (400, -2)],
)
def test_decimals(half_width, places):
    assert decimals(half_width) == places


def test_written():
    assert written(0.69912, 0.6801, 0.7189) == ("0.699", "[0.680, 0.719]")
    assert written(16843.0, 16530.0, 17220.0) == ("16,840", "[16,530, 17,220]")
    assert written(-0.00004, -0.02, 0.02) == ("0.000", "[−0.020, 0.020]")
    assert written(None, None, None) == ("–", "")
    assert written(61.2543, None, None) == ("61.3", "")
    assert written(1.0, 1.0, 1.0) == ("1.00", "[1.00, 1.00]")
    assert written(0.0, 0.0, 0.0) == ("0.0", "[0.0, 0.0]")
    assert written(0.5, 0.4, 0.6, places=3) == ("0.500", "[0.400, 0.600]")


def test_no_rate_is_rounded_away_by_its_own_interval():
    """A stall of 20 s in one of eight batches was printed as 0 [0, 900] texts a second."""
    assert written(8.9, 0.0, 900.0) == ("9", "[0, 900]")
    assert written(79.3, 8.0, 912.0) == ("80", "[10, 910]")
    assert written(14.0, 0.0, 900.0) == ("14", "[0, 900]")
    assert written(0.0004, 0.0, 0.02, places=2) == ("0.0004", "[0.0000, 0.0200]")
    assert written(0.0004, None, None, places=2) == ("0.0004", "")
    assert written(0.004, 0.001, 0.011, places=2) == ("0.004", "[0.001, 0.011]")


@pytest.mark.parametrize(
    ("column", "places"),
    [
        ([(0.881, 0.802, 0.960), (0.0043, 0.00428, 0.00432)], 3),  # of two stories and words at random
        ([(0.498, 0.38, 0.61), (0.116, 0.0, 0.28), (0.0043, 0.00428, 0.00432)], 3),  # or 0.0043 were 0
        ([(0.0043, 0.00428, 0.00432)], 3),
        ([(25.31, 24.1, 26.4), (0.021, 0.0209, 0.0211)], 2),  # BLEU
        ([(108.82, 108.78, 108.86), (7.9, 7.8, 8.0)], 1),
        ([(51.1, 49.6, 52.6), (41.9, 40.8, 43.1), (1603.0, 1564.0, 1645.0)], 1),  # perplexity
        ([(16843.0, 16530.0, 17220.0), (2.5, 2.49, 2.51)], 1),  # or 2.5 were 2
        ([(16843.0, 16530.0, 17220.0)], -1),
        ([(0.0208, None, None), (0.0043, None, None)], 4),
    ],
)
def test_a_narrow_interval_does_not_give_a_column_more_decimals_than_suit_its_values(column, places):
    assert column_decimals(column) == places


def test_no_score_of_a_column_is_rounded_away():
    column = [(0.881, 0.802, 0.960), (0.0004, 0.00038, 0.00042)]
    places = column_decimals(column)
    assert places == 4
    assert [written(*row, places)[0] for row in column] == ["0.8810", "0.0004"]


def test_small_words():
    assert significant(0.020789) == "0.0208"
    assert significant(0) == "0"
    assert fixed(-0.0001, 2) == "0.00"
    assert fixed(-1.5, 1) == "−1.5"
    assert common_decimals([0.02, 0.02, 0.4, 0.0]) == 3
    assert common_decimals([]) is None
    assert listed([]) == ""
    assert listed("abc") == "a, b and c"
    assert p_value(0.0001) == "p < 0.001"


def timed(seconds, texts=1):
    return pd.DataFrame({"texts": [texts] * len(seconds), "seconds": seconds})


def test_latency_is_the_median_in_milliseconds():
    found = latency(timed([0.001 * n for n in range(1, 10)]))
    assert found.value == pytest.approx(5.0)
    assert (found.low, found.high) == (pytest.approx(2.0), pytest.approx(8.0))  # orders 2 and 8 of 9: 96.1 %


def test_latency_of_few_texts_has_no_interval():
    assert latency(timed([0.1] * 5)).low is None
    six = latency(timed([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    assert (six.low, six.high) == (pytest.approx(100), pytest.approx(600))
    assert latency(timed([])).reason.startswith("not run")


def test_latency_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(400):
        found = latency(timed(list(rng.exponential(1.0, 25))))
        hits += found.low <= 1000 * np.log(2) <= found.high
    assert hits / 400 >= 0.93


def test_throughput_is_texts_over_seconds():
    frame = pd.DataFrame({"texts": [10, 10, 5], "seconds": [1.0, 1.1, 0.4]})
    found = throughput(frame)
    assert found.value == pytest.approx(10.0)
    assert found.low < found.value < found.high
    assert throughput(frame[:2]).low is None
    assert throughput(frame[:0]).value is None


def test_the_interval_of_throughput_is_over_processes_where_there_are_several():
    """Calls within one share its luck: here each process is steady, and they differ by a tenth."""
    rows = [(10, seconds, process) for process, seconds in enumerate((0.9, 1.0, 1.1)) for _ in range(20)]
    frame = pd.DataFrame(rows, columns=["texts", "seconds", "process"])
    several, together = throughput(frame), throughput(frame.assign(process=0))
    assert several.value == together.value == pytest.approx(10.0)
    assert several.high - several.low > 5 * (together.high - together.low)
    assert several.low == pytest.approx(10.0 * np.exp(-4.302653 * np.log([1 / 0.9, 1, 1 / 1.1]).std(ddof=1) / 3**0.5))


def test_rates_of_words_need_records_that_tell_them():
    frame = pd.DataFrame({"texts": [10, 10], "seconds": [1.0, 1.0], "words": [80.0, 60.0], "tokens": [90.0, np.nan]})
    assert throughput(frame, "words").value == pytest.approx(70.0)
    silent = frame.assign(words=0.0)  # nobody wrote a word
    assert throughput(pd.concat([silent, silent]), "words") == Quantity(0.0, n=4)
    part = pd.concat([silent.assign(process=0), *(frame.assign(process=n) for n in (1, 2))])
    assert throughput(part, "words").low is None
    assert throughput(frame, "tokens").reason == "not run: no record says how many tokens were kept"


def test_numbers_of_a_file_are_the_same_on_every_processor():
    """Two sums of the same numbers in another order."""
    one, other = 0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1
    assert one != other and in_full(one) == in_full(other) == "0.6"
    assert [in_full(value) for value in (2, 0.0, -1 / 3, 1.5e-9)] == ["2.0", "0.0", "-0.333333333333", "1.5e-09"]

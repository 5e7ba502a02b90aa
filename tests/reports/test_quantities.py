"""What a group of timings comes to where there is little or nothing to count."""

from __future__ import annotations

import pandas as pd
import pytest

from reports.quantities import throughput


@pytest.mark.parametrize("processes", [1, 3])
def test_a_system_that_writes_nothing_keeps_no_words_a_second(processes: int) -> None:
    rows = [{"texts": 8, "words": 0, "seconds": 1.0, "process": n % processes} for n in range(6)]
    found = throughput(pd.DataFrame(rows), "words")
    assert (found.value, found.low, found.high, found.n) == (0.0, None, None, 6)
    assert throughput(pd.DataFrame(rows)).value == pytest.approx(8.0)

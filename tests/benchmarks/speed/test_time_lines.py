"""Where a generation's time lies on a device: parts that make up the whole, the longest gaps first."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.speed.time_lines import MARK, MOST_GAPS, Gap, of_call, of_trace


def span(name: str, start: float, length: float, kind: str = "kernel") -> dict[str, Any]:
    return {"ph": "X", "name": name, "ts": start, "dur": length, "cat": kind}


GENERATION = span(MARK, 1000.0, 100.0, "user_annotation")


def test_parts_make_up_the_whole() -> None:
    found = of_trace(
        [
            {"ph": "M", "name": "process_name"},
            span(MARK, 1001.0, 99.0, "gpu_user_annotation"),  # the same mark, seen by the device
            span("launch", 1001.0, 80.0, "cuda_runtime"),
            GENERATION,
            span("copy", 1010.0, 5.0, "gpu_memcpy"),
            span("a", 1017.0, 20.0),
            span("beside", 1020.0, 30.0),  # runs on when the one before has ended
            span("b", 1055.5, 4.5),
            span("of the call before", 990.0, 5.0),
        ]
    )
    assert found is not None
    parts = (found.first, found.busy, found.between, found.last)
    assert parts == pytest.approx((10e-6, 42.5e-6, 7.5e-6, 40e-6))
    assert sum(parts) == pytest.approx(100e-6)
    assert found.kernels == 4
    assert found.gaps == (Gap(pytest.approx(5.5e-6), "beside", "b"), Gap(pytest.approx(2e-6), "copy", "a"))
    assert found.told() == (
        "0.010 ms until the first, 0.043 ms in kernels, 0.007 ms between, 0.040 ms after the last (4 kernels)"
    )


def test_only_the_longest_gaps_are_kept() -> None:
    kernels = [span(str(n), 1000.0 + n * (n + 1) / 2, 0.5) for n in range(12)]
    found = of_trace([GENERATION, *kernels])
    assert found is not None
    assert [gap.before for gap in found.gaps] == [str(n) for n in range(11, 11 - MOST_GAPS, -1)]


def test_where_nothing_ran_on_a_device_there_is_no_line() -> None:
    assert of_trace([GENERATION, span("op", 1002.0, 3.0, "cpu_op")]) is None
    assert of_call(lambda: None, "cpu") is None

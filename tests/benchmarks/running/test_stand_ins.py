"""Requests that nobody asked before, of the shapes of those that are timed."""

from __future__ import annotations

import pytest

from baselines.contract import Request
from benchmarks.running.stand_ins import StandIns


def requests(kind: str, lengths: list[int], first: int = 0) -> list[Request]:
    return [Request(f"{kind}-{n}", kind[0] * length, first + n, 40) for n, length in enumerate(lengths)]


ASKED = requests("test", [3, 8, 8, 20])


def test_sources_are_others_of_about_the_length() -> None:
    others = requests("validation", [2, 7, 7, 30, 12], 100)
    found = StandIns(ASKED, others).like([*ASKED, ASKED[1]])
    assert [len(request.source or "") for request in found] == [2, 7, 7, 12, 7]
    assert found[1].source is not None and {found[1].id, found[2].id} == {"validation-1", "validation-2"}
    assert not {request.seed for request in found} & {request.seed for request in (*ASKED, *others)}
    assert len({request.seed for request in found}) == 5


def test_without_others_sources_go_to_other_places_with_new_seeds() -> None:
    found = StandIns(ASKED).like(ASKED)
    assert sorted(request.id for request in found) == sorted(request.id for request in ASKED)
    assert not set(found) & set(ASKED)


def test_asked_again_a_source_gets_a_new_seed_each_time() -> None:
    stand_ins = StandIns(ASKED)
    found = stand_ins.again(ASKED, 10) + stand_ins.again(ASKED, 3)
    assert [request.id for request in found[:5]] == ["test-0", "test-1", "test-2", "test-3", "test-0"]
    assert len({request.seed for request in found}) == 13
    other = StandIns(ASKED, stream="process 1").again(ASKED, 13)
    assert not {request.seed for request in found} & {request.seed for request in other}


@pytest.mark.parametrize("count", [1, 3])
def test_tasks_without_sources_have_new_seeds(count: int) -> None:
    asked = [Request(f"t{n}", None, n, 40) for n in range(count)]
    found = StandIns(asked).like(asked)
    assert {request.source for request in found} == {None}
    assert not {request.seed for request in found} & set(range(count))

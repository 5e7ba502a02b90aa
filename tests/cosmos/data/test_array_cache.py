"""Arrays that are computed once: what another process finds of them is verified before it is used."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cosmos.data import array_cache
from cosmos.data.array_cache import ArrayLayout, compute_array, has_array, open_array
from cosmos.io.errors import UserError

LENGTHS, GROUPS = [1, 3, 2, 2, 1, 3], [[5, 0], [2, 1], [4, 3]]


def rows_of(group: Sequence[int]) -> list[Tensor]:
    return [torch.full((LENGTHS[text], 4), float(text)) for text in group]


def compute(folder: Path, rows: Callable[[Sequence[int]], list[Tensor]] = rows_of) -> None:
    layout = ArrayLayout(LENGTHS, (4,), "<f4")
    compute_array(folder, "rows", "k", layout, GROUPS, rows, lambda share: None, {})


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which two of three groups are computed."""
    monkeypatch.setattr(array_cache, "_SAVE_SECONDS", -1.0)

    def killed(group: Sequence[int]) -> list[Tensor]:
        if group == GROUPS[2]:
            raise KeyboardInterrupt
        return rows_of(group)

    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path, killed)
    return tmp_path


def test_what_was_begun_ends_with_the_same_bytes(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    calm, computed = tmp_path_factory.mktemp("calm"), list[list[int]]()
    compute(calm)

    def remembered(group: Sequence[int]) -> list[Tensor]:
        computed.append(list(group))
        return rows_of(group)

    compute(begun, remembered)
    assert computed == [GROUPS[2]]
    assert (begun / "rows.npy").read_bytes() == (calm / "rows.npy").read_bytes()
    stored = open_array(begun, "rows", lambda array, about: array.clone())
    assert torch.equal(stored, torch.cat([rows_of([text])[0] for text in range(len(LENGTHS))]))


@pytest.mark.parametrize("text", [0, 1, 2, 5])
def test_rows_that_were_changed_before_the_rest_is_computed_are_refused(begun: Path, text: int) -> None:
    partial = begun / "rows.npy.partial"
    header = np.load(partial, mmap_mode="r").offset
    flip(partial, header + 16 * sum(LENGTHS[:text]) + 5)
    with pytest.raises(UserError, match=rf"^{partial} was changed after it was written; delete its folder and run"):
        compute(begun)


def test_what_is_said_of_the_work_begun_cannot_be_edited(begun: Path) -> None:
    path = begun / "rows.partial.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 0.0}))
    with pytest.raises(UserError, match=rf"^{path} was changed after it was written"):
        compute(begun)


@pytest.mark.parametrize("name", ["rows.npy", "rows.json"])
def test_a_complete_array_that_was_changed_is_refused(tmp_path: Path, name: str) -> None:
    assert not has_array(tmp_path, "rows", "k")
    compute(tmp_path)
    assert has_array(tmp_path, "rows", "k") and not has_array(tmp_path, "rows", "other")
    if name.endswith(".npy"):
        flip(tmp_path / name, -3)
    else:
        path = tmp_path / name
        path.write_text(json.dumps({**json.loads(path.read_text()), "flops": 1.0}))
    with pytest.raises(UserError, match=rf"^{tmp_path / name} was changed after it was written; delete its folder"):
        has_array(tmp_path, "rows", "k")

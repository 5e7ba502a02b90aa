"""Weights on disk: the header is checked before any weight is read, and a file is whole or not there."""

from __future__ import annotations

import json
import struct
import subprocess
import sys

import pytest
import torch
from safetensors import SafetensorError

from cosmos.io import safetensors
from cosmos.io.errors import UserError

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2], dtype=torch.int64)}
SHAPES = {"a.weight": (2, 3), "b": (2,)}


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "folder" / "model.safetensors"
    safetensors.save(file, TENSORS, {"kind": "test"})
    return file


def test_round_trip(path):
    header = safetensors.read_header(path)
    assert header.shapes == SHAPES and header.dtypes == {"a.weight": "F32", "b": "I64"}
    assert header.notes == {"kind": "test"}
    loaded = safetensors.load(path, SHAPES)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in TENSORS.items())
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]


def test_equal_tensors_give_equal_bytes(path, tmp_path):
    other = tmp_path / "other.safetensors"
    safetensors.save(other, dict(reversed(TENSORS.items())), {"kind": "test"})
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kept", [0, 4, 8, 30, -1])
def test_a_truncated_file_is_refused(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"truncated or damaged \(.*(too small|not fully covered|invalid|length)"):
        safetensors.read_header(path)


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 a zip file, as torch.save writes",
        b"\x80\x04\x95 a pickle of some length",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 4) + b"[1 ]",
        struct.pack("<Q", 13) + b'{"a": "float"}'[:13],
        struct.pack("<Q", 12) + b'{"a":{"b":1}',
    ],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a safetensors file"):
        safetensors.read_header(path)


def header_of(entries: dict, size: int) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + bytes(size)


@pytest.mark.parametrize(
    "entries",
    [
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},  # four bytes for two floats
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}},  # a gap
        {"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}},
    ],
)
def test_headers_that_contradict_themselves_are_refused(tmp_path, entries):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(header_of(entries, 8))
    with pytest.raises(UserError, match="not a safetensors file, or it is truncated or damaged"):
        safetensors.read_header(path)


def test_a_missing_file_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="Cannot read the weights"):
        safetensors.read_header(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({**SHAPES, "c": (1,), "d": (1,)}, "lacks 'c' and 1 more"),
        ({"b": (2,)}, "unexpected 'a.weight'"),
        ({**SHAPES, "b": (3,)}, "another shape for 'b'"),
    ],
)
def test_weights_of_another_configuration_are_refused(path, expected, message):
    with pytest.raises(UserError, match=message):
        safetensors.load(path, expected)


def test_a_full_disk_says_so_and_leaves_the_old_file(path, monkeypatch):
    def full(*_, **__):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    before = path.read_bytes()
    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(UserError, match="no space left to write"):
        safetensors.save(path, TENSORS)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]


def test_checking_imports_no_framework(path):
    code = (
        "import sys, pathlib; from cosmos.io import safetensors;"
        f"safetensors.check(pathlib.Path({str(path)!r}), {SHAPES!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

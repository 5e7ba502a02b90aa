"""The command line: both stages to texts, help without torch, and every mistake in one sentence with exit code 2."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cosmos.cli.main import VERBS, main
from cosmos.io.errors import UserError
from cosmos.text.files import read_sources, read_texts

sys.path.insert(0, str(Path(__file__).parent))
from tiny_cosmos import SOURCES, TARGETS, tiny_encoder, tiny_recipe


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and both stages trained by the command line."""
    folder = tmp_path_factory.mktemp("made")
    encoder = tiny_encoder(folder / "encoder")
    rows = [{"source": s, "target": t} for s, t in zip(SOURCES, TARGETS, strict=True)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:20]))
    (folder / "held_out.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[20:]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cosmos.recipes.RECIPES", {"tiny": tiny_recipe(encoder), "nano": tiny_recipe(encoder)})
        train = ["--validation", str(folder / "held_out.jsonl"), "--preset", "tiny", "--device", "cpu"]
        assert main(["train-autoencoder", str(folder / "train.jsonl"), str(folder / "ae"), *train]) == 0
        words = [
            str(folder / "train.jsonl"),
            str(folder / "out"),
            "--autoencoder",
            str(folder / "ae" / "model"),
            *train,
        ]
        assert main(["train-diffusion", *words]) == 0
    return folder


def test_help_of_every_verb_says_something_and_loads_no_framework() -> None:
    program = """
import sys
from cosmos.cli.main import VERBS, main
for verb in [None, *VERBS]:
    try:
        main(["--help"] if verb is None else [verb, "--help"])
    except SystemExit as end:
        assert end.code == 0
heavy = {"torch", "transformers", "pandas", "pyarrow", "matplotlib", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert all(f"python -m cosmos {verb}" in done.stdout for verb in VERBS)
    assert done.stdout.count("example:") == len(VERBS)


def test_from_data_to_texts(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sample", str(made / "out" / "model"), "--sources", str(made / "held_out.jsonl"), "--steps", "3"]
    assert main([*words, "--seed", "5"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["source"] for row in rows] == SOURCES[20:]
    assert [row["seed"] for row in rows] == [5, 6, 7, 8]
    assert all({"text", "tokens", "finished"} <= row.keys() for row in rows)
    assert main([*words, "--seed", "5", "--batch", "1", "--out", str(made / "texts.jsonl")]) == 0
    assert [json.loads(line) for line in (made / "texts.jsonl").read_text().splitlines()] == rows
    for temperature, same in (("1", True), ("0.3", False)):
        assert main([*words, "--seed", "5", "--temperature", temperature]) == 0
        assert ([json.loads(line) for line in capsys.readouterr().out.splitlines()] == rows) == same

    assert main(["reconstruct", str(made / "ae" / "model"), str(made / "held_out.jsonl")]) == 0
    caught = capsys.readouterr()
    right = sum(json.loads(line)["same"] for line in caught.out.splitlines())
    assert f"{right} of 4 texts came back" in caught.err

    assert main(["probe", str(made / "out" / "model"), str(made / "train.jsonl"), str(made / "p"), "--limit", "3"]) == 0
    assert json.loads((made / "p" / "probes.json").read_text())["texts"] == 3
    assert (made / "p" / "probes.png").stat().st_size > 1000


def test_a_share_of_the_budget_adapts_the_decompressor(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tiny_recipe(made / "encoder")
    monkeypatch.setattr("cosmos.recipes.RECIPES", {"nano": recipe})
    words = ["train-diffusion", str(made / "train.jsonl"), str(made / "adapted"), "--budget", "8steps"]
    words += ["--autoencoder", str(made / "ae" / "model"), "--device", "cpu"]
    assert main([*words, "--adaptation-share", "0.5"]) == 0
    assert (made / "adapted" / "model" / "adapted.safetensors").exists()
    assert not (made / "out" / "model" / "adapted.safetensors").exists()
    assert (made / "adapted" / "training" / "adaptation.trained.json").exists()
    model = str(made / "adapted" / "model")
    assert main(["sample", model, "--sources", str(made / "held_out.jsonl"), "--steps", "3"]) == 0


def test_long_sources_are_cut_counted_and_said(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "long.txt").write_text("anna broke the lamp " * 20 + "\n" + SOURCES[0] + "\n")
    assert main(["sample", str(made / "out" / "model"), "--sources", str(tmp_path / "long.txt"), "--steps", "2"]) == 0
    assert "1 of 2 sources was longer than" in capsys.readouterr().err


def test_the_file_formats_agree(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "a.txt").write_text("one\n\n two \n")
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n\n{"text": "two"}\n')
    parquet.write_table(pyarrow.table({"text": ["one", "two"], "other": [1, 2]}), tmp_path / "a.parquet")
    found = [read_texts(tmp_path / f"a.{ending}") for ending in ("txt", "jsonl", "parquet")]
    assert found == [(["one", "two"], None)] * 3
    parquet.write_table(pyarrow.table({"source": ["a", "b"], "target": ["c", "d"]}), tmp_path / "b.parquet")
    assert read_texts(tmp_path / "b.parquet") == (["c", "d"], ["a", "b"])
    assert read_sources(tmp_path / "b.parquet") == ["a", "b"]
    assert read_sources(tmp_path / "a.txt") == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"x", "Cannot tell"),
        ("a.txt", b"\n\n", "holds no text"),
        ("a.txt", b"\xff\xfe\x00", "Cannot read"),
        ("a.jsonl", b'{"text": "x"}\n{"text"', "Line 2 of .* is not JSON"),
        ("a.jsonl", b"[1]", "is no JSON object"),
        ("a.jsonl", b'{"title": "x"}', "Row 1 of"),
        ("a.jsonl", b'{"text": "x", "source": "y"}\n{"text": "x"}', "in some rows only"),
        ("a.parquet", b"nothing of the kind", "not a Parquet file"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_texts(tmp_path / name)


class Code:
    """What a pickle could run."""

    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("this must not run",))


def test_mistakes_are_one_sentence_and_exit_code_2(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = str(made / "out" / "model"), str(made / "train.jsonl")
    (tmp_path / "no_tokenizer").mkdir()
    (tmp_path / "no_tokenizer" / "config.json").write_text("{}")
    torch.save({"encoder.latents": Code()}, tmp_path / "evil.pth")
    recipe = tiny_recipe(made / "encoder")
    wild = dataclasses.replace(recipe.autoencoder_training, learning_rate=1e30, clip_norm=1e30, ema_decay=None)
    monkeypatch.setattr(
        "cosmos.recipes.RECIPES", {"nano": recipe, "wild": dataclasses.replace(recipe, autoencoder_training=wild)}
    )
    new = str(tmp_path / "new")
    cases = [
        (["smaple"], "did you mean sample"),
        (["sample", model, "--stepz", "3"], "did you mean --steps"),
        (["sample", model, "--steps", "many"], "must be a whole number from 1"),
        (["sample", model], "needs a source"),
        (["sample", model, "--sources", data, "--solver", "hoin"], "did you mean heun"),
        (["sample", model, "--sources", data, "--temperature", "0"], "temperature must be positive"),
        (["sample", model, "--sources", data, "--device", "tpu9"], "no device"),
        (["sample", str(made / "ae" / "model")], "no denoiser"),
        (["sample", str(tmp_path)], "Cannot read"),
        (["reconstruct", model, str(tmp_path / "missing.txt")], "Cannot read"),
        (["train-autoencoder", data, new, "--preset", "nanoo"], "did you mean nano"),
        (["train-autoencoder", data, new, "--budget", "5 parsecs"], "Cannot read the budget"),
        (["train-autoencoder", data, new, "--latents", "500"], "do not fit the position table"),
        (["train-autoencoder", data, new, "--encoder-layers", "2"], "has 1 layer, not 2"),
        (["train-autoencoder", data, new, "--encoder-layers", "-1"], "from 0"),
        (["train-autoencoder", data, new, "--encoder", str(tmp_path / "no_tokenizer")], "has no tokenizer"),
        (["train-autoencoder", data, str(tmp_path / "wild"), "--preset", "wild"], "not finite at step"),
        (["train-diffusion", data, new, "--autoencoder", str(tmp_path)], "Cannot read"),
        (
            ["train-diffusion", data, new, "--autoencoder", model, "--adaptation-share", "1"],
            "between 0 and 1, not at 1",
        ),
        (["train-diffusion", data, new, "--autoencoder", model, "--adaptation-share", "x"], "must be a finite number"),
        (["convert", str(tmp_path / "evil.pth"), new], "holds code"),
        (["probe", model, data, new, "--limit", "1"], "from 2"),
    ]
    for words, message in cases:
        capsys.readouterr()
        assert main(words) == 2, words
        caught = capsys.readouterr()
        last = caught.err.strip().splitlines()[-1]
        assert message in last, (words, caught.err)
        assert "Traceback" not in caught.err
        assert "must not run" not in caught.out

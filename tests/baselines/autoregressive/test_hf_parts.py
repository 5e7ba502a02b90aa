"""Language models of Hugging Face that choose among their parts, where several processes would hold parts of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BartConfig,
    DbrxConfig,
    DogeConfig,
    GptOssConfig,
    MixtralConfig,
    SwitchTransformersConfig,
)

from baselines.autoregressive import hf, hf_models
from baselines.autoregressive.hf import HFRecipe, HFSystem
from baselines.contract import Budget, Limits, UserError
from cosmos.training.config import TrainingConfig, TrainingRun
from cosmos.training.distributed import ASKED

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from launched_systems import Run
from test_launched import apart, train
from tiny_language_models import configuration, tiny_tokenizer
from tiny_systems import CORPUS, DOCUMENTS

ROOT = Path(__file__).parents[3]
TEXTS = [text for document in DOCUMENTS for text in (document.source or "", document.target)]
SHAPE: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}


def mixtral(size: int) -> Any:
    return MixtralConfig(vocab_size=size, **SHAPE, intermediate_size=64, num_local_experts=4, num_experts_per_tok=2)


def switch(size: int) -> Any:
    """Experts that are modules of their own."""
    config: Any = SwitchTransformersConfig(
        vocab_size=size, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_decoder_layers=2, num_heads=2, num_experts=4,
        num_sparse_encoder_layers=1, num_sparse_decoder_layers=1,
    )  # fmt: skip
    config.decoder_start_token_id = 0
    return config


def bart(size: int, layerdrop: float = 0.1) -> Any:
    config = configuration("bart", size)
    config.decoder_layerdrop = layerdrop
    return config


def saved(config: Callable[[int], Any], folder: Path) -> Path:
    """A model's folder as the hub has them."""
    encodes = config in (bart, switch)
    tokenizer = tiny_tokenizer(TEXTS, "bart" if config is bart else "t5" if config is switch else "llama")
    kind: Any = AutoModelForSeq2SeqLM if encodes else AutoModelForCausalLM
    with torch.random.fork_rng():
        kind.from_config(config(len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("config", "says"),
    [(switch, "chooses among experts (num_experts)"), (bart, "leaves out layers at random (decoder_layerdrop)")],
    ids=["experts", "layerdrop"],
)
def test_who_chooses_among_its_parts_is_not_dealt_out(
    config: Callable[[int], Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before a weight is read; whole, or by one process, it is trained."""
    folder, read = saved(config, tmp_path / "model"), []

    def load(*_: Any) -> Any:
        read.append(True)
        raise InterruptedError

    monkeypatch.setattr(hf_models, "load", load)

    def trained(processes: int, parts: bool, **changes: Any) -> None:
        monkeypatch.setenv(ASKED, str(parts).lower())
        there = SimpleNamespace(count=processes, rank=0, device=torch.device("cpu"))
        monkeypatch.setattr(hf, "find_processes", lambda device: there)
        recipe = HFRecipe(TrainingConfig(), Budget(2, "steps"), str(folder), **changes)
        HFSystem(recipe, Limits(30, 30)).fit_networks(CORPUS, recipe.budget, tmp_path, TrainingRun(tmp_path, 1, "cpu"))

    with pytest.raises(UserError) as caught:
        trained(2, True)
    assert says in str(caught.value) and "2 processes" in str(caught.value) and not read
    for processes, parts, changes in ((1, True, {}), (2, False, {}), (2, True, {"tuned": False})):
        with pytest.raises(InterruptedError):
            trained(processes, parts, **changes)


def test_experts_that_are_rows_of_one_tensor_are_dealt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ASKED, "true")
    there: Any = SimpleNamespace(count=2, rank=0, device=torch.device("cpu"))
    hf_models.check_parts(mixtral(300), there, Path("model"))
    with pytest.raises(UserError, match="chooses among experts"):
        hf_models.check_parts(switch(300), there, Path("model"))


@pytest.mark.slow
def test_and_train_to_the_curve_of_one(tmp_path: Path) -> None:
    model = saved(mixtral, tmp_path / "model")
    runs = [Run(str(tmp_path / str(parts)), ("hf",), 1 + parts, 20, parts=bool(parts)) for parts in (0, 1)]
    train(model, *runs)
    assert not apart(tmp_path / "0", tmp_path / "1", ("hf",))


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (GptOssConfig(), "num_local_experts"),
        (SwitchTransformersConfig(), "num_experts"),
        (DbrxConfig(ffn_config={"moe_num_experts": 4}), "moe_num_experts"),
        (DogeConfig(is_moe=True), "num_experts"),
        (DogeConfig(), None),
        (MixtralConfig(num_local_experts=1), None),
        (BartConfig(encoder_layerdrop=0.2), "encoder_layerdrop"),
        (BartConfig(), None),
        (configuration("gpt2", 300), None),
        (configuration("t5", 300), None),
    ],
    ids=lambda value: getattr(value, "model_type", None),
)
def test_configurations_say_who_does(config: Any, name: str | None) -> None:
    assert (hf_models.layers_left_out(config) or hf_models.experts_chosen(config)) == name


@pytest.mark.slow
def test_a_launched_command_says_so_once_and_ends(tmp_path: Path) -> None:
    folder = saved(switch, tmp_path / "model")
    words = (
        "benchmarks", "fit", "--task", "detox", "--system", "hf", "--device", "cpu", "--out", str(tmp_path / "run"),
        "--set", f"hf.recipe.model={folder}", "--set", "data.train=64", "--set", "budget=4steps",
    )  # fmt: skip
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", *words]
    more = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", ASKED: "true"}
    done = subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and "exitcode  : 2" in done.stderr  # that of torchrun, and of a process of it
    assert done.stderr.count("chooses among experts") == 1 and "benchmarks.cli" not in done.stderr

"""What a report says of tokenizers: that of the run, one that a system brings, and what was done to texts."""

from __future__ import annotations

from dataclasses import replace

import reports

SHARED = {"name": "some-encoder", "sha256": "ab" * 32}
FORM = "round trip 1, tokenizer abababab"


def written(fake_run, tmp_path, form, **own):
    """The Markdown report of two systems and the reference, of which `own` names bring a tokenizer."""
    for system, setting in (("cosmos", "fast"), ("gpt2", "greedy"), ("reference", "default")):
        about = {**SHARED, **({"own": own[system]} if system in own else {})}
        fake_run.add(system, setting, tokenizer=about)
    for place, (header, samples, timings, scores) in enumerate(fake_run.cells):
        told = [replace(s, signature=replace(s.signature, options={**s.signature.options, **form})) for s in scores]
        fake_run.cells[place] = (header, samples, timings, told)
    return reports.write(fake_run.write(tmp_path / "run"))["markdown"].read_text(encoding="utf-8")


def test_a_tokenizer_of_its_own_is_said(fake_run, tmp_path):
    text = written(fake_run, tmp_path, form={"form": FORM}, gpt2="some-company/gpt2")
    assert "went through the tokenizer of the run (some-encoder) before they were scored" in text
    assert "- gpt2 (greedy) writes with a tokenizer of its own, that of some-company/gpt2: its limits are" in text
    assert "cosmos (fast) writes with" not in text
    assert f"- **Tokenizer:** some-encoder, sha256 {'ab' * 32}" in text
    assert "- **Own tokenizers:** gpt2: some-company/gpt2" in text


def test_nothing_is_said_of_scores_of_texts_as_they_were_written(fake_run, tmp_path):
    text = written(fake_run, tmp_path, form={})
    assert "went through the tokenizer" not in text
    assert "Own tokenizers" not in text

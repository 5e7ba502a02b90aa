"""Names of metrics and where they live.

A new metric is one `Metric` in the file of its family and one line here, or, from another package, an entry point of
the group `cosmos_bench.metrics` that names a `Metric`.
"""

from __future__ import annotations

from baselines.registry import Registry
from benchmarks.metrics.core.metric import Metric

_HERE = "benchmarks.metrics"
_METRICS = {
    "sta": f"{_HERE}.detox:STA",
    "sim": f"{_HERE}.similarity:SIM",
    "fl": f"{_HERE}.detox:FL",
    "j": f"{_HERE}.detox:J",
    "sta_profanity": f"{_HERE}.toxicity:STA_PROFANITY",
    "j_profanity": f"{_HERE}.toxicity:J_PROFANITY",
    "fl_links": f"{_HERE}.fluency:FL_LINKS",
    "fl_lm": f"{_HERE}.fluency:FL_LM",
    "j_offline": f"{_HERE}.fluency:J_OFFLINE",
    "detoxify": f"{_HERE}.toxicity:DETOXIFY",
    "exact_rudeness": f"{_HERE}.exact:RUDENESS",
    "exact_facts": f"{_HERE}.exact:FACTS",
    "exact_facts_kept": f"{_HERE}.exact:FACTS_KEPT",
    "exact_language": f"{_HERE}.exact:LANGUAGE",
    "exact_linked": f"{_HERE}.exact:LINKED",
    "exact_novel": f"{_HERE}.exact:NOVEL",
    "exact_answerable": f"{_HERE}.exact:ANSWERABLE",
    "exact_salient": f"{_HERE}.exact:SALIENT",
    "exact_j": f"{_HERE}.exact:J",
    "bleu": f"{_HERE}.overlap:BLEU",
    "bleu_copy": f"{_HERE}.overlap:BLEU_COPY",
    "chrf": f"{_HERE}.overlap:CHRF",
    "rouge_1": f"{_HERE}.rouge:ROUGE_1",
    "rouge_2": f"{_HERE}.rouge:ROUGE_2",
    "rouge_l": f"{_HERE}.rouge:ROUGE_L",
    "rouge_lsum": f"{_HERE}.rouge:ROUGE_LSUM",
    "rouge_1_unstemmed": f"{_HERE}.rouge:UNSTEMMED_1",
    "rouge_2_unstemmed": f"{_HERE}.rouge:UNSTEMMED_2",
    "rouge_l_unstemmed": f"{_HERE}.rouge:UNSTEMMED_L",
    "rouge_lsum_unstemmed": f"{_HERE}.rouge:UNSTEMMED_LSUM",
    "meteor": f"{_HERE}.meteor:METEOR",
    "meteor_stems": f"{_HERE}.meteor:METEOR_STEMS",
    "bertscore": f"{_HERE}.bertscore:BERTSCORE",
    "mauve": f"{_HERE}.mauve:MAUVE",
    "mauve_human": f"{_HERE}.mauve:MAUVE_HUMAN",
    "perplexity": f"{_HERE}.perplexity:PERPLEXITY",
    "unigram_entropy": f"{_HERE}.diversity:ENTROPY",
    "repetition": f"{_HERE}.diversity:REPETITION",
    "diversity": f"{_HERE}.diversity:DIVERSITY",
    "distinct_1": f"{_HERE}.diversity:DISTINCT_1",
    "distinct_2": f"{_HERE}.diversity:DISTINCT_2",
    "distinct_3": f"{_HERE}.diversity:DISTINCT_3",
    "distinct_4": f"{_HERE}.diversity:DISTINCT_4",
    "memorisation": f"{_HERE}.memorisation:MEMORISATION",
    "memorisation_human": f"{_HERE}.memorisation:MEMORISATION_HUMAN",
    "longest_run": f"{_HERE}.memorisation:LONGEST_RUN",
    "longest_run_human": f"{_HERE}.memorisation:LONGEST_RUN_HUMAN",
    "training_copies": f"{_HERE}.memorisation:TRAINING_COPIES",
    "training_copies_human": f"{_HERE}.memorisation:TRAINING_COPIES_HUMAN",
    "nll": f"{_HERE}.likelihood:NLL",
    "nll_perplexity": f"{_HERE}.likelihood:NLL_PERPLEXITY",
    "nll_entropy": f"{_HERE}.likelihood:NLL_ENTROPY",
    "copy_rate": f"{_HERE}.surface:COPY_RATE",
    "length": f"{_HERE}.surface:LENGTH",
    "legacy_ppl_trimmed": f"{_HERE}.legacy:PPL_TRIMMED",
    "legacy_ppl_mean": f"{_HERE}.legacy:PPL_MEAN",
    "legacy_mauve": f"{_HERE}.legacy:MAUVE_ONCE",
    "legacy_mauve_chunked": f"{_HERE}.legacy:MAUVE_CHUNKED",
    "legacy_diversity": f"{_HERE}.legacy:DIVERSITY",
    "legacy_memorisation": f"{_HERE}.legacy:MEMORISATION",
    "legacy_diversity_spacy": f"{_HERE}.legacy:DIVERSITY_SPACY",
    "legacy_memorisation_spacy": f"{_HERE}.legacy:MEMORISATION_SPACY",
    "legacy_j_mean_sta": f"{_HERE}.legacy:J_MEAN_STA",
    "legacy_bleu_characters_source": f"{_HERE}.legacy:BLEU_CHARACTERS_SOURCE",
    "legacy_bleu_characters": f"{_HERE}.legacy:BLEU_CHARACTERS",
    "legacy_bleu_pieces": f"{_HERE}.legacy:BLEU_PIECES",
    "legacy_bertscore": f"{_HERE}.legacy:BERTSCORE",
    "legacy_bertscore_rescaled": f"{_HERE}.legacy:BERTSCORE_RESCALED",
    "legacy_gen_ppl": f"{_HERE}.legacy_rivals:GEN_PPL",
    "legacy_sample_entropy": f"{_HERE}.legacy_rivals:SAMPLE_ENTROPY",
    "legacy_ppl_neo": f"{_HERE}.legacy_rivals:PPL_NEO",
    "legacy_mauve_256": f"{_HERE}.legacy_rivals:MAUVE_256",
}


def _fault(candidate: object) -> str | None:
    return None if isinstance(candidate, Metric) else "is no benchmarks.metrics.core.metric.Metric"


_REGISTRY = Registry("metric", "cosmos_bench.metrics", _METRICS, _fault)


def names() -> list[str]:
    """Every metric's name, in the order in which reports show them; `evaluate:...` names more."""
    return list(_REGISTRY.names())


def find(name: str) -> Metric:
    """The metric of this name; `UserError` with the nearest names if there is none."""
    from benchmarks.metrics.core import hf_evaluate

    if name.startswith(hf_evaluate.PREFIX):
        return hf_evaluate.metric(name)
    metric: Metric = _REGISTRY.find(name)
    return metric

"""What metrics are called where people read of them: in reports, figures and tables. Standard library only.

Identifiers stay in records and on the command line. A metric of another package has its title in its `Metric`; runs
write all of them into their records, and records that are older are called by the same rule.
"""

from __future__ import annotations

TITLES = {
    "sta": "STA",
    "sim": "SIM",
    "fl": "FL",
    "j": "J",
    "sta_profanity": "STA (profanity)",
    "j_profanity": "J (profanity)",
    "fl_links": "FL (Link Grammar)",
    "fl_lm": "FL (language model)",
    "j_offline": "J (offline)",
    "detoxify": "Toxicity (Detoxify)",
    "exact_rudeness": "Politeness (exact)",
    "exact_facts": "Facts (exact)",
    "exact_facts_kept": "Facts kept (exact)",
    "exact_language": "Language (exact)",
    "exact_linked": "Coherence (exact)",
    "exact_novel": "Novel coherence (exact)",
    "exact_answerable": "Answerable (exact)",
    "exact_salient": "Salience (exact)",
    "exact_j": "J (exact)",
    "bleu": "BLEU",
    "bleu_copy": "BLEU of copying",
    "chrf": "chrF2",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "rouge_lsum": "ROUGE-Lsum",
    "rouge_1_unstemmed": "ROUGE-1 (unstemmed)",
    "rouge_2_unstemmed": "ROUGE-2 (unstemmed)",
    "rouge_l_unstemmed": "ROUGE-L (unstemmed)",
    "rouge_lsum_unstemmed": "ROUGE-Lsum (unstemmed)",
    "meteor": "METEOR",
    "meteor_stems": "METEOR (no synonyms)",
    "bertscore": "BERTScore",
    "mauve": "MAUVE",
    "mauve_human": "MAUVE of human texts",
    "perplexity": "Perplexity",
    "unigram_entropy": "Word entropy",
    "repetition": "Repetition",
    "diversity": "Diversity",
    "distinct_1": "Distinct-1",
    "distinct_2": "Distinct-2",
    "distinct_3": "Distinct-3",
    "distinct_4": "Distinct-4",
    "memorisation": "Memorisation",
    "memorisation_human": "Memorisation of human texts",
    "longest_run": "Longest shared run",
    "longest_run_human": "Longest shared run of human texts",
    "training_copies": "Training copies",
    "training_copies_human": "Training copies in human texts",
    "nll": "NLL",
    "nll_perplexity": "Model perplexity",
    "nll_entropy": "NLL at best",
    "copy_rate": "Copies of the source",
    "length": "Length",
    "legacy_ppl_trimmed": "Perplexity (Cosmos, trimmed)",
    "legacy_ppl_mean": "Perplexity (evaluate, mean)",
    "legacy_mauve": "MAUVE (evaluate)",
    "legacy_mauve_chunked": "MAUVE (Cosmos, chunked)",
    "legacy_diversity": "Diversity (LD4LG)",
    "legacy_memorisation": "Memorisation (LD4LG)",
    "legacy_diversity_spacy": "Diversity (Cosmos, spaCy)",
    "legacy_memorisation_spacy": "Memorisation (Cosmos, spaCy)",
    "legacy_j_mean_sta": "J (port, mean STA)",
    "legacy_bleu_characters_source": "Character BLEU (ParaDetox)",
    "legacy_bleu_characters": "Character BLEU (port)",
    "legacy_bleu_pieces": "Word-piece BLEU (TEncDM)",
    "legacy_bertscore": "BERTScore (TEncDM)",
    "legacy_bertscore_rescaled": "BERTScore (LD4LG, rescaled)",
    "legacy_gen_ppl": "Generative perplexity (MDLM)",
    "legacy_sample_entropy": "Token entropy (Duo)",
    "legacy_ppl_neo": "Perplexity (TEncDM, GPT-Neo)",
    "legacy_mauve_256": "MAUVE (LD4LG, 256 tokens)",
}


def metric_title(name: str, declared: str = "") -> str:
    """What a metric is called, such as "ROUGE-L"; `declared` is its own `title` or that of a record."""
    if declared or name in TITLES:
        return declared or TITLES[name]
    library, _, called = name.partition(":")
    words = (called or library).replace("_", " ").replace("#", ", ")
    return f"{words} ({library})" if called else words

"""The tables of the Cosmos paper and of those it is laid beside, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.paper.published import STORY, SUMMARY, PublishedBlock

HEADLINE = "headline"  # in place of a metric's name: what sums the run up


@dataclass(frozen=True)
class PaperColumn:
    """One column: the paper's own evaluator first where the run has it, then what is nearest to it.

    Attributes:
        keys: columns of the report that may stand here, best first.
        digits: decimals, None for those of the report.
        times: what values are multiplied by, for papers write shares as of a hundred.
    """

    head: str
    keys: tuple[str, ...]
    digits: int | None = None
    times: float = 1.0


@dataclass(frozen=True)
class PaperTable:
    """A table by name."""

    caption: str
    columns: tuple[PaperColumn, ...]
    published: tuple[PublishedBlock, ...] = ()


def _share(head: str, *keys: str) -> PaperColumn:
    return PaperColumn(head, keys, 3)


PAPER_TABLES: Mapping[str, PaperTable] = {
    "story": PaperTable(
        "Unconditional story generation",
        (
            _share("MAUVE", "legacy_mauve_chunked", "legacy_mauve", "mauve"),
            PaperColumn("PPL", ("legacy_ppl_trimmed", "perplexity"), 1),
            _share("Div", "legacy_diversity_spacy", "legacy_diversity", "diversity"),
            _share("Mem", "legacy_memorisation_spacy", "legacy_memorisation", "memorisation"),
        ),
        STORY,
    ),
    "summary": PaperTable(
        "Summarisation",
        (
            PaperColumn("R-1", ("rouge_1",), 1, 100),
            PaperColumn("R-2", ("rouge_2",), 1, 100),
            PaperColumn("R-L", ("rouge_l",), 1, 100),
            PaperColumn("BERTScore", ("legacy_bertscore", "bertscore"), 1, 100),
        ),
        SUMMARY,
    ),
    "question": PaperTable(
        "Question generation",
        (
            PaperColumn("BLEU", ("bleu",), 1),
            PaperColumn("METEOR", ("meteor", "meteor_stems"), 1, 100),
            PaperColumn("R-L", ("rouge_l",), 1, 100),
            PaperColumn("BERTScore", ("legacy_bertscore", "bertscore"), 1, 100),
        ),
    ),
    "detox": PaperTable(
        "Detoxification",
        (
            _share("STA", "sta", "sta_profanity"),
            _share("SIM", "sim"),
            _share("FL", "fl", "fl_links", "fl_lm"),
            _share("J", "j", "exact_j", "j_offline", "j_profanity"),
            PaperColumn("BLEU", ("bleu",), 1),
        ),
    ),
    "time": PaperTable(
        "Quality and speed of generation",
        (
            PaperColumn("", (HEADLINE,)),
            PaperColumn("Calls", ("calls",)),
            PaperColumn("Latency", ("latency",)),
            PaperColumn("Texts/s", ("throughput",)),
            PaperColumn("Words/s", ("words",)),
            PaperColumn("Memory", ("memory",)),
        ),
    ),
}

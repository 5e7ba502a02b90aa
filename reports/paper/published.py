"""Values that papers give, for orientation beside measured ones: each with its source, none of them measured here.

Of the Cosmos paper only the rows below could be read, as another paper quotes them; its tables of summarisation,
question generation and detoxification could not, and it gives no seconds. So there is nothing here of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.numbers import NOTHING
from reports.table import Row, TableCell


@dataclass(frozen=True)
class PublishedRow:
    """What one system reached; values by the heads of a layout's columns, as they were printed."""

    name: str
    detail: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class PublishedBlock:
    """Rows of one source, on one set of data."""

    source: str
    data: str
    protocol: str  # how it was judged, as far as it is known
    rows: tuple[PublishedRow, ...]

    @property
    def title(self) -> str:
        return f"Published, on {self.data}: {self.source}"

    def gives(self, head: str) -> bool:
        """Whether it has a value for a column."""
        return any(head in row.values for row in self.rows)


def rows_under(heads: Sequence[str], block: PublishedBlock) -> tuple[Row, ...]:
    """The rows of a block under the columns of a table."""

    def cell(text: str | None) -> TableCell:
        return TableCell(None, NOTHING) if text is None else TableCell(float(text), text)

    return tuple(
        Row(row.name, row.detail, "", tuple(cell(row.values.get(head)) for head in heads)) for row in block.rows
    )


def _rows(heads: str, *lines: tuple[str, str, str]) -> tuple[PublishedRow, ...]:
    """Rows from a name, a detail and values in the order of the heads, "-" where there is none."""
    return tuple(
        PublishedRow(name, detail, {h: v for h, v in zip(heads.split(), values.split(), strict=True) if v != "-"})
        for name, detail, values in lines
    )


_STORY = "MAUVE PPL Div Mem"
_SUMMARY = "R-1 R-2 R-L BERTScore"

STORY = (
    PublishedBlock(
        "arXiv:2506.21170 (Cosmos), as the paper on FLDD quotes it",
        "ROCStories",
        "1,000 texts; MAUVE and PPL by GPT-2 large, PPL without the lowest and highest 5 % of texts",
        _rows(
            _STORY,
            ("GPT-2", "", "0.789 20.5 0.252 -"),
            ("GPT-Neo", "", "0.720 19.9 0.258 -"),
            ("AR-Diffusion", "", "0.066 41.8 0.101 -"),
            ("DiffuSeq", "", "0.086 50.5 0.124 -"),
            ("SeqDiffuSeq", "", "0.103 29.3 0.137 -"),
            ("TESS", "", "0.061 22.4 0.163 -"),
            ("SEDD", "", "0.598 70.8 0.336 -"),
            ("LD4LG", "", "0.716 30.6 0.331 -"),
            ("Cosmos", "", "0.940 26.3 0.346 -"),
        ),
    ),
    PublishedBlock(
        "arXiv:2402.19097 (TEncDM)",
        "ROCStories",
        "five times 1,000 texts",
        _rows(
            _STORY,
            ("TEncDM", "BERT states", "0.762 29.1 0.295 0.453"),
            ("Reference", "human texts", "0.876 21.7 0.403 0.365"),
        ),
    ),
)

SUMMARY = (
    PublishedBlock(
        "arXiv:2402.19097 (TEncDM)",
        "XSum",
        "the values of the other systems are those of its table",
        _rows(
            _SUMMARY,
            ("DiffuSeq", "", "18.9 1.3 13.6 -"),
            ("SeqDiffuSeq", "", "14.1 1.1 11.4 -"),
            ("GENIE", "", "29.3 8.3 21.9 -"),
            ("AR-Diffusion", "", "27.1 6.4 20.8 -"),
            ("Transformer", "", "30.5 10.4 24.2 -"),
            ("FLAN-T5 base", "", "34.6 12.9 27.2 72.7"),
            ("TEncDM", "BERT states", "31.5 10.0 24.9 68.2"),
            ("TEncDM", "T5 states", "33.4 11.4 26.8 70.1"),
            ("TEncDM", "RoBERTa states", "33.7 11.9 27.1 69.8"),
        ),
    ),
    PublishedBlock(
        "arXiv:2608.02602 (AURORA-LM)",
        "XSum",
        "32 steps of an ODE, guidance 2.0 where there is much noise",
        _rows(_SUMMARY, ("AURORA-LM", "", "36.6 13.4 28.9 -")),
    ),
    PublishedBlock(
        "arXiv:2605.10938 (ELF)",
        "XSum",
        "64 steps of an ODE, guidance 2",
        _rows(_SUMMARY, ("ELF", "", "36.0 12.2 27.8 -")),
    ),
)

NO_VALUES = {
    "question": "The Cosmos paper's values for question generation are not given here: its table could not be read.",
    "detox": "The Cosmos paper's values for detoxification are not given here: its table could not be read.",
    "time": "The Cosmos paper's abstract says more than twice as fast; the seconds behind it could not be read.",
}

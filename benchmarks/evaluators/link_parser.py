"""Link Grammar (Sleator and Temperley 1993): how many words of a text no parse of English has a place for.

Its library is called as C has it, so that it serves every version of Python, and in a process of its own, since it ends
its process where a text surprises it. That process runs this file, which needs the standard library only.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

MOST = 3  # unused words looked for
_SENTENCE = _OPTIONS = _DICTIONARY = ctypes.c_void_p
_SIGNATURES: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "linkgrammar_get_version": (ctypes.c_char_p, ()),
    "dictionary_set_data_dir": (None, (ctypes.c_char_p,)),
    "dictionary_create_lang": (_DICTIONARY, (ctypes.c_char_p,)),
    "parse_options_create": (_OPTIONS, ()),
    "parse_options_set_verbosity": (None, (_OPTIONS, ctypes.c_int)),
    "parse_options_set_spell_guess": (None, (_OPTIONS, ctypes.c_int)),
    "parse_options_set_linkage_limit": (None, (_OPTIONS, ctypes.c_int)),
    "parse_options_set_min_null_count": (None, (_OPTIONS, ctypes.c_int)),
    "parse_options_set_max_null_count": (None, (_OPTIONS, ctypes.c_int)),
    "sentence_create": (_SENTENCE, (ctypes.c_char_p, _DICTIONARY)),
    "sentence_parse": (ctypes.c_int, (_SENTENCE, _OPTIONS)),
    "sentence_delete": (None, (_SENTENCE,)),
}


def unused_words(dictionary: Path, library: Path, texts: Sequence[str]) -> tuple[list[int], str]:
    """The least number of words of each text that a parse leaves out, and the version of the library.

    The number is one more than `MOST` where that many are not enough, and for a text that ends the library. The search
    has a limit in words and none in seconds, so that the answer is the same on a busy machine. Spelling is not mended.

    Args:
        dictionary: the folder of a language, such as `en`.

    Raises:
        ValueError: the library or its dictionary cannot be loaded.
    """
    counts: list[int] = []
    while True:
        command = [sys.executable, "-P", __file__, str(dictionary), str(library)]
        left = json.dumps(list(texts[len(counts) :]))
        done = subprocess.run(command, input=left, capture_output=True, text=True, encoding="utf-8", errors="replace")
        version, *found = done.stdout.splitlines() or [""]
        if not version:
            said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise ValueError(f"Link Grammar cannot be loaded: {said}")
        counts += map(int, found)
        if done.returncode == 0:
            assert len(counts) == len(texts), f"{len(counts)} numbers for {len(texts)} texts"
            return counts, version
        counts.append(MOST + 1)  # the text that ended it


def _main(dictionary: Path, library: Path) -> None:
    """Print the version, and then a number a line for each of the texts on stdin; the library prints to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # What it needs may have been unpacked beside it, where no loader looks.
    for path in (*sorted(library.parent.glob("libhunspell*.so.*")), library):
        call = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(call, name)
        function.restype, function.argtypes = result, arguments
    call.dictionary_set_data_dir(str(dictionary.parent).encode())
    words = call.dictionary_create_lang(dictionary.name.encode())
    if not words:
        raise SystemExit(f"{dictionary} is no dictionary that it reads")
    options = call.parse_options_create()
    for option, value in (("verbosity", 0), ("spell_guess", 0), ("linkage_limit", 1)):
        getattr(call, f"parse_options_set_{option}")(options, value)
    print(call.linkgrammar_get_version().decode().removeprefix("link-grammar-"), file=answers, flush=True)
    for text in json.load(sys.stdin):
        encoded = text.replace("\0", " ").encode("utf-8", "replace")
        print(_unused(call, call.sentence_create(encoded, words), options), file=answers, flush=True)


def _unused(call: ctypes.CDLL, sentence: int | None, options: int) -> int:
    if not sentence:
        return MOST + 1
    for number in range(MOST + 1):
        call.parse_options_set_min_null_count(options, number)
        call.parse_options_set_max_null_count(options, number)
        if call.sentence_parse(sentence, options) > 0:
            call.sentence_delete(sentence)
            return number
    call.sentence_delete(sentence)
    return MOST + 1


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Link Grammar (Sleator and Temperley 1993): how many words of a text no parse of English has a place for.

Its library is called as C has it, so that it serves every version of Python.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

from benchmarks.evaluators.locate import link_library
from benchmarks.evaluators.suppress_output import quiet

MOST = 3  # unused words looked for
_SENTENCE, _OPTIONS, _DICTIONARY = (ctypes.c_void_p,) * 3
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
    "sentence_null_count": (ctypes.c_int, (_SENTENCE,)),
    "sentence_delete": (None, (_SENTENCE,)),
}


class Parser:
    """Counts unused words; `version` is that of the library.

    The search has a limit in words and none in seconds, so that the answer is the same on a busy machine. Spelling is
    not mended.

    Args:
        folder: of the dictionary, as `locate.link_grammar` gives it.

    Raises:
        ValueError: the library or its dictionary cannot be loaded.
    """

    def __init__(self, folder: Path) -> None:
        library = link_library(folder)
        if library is None:
            raise ValueError(f"{folder} has no library of Link Grammar beside it")
        try:
            # What it needs may have been unpacked beside it, where no loader looks.
            for path in (*sorted(library.parent.glob("libhunspell*.so.*")), library):
                self._call = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise ValueError(f"the library of Link Grammar cannot be loaded: {error}") from error
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._call, name)
            function.restype, function.argtypes = result, arguments
        self.version = self._call.linkgrammar_get_version().decode().removeprefix("link-grammar-")
        with quiet():  # it speaks of locales
            self._call.dictionary_set_data_dir(str(folder.parent).encode())
            self._dictionary = self._call.dictionary_create_lang(folder.name.encode())
        if not self._dictionary:
            raise ValueError(f"{folder} is no dictionary that Link Grammar reads")
        self._options = self._call.parse_options_create()
        for option, value in (("verbosity", 0), ("spell_guess", 0), ("linkage_limit", 1)):
            getattr(self._call, f"parse_options_set_{option}")(self._options, value)

    def unused(self, text: str) -> int:
        """The least number of words that a parse leaves out; one more than `MOST` where that many are not enough."""
        sentence = self._call.sentence_create(text.replace("\0", " ").encode("utf-8", "replace"), self._dictionary)
        if not sentence:
            return MOST + 1
        try:
            for words in range(MOST + 1):
                self._call.parse_options_set_min_null_count(self._options, words)
                self._call.parse_options_set_max_null_count(self._options, words)
                if self._call.sentence_parse(sentence, self._options) > 0:
                    return int(self._call.sentence_null_count(sentence))
        finally:
            self._call.sentence_delete(sentence)
        return MOST + 1


@functools.lru_cache(maxsize=1)
def parser(folder: Path) -> Parser:
    """The parser of a dictionary, which takes a second to read and is read once per process."""
    return Parser(folder)

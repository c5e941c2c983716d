"""PocketSphinx on the very same recordings; it comes with the converters and many know it.

Once with the English language model that comes with it, once with one of our own domain: a word
trigram of the training sentences, without those that hold words its dictionary lacks.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from converters.asr.text import normalise
from converters.evaluation.scores import Recognise
from converters.evaluation.sets import Item
from converters.evaluation.word_model import arpa
from converters.synthesis.text import TextGenerator

STOCK, OURS = "PocketSphinx, its own language model", "PocketSphinx, language model of commands"
_SENTENCES = 200_000


def installed() -> bool:
    """Whether it can be measured here."""
    return importlib.util.find_spec("pocketsphinx") is not None


def recognisers(
    progress: Callable[[], None] = lambda: None, sentences: int = _SENTENCES
) -> Iterator[tuple[str, Recognise]]:
    """Both recognisers with their names, one after the other, as each takes a while to load.

    Args:
        progress: called after every item.
        sentences: how many the second language model is counted from.
    """
    library: Any = importlib.import_module("pocketsphinx")
    stock = library.Decoder(loglevel="FATAL")
    yield STOCK, _recogniser(stock, progress)
    with tempfile.TemporaryDirectory(prefix="pocketsphinx-") as folder:
        path = Path(folder) / "commands.arpa"
        path.write_text(arpa(domain(stock.lookup_word, sentences)), encoding="ascii")
        yield OURS, _recogniser(library.Decoder(lm=str(path), loglevel="FATAL"), progress)


def domain(pronounced: Callable[[str], str | None], count: int) -> Iterator[str]:
    """Sentences of the training split that hold known words alone.

    Args:
        pronounced: gives None for a word that the dictionary lacks.
        count: how many sentences to draw; those with other words are left out.
    """
    generator = TextGenerator(1, "train")
    for _ in range(count):
        sentence = normalise(generator.sentence().text)
        if all(pronounced(word) is not None for word in sentence.split()):
            yield sentence


def _recogniser(decoder: Any, progress: Callable[[], None]) -> Recognise:
    def recognise(items: Sequence[Item]) -> list[str]:
        texts = []
        for item in items:
            decoder.start_utt()
            decoder.process_raw(item.padded().tobytes(), full_utt=True)
            decoder.end_utt()
            found = decoder.hyp()
            texts.append(normalise(found.hypstr) if found is not None else "")
            progress()
        return texts

    return recognise

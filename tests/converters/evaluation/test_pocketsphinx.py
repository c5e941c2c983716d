"""Our own domain for PocketSphinx, and PocketSphinx itself where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from converters.evaluation.pocketsphinx import OURS, STOCK, domain, recognisers
from converters.evaluation.sets import Item
from converters.synthesis.dictionary import pronunciations
from converters.synthesis.errors import MissingResourceError

try:
    pronunciations()
except MissingResourceError as error:
    pytest.skip(str(error), allow_module_level=True)


def test_sentences_with_words_that_it_cannot_pronounce_are_left_out() -> None:
    every = list(domain(lambda _: "T UW", 300))
    assert len(every) == 300
    short = list(domain(lambda word: "T UW" if len(word) < 7 else None, 300))
    assert short == [s for s in every if all(len(word) < 7 for word in s.split())]
    assert 0 < len(short) < 300


@pytest.mark.slow
def test_it_hears_with_either_language_model() -> None:
    pytest.importorskip("pocketsphinx")
    done: list[str] = []
    silence = Item(np.zeros(16_000, np.int16), "stop", "s")
    for name, recognise in recognisers(lambda: done.append("heard"), sentences=2000):
        (text,) = recognise([silence])
        assert set(text) <= set(" 'abcdefghijklmnopqrstuvwxyz")
        done.append(name)
    assert done == ["heard", STOCK, "heard", OURS]

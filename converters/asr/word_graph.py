"""A graph of words for recognisers that write sounds: a pronouncing tree and a model of words.

    root ─ k ─ ao ─ l ─┤ "call"        phone: best(child) - best(node)
                    └─ er ─┤ "caller"   mark: log p(word | two words before) - best(node)

Only sequences of words can be read. What the transducer's own predictor knows, which is two labels,
is divided out of every gain, as in `agent.hearing.language_model`. How likely the best word below a
node is (best, by single words; Ortmanns et al. 1996) is paid on the way, so that nothing comes
as a surprise at its end. The models are interpolated trigrams (Witten and Bell 1991). To a beam
search this is what a language model of letters is: it tells what each next label gains.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from converters.asr.units import Sounds

Floats = NDArray[np.float32]
Token = Hashable
Context = tuple[Token, Token]

_START, _END = "<s>", "</s>"
_DEAD = -1
_IMPOSSIBLE = -1e4
_UNFINISHED = -8.0
"""For ending within a word, in nats: a speaker may be cut off."""


class Trigrams:
    """How likely a word (or a label) is after two others.

    Args:
        sequences: what is counted.
        kinds: how many words there could be; those never seen share what is left.
    """

    def __init__(self, sequences: Iterable[Sequence[Token]], kinds: int) -> None:
        self._kinds = kinds
        self._after: dict[tuple[Token, ...], Counter[Token]] = defaultdict(Counter)
        for sequence in sequences:
            said = [_START, _START, *sequence, _END]
            for i in range(2, len(said)):
                for n in range(3):
                    self._after[tuple(said[i - n : i])][said[i]] += 1
        self._totals = {history: counts.total() for history, counts in self._after.items()}

    def log_probability(self, word: Token, context: tuple[Token, ...] = ()) -> float:
        """Natural logarithm of p(word | context), up to two words, the older first."""
        probability = 1.0 / self._kinds
        for n in range(len(context) + 1):
            history = context[len(context) - n :]
            counts = self._after.get(history)
            if counts is None:
                break
            kinds = len(counts)
            seen = counts[word] + kinds * probability
            probability = seen / (self._totals[history] + kinds)
        return math.log(probability)


_State = tuple[int, Context, Context]
"""A node of the tree, the two words before, and the two labels before."""


class WordGraph:
    """What sounds may follow, with the methods of `LanguageModel` that a search uses.

    Args:
        sounds: gives the labels of words.
        sentences: normalised; what is said, and how often.
    """

    def __init__(self, sounds: Sounds, sentences: Sequence[str]) -> None:
        known = sum(1 for _ in sounds.words())
        model = Trigrams((sentence.split() for sentence in sentences), known)
        written = (sounds.encode(sentence) for sentence in sentences)
        self._source = Trigrams((labels for labels in written if labels), sounds.count)
        self.end = sounds.count
        self._mark = sounds.END_OF_WORD
        self._model = model
        self._children: list[dict[int, int]] = [{}]
        self._words: dict[int, list[str]] = defaultdict(list)
        self._best = [0.0]
        for word, labels in sounds.words():
            self._add(word, labels)
        self._states: list[_State] = []
        self._numbers: dict[_State, int] = {}
        self._number((0, (_START, _START), (_START, _START)))

    def gains(self, history: int) -> Floats:
        """float32 [labels + 1]: weightless gain of every label, and of the end, in nats."""
        node, context, pair = self._states[history]
        found = np.full(self.end + 1, _IMPOSSIBLE, np.float32)
        if node == _DEAD:
            return found
        for label, child in self._children[node].items():
            likelier = self._best[child] - self._best[node]
            found[label] = likelier - self._source.log_probability(label, pair)
        if node in self._words:
            likelier = self._word(node, context)[0] - self._best[node]
            found[self._mark] = likelier - self._source.log_probability(self._mark, pair)
        if node == 0:
            likely = self._model.log_probability(_END, context)
            found[self.end] = likely - self._source.log_probability(_END, pair)
        else:
            found[self.end] = _UNFINISHED
        return found

    def extend(self, history: int, label: int) -> int:
        """The history after one more label."""
        node, context, pair = self._states[history]
        after = (pair[1], label)
        if label != self._mark:
            child = _DEAD if node == _DEAD else self._children[node].get(label, _DEAD)
            return self._number((child, context, after))
        if node not in self._words:
            return self._number((_DEAD, context, after))
        return self._number((0, (context[1], self._word(node, context)[1]), after))

    def text(self, labels: Sequence[int]) -> str:
        """The words that were read; what follows the last mark is left out."""
        history, words = 0, []
        for label in labels:
            history = self.extend(history, label)
            if label == self._mark:
                words.append(str(self._states[history][1][1]))
        return " ".join(words)

    def _add(self, word: str, labels: Sequence[int]) -> None:
        likely = self._model.log_probability(word)
        node = 0
        for label in labels:
            child = self._children[node].setdefault(label, len(self._children))
            if child == len(self._children):
                self._children.append({})
                self._best.append(likely)
            self._best[child] = max(self._best[child], likely)
            node = child
        self._words[node].append(word)

    def _word(self, node: int, context: Context) -> tuple[float, str]:
        """The likeliest of the words that sound like this, and how likely it is here."""
        return max((self._model.log_probability(word, context), word) for word in self._words[node])

    def _number(self, state: _State) -> int:
        number = self._numbers.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
        return number

"""A word trigram in the ARPA format, so that other engines can be given our own domain.

Interpolated Witten-Bell (Witten and Bell 1991), pruned, in backing-off form:

    p_n(w | h) = (count(h w) + kinds(h) p_{n-1}(w | h')) / (count(h) + kinds(h))

with kinds(h) the number of different words seen after h, and h' the history without its oldest
word. The weight of a history makes all its probabilities sum to one after pruning.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

START, END = "<s>", "</s>"
_LEAST = (1, 2, 2)
"""How often an n-gram of each length must have been seen; never falling, so that whatever is kept
has its history kept too."""
_NEVER = -99.0

_Gram = tuple[str, ...]


def arpa(sentences: Iterable[str], least: tuple[int, ...] = _LEAST) -> str:
    """The file of a model of as many orders as `least` has entries.

    Args:
        sentences: normalised.
        least: for each order, the count from which an n-gram is kept.
    """
    counts = _counted(sentences, len(least))
    total = sum(counts[0].values())
    orders: list[dict[_Gram, float]] = [{gram: n / total for gram, n in counts[0].items()}]
    backoffs: dict[_Gram, float] = {}
    for found, fewest in zip(counts[1:], least[1:], strict=True):
        orders.append(_longer(orders, backoffs, found, fewest))
    return _text(orders, backoffs)


def _counted(sentences: Iterable[str], longest: int) -> list[Counter[_Gram]]:
    counts: list[Counter[_Gram]] = [Counter() for _ in range(longest)]
    for sentence in sentences:
        words = (START, *sentence.split(), END)
        for end in range(2, len(words) + 1):
            for n in range(1, min(longest, end) + 1):
                counts[n - 1][words[end - n : end]] += 1
    return counts


def _longer(
    orders: list[dict[_Gram, float]],
    backoffs: dict[_Gram, float],
    found: Counter[_Gram],
    fewest: int,
) -> dict[_Gram, float]:
    """Probabilities of the n-grams that are kept; sets the weights of their histories."""
    after: dict[_Gram, list[_Gram]] = defaultdict(list)
    for gram in found:
        after[gram[:-1]].append(gram)
    kept: dict[_Gram, float] = {}
    for history, grams in after.items():
        kinds, seen = len(grams), sum(found[gram] for gram in grams)
        mass = covered = 0.0
        for gram in grams:
            if found[gram] >= fewest:
                shorter = _probability(orders, backoffs, gram[1:])
                kept[gram] = (found[gram] + kinds * shorter) / (seen + kinds)
                mass += kept[gram]
                covered += shorter
        if covered:
            backoffs[history] = max(1.0 - mass, 1e-9) / max(1.0 - covered, 1e-9)
    return kept


def _probability(
    orders: list[dict[_Gram, float]], backoffs: dict[_Gram, float], gram: _Gram
) -> float:
    known = orders[len(gram) - 1].get(gram)
    if known is not None:
        return known
    return backoffs.get(gram[:-1], 1.0) * _probability(orders, backoffs, gram[1:])


def _text(orders: list[dict[_Gram, float]], backoffs: dict[_Gram, float]) -> str:
    # The start of a sentence is a history and never predicted.
    first: dict[_Gram, float] = {(START,): 0.0, **orders[0]}
    lines = ["\\data\\"]
    whole = [first, *orders[1:]]
    lines += [f"ngram {n}={len(order)}" for n, order in enumerate(whole, 1)]
    for n, order in enumerate(whole, 1):
        lines += ["", f"\\{n}-grams:"]
        for gram, chance in sorted(order.items()):
            log = math.log10(chance) if chance > 0 else _NEVER
            line = f"{log:.4f} {' '.join(gram)}"
            if n < len(whole):
                line += f" {math.log10(backoffs.get(gram, 1.0)):.4f}"
            lines.append(line)
    return "\n".join([*lines, "", "\\end\\", ""])

"""The pools that a phrase alone needs, made where nobody brings any.

    words       the phrase alone and before commands, and what sounds like it
    words_dev   the phrase by a voice that is never trained on, to choose by
    speech      commands without the phrase
    speech_dev  commands by the voice of words_dev, from which the threshold comes

The latter two serve any phrase, and are made once. All of them go on where they were interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from converters import cache
from converters.synthesis.pool import PoolWriter
from converters.synthesis.recipe import Recipe
from converters.synthesis.rendering import Voices
from converters.synthesis.wake_texts import bare_phones
from converters.synthesis.workers import fill


@dataclass(frozen=True)
class Order:
    """A pool to be made."""

    name: str
    recipe: Recipe
    hours: float | None = None
    count: int | None = None

    def done(self, writer: PoolWriter) -> float:
        """How much of it is there, 0 to 1."""
        if self.hours is not None:
            return min(writer.seconds / 3600 / self.hours, 1.0)
        return min(writer.next_index / (self.count or 1), 1.0)


def orders(phrase: str, words: int, seed: int) -> list[Order]:
    """What a phrase needs of its own.

    Args:
        phrase: the wake phrase.
        words: utterances with the phrase and with what sounds like it, half of each.
        seed: of all texts and voices.

    Raises:
        SynthesisError: a word of the phrase is not in the pronouncing dictionary.
    """
    bare_phones(phrase)
    return [
        Order("words", Recipe.make("wake", seed, phrase, "train"), count=words),
        Order("words_dev", Recipe.make("wake", seed, phrase, "dev"), count=max(20, words // 16)),
    ]


def shared_orders(hours: float, seed: int) -> list[Order]:
    """What any phrase needs: hours of speech to train on, and a quarter of that to choose by."""
    return [
        Order(f"speech_{seed}", Recipe.make("command", seed), hours=hours),
        Order(f"speech_dev_{seed}", Recipe.make("dev", seed), hours=hours / 4),
    ]


def make(
    wanted: Sequence[Order],
    folder: Path,
    jobs: int,
    counter: Callable[[str], Callable[[float], None]],
) -> list[Path]:
    """Makes the pools that are not whole yet.

    Args:
        wanted: see `orders`.
        folder: each pool gets a folder of its own in it.
        jobs: processes.
        counter: called with a pool's name; what it gives is called with the share that is done.

    Returns:
        Where each pool is, in the order of ``wanted``.

    Raises:
        SynthesisError: an engine is missing, or a folder holds another pool.
    """
    root = cache.cache_root()
    found = []
    for order in wanted:
        voices = Voices(root)
        try:
            definition = order.recipe.definition(voices.versions(order.recipe.engines()))
        finally:
            voices.close()
        count = counter(order.name)
        found.append(folder / order.name)
        with PoolWriter(found[-1], definition) as writer:
            count(order.done(writer))
            fill(
                writer,
                order.recipe,
                hours=order.hours,
                count=order.count,
                jobs=jobs,
                cache_folder=root,
                report=lambda state, _failed, order=order, count=count: count(  # type: ignore[misc]
                    order.done(state)
                ),
            )
    return found

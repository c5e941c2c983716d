"""Which utterance stands at which index of a pool: a pure function of (recipe, seed, index).

The random stream of utterance i is seeded by a hash of the recipe and i, so it is the same whatever
was made before it, in whichever process. Kinds:

* `command`: training sentences by training speakers;
* `dev`, `test`: the held-out voice of that split, four cells in turn: template or free text, seen
  or held-out names; the names of the seen cells are those that a sentence happens to hold;
* `cells`: the voice and the sentences of the test in the same four cells, each with a name in every
  sentence, so that the cells differ in nothing but the names;
* `wake`: even indices hold the wake phrase (alone, before a command after a gap, or run together
  with it), odd ones hold hard negatives of it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from converters.synthesis.holdout import Split
from converters.synthesis.lexicon import Word, plan_words
from converters.synthesis.rendering import Manner
from converters.synthesis.text import Sentence, TextGenerator
from converters.synthesis.voices.speakers import Speaker, speakers, weighted_speakers
from converters.synthesis.wake_texts import NegativeTexts

RECIPE_VERSION = 4
"""Raised whenever the same index would give other samples.

Version 2 has the texts and speakers of version 1; one in six espeak variants sounds different,
slt_hts speaks at the rate asked for, and margins and espeak's pauses have a fixed length.
Version 3 has three times as many pseudo-speakers, fewer of them espeak's, and knows its phones.
"""
_SEEDED_SINCE = 3
"""Raised instead when texts or speakers change as well."""

Kind = Literal["command", "dev", "test", "cells", "wake"]
KINDS: tuple[Kind, ...] = ("command", "dev", "test", "cells", "wake")
_SPLITS: Mapping[Kind, Split] = {"command": "train", "dev": "dev", "test": "test", "cells": "test"}
CELLS = ("template-seen", "template-held", "free-seen", "free-held")
_QUESTION_WORDS = frozenset(
    "what what's how who who's when where why which is are am do does did will can could".split()
)


@dataclass(frozen=True)
class Recipe:
    """What defines a pool, apart from the versions of the engines."""

    kind: Kind
    seed: int
    phrase: str = ""
    """The wake phrase; only for kind "wake"."""
    split: Split = "train"
    """Whose voices and sentences are used."""

    @classmethod
    def make(cls, kind: Kind, seed: int, phrase: str = "", split: Split = "train") -> Recipe:
        """A recipe with the parts that its kind fixes filled in."""
        if kind == "wake":
            return cls(kind, seed, phrase, split)
        return cls(kind, seed, "", _SPLITS[kind])

    def definition(self, engines: Mapping[str, str]) -> dict[str, object]:
        """Everything the audio depends on, as JSON can hold it."""
        sources = {name: importlib.metadata.version(name) for name in ("names", "faker")}
        return {
            "version": RECIPE_VERSION, **asdict(self), "engines": dict(engines), "sources": sources,
        }  # fmt: skip

    def engines(self) -> tuple[str, ...]:
        """Names of the engines its speakers use."""
        return tuple(sorted({speaker.engine for speaker in speakers(self.split)}))


@dataclass(frozen=True)
class Part:
    """Words that are synthesised in one go."""

    words: tuple[Word, ...]
    manner: Manner


@dataclass(frozen=True)
class UtterancePlan:
    """What is said at one index, by whom and how."""

    speaker: Speaker
    parts: tuple[Part, ...]
    gap_s: float
    """Silence between the parts, beyond their own margins."""
    text: str
    cell: str
    """Which cell of a test, or which kind of wake example."""
    intent: str = ""
    names: tuple[str, ...] = ()
    slots: Mapping[str, str] = field(default_factory=dict)
    phrase_words: int = 0
    """How many words at the start are the wake phrase."""


def utterance_seed(recipe: Recipe, index: int) -> int:
    """The 64-bit seed of one utterance."""
    text = f"{_SEEDED_SINCE}/{recipe.kind}/{recipe.seed}/{recipe.phrase}/{recipe.split}/{index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def plan(recipe: Recipe, index: int) -> UtterancePlan:
    """Decide everything about utterance `index`."""
    seed = utterance_seed(recipe, index)
    rng = random.Random(seed)
    who, weights = weighted_speakers(recipe.split)
    speaker = rng.choices(who, weights)[0]
    if recipe.kind == "wake":
        return _plan_wake(recipe, index, seed, rng, speaker)
    if recipe.kind == "command":
        sentence = TextGenerator(seed, "train").sentence()
        cell = "free" if sentence.intent == "free" else "template"
    else:
        cell = CELLS[index % len(CELLS)]
        generator = TextGenerator(
            seed, recipe.split, held_names=cell.endswith("held"), free=cell.startswith("free"),
            named=recipe.kind == "cells",
        )  # fmt: skip
        sentence = generator.sentence()
    return _plan_sentence(sentence, cell, rng, speaker)


def _manner(
    rng: random.Random, speaker: Speaker, words: int, *, question: bool, rate_spread: float = 0.13
) -> Manner:
    rate = math.exp(rng.gauss(0.0, rate_spread))
    return Manner(
        rate=min(max(rate, speaker.rates[0]), speaker.rates[1]),
        pitch=math.exp(rng.gauss(0.0, rate_spread / 2)),
        pitch_range=rng.uniform(0.6, 1.5),
        pause_after=rng.randrange(words) if rng.random() < 0.06 else None,
        question=question,
        seed=rng.getrandbits(31),
    )


def _asks(text: str, rng: random.Random) -> bool:
    likely = text.split(" ", 1)[0] in _QUESTION_WORDS
    return rng.random() < (0.5 if likely else 0.02)


def _plan_sentence(
    sentence: Sentence, cell: str, rng: random.Random, speaker: Speaker
) -> UtterancePlan:
    words = plan_words(sentence.text, sentence.names, rng)
    manner = _manner(rng, speaker, len(words), question=_asks(sentence.text, rng))
    return UtterancePlan(
        speaker, (Part(words, manner),), 0.0, sentence.text, cell,
        sentence.intent, sentence.names, sentence.slots,
    )  # fmt: skip


def _plan_wake(
    recipe: Recipe, index: int, seed: int, rng: random.Random, speaker: Speaker
) -> UtterancePlan:
    def part(text: str, pause_after: int | None = None) -> Part:
        words = plan_words(text, (), rng)
        question = _asks(text, rng)
        manner = _manner(rng, speaker, len(words), question=question, rate_spread=0.2)
        if pause_after is not None:
            manner = Manner(**{**asdict(manner), "pause_after": pause_after})
        return Part(words, manner)

    if index % 2:
        text, kind = NegativeTexts(recipe.phrase, seed).text()
        return UtterancePlan(speaker, (part(text),), 0.0, text, f"negative-{kind}")
    count = len(recipe.phrase.split())
    way = rng.random()
    if way < 0.4:
        return UtterancePlan(
            speaker, (part(recipe.phrase),), 0.0, recipe.phrase, "positive-alone",
            phrase_words=count,
        )  # fmt: skip
    command = TextGenerator(seed, recipe.split).sentence()
    text = f"{recipe.phrase} {command.text}"
    if way < 0.65:
        both = (part(recipe.phrase), part(command.text))
        # The same breath and voice: the command is said as the phrase was.
        same = Manner(**{**asdict(both[0].manner), "pause_after": None, "question": False})
        parts = (Part(both[0].words, same), Part(both[1].words, same))
        return UtterancePlan(
            speaker, parts, rng.uniform(0.0, 0.5), text, "positive-gap", command.intent,
            command.names, command.slots, count,
        )  # fmt: skip
    pause = count - 1 if way < 0.75 else None
    return UtterancePlan(
        speaker, (part(text, pause),), 0.0, text, "positive-together", command.intent,
        command.names, command.slots, count,
    )  # fmt: skip

"""Fillers of the slots that are made up rather than looked up: names, times, numbers, titles.

`SlotFiller.fill(template)` replaces every `{slot}`, to any depth, and notes the names it used.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from converters.synthesis import spoken
from converters.synthesis.grammar import grammar
from converters.synthesis.name_lists import NameLists, title_words

_SLOT = re.compile(r"\{(\w+)\}")
_NUMBERED = re.compile(r"n(\d+)")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


class SlotFiller:
    """Fills templates from one random stream.

    Args:
        rng: Where every choice comes from.
        names: The names that may be used.
    """

    def __init__(self, rng: random.Random, names: NameLists) -> None:
        self._rng = rng
        self._names = names
        self._words = title_words()
        self._phrases = grammar().phrases
        self.used_names: list[str] = []
        self._made: dict[str, Callable[[], str]] = {
            "first": self.first, "last": self.last, "contact": self.contact, "artist": self.artist,
            "title": self.title, "word": self.word, "drink": self.drink, "a_drink": self.a_drink,
            "clock": lambda: spoken.clock(rng), "number": self.number, "digits": self.digits,
            "date": self.date, "letters": self.letters, "radio": self.radio,
            "oven": lambda: spoken.number(rng.randrange(200, 475, 25)),
            "number_small": lambda: spoken.number(rng.randint(2, 6)),
        }  # fmt: skip

    def fill(self, template: str) -> str:
        """Replace every slot of a template."""
        return _SLOT.sub(lambda match: self.slot(match[1]), template)

    def slot(self, name: str) -> str:
        """The text for one slot.

        Raises:
            KeyError: No filler and no phrase list has that name.
        """
        if name in self._made:
            return self._made[name]()
        if bounded := _NUMBERED.fullmatch(name):
            return spoken.number(self._rng.randint(1, int(bounded[1])))
        return self.fill(self._rng.choice(self._phrases[name]))

    def word(self) -> str:
        """One ordinary word."""
        return self._rng.choice(self._words)

    def _name(self, common: tuple[str, ...], foreign: tuple[str, ...]) -> str:
        rng = self._rng
        if rng.random() < 0.07 and foreign:
            name = rng.choice(foreign)
        elif rng.random() < 0.4:
            # Common names more often, as in life; the rest evenly, for the variety of spellings.
            name = common[int(len(common) * rng.random() ** 2.5)]
        else:
            name = rng.choice(common)
        self.used_names.append(name)
        return name

    def first(self) -> str:
        """A first name."""
        return self._name(self._names.first, self._names.foreign_first)

    def last(self) -> str:
        """A last name."""
        return self._name(self._names.last, self._names.foreign_last)

    def contact(self) -> str:
        """Whom to call: a name, both names, or a relation."""
        kind = self._rng.random()
        if kind < 0.33:
            return self.first()
        if kind < 0.80:
            return f"{self.first()} {self.last()}"
        if kind < 0.86:
            return self.last()
        return self.slot("relative")

    def artist(self) -> str:
        """A person or a band."""
        kind = self._rng.random()
        if kind < 0.5:
            return f"{self.first()} {self.last()}"
        if kind < 0.65:
            return f"the {self.word()} {self.word()}"
        if kind < 0.75:
            return self.last()
        if kind < 0.85:
            return f"the {self.last()} {self.slot('band_kind')}"
        return self.word()

    def title(self) -> str:
        """A work: one of the known ones, or an invented one."""
        if self._rng.random() < 0.2:
            return self.slot("known_title")
        return self.fill(self._rng.choice(_TITLE_SHAPES))

    def drink(self) -> str:
        """An order such as "large iced latte with oat milk and two sugars"."""
        rng = self._rng
        chance = rng.random
        parts = [
            self.slot(part)
            for part, share in (
                ("drink_size", 0.45),
                ("drink_strength", 0.1),
                ("drink_roast", 0.35),
                ("drink_shots", 0.35),
            )
            if chance() < share
        ]
        # People say these in any order, and last whether it is to be hot.
        rng.shuffle(parts)
        if chance() < 0.2:
            parts.append(self.slot("drink_warmth"))
        parts.append(self.slot("drink_kind"))
        extras = []
        if chance() < 0.45:
            amount = self.slot("drink_amount") + " " if chance() < 0.5 else ""
            extras.append(amount + self.slot("drink_milk"))
        if chance() < 0.4:
            amount = self.slot("drink_amount") + " " if chance() < 0.5 else ""
            extras.append(amount + self.slot("drink_sweet"))
        if chance() < 0.12:
            extras.append(self.slot("drink_shots"))
        rng.shuffle(extras)
        order = " ".join(parts)
        if extras:
            order += " with " + " and ".join(extras)
        if chance() < 0.08:
            order += f" in a {self.slot('drink_cup')}"
        return order

    def a_drink(self) -> str:
        """An order and how many: mostly "a" or "an", else "one" or nothing."""
        order = self.drink()
        kind = self._rng.random()
        if kind < 0.15:
            return f"one {order}"
        if kind < 0.25:
            return order
        return f"an {order}" if order[0] in "aeiou" else f"a {order}"

    def number(self) -> str:
        """A number, small ones more often."""
        rng = self._rng
        top = rng.choice((20, 99, 999, 9999))
        return spoken.number(rng.randint(0, top), rng.choice((" ", " ", " and ")))

    def digits(self) -> str:
        """A telephone number or code, figure by figure."""
        rng = self._rng
        figures = "".join(rng.choice("0123456789") for _ in range(rng.choice((3, 4, 4, 7, 10, 10))))
        return spoken.digits(figures, rng.choice(("oh", "zero")))

    def date(self) -> str:
        """A day of a month, sometimes with "the"."""
        month, day = self.slot("month"), spoken.ordinal(self._rng.randint(1, 31))
        return self._rng.choice((f"{month} {day}", f"{month} {day}", f"the {day} of {month}"))

    def letters(self) -> str:
        """Three to six letters, spelled."""
        return " ".join(self._rng.choice(_ALPHABET) for _ in range(self._rng.randint(3, 6)))

    def radio(self) -> str:
        """A frequency in megahertz."""
        whole, tenth = self._rng.randint(88, 107), self._rng.randint(0, 9)
        return f"{spoken.number(whole)} point {spoken.number(tenth)}"


_TITLE_SHAPES = (
    "{word}", "the {word}", "{word} {word}", "the {word} {word}", "{word} {word} {word}",
    "{word} of the {word}", "{word} and {word}", "my {word}", "{word} in the {word}",
    "{first} and the {word}", "{first}", "the {last} {word}", "{n99} {word}", "{first}'s {word}",
    "don't {word} me", "i {word} you", "a {word} for {first}", "when the {word} {word}",
    "how to {word}", "no more {word}", "the {word} of {first} {last}", "{word} me to {city}",
)  # fmt: skip

"""How numbers, ordinals and clock times are said in English. Pure functions.

`num2words` is not used: people say "seven oh five" and "a hundred and three", and the recogniser
has to hear those forms.
"""

from __future__ import annotations

import random

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = ("", "", *"twenty thirty forty fifty sixty seventy eighty ninety".split())
_ORDINAL_OF = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_DAY_PARTS = ("", "", "", "a m", "p m", "in the morning", "in the evening", "tonight")


def number(value: int, joiner: str = " ") -> str:
    """Say a cardinal number.

    Args:
        value: 0 to 999,999.
        joiner: What stands between hundreds and the rest: " " or " and ".

    Returns:
        The number in words, lower case, without hyphens: 42 -> "forty two".

    Raises:
        ValueError: The value is outside the range.
    """
    if not 0 <= value <= 999_999:
        raise ValueError(f"Only numbers from 0 to 999999 can be said, not {value}.")
    if value < 20:
        return _ONES[value]
    if value < 100:
        return _TENS[value // 10] + (" " + _ONES[value % 10] if value % 10 else "")
    if value < 1000:
        rest = value % 100
        return _ONES[value // 100] + " hundred" + (joiner + number(rest) if rest else "")
    rest = value % 1000
    return (
        number(value // 1000, joiner) + " thousand" + (" " + number(rest, joiner) if rest else "")
    )


def ordinal(value: int) -> str:
    """Say an ordinal: 21 -> "twenty first"."""
    head, _, last = number(value).rpartition(" ")
    if last in _ORDINAL_OF:
        last = _ORDINAL_OF[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return f"{head} {last}".strip()


def digits(figures: str, zero: str = "zero") -> str:
    """Say figures one by one: "507" -> "five zero seven" (or "five oh seven")."""
    return " ".join(zero if figure == "0" else _ONES[int(figure)] for figure in figures)


def clock_forms(hour: int, minute: int) -> tuple[str, ...]:
    """All the ways in which a time on a twelve-hour clock is said, the plainest first.

    Args:
        hour: 1 to 12.
        minute: 0 to 59.
    """
    this, following = number(hour), number(hour % 12 + 1)
    if minute == 0:
        return (this, f"{this} o'clock")
    plain = f"{this} oh {number(minute)}" if minute < 10 else f"{this} {number(minute)}"
    forms = [plain]
    if minute == 30:
        forms.append(f"half past {this}")
    if minute == 15:
        forms.append(f"quarter past {this}")
    if minute == 45:
        forms.append(f"quarter to {following}")
    if minute % 5 == 0 and minute < 30:
        forms.append(f"{number(minute)} past {this}")
    if minute % 5 == 0 and minute > 30:
        forms.append(f"{number(60 - minute)} to {following}")
    return tuple(forms)


def clock(rng: random.Random) -> str:
    """Draw a clock time as people say it, round times more often than odd ones."""
    minute = rng.choice(
        (0, 0, 0, 15, 30, 30, 45, 5, 10, 20, 25, 35, 40, 50, 55, rng.randint(0, 59))
    )
    forms = clock_forms(rng.randint(1, 12), minute)
    said = forms[0] if rng.random() < 0.65 else rng.choice(forms)
    part = rng.choice(_DAY_PARTS)
    return f"{said} {part}" if part else said

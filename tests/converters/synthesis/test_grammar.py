from __future__ import annotations

import random
import re

import pytest

from converters.synthesis.errors import SynthesisError
from converters.synthesis.grammar import grammar
from converters.synthesis.grammar.reading import parse
from converters.synthesis.name_lists import NameLists
from converters.synthesis.slots import SlotFiller

NAMES = NameLists(("anna",), ("miller",), ("bjorn",), ("nowak",))


def test_sections_are_read_with_comments_and_gaps():
    text = "# A comment\n[intent call 12]\ncall {contact}\n\nphone\n[list room]\nden, living room\n"
    (first, templates), (second, phrases) = parse("x", text)
    assert (first["intent"], first["weight"]) == ("call", "12")
    assert templates == ["call {contact}", "phone"]
    assert second["list"] == "room"
    assert phrases == ["den, living room"]


@pytest.mark.parametrize(
    "text", ["call me\n", "[intent call]\n", "[list a b]\n", "[intent call 12] x\n"]
)
def test_a_malformed_file_is_refused_with_its_line(text: str):
    with pytest.raises(SynthesisError, match="Line 1 of x"):
        list(parse("x", text))


def test_the_intents_cover_the_assistant():
    names = [intent.name for intent in grammar().intents]
    assert len(set(names)) == len(names) >= 15
    assert {"call", "timer", "alarm", "home", "drink", "weather", "list"} <= set(names)


def test_every_slot_of_every_template_and_phrase_can_be_filled():
    filler = SlotFiller(random.Random(1), NAMES)
    texts = [t for intent in grammar().intents for t in intent.templates]
    texts += [t for entries in grammar().phrases.values() for t in entries]
    for text in texts:
        said = filler.fill(text)
        assert re.fullmatch(r"[a-z']+( [a-z']+)*", said), (text, said)


def test_every_list_is_used_somewhere():
    used = " ".join(
        [t for intent in grammar().intents for t in intent.templates]
        + [t for entries in grammar().phrases.values() for t in entries]
    )
    # Put together by code instead of by a template.
    in_code = {"band_kind", "known_title", "month", "relative"}
    for name in grammar().phrases:
        assert f"{{{name}}}" in used or name in in_code or name.startswith("drink_"), name

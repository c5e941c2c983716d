"""What people say to an assistant, as text files: sentence templates by intent, and phrase lists.

Everything in the files was written for this project; titles in them are old enough to be public
domain. A file holds sections:

    [intent call 12]        templates of an intent, one per line; 12 is its share of all sentences
    call {contact}
    [list room]             phrases that fill `{room}`, separated by commas
    kitchen, living room

`{contact}` calls the filler of that name in `converters.synthesis.slots`; a slot without a filler
takes a phrase from the list of that name. Templates and phrases may hold slots. A line that stands
twice is drawn twice as often.
"""

from converters.synthesis.grammar.reading import Grammar, Intent, grammar

__all__ = ["Grammar", "Intent", "grammar"]

"""What a recogniser writes: letters, which ship, and other units to compare them with.

* Letters need no dictionary: any name can be spelled, and the board's language model and lists of
  contacts speak of letters.
* Pieces are the most frequent strings of a text (Kudo 2018, arXiv:1804.10959): fewer labels for an
  utterance, and each is rarer.
* Sounds are phones of a pronouncing dictionary, with a mark after each word. What is heard is then
  spelled by the word that sounds most alike.
"""

from __future__ import annotations

import collections
import functools
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from converters.asr.text import BLANK, CHARACTERS, VOCABULARY, decode, encode
from converters.synthesis.dictionary import pronunciations
from converters.synthesis.phones import PHONES

PIECES_FILE = "pieces.model"


class Units(Protocol):
    """Labels of texts and back; label 0 is the blank."""

    name: str
    count: int
    """Labels, with the blank."""

    def encode(self, text: str) -> list[int] | None:
        """Labels of a normalised text; None: it cannot be written in these units."""
        ...

    def decode(self, labels: Iterable[int]) -> str:
        """The text of labels; blanks are skipped."""
        ...


class Letters:
    """See `text.py`."""

    name = "letters"
    count = VOCABULARY

    def encode(self, text: str) -> list[int] | None:
        """See `Units.encode`; never None."""
        return encode(text)

    def decode(self, labels: Iterable[int]) -> str:
        """See `Units.decode`."""
        return decode(labels)


class Pieces:
    """Pieces of words that SentencePiece found.

    Args:
        model: content of its file.
    """

    name = "pieces"

    def __init__(self, model: bytes) -> None:
        from sentencepiece import SentencePieceProcessor

        self._processor = SentencePieceProcessor(model_proto=model)
        self.count = 1 + self._processor.get_piece_size()

    def encode(self, text: str) -> list[int] | None:
        """See `Units.encode`; never None."""
        return [1 + piece for piece in self._processor.encode(text)]

    def decode(self, labels: Iterable[int]) -> str:
        """See `Units.decode`."""
        return str(self._processor.decode([label - 1 for label in labels if label != BLANK]))


def find_pieces(texts: Iterable[str], count: int) -> bytes:
    """The file of a model of so many pieces, learnt from normalised texts."""
    from sentencepiece import SentencePieceTrainer

    written = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=written, vocab_size=count - 1,
        required_chars=CHARACTERS.strip(), bos_id=-1, eos_id=-1, pad_id=-1, minloglevel=2,
        hard_vocab_limit=False, num_threads=1,
    )  # fmt: skip
    return written.getvalue()


class Sounds:
    """Phones of words, each word closed by a mark.

    Args:
        texts: normalised; of words that sound the same, the one most frequent in them is written.
    """

    name = "sounds"
    count = 2 + len(PHONES[1:])
    END_OF_WORD = 1

    def __init__(self, texts: Iterable[str]) -> None:
        self._label = {phone: 2 + i for i, phone in enumerate(PHONES[1:])}
        frequency = collections.Counter(word for text in texts for word in text.split())
        self._spelled: dict[str, str] = {}
        self._counted = [word for word, _ in frequency.most_common()]
        for word, sounds in self.words():
            self._spelled.setdefault(_as_string(sounds), word)
        self._known = list(self._spelled)
        self.decode_word = functools.lru_cache(maxsize=20_000)(self._decode_word)

    def words(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Every word that can be written, with its labels, the mark left out."""
        for word in {**dict.fromkeys(self._counted), **pronunciations()}:
            sounds = self._sounds(word)
            if sounds:
                yield word, sounds

    def encode(self, text: str) -> list[int] | None:
        """See `Units.encode`; None if a word is not in the dictionary."""
        labels: list[int] = []
        for word in text.split():
            sounds = self._sounds(word)
            if sounds is None:
                return None
            labels += [*sounds, self.END_OF_WORD]
        return labels

    def decode(self, labels: Iterable[int]) -> str:
        """See `Units.decode`."""
        words: list[list[int]] = [[]]
        for label in labels:
            if label == self.END_OF_WORD:
                words.append([])
            elif label != BLANK:
                words[-1].append(label)
        return " ".join(self.decode_word(_as_string(word)) for word in words if word)

    @functools.cache  # noqa: B019 - there is one for a process
    def _sounds(self, word: str) -> tuple[int, ...] | None:
        owner = word.removesuffix("'s")
        phones = pronunciations().get(word) or pronunciations().get(owner)
        if phones is None:
            return None
        owned = ("z",) if owner != word and word not in pronunciations() else ()
        return tuple(self._label[phone.rstrip("012").lower()] for phone in (*phones, *owned))

    def _decode_word(self, sounds: str) -> str:
        from rapidfuzz import process
        from rapidfuzz.distance import Levenshtein

        if sounds in self._spelled:
            return self._spelled[sounds]
        nearest = process.extractOne(sounds, self._known, scorer=Levenshtein.distance)[0]
        return self._spelled[nearest]


def _as_string(labels: Sequence[int]) -> str:
    return "".join(chr(65 + label) for label in labels)


LETTERS = Letters()


def chosen_units(wanted: str, texts: list[str], out: Path) -> Units:
    """Units by name.

    Args:
        wanted: "letters", "sounds", or "pieces:COUNT".
        texts: normalised, that the run learns from.
        out: folder of the run; pieces are found once and kept there.
    """
    if wanted == "letters":
        return LETTERS
    if wanted == "sounds":
        return Sounds(texts)
    count = wanted.removeprefix("pieces:")
    kept = out / PIECES_FILE
    if not kept.exists():
        out.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(find_pieces(texts, int(count)))
    return Pieces(kept.read_bytes())

"""Which decoder a bundle asks for: greedy, or a beam with a language model of labels."""

from __future__ import annotations

from agent.bundle.manifest import Bundle
from agent.bundle.schema import LARGEST_FILE
from agent.errors import BundleFileError
from agent.hearing.beam import BeamSearch
from agent.hearing.joint import Joint
from agent.hearing.language_model import LanguageModel
from agent.hearing.transducer import Transducer

LANGUAGE_ROLE = "language"


def load_decoder(bundle: Bundle, joint: Joint) -> Transducer | BeamSearch:
    """The decoder that the manifest describes.

    Args:
        bundle: Its `decoder` says how wide to search, and its file of the role `language`, if it
            has one, which labels follow each other.
        joint: Predictor and joiner of the bundle.

    Raises:
        BundleFileError: The language model cannot be read, or is damaged.
    """
    entry = bundle.manifest.decoder
    if entry.beam == 1:
        return Transducer(joint, max_symbols=entry.max_symbols)
    return BeamSearch(
        joint,
        _language_model(bundle),
        weight=entry.language_permille / 1000.0,
        width=entry.beam,
    )


def _language_model(bundle: Bundle) -> LanguageModel | None:
    if not any(entry.role == LANGUAGE_ROLE for entry in bundle.manifest.files):
        return None
    path = bundle.path(LANGUAGE_ROLE)
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE)
    except OSError as error:
        raise BundleFileError(
            f"{path} cannot be read ({error.strerror}); restore the bundle."
        ) from error
    return LanguageModel(content, path.name)

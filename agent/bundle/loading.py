"""Opens the model files of a bundle, packed or not."""

from __future__ import annotations

import hashlib

from agent.bundle.manifest import Bundle
from agent.bundle.packed import inflate
from agent.bundle.runtime import Model, read_model_file
from agent.errors import BundleFileError


def load_model(bundle: Bundle, path: str) -> Model:
    """A model of a bundle, ready to be called.

    Args:
        bundle: The bundle.
        path: Of the file, relative to the bundle.

    Raises:
        BundleFileError: The file is missing, damaged, or inflates to something else than the
            manifest says.
        RuntimeUnavailableError: No interpreter is installed, or it refuses the file.
    """
    return Model(model_content(bundle, path), name=path)


def model_content(bundle: Bundle, path: str) -> bytes:
    """The bytes of a model file as the interpreter takes them.

    Args:
        bundle: The bundle.
        path: Of the file, relative to the bundle.

    Raises:
        BundleFileError: See `load_model`.
    """
    file = bundle.directory / path
    content = read_model_file(file)
    entry = bundle.manifest.find(path)
    if entry is None or entry.unpacked_sha256 is None:
        return content
    content = inflate(content, str(file))
    if hashlib.sha256(content).hexdigest() != entry.unpacked_sha256:
        raise BundleFileError(
            f"{file} inflates to other bytes than the manifest says: its SHA-256 differs; restore"
            " the bundle."
        )
    return content

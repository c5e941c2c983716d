"""The tiny corpus, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.converters.corpora.tiny import prepared_librispeech


@pytest.fixture(scope="session")
def librispeech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of manifests."""
    return prepared_librispeech(tmp_path_factory.mktemp("corpus"))

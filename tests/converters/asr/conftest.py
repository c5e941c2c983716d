from __future__ import annotations

import pytest

from converters.synthesis.dictionary import pronunciations
from converters.synthesis.errors import MissingResourceError


@pytest.fixture(scope="session")
def dictionary() -> None:
    """Skips what needs the pronouncing dictionary where that is not installed."""
    try:
        pronunciations()
    except MissingResourceError as error:
        pytest.skip(str(error))

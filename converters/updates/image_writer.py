"""Packs a bundle into the full image that a board without a base unpacks."""

from __future__ import annotations

import lzma
import tarfile
from pathlib import Path

from agent.update.bundle_files import bundle_paths


def write_image(bundle: Path, out: Path) -> None:
    """Packs a bundle; the same bundle always gives the same bytes.

    Args:
        bundle: The bundle.
        out: Where to.
    """
    # -6 needs 9 MB to unpack: also the smallest board has them.
    with lzma.open(out, "wb", preset=6) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for path in sorted(bundle_paths(bundle), key=str.encode):
            member = tarfile.TarInfo(path)
            member.size = (bundle / path).stat().st_size
            member.mode = 0o644
            with (bundle / path).open("rb") as stream:
                tar.addfile(member, stream)

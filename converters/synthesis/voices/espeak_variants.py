"""Home-made parametric voices for espeak-ng's Klatt synthesiser, in a private data folder.

espeak-ng reads a voice variant from a small text file: pitch range, and frequency, height and width
of each formant. We write our own, all with the Klatt synthesiser, which is several times more
intelligible than the default one. libespeak-ng refuses more than 350 voices and variants together,
so the private copy of its data holds English and our variants only.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sysconfig
import tempfile
from pathlib import Path

from converters.synthesis.errors import MissingResourceError

VARIANT_COUNT = 60
_SEED = 20_260
_KEPT_FILES = ("en_dict", "intonations", "phondata", "phondata-manifest", "phonindex", "phontab")


def installed_data() -> Path:
    """Where the system keeps espeak-ng-data.

    Raises:
        MissingResourceError: Nowhere.
    """
    triplet = sysconfig.get_config_var("MULTIARCH") or "*"
    places = [
        *(Path(p) for p in [os.environ.get("ESPEAK_DATA_PATH", "")] if p),
        *Path("/usr/lib").glob(f"{triplet}/espeak-ng-data"),
        *Path("/usr/lib").glob("*/espeak-ng-data"),
        Path("/usr/share/espeak-ng-data"),
        Path("/usr/local/share/espeak-ng-data"),
    ]
    for place in places:
        if (place / "phontab").exists():
            return place
    raise MissingResourceError("espeak-ng-data is missing: install the package espeak-ng-data.")


def variant_text(number: int) -> str:
    """The file of home-made variant `number`."""
    rng = random.Random(_SEED + number)
    kind = ("male", "female", "male", "female", "child")[number % 5]
    formants, low = {
        "male": (rng.uniform(0.90, 1.06), rng.uniform(70, 112)),
        "female": (rng.uniform(1.06, 1.19), rng.uniform(128, 190)),
        "child": (rng.uniform(1.17, 1.28), rng.uniform(180, 240)),
    }[kind]
    lines = [
        "language variant",
        f"name {variant_name(number)}",
        f"gender {'male' if kind == 'male' else 'female'}",
        f"pitch {low:.0f} {low * rng.uniform(1.25, 1.7):.0f}",
    ]
    for formant in range(9):
        scale = 100 * formants * rng.uniform(0.97, 1.03)
        lines.append(
            f"formant {formant} {scale:.0f} {rng.uniform(80, 125):.0f} {rng.uniform(85, 140):.0f}"
        )
    if rng.random() < 0.5:
        lines.append(f"intonation {rng.randint(1, 4)}")
    lines += [
        # Flutter has a counter that outlives the utterance: with it, history would be heard.
        "flutter 0",
        f"roughness {rng.randint(0, 3)}",
        f"voicing {rng.randint(70, 115)}",
        f"consonants {rng.randint(75, 125)} {rng.randint(75, 125)}",
        # espeak-ng 1.51 has no source for type 6: it would sound like the voice before it.
        f"klatt {min(5, rng.choice((1, 2, 3, 4, 5, 6)))}",
    ]
    if rng.random() < 0.3:
        lines.append("breath " + " ".join(str(rng.randint(0, 18)) for _ in range(8)))
    return "\n".join(lines) + "\n"


def variant_name(number: int) -> str:
    """Name under which espeak-ng knows the variant: "en-us+own7" uses "own7"."""
    return f"own{number}"


def private_data(cache: Path) -> Path:
    """Make the private data folder, once.

    Args:
        cache: Folder for caches; the data goes into a folder of its own there.

    Returns:
        The folder that contains `espeak-ng-data`, as `espeak_Initialize` wants it.

    Raises:
        MissingResourceError: espeak-ng's data is not installed.
    """
    source = installed_data()
    variants = {variant_name(n): variant_text(n) for n in range(VARIANT_COUNT)}
    stamp = hashlib.sha256("".join(variants.values()).encode())
    stamp.update((source / "phontab").read_bytes() + (source / "en_dict").read_bytes())
    target = cache / f"espeak-{stamp.hexdigest()[:12]}"
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="espeak-draft-", dir=cache))
    data = draft / "espeak-ng-data"
    (data / "voices" / "!v").mkdir(parents=True)
    for name in _KEPT_FILES:
        shutil.copy(source / name, data / name)
    (data / "lang" / "gmw").mkdir(parents=True)
    for voice in (source / "lang" / "gmw").glob("en*"):
        shutil.copy(voice, data / "lang" / "gmw")
    for name, text in variants.items():
        (data / "voices" / "!v" / name).write_text(text)
    try:
        draft.rename(target)
    except OSError:
        # Another process was first; its copy is the same.
        shutil.rmtree(draft)
    return target

"""Which of the releases on offer this board installs next. Pure: no file, no clock, no network."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from agent.errors import UnfitError
from agent.update.journal import Record
from agent.update.release import Release, check_fit, newest_first


def fitting(
    offers: Iterable[Release], *, model: str, hardware: str, agent: str, floor: int
) -> tuple[list[Release], dict[int, str]]:
    """Sorts out what is not for this board as it is.

    Args:
        offers: Genuine releases.
        model: Name of the bundle in use.
        hardware: This machine.
        agent: Version of this agent.
        floor: Lowest release that may be installed.

    Returns:
        What may be installed, and for the rest by release why not. These are not refused: a newer
        agent may take them.
    """
    fit, unfit = [], {}
    for offer in offers:
        try:
            check_fit(
                offer, model=model, hardware=hardware, agent=agent, floor=floor, base_sha256=None
            )
        except UnfitError as error:
            unfit[offer.release] = f"{type(error).__name__}: {error}"
        else:
            fit.append(offer)
    return fit, unfit


def select(
    offers: Iterable[Release],
    *,
    record: Record,
    running: int,
    bases: Collection[str],
    device: str,
) -> Release | None:
    """Chooses among genuine releases.

    Args:
        offers: What the metadata list for this model and machine, above the floor.
        record: What has been refused before.
        running: Release in the active slot.
        bases: Bundle digests of the slots that a diff may start from.
        device: This board, for its share in a staged rollout.

    Returns:
        The newest release that is newer than the running one, in the smallest form that can be
        applied here; None if there is nothing to do.
    """
    for offer in newest_first(offers):
        if offer.release <= running:
            return None
        if record.refuses(offer.release, offer.sha256) or not offer.meant_for(device):
            continue
        if offer.format == "diff" and offer.base_sha256 not in bases:
            continue
        return offer
    return None

"""Asks a running `listen` how it is: for commands that print the answer and end."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from agent import __version__
from agent.channel.client import Client
from agent.errors import SocketError
from agent.events import PROTOCOL, Command, Health, Hello, Reply
from agent.records import RecordError, read_record

_POLL_S = 0.05


def ask_health(path: Path, uids: frozenset[int], timeout_s: float = 2.0) -> Health:
    """The health of the `listen` behind a socket, made when it is asked for.

    Args:
        path: The socket.
        uids: Whose `listen` is believed.
        timeout_s: How long to wait for it at most.

    Raises:
        SocketError: It does not run, or says nothing that is understood.
    """
    hello = Hello(
        protocol=PROTOCOL, agent=__version__, boot_id=secrets.token_hex(8), role="observer"
    )
    client = Client(path, hello=hello, uids=uids)
    question = Command(id=f"ask-{secrets.token_hex(8)}", verb="health")
    asked = False
    deadline = time.monotonic() + timeout_s
    try:
        while path.exists() and time.monotonic() < deadline:
            for event in client.poll(_POLL_S):
                if isinstance(event, Reply) and event.id == question.id:
                    return read_record(Health, event.result, unknown_keys=True)
            if client.server is not None and not asked:
                asked = client.send(question)
    except RecordError as error:
        raise SocketError(f"`listen` answers in another version ({error}); restart it.") from error
    finally:
        client.close()
    raise SocketError("`listen` does not run here, or does not answer this user.")

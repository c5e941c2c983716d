"""Who may talk on the socket: users by uid, and programs by their hello."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Collection, Iterable

from agent.errors import ConfigError, HandshakeError
from agent.events import PROTOCOL, Event, Hello

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


def allowed_uids(users: Iterable[str]) -> frozenset[int]:
    """The users whose processes may be peers.

    Args:
        users: Names or numbers, from `socket.allowed_users`.

    Returns:
        Their uids, our own and root's.

    Raises:
        ConfigError: A name does not exist here.
    """
    uids = {0, os.getuid()}
    for user in users:
        try:
            uids.add(int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid)
        except KeyError as error:
            raise ConfigError(
                f"socket.allowed_users: there is no user {user!r} on this system."
            ) from error
    return frozenset(uids)


def check_user(connection: socket.socket, allowed: Collection[int]) -> int:
    """Asks the kernel who is at the other end.

    Args:
        connection: A connected AF_UNIX socket.
        allowed: From `allowed_uids`.

    Returns:
        The process id of the peer.

    Raises:
        HandshakeError: It is another user.
    """
    answer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(answer)
    if uid not in allowed:
        raise HandshakeError(
            f"Process {pid} of uid {uid} is not allowed on the socket; add the user to"
            " socket.allowed_users if it should be."
        )
    return int(pid)


def check_hello(event: Event, *roles: str) -> Hello:
    """Checks a peer's first message.

    Args:
        event: The message.
        roles: What the peer may be.

    Returns:
        The message.

    Raises:
        HandshakeError: It is not a hello, of another protocol version, or of another role.
    """
    if not isinstance(event, Hello):
        raise HandshakeError(f"The peer began with {event.KIND!r} instead of hello.")
    if event.protocol != PROTOCOL:
        raise HandshakeError(
            f"The peer (agent {event.agent}) speaks protocol {event.protocol}, this one {PROTOCOL};"
            " restart both processes after an update."
        )
    if event.role not in roles:
        raise HandshakeError(f"The peer calls itself {event.role!r}, not {' or '.join(roles)}.")
    return event

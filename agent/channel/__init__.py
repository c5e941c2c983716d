"""The socket between `listen` and its peers: AF_UNIX stream, length and JSON, peers checked by uid.

`Server` belongs to `listen`, `Client` to `link` and to the live view of `run`.
"""

from agent.channel.client import Client
from agent.channel.server import Server

__all__ = ["Client", "Server"]

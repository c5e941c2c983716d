"""Full images from a web server: only over https, never elsewhere than the release says.

What makes an image genuine is its signed length and hash; https keeps others from seeing which
release a board fetches, and from feeding it gigabytes under the name of the mirror. Redirections
are refused, because they would lead to a server that nobody signed. A download goes on where it
stopped, if the server knows ranges.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from agent.errors import AbsentError, EndlessDataError, UnreachableError
from agent.update.pace import Pace
from agent.update.release import Release

_PARTIAL = 206


class HttpsFetcher:
    """Fetches from the mirror that a release names.

    Args:
        context: What checks the server's certificate; by default the system's authorities.
        bytes_per_second: Limit; 0 for none.
        timeout_s: Longest silence.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        *,
        bytes_per_second: int = 0,
        timeout_s: float = 20.0,
    ) -> None:
        self._context = context or ssl.create_default_context()
        self._pace = Pace(bytes_per_second)
        self._timeout_s = timeout_s

    def chunks(self, release: Release, start: int) -> Iterator[bytes]:
        """The rest of a release.

        Args:
            release: Which; its mirror begins with https://.
            start: Bytes that are already there.

        Yields:
            Pieces of at most the length of a part, in order; together exactly the rest.

        Raises:
            UnreachableError: Nobody answers, the certificate is wrong, or the connection broke.
            AbsentError: The server does not have the file, or sends us elsewhere.
            EndlessDataError: The server sends more than was signed.
        """
        url = urlsplit(release.mirror + release.target.rpartition("/")[0] + "/" + release.file)
        if url.scheme != "https" or url.hostname is None:
            raise AbsentError(f"{release.mirror!r} is not an https mirror; publish another.")
        connection = http.client.HTTPSConnection(
            url.hostname, url.port, timeout=self._timeout_s, context=self._context
        )
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            connection.request("GET", url.path, headers=headers)
            answer = connection.getresponse()
            if answer.status not in (http.client.OK, _PARTIAL):
                raise AbsentError(
                    f"{release.mirror} answers {answer.status} for release {release.release};"
                    " put the file there, without redirection."
                )
            # A server that does not know ranges begins at the beginning.
            skip = start if answer.status == http.client.OK else 0
            yield from self._pieces(answer, release, start, skip)
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(
                f"{release.mirror} cannot be reached ({error!r}); what was"
                " received is kept, the next check goes on from there."
            ) from error
        finally:
            connection.close()

    def _pieces(
        self, answer: http.client.HTTPResponse, release: Release, start: int, skip: int
    ) -> Iterator[bytes]:
        position = start - skip
        while piece := answer.read(release.chunk):
            position += len(piece)
            if position > release.length:
                raise EndlessDataError(
                    f"{release.mirror} sends more than the {release.length} bytes of release"
                    f" {release.release}; look what lies there."
                )
            new = piece[min(skip, len(piece)) :]
            skip -= len(piece) - len(new)
            if new:
                yield new
            self._pace.spend(len(piece))

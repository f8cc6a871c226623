"""The body of a request: how long its parts are, and the parts.

The first line is a JSON list of sizes in bytes; behind it come the parts. Not a form: Starlette, as others do, writes
the files of a form to disk, and here nothing is written.
"""

import json

from starlette.requests import Request

HEADER = 64 * 1024
"""Bytes of the line of sizes."""


class Refused(Exception):
    """A request that is not answered: the key of the sentence in texts.yaml, and the HTTP status."""

    def __init__(self, key: str, status: int = 400) -> None:
        super().__init__(key)
        self.key, self.status = key, status


async def read(request: Request, most: int, largest: int, total: int) -> list[bytes]:
    """Read the parts, in memory alone.

    Parameters
    ----------
    request : Request
    most : int
        How many parts there may be.
    largest, total : int
        Bytes of one part, and of all.

    Raises
    ------
    Refused
        If there are more of any, or the sizes are not those of the parts. Nothing beyond a limit is held.
    """
    limit, body = total + HEADER, bytearray()
    if int(request.headers.get("content-length", 0)) > limit:
        raise Refused("over.bytes", 413)
    async for chunk in request.stream():
        if len(body) + len(chunk) > limit:
            raise Refused("over.bytes", 413)
        body += chunk
    sizes, begin = _sizes(body)
    if len(sizes) > most:
        raise Refused("over.number", 413)
    if max(sizes, default=0) > largest:
        raise Refused("over.image", 413)
    if begin + sum(sizes) != len(body):
        raise Refused("damaged")
    parts = []
    for size in sizes:
        parts.append(bytes(body[begin : begin + size]))
        begin += size
    return parts


def _sizes(body: bytearray) -> tuple[list[int], int]:
    """The sizes, and where the first part begins."""
    end = body.find(b"\n", 0, HEADER)
    try:
        sizes = json.loads(body[: max(end, 0)])
    except (ValueError, RecursionError):  # the latter of thousands of brackets
        raise Refused("damaged") from None
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise Refused("damaged")
    return sizes, end + 1

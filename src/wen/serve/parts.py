"""Read the body of a request, which consists of several parts.

The first line is a JSON list of the sizes of the parts, in bytes; the parts follow. A multipart form would be more
common, but Starlette writes the files of a form to disk, and no image may be written to disk here.
"""

import json

from starlette.requests import Request

HEADER = 64 * 1024
"""Maximum length of the line of sizes, in bytes."""


class Refused(Exception):
    """The request is rejected, with the key of a sentence in texts.yaml and an HTTP status."""

    def __init__(self, key: str, status: int = 400) -> None:
        super().__init__(key)
        self.key, self.status = key, status


async def read(request: Request, most: int, largest: int, total: int) -> list[bytes]:
    """Read the parts of a request into memory, without using the disk.

    Parameters
    ----------
    request : Request
    most : int
        Maximum number of parts.
    largest, total : int
        Maximum size of one part and of all parts, in bytes.

    Raises
    ------
    Refused
        If a limit is exceeded, or the sizes do not match the body. No bytes beyond a limit are kept in memory.
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
    """Parse the sizes; also returns the offset of the first part."""
    end = body.find(b"\n", 0, HEADER)
    try:
        sizes = json.loads(body[: max(end, 0)])
    except (ValueError, RecursionError):  # RecursionError from deeply nested brackets
        raise Refused("damaged") from None
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise Refused("damaged")
    return sizes, end + 1

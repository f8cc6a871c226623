"""Middleware that accepts requests only from the page itself, and sets the security headers of responses."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
OTHER_HOST = "This page answers only to its own address, on this computer."
OTHER_SITE = "This page takes images only from itself, not from another site."


class Guard:
    """Reject requests for another host, and posts from another site.

    A site whose domain name resolves to 127.0.0.1 (DNS rebinding) is rejected by its ``Host``. A form or script of
    another site is rejected by its ``Origin``, which browsers send with every post.

    Parameters
    ----------
    app : ASGIApp
    port : int
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        if port == 80:
            self.hosts |= {"127.0.0.1", "localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        app = self.app
        if host not in self.hosts:
            app = PlainTextResponse(OTHER_HOST, 403)
        elif scope["method"] not in ("GET", "HEAD") and headers.get("origin") != f"http://{host}":
            app = PlainTextResponse(OTHER_SITE, 403)
        await app(scope, receive, guarded)

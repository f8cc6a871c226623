"""The application: the page, and the requests that it sends for probabilities, pictures, people and CSV files.

No data of a request are kept after its response.
"""

import asyncio
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from wen import subjects
from wen.classify import row_of_image
from wen.config.types import Share
from wen.data import csv_file
from wen.data.gallery import png
from wen.data.images import ENDINGS, LARGEST, BadImage, central_square, decode
from wen.ensemble import temperature
from wen.errors import WenError
from wen.members.apply import Answer, Applied
from wen.rows import Row, csv_bytes
from wen.serve import parts
from wen.serve.guard import Guard
from wen.serve.html import LANGUAGES, Text, phrases, rendered
from wen.serve.parts import Refused

MOST = 5000
"""Maximum number of images that the page takes at once."""
IMAGE = 16 * 2**20
"""Maximum size of an image, in bytes; C-NMC's have 0.6 million."""
REQUEST = 64 * 2**20
"""Maximum size of a request with images, in bytes."""
ROWS = 16 * 2**20
"""Maximum size of a request with rows or with a table of subjects, in bytes."""
KINDS = {"page.js": "text/javascript", "page.css": "text/css"}
GONE = 499
"""Status for a request whose client has disconnected; it is never received."""


class Cell(BaseModel):
    """A row that the page sends back; the predicted class is computed from it again."""

    file: Annotated[str, Field(min_length=1, max_length=4096)]
    probability: Share
    spread: Share | None
    warning: Annotated[str, Field(max_length=1000)]


CELLS = TypeAdapter(Annotated[list[Cell], Field(max_length=MOST)])
Handler = Callable[[Request], Awaitable[Response]]


def page(applied: Applied, port: int, language: str = "en") -> Starlette:
    """Create the application that serves a classifier.

    Parameters
    ----------
    applied : Applied
    port : int
        The port it is served on, which requests must name in their ``Host``.
    language : str
        ``en`` or ``id``, until the user chooses another one on the page.
    """
    served = Served(applied, language)
    post_handlers = {
        "/cells": served.cells,
        "/picture": served.picture,
        "/people": served.people,
        "/people.csv": served.people_csv,
        "/cells.csv": served.cells_csv,
    }
    routes = [
        Route(path, served.with_error_messages(handler), methods=["POST"]) for path, handler in post_handlers.items()
    ]
    routes += [Route("/", served.index), *(Route(f"/{name}", _file) for name in KINDS)]
    return Starlette(routes=routes, middleware=[Middleware(Guard, port=port)])


class Served:
    """The request handlers of the page for a classifier.

    Parameters
    ----------
    applied : Applied
    language : str
    """

    def __init__(self, applied: Applied, language: str) -> None:
        self.applied, self.language = applied, language
        self.about = applied.about | {"threshold": applied.threshold}
        self.one_batch, self.one_picture = asyncio.Lock(), asyncio.Lock()

    async def index(self, request: Request) -> Response:
        """The page itself."""
        t, applied = self._text(request), self.applied
        script = {
            "texts": t.of_script(),
            "phrases": phrases(t.language),
            "limits": {
                "batch": applied.how.batch, "number": MOST, "image": IMAGE, "request": REQUEST, "endings": ENDINGS,
            },
            "positive": applied.classes[1],
            "threshold": applied.threshold,
            "maps": applied.maps is not None,
        }  # fmt: skip
        return HTMLResponse(rendered(t, applied, script))

    def _text(self, request: Request) -> Text:
        wanted = request.query_params.get("language", "")
        negative, positive = self.applied.classes
        return Text(
            wanted if wanted in LANGUAGES else self.language,
            negative=negative, positive=positive,
            most=MOST, megabytes=IMAGE >> 20, total=REQUEST >> 20, side=LARGEST,
        )  # fmt: skip

    def with_error_messages(self, handler: Handler) -> Handler:
        """Wrap a handler: an error that the user can correct becomes one sentence in the language of the page."""

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except ClientDisconnect:
                return Response(status_code=GONE)
            except Refused as refused:
                return JSONResponse({"problem": self._text(request)(refused.key)}, refused.status)
            except WenError as error:
                return JSONResponse({"problem": str(error)}, 400)

        return handle

    async def cells(self, request: Request) -> Response:
        """Classify a batch of images; respond with a row or a problem for each."""
        async with self.one_batch:  # only one batch is in memory, however many pages are open
            images = await parts.read(request, max(self.applied.how.batch, 1), IMAGE, REQUEST)
            return JSONResponse(await run_in_threadpool(self._rows, images))

    def _rows(self, images: list[bytes]) -> list[Row]:
        return [self._row(answer) for answer in self.applied.answers(images)]

    def _row(self, answer: Answer | str) -> Row:
        if isinstance(answer, str):
            return {"problem": answer}
        scaled = temperature.scale(answer.probability, self.applied.temperature)
        return row_of_image("", answer, self.applied, self.applied.threshold) | {"members": scaled.tolist()}

    async def picture(self, request: Request) -> Response:
        """Respond with an image as the network receives it, and with its class-activation map as an overlay."""
        async with self.one_picture:
            (image,) = await parts.read(request, 1, IMAGE, IMAGE) or [b""]
            return JSONResponse(await run_in_threadpool(self._picture, image))

    def _picture(self, data: bytes) -> dict[str, str | None]:
        from PIL import Image

        from wen.report.hard_cases import overlay, png_uri

        try:
            square = central_square(decode(data), self.applied.how.crop, self.applied.how.size)
        except BadImage:
            raise
        except Exception as error:  # decoders raise many types on damaged images
            raise BadImage("unreadable", type(error).__name__) from None
        shown = Image.fromarray(square)
        values = self.applied.maps(square) if self.applied.maps else None
        return {"image": png_uri(png(shown)), "map": None if values is None else png_uri(png(overlay(shown, values)))}

    async def people(self, request: Request) -> Response:
        """Respond with a row for each person."""
        return JSONResponse(await self._people(request))

    async def people_csv(self, request: Request) -> Response:
        """Respond with the same rows as the CSV of `wen classify --subjects --output people.csv`."""
        return _csv(await self._people(request), self.about)

    async def cells_csv(self, request: Request) -> Response:
        """Respond with the rows of images as the CSV of `wen classify --output cells.csv`."""
        (content,) = await parts.read(request, 1, ROWS, ROWS) or [b""]
        rows = [self._row_of_cell(cell) for cell in _cells(content)]
        return _csv(rows, self.about)

    def _row_of_cell(self, cell: Cell) -> Row:
        called = self.applied.classes[int(cell.probability >= self.applied.threshold)]
        return {"file": cell.file, "probability": cell.probability, "called": called} | cell.model_dump(
            include={"spread", "warning"}
        )

    async def _people(self, request: Request) -> list[Row]:
        """Group the cells of a request by person.

        Its parts are the cells, a name, and optionally a table of subjects. The name is that of the table or, without
        one, that of the person to whom all cells belong.
        """
        content = await parts.read(request, 3, ROWS, ROWS)
        if len(content) < 2:
            raise Refused("damaged")
        cells, name = _cells(content[0]), content[1].decode("utf-8", "replace").strip()
        if len(content) == 3:
            files = [cell.file for cell in cells]
            table = Path(name)
            names = subjects.in_table(csv_file.parsed(content[2], table), table, files, Path(_folder_of(files)))
        else:
            names = [name] * len(cells)
        pairs = ((person, cell.model_dump()) for person, cell in zip(names, cells, strict=True))
        return await run_in_threadpool(
            subjects.rows, pairs, self.applied.threshold, self.applied.classes, self.applied.seed
        )


def _cells(content: bytes) -> list[Cell]:
    try:
        return CELLS.validate_json(content)
    except ValidationError:
        raise Refused("damaged") from None


def _folder_of(files: list[str]) -> str:
    """The folder that was dropped on the page, in which the table may give its paths; empty if there were several."""
    folders = {file.rpartition("/")[0].partition("/")[0] for file in files}
    return folders.pop() if len(folders) == 1 else ""


async def _file(request: Request) -> Response:
    name = request.url.path.removeprefix("/")
    return Response(files("wen.serve").joinpath(name).read_bytes(), media_type=KINDS[name])


def _csv(rows: list[Row], about: dict[str, Any]) -> Response:
    return Response(csv_bytes(rows, about), media_type="text/csv; charset=utf-8")

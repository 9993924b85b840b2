"""Serves the page to this machine alone, at an address that nobody can guess.

Bound to 127.0.0.1; the address holds a token, without which everything is refused; a page of another site can neither
ask (``Sec-Fetch-Site``, ``Origin``) nor pass for this one (``Host``, against a name that is made to mean 127.0.0.1).
"""

import asyncio
import hmac
import json
import re
import secrets
from collections.abc import Callable
from importlib import resources
from typing import Any, Final, Protocol

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

HOST: Final = "127.0.0.1"
_OWN_NAMES: Final = re.compile(rf"(?:{re.escape(HOST)}|localhost)(?::\d+)?", re.IGNORECASE)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES: Final = {
    "elements.js": ("jimt", "text/javascript"),
    "annotate.js": ("jimt.annotation", "text/javascript"),
    "patches.js": ("jimt.annotation", "text/javascript"),
    "cells.js": ("jimt.annotation", "text/javascript"),
    "annotate.css": ("jimt.annotation", "text/css"),
}
"""Files that a page is made of: the package that holds each, and what it is."""
_LONGEST: Final = 1 << 20  # bytes of a message


class SenselessError(Exception):
    """A message that this page would not have sent."""


def number_in(message: dict[str, Any], key: str, *, below: int) -> int:
    """A whole number from 0 on of a message.

    Raises:
        SenselessError: If it is none.
    """
    number = message.get(key)
    if type(number) is not int or not 0 <= number < below:
        raise SenselessError
    return number


class Page(Protocol):
    """What is behind a page."""

    def hello(self, tab: object) -> list[dict[str, Any]]:
        """What a tab is told first."""

    def answer(self, tab: object, message: dict[str, Any]) -> list[dict[str, Any]]:
        """What a tab is answered; ``SenselessError`` where no page would ask that."""

    def picture(self, kind: str, number: int) -> bytes:
        """A PNG; ``KeyError`` and ``IndexError`` where there is none of that kind or number."""

    def close(self, tab: object) -> None:
        """A tab is gone."""


class Server:
    """The page, until it is told to stop.

    Args:
        page: What is behind it.
        script: Which of the scripts is the page's.

    Attributes:
        address: To be opened in a browser.
    """

    def __init__(self, page: Page, *, script: str) -> None:
        self._token = secrets.token_urlsafe(24)
        self._tabs: set[_Socket] = set()
        options = {"page": page, "tabs": self._tabs}
        self._application = Application(
            [
                (r"/[^/]*/", _Start, {"script": script}),
                (r"/[^/]*/socket", _Socket, options),
                (r"/[^/]*/picture/([a-z]+)/(\d{1,9})", _Picture, {"page": page}),
                (r"/[^/]*/([a-z.]+)", _File),
            ],
            default_handler_class=_Nothing,
            log_function=lambda _: None,  # addresses hold the token
            token=self._token,
            websocket_ping_interval=10,
            websocket_max_message_size=_LONGEST,
        )
        self._sockets = bind_sockets(0, HOST)
        self.address = f"http://{HOST}:{self._sockets[0].getsockname()[1]}/{self._token}/"
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, opened: Callable[[], None]) -> None:
        """Serve until the process is told to stop.

        Args:
            opened: Called once the page can be opened.
        """
        asyncio.run(self.serve(opened, asyncio.Event()))

    async def serve(self, opened: Callable[[], None], is_over: asyncio.Event) -> None:
        """Serve until an event is set; arguments else as of ``run``."""
        self._loop = asyncio.get_running_loop()
        server = HTTPServer(self._application)
        server.add_sockets(self._sockets)
        opened()
        await is_over.wait()
        server.stop()
        await server.close_all_connections()

    def tell_all(self, message: Callable[[], dict[str, Any]]) -> None:
        """Tell every tab something, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell_all, message)

    def _tell_all(self, message: Callable[[], dict[str, Any]]) -> None:
        told = message()
        for tab in tuple(self._tabs):
            tab.send([told])


class _Guarded(RequestHandler):
    """Answers nobody but this page."""

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    def prepare(self) -> None:
        host, headers = self.request.host, self.request.headers
        token = self.request.path.split("/")[1]
        origin = headers.get("Origin")
        if (
            not hmac.compare_digest(token.encode(), self.settings["token"].encode())
            or not _OWN_NAMES.fullmatch(host)
            or headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
            or (origin is not None and origin != f"http://{host}")
        ):
            raise HTTPError(403)

    def write_error(self, status_code: int, **_: Any) -> None:
        why = {403: "Open the address that jimt annotate has printed: this one is not it, or is of an earlier start."}
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code}: {why.get(status_code, 'There is nothing here.')}\n")


class _Nothing(_Guarded):
    def prepare(self) -> None:
        super().prepare()
        raise HTTPError(404)


class _Start(_Guarded):
    def initialize(self, script: str) -> None:
        self._script = script

    def get(self) -> None:
        page = resources.files("jimt.annotation").joinpath("annotate.html").read_text(encoding="utf-8")
        self.finish(page.replace("{{ script }}", self._script))


class _File(_Guarded):
    def get(self, name: str) -> None:
        if name not in _FILES:
            raise HTTPError(404)
        package, kind = _FILES[name]
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.finish(resources.files(package).joinpath(name).read_bytes())


class _Picture(_Guarded):
    def initialize(self, page: Page) -> None:
        self._page = page

    def get(self, kind: str, number: str) -> None:
        try:
            picture = self._page.picture(kind, int(number))
        except (KeyError, IndexError):
            raise HTTPError(404) from None
        self.set_header("Content-Type", "image/png")
        self.finish(picture)


class _Socket(WebSocketHandler, _Guarded):
    """A tab."""

    def initialize(self, page: Page, tabs: "set[_Socket]") -> None:
        self._page, self._tabs = page, tabs

    def check_origin(self, origin: str) -> bool:
        return origin == f"http://{self.request.host}"

    def open(self, *_: str) -> None:
        self._tabs.add(self)
        self.send(self._page.hello(self))

    def on_message(self, message: str | bytes) -> None:
        try:
            told = json.loads(message)
        except ValueError:
            told = None
        try:
            if not isinstance(told, dict):
                raise SenselessError
            answers = self._page.answer(self, told)
        except SenselessError:
            self.close(1008, "this makes no sense")
            return
        self.send(answers)

    def on_close(self) -> None:
        self._tabs.discard(self)
        self._page.close(self)

    def send(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            try:
                self.write_message(json.dumps(message))
            except WebSocketClosedError:
                return

"""Who may ask: whoever may use the page that these routes belong to, from that page or with a password.

A browser sends requests for any page that is open in it. So a request must come from our own page (by what the browser
says of it, and by a token for what changes something), and to a name that is ours (a foreign name that points at this
machine is somebody else's page). The login is gradio's own; its check is found in the app that the routes are added to.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import SdftError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request

TOKEN_HEADER = "X-SDFT-Token"
JSON, BYTES = "application/json", "application/octet-stream"
PROCESS_TOKEN = secrets.token_urlsafe(32)
"""One for the whole process: an open page keeps working when the host makes a new app."""


@dataclass(frozen=True)
class Access:
    """What the host was started with.

    ``api_auth``: user and password as ``--api-auth`` takes them (``user:password``, several with commas), or empty.
    ``local``: only this machine can reach the server; then only requests to a local name are answered. ``names``: host
    names that count as local too (``--server-name``). The page's login is found in the app itself.
    """

    api_auth: str = ""
    local: bool = True
    names: tuple[str, ...] = ()
    token: str = field(default=PROCESS_TOKEN, repr=False)

    @property
    def users(self) -> list[tuple[bytes, bytes]]:
        """(user, password) pairs of ``api_auth``."""
        pairs = [entry.partition(":") for entry in self.api_auth.split(",") if entry]
        return [(user.encode(), password.encode()) for user, _, password in pairs]


class Refused(SdftError):
    """A request that isn't answered: status and the sentence why."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


class Guard:
    """Judges every request to the routes of one app."""

    def __init__(self, app: Starlette, access: Access) -> None:
        self.app, self.access = app, access
        self._user = _login(app)

    async def check(self, request: Request, content: str = JSON) -> None:
        """Raises Refused where a request isn't to be answered. ``content``: the type of body that changes something."""
        self._host(request)
        _same_site(request)
        by_password = await self._credentials(request)
        if request.method not in ("GET", "HEAD"):
            _same_origin(request)
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            # Neither type is one that a form on a foreign page can send.
            if kind != content:
                what = "JSON body" if content == JSON else "file as its body"
                raise Refused(400, f"The request has no {what}: send one with Content-Type: {content}.")
            if not by_password and not self.has_token(request):
                raise Refused(403, "This page is out of date: reload it.")
        elif "origin" in request.headers:
            _same_origin(request)

    def need_token(self, request: Request) -> None:
        """Raises Refused where a request carries neither the page's token nor a password."""
        if not self.has_token(request) and not self._password(request):
            raise Refused(403, f"The request lacks the page's token: send it as {TOKEN_HEADER}.")

    def has_token(self, request: Request) -> bool:
        """Whether a request carries the page's token."""
        sent = request.headers.get(TOKEN_HEADER, "")
        return secrets.compare_digest(sent.encode("utf-8", "replace"), self.access.token.encode())

    def _host(self, request: Request) -> None:
        """A local server answers to local names, and to addresses: no foreign name can be made to point at those."""
        if not self.access.local:
            return
        name = _host_name(request.headers.get("host", ""))
        if name in ("localhost", *(known.lower() for known in self.access.names)) or name.endswith(".localhost"):
            return
        try:
            ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            raise Refused(403, "This server is local: open it as http://127.0.0.1 or http://localhost.") from None

    async def _credentials(self, request: Request) -> bool:
        """Whether a checked password came along. Raises Refused where a login is asked for, and there is none."""
        # gradio 4 knows a login of the host's own beside its own.
        asked = any(getattr(self.app, name, None) is not None for name in ("auth", "auth_dependency"))
        login = self._user is not None and asked
        password = self._password(request)
        if password:
            return True
        if login and self._user is not None:
            user = self._user(request)
            if inspect.isawaitable(user):
                user = await user
            if user is not None:
                return False
        if not login and not self.access.users:
            return False
        # Where people log in on the page, the browser must not ask for a password of its own.
        asks = bool(self.access.users) and not (login and "sec-fetch-mode" in request.headers)
        headers = {"WWW-Authenticate": 'Basic realm="Fine-tune"'} if asks else {}
        raise Refused(401, "Log in first, then try again.", headers)

    def _password(self, request: Request) -> bool:
        kind, _, encoded = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic" or not self.access.users:
            return False
        try:
            sent = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        user, _, password = sent.partition(b":")
        # All are compared, so that the time tells nothing.
        matches = [
            secrets.compare_digest(user, known) & secrets.compare_digest(password, secret)
            for known, secret in self.access.users
        ]
        return any(matches)


def _login(app: Starlette) -> Callable[[Any], Any] | None:
    """gradio's own way to tell who a request is from: what its login check depends on. None in an app without gradio."""
    for route in app.routes:
        if getattr(route, "path", "") != "/login_check":
            continue
        for parameter in inspect.signature(route.endpoint).parameters.values():  # type: ignore[attr-defined]
            found = getattr(parameter.default, "dependency", None)
            if found is None:  # gradio 4: Annotated[str, Depends(…)] or a plain default
                for note in getattr(parameter.annotation, "__metadata__", ()):
                    found = getattr(note, "dependency", None) or found
            if found is not None:
                return found
        raise RuntimeError(
            "gradio's login can't be found in this version: the Fine-tune tab would be open to everybody, so it isn't "
            "added; report this with the version of gradio."
        )
    return None


def _same_site(request: Request) -> None:
    """What the browser itself says about who asks; no page can change that."""
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise Refused(403, "Another web page asked for this: open the Fine-tune tab itself.")


def _same_origin(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is None or request.headers.get("sec-fetch-site") == "same-origin":
        return
    if urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
        raise Refused(403, "Another web page asked for this: open the Fine-tune tab itself.")


def _host_name(header: str) -> str:
    """A Host header without its port, an IPv6 address without its brackets."""
    header = header.strip().lower()
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.rpartition(":")[0] if header.count(":") == 1 else header

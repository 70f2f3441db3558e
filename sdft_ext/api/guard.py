"""Decides which requests are answered: those of users who may use the page, from that page or with a password.

A browser sends requests on behalf of any page that is open in it. So a request must come from our own page (the browser
says so, and a request that changes something carries a token), and must be addressed to a name of ours (a foreign name
that points at this machine is another page's trick). The login is gradio's own; its check is found in the app that the
routes are added to.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import ipaddress
import re
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
HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)(?:%[\w.~-]+)?\]|(?P<name>[^\[\]:@/?#%\\\s]+))(?::[0-9]*)?")
"""An address or a name, and a port (RFC 9110 §7.2)."""
PROCESS_TOKEN = secrets.token_urlsafe(32)
"""One for the whole process, so that an open page keeps working when the host makes a new app."""


@dataclass(frozen=True)
class Access:
    """Options that the host was started with.

    ``api_auth``: users and passwords as in ``--api-auth`` (``user:password``, separated by commas), or empty.
    ``local``: only this machine can reach the server. ``names``: further host names of this server (``--server-name``,
    and those that its user has set): without a login, only requests to an address, a local name or one of these are
    answered. The page's login is found in the app itself.
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
    """A request is refused; ``detail`` says why."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


class Guard:
    """Checks every request to the routes of one app."""

    def __init__(self, app: Starlette, access: Access) -> None:
        self.app, self.access = app, access
        self._user = _login(app)

    async def check(self, request: Request, content: str = JSON) -> None:
        """Raises Refused where a request must not be answered. ``content``: the type of body that a POST needs."""
        self.check_host(request)
        _same_site(request)
        by_password = await self._credentials(request)
        if request.method not in ("GET", "HEAD"):
            _same_origin(request)
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            # A form on a foreign page can send neither type.
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

    def check_host(self, request: Request) -> None:
        """Raises Refused for a foreign name, or for what is no name at all, where no login protects the server.

        A foreign page can point its own name at this server, and then counts as the same site; addresses and local
        names can't be redirected so.
        """
        if self._asks_login() or self.access.users:
            return
        sent = request.headers.getlist("host")
        name = _host_name(sent[0]) if len(sent) == 1 else ""
        if name in ("localhost", *(known.lower() for known in self.access.names)) or name.endswith(".localhost"):
            return
        try:
            ipaddress.ip_address(name)
        except ValueError:
            where = "This server is local: open it as http://127.0.0.1 or http://localhost."
            if not self.access.local:
                where = (
                    "This server has no login, so it answers only to its address: open it so, set a login "
                    "(--gradio-auth), or add its name to “Names of this server” in the settings."
                )
            raise Refused(403, where) from None

    def _asks_login(self) -> bool:
        """Whether users log in on the page. (gradio 4 also knows a login of the host's own.)"""
        asked = any(getattr(self.app, name, None) is not None for name in ("auth", "auth_dependency"))
        return self._user is not None and asked

    async def _credentials(self, request: Request) -> bool:
        """Whether the request carries a valid password. Raises Refused where a login is needed and missing."""
        login = self._asks_login()
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
        # Where users log in on the page, the browser must not ask for a password itself.
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
        # All are compared, so that the time reveals nothing.
        matches = [
            secrets.compare_digest(user, known) & secrets.compare_digest(password, secret)
            for known, secret in self.access.users
        ]
        return any(matches)


def _login(app: Starlette) -> Callable[[Any], Any] | None:
    """gradio's own function that finds a request's user: its login check depends on it. None in an app without
    gradio.
    """
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
    """Raises Refused where the browser says that another site asks; no page can forge that header."""
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise Refused(403, "Another web page asked for this: open the Fine-tune tab itself.")


def _same_origin(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is None or request.headers.get("sec-fetch-site") == "same-origin":
        return
    try:
        sender = urlsplit(origin).netloc.lower()
    except ValueError:  # "http://[" is no address
        sender = ""
    if sender != request.headers.get("host", "").lower() or not sender:
        raise Refused(403, "Another web page asked for this: open the Fine-tune tab itself.")


def _host_name(header: str) -> str:
    """A Host header without its port, an IPv6 address without its brackets and zone; empty for anything else."""
    found = HOST.fullmatch(header.strip().lower())
    return "" if found is None else found["address"] or found["name"] or ""

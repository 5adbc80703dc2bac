"""Sends webhooks by HTTP, to the very address that was checked."""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import urlsplit

import httpx

from callvault.adapters.webhooks.addresses import is_public
from callvault.domain.errors import Malformed
from callvault.ports.webhooks import Answer

TIMEOUT_SECONDS = 15.0
ANSWER_BYTES = 4096
UNBROKEN = re.compile(r"[^\s\x00-\x1f\x7f]+")
LONGEST_URL = 2048
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class AddressRefused(Exception):
    """it is no public address"""


class HttpxSender:
    """`private_allowed` lets it send to private addresses and over plain HTTP: for trials and closed networks."""

    def __init__(
        self,
        *,
        private_allowed: bool = False,
        timeout_seconds: float = TIMEOUT_SECONDS,
        resolve: Resolve | None = None,
        user_agent: str = "callvault",
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._private_allowed, self._timeout_seconds = private_allowed, timeout_seconds
        self._resolve = resolve or resolved
        # No connection is kept: one to an address would be taken for another name's at the same address.
        self._client = httpx.AsyncClient(
            verify=trusted or ssl.create_default_context(),
            follow_redirects=False,
            trust_env=False,
            timeout=timeout_seconds,
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"user-agent": user_agent, "accept-encoding": "identity"},
        )

    def check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, port, parsed = parts.hostname, parts.port, httpx.URL(url)
        except (ValueError, httpx.InvalidURL):
            raise Malformed(what="url", why="it is no URL") from None
        schemes = ("https", "http") if self._private_allowed else ("https",)
        if parts.scheme not in schemes:
            raise Malformed(what="url", why=f"it begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        if not host or port == 0 or not parsed.raw_host or len(url) > LONGEST_URL or not UNBROKEN.fullmatch(url):
            raise Malformed(what="url", why=f"it names a host and has at most {LONGEST_URL} characters")
        if parts.username or parts.password or parts.fragment:
            raise Malformed(what="url", why="it has no user, no password and no fragment")
        if not self._private_allowed and _is_private(host):
            raise Malformed(what="url", why="its address is not public")

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        began = time.monotonic()
        try:
            self.check(url)
            async with asyncio.timeout(self._timeout_seconds):
                response, answered = await self._post(httpx.URL(url), headers, body)
        except Exception as error:  # noqa: BLE001
            return Answer(_since(began), error=self._told(error))
        return Answer(_since(began), response.status_code, None, answered, _retry_after(response))

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, url: httpx.URL, headers: Mapping[str, str], body: bytes) -> tuple[httpx.Response, bytes]:
        addresses = await self._resolve(_name(url), url.port or (443 if url.scheme == "https" else 80))
        if not self._private_allowed and not all(is_public(address) for address in addresses):
            raise AddressRefused
        for address in addresses[:-1]:
            try:
                return await self._post_to(address, url, headers, body)
            except httpx.ConnectError:
                continue
        return await self._post_to(addresses[-1], url, headers, body)

    async def _post_to(
        self, address: str, url: httpx.URL, headers: Mapping[str, str], body: bytes
    ) -> tuple[httpx.Response, bytes]:
        """The host's name stays in the header, and in the certificate that is asked for."""
        told = {**headers, "host": url.netloc.decode()}
        there, named = url.copy_with(host=address), {"sni_hostname": _name(url)}
        request = self._client.stream("POST", there, content=body, headers=told, extensions=named)
        async with request as response:
            answered = b""
            async for chunk in response.aiter_raw():
                answered += chunk
                if len(answered) >= ANSWER_BYTES:
                    break
            return response, answered[:ANSWER_BYTES]

    def _told(self, error: Exception) -> str:
        """In our words: what the libraries say may hold the URL."""
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            return f"no answer within {self._timeout_seconds:g} s"
        if isinstance(error, AddressRefused | Malformed):
            return "the address is not allowed"
        if isinstance(error, socket.gaierror):
            return "the name is not known"
        if _is_about_trust(error):
            return "the certificate is not trusted"
        return "no connection" if isinstance(error, httpx.ConnectError) else f"failed: {type(error).__name__}"


def _name(url: httpx.URL) -> str:
    """In ASCII, as it is in the header: other readings of a name beyond it may come to somebody else's."""
    return url.raw_host.decode()


async def resolved(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_private(host: str) -> bool:
    """Of what can be known without asking for the name's addresses."""
    try:
        return not is_public(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_about_trust(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _retry_after(response: httpx.Response) -> int:
    told = response.headers.get("retry-after", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 8 else 0


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)

"""Whether the house is well: for load balancers, orchestrators and Prometheus."""

import asyncio
import hmac
from typing import Final

from starlette.requests import Request

from callvault.domain.errors import Fault, NotAuthenticated
from callvault.services.house import Check
from callvault.web.auth import public
from callvault.web.metrics import Metrics
from callvault.web.parts import Bearer, Claim, Hot, Part
from callvault.web.responses import Answer, bytes_answer, json_answer, redirect
from callvault.web.visit import visit_of

QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds: not worth a line in the log."""
CHECK_SECONDS: Final = 5.0
"""So long does who asks wait for a part."""
ANEW_SECONDS: Final = 15.0
"""After so long without an answer a part is looked at again."""


@public("a load balancer has no key, and the answer tells nothing")
async def healthz(request: Request) -> Answer:
    return json_answer({"status": "ok", "version": visit_of(request).options.version})


class Readiness:
    """A part is looked at once, however many ask: one that does not answer holds a thread for each look."""

    def __init__(self, patience_seconds: float = CHECK_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._looks: dict[str, tuple[float, asyncio.Task[str]]] = {}

    @public("an orchestrator has no key, and the answer tells no more than which part is down")
    async def readyz(self, request: Request) -> Answer:
        visit = visit_of(request)
        names = list(visit.services.checks)
        troubles = await asyncio.gather(*(self.trouble(name, visit.services.checks[name]) for name in names))
        parts = {name: trouble or "ok" for name, trouble in zip(names, troubles, strict=True)}
        if visit.options.stopping.is_set():
            parts["server"] = "shutting_down"
        down = any(state != "ok" for state in parts.values())
        return json_answer({"status": "down" if down else "ok", "parts": parts}, 503 if down else 200)

    async def trouble(self, name: str, check: Check) -> str:
        """What is wrong, as a code; empty when all is well."""
        look = self._look(name, check)
        await asyncio.wait([look], timeout=self._patience_seconds)
        return look.result() if look.done() else "no_answer"

    def _look(self, name: str, check: Check) -> asyncio.Task[str]:
        now = asyncio.get_running_loop().time()
        began, look = self._looks.get(name, (now, None))
        if look is None or look.done() or now - began > ANEW_SECONDS:
            look = asyncio.ensure_future(_found(check))
            self._looks[name] = now, look
        return look


async def _found(check: Check) -> str:
    try:
        await check()
    except Fault as fault:
        return fault.code
    return ""


@public("so that a browser at the address finds the console")
async def root(request: Request) -> Answer:
    return redirect(f"{visit_of(request).base_url}/ui/")


def part(metrics: Metrics) -> Part:
    @public("Prometheus may have no token; where the operator set one, it is asked for here")
    async def show(request: Request) -> Answer:
        token = visit_of(request).options.metrics_token
        presented = Bearer().presented(visit_of(request).asked) or ""
        if token and not hmac.compare_digest(token.encode(), presented.encode()):
            raise NotAuthenticated
        return bytes_answer(metrics.text(), b"text/plain; version=0.0.4; charset=utf-8")

    hot = (Hot("GET", "/healthz", healthz), Hot("GET", "/readyz", Readiness().readyz), Hot("GET", "/metrics", show))
    return Part(
        name="house",
        title="The house itself",
        claims=(Claim(""),),
        hot=(*hot, Hot("GET", "/", root)),
        documented=False,
    )

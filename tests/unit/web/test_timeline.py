import json
import threading
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from callvault.domain.lane import Lane
from callvault.domain.recording import Recording
from callvault.services.delivery.surveys import LaneSurvey, Survey
from callvault.services.timelines import Sound, Timeline
from callvault.web.native.timeline import get_timeline


class Watched(list[Any]):
    """Knows which threads went through it."""

    def __init__(self, items: Iterable[Any]) -> None:
        super().__init__(items)
        self.threads: set[int] = set()

    def __iter__(self) -> Iterator[Any]:
        self.threads.add(threading.get_ident())
        return super().__iter__()


async def test_a_timeline_of_however_many_spans_is_told_without_holding_up_the_loop() -> None:
    recording = Recording(
        id="r", workspace_id="w", call_id="c", created_ms=0, updated_ms=0, last_heard_ms=0, in_progress=False
    )
    lane = Lane(recording_id="r", name="customer", workspace_id="w", role="customer", rate=8000)
    spans = Watched(("sound" if n % 2 else "silence", n * 500_000, (n + 1) * 500_000) for n in range(1000))
    overlaps = Watched([(500_000, 750_000)])
    survey = Survey(Timeline("r", 1), 500_000_000, [LaneSurvey(lane, spans, overlaps, 0)])

    async def answer(*_: Any, **__: Any) -> Any:
        return recording

    async def surveyed(*_: Any, **__: Any) -> Survey:
        return survey

    async def heard(*_: Any, **__: Any) -> Sound:
        return Sound(recording, ())

    services = SimpleNamespace(
        recordings=SimpleNamespace(retrieve=answer, heard=answer),
        delivery=SimpleNamespace(surveys=SimpleNamespace(of=surveyed, heard=heard)),
    )
    answered = await get_timeline("r", SimpleNamespace(services=services, caller=None))
    [told] = json.loads(answered.body)["lanes"]
    assert told["spans"][:2] == [{"kind": "silence", "start": 0, "end": 0.5}, {"kind": "sound", "start": 0.5, "end": 1}]
    assert len(told["spans"]) == 1000
    assert told["overlaps"] == [{"start": 0.5, "end": 0.75}]
    assert threading.get_ident() not in spans.threads | overlaps.threads

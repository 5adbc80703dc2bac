"""When a recording is paused, of however many pauses there were."""

from callvault.domain.lane import Span
from callvault.services.ingest.cutting import Paused


def pause(start_us: int, end_us: int | None) -> Span:
    return Span(
        id=f"p{start_us}",
        recording_id="r",
        workspace_id="w",
        kind="pause",
        start_us=start_us,
        end_us=end_us,
        created_ms=0,
    )


def test_a_pause_lasts_from_its_start_to_before_its_end_or_for_ever() -> None:
    paused = Paused([pause(50, None), pause(10, 20), pause(15, 30), pause(40, 40)])
    assert [at for at in range(60) if paused.at(at)] == [*range(10, 30), *range(50, 60)]
    assert not Paused([]).at(0)


def test_hundreds_of_thousands_of_frames_are_told_from_tens_of_thousands_of_pauses_in_a_moment() -> None:
    paused = Paused(pause(20 * n, 20 * n + 10) for n in range(30_000))
    assert sum(paused.at(at) for at in range(0, 600_000, 5)) == 60_000

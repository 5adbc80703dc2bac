"""`callvault demo`: a vault with sample calls, and a line to paste for each of the APIs."""

import json
from pathlib import Path
from typing import Final

import click

from callvault.bootstrap import House
from callvault.cli.running import as_json, show
from callvault.cli.sampling import SYSTEM, Sample, load
from callvault.cli.serve import run_server
from callvault.domain.access import OPERATOR, Caller
from callvault.domain.call import Call
from callvault.domain.errors import Missing
from callvault.settings import load as load_settings
from callvault.web import logs

WORKSPACE: Final = "demo"
KEY_SECONDS: Final = 86_400
FOLDER: Final = Path("callvault-demo")


@click.command()
@click.option("--host", help="The address to listen on. [default: CALLVAULT_HOST, else 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 for any free one. [default: CALLVAULT_PORT, else 8080]")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default=FOLDER, help="The data folder.")
@as_json
def demo(host: str | None, port: int | None, data: Path, as_json: bool) -> None:
    """Serve a vault with sample calls, to try things out. Ctrl-C ends it.

    Example: callvault demo --port 8080
    """
    settings = load_settings(data=data, host=host, port=port)
    logs.configure(settings.log_format, "warning")
    run_server(settings, lambda house, address: _ready(house, address, as_json))


async def _ready(house: House, address: str, as_json: bool) -> None:
    services = house.services
    workspace = await services.workspaces.named(OPERATOR, WORKSPACE)
    workspace = workspace or await services.workspaces.create(OPERATOR, WORKSPACE, {"public_recordings": True})
    expires_ms = services.clock.now_ms() + KEY_SECONDS * 1000
    key = await services.keys.create(OPERATOR, workspace.id, label="demo", expires_ms=expires_ms)
    caller = Caller(await services.access.authenticate(key.key))
    oldest_first = list(enumerate(Sample.all(), 1))[::-1]
    calls = [await _call(house, caller, hours, sample) for hours, sample in oldest_first]
    recording = await services.recordings.of_call(caller, calls[-1].id)
    curls = _curls(address, key.key, calls[-1], recording.id)
    lines = [f"callvault is open at {address}/ui/", f"  key           {key.key}", ""]
    lines += [*(f"  {name:<13} {line}" for name, line in curls.items()), "", "Ctrl-C ends it."]
    show({"url": address, "key": key.key, "curl": curls}, as_json, lines)


async def _call(house: House, caller: Caller, hours_ago: int, sample: Sample) -> Call:
    try:
        return await house.services.calls.by_external_id(caller, SYSTEM, sample.name)
    except Missing:
        return await load(house.services, caller, hours_ago, sample)


def _curls(address: str, key: str, call: Call, recording_id: str) -> dict[str, str]:
    bearer = f"-H 'Authorization: Bearer {key}'"
    asked = json.dumps({"operation": "retrieve", "parameters": {"id": recording_id}})
    chat = f"{address}/api/v2/w/{call.workspace_id}/recordings/chat/{call.chat_id}/audio.wav"
    return {
        "Vapi": f"curl -L {bearer} -o vapi.wav {address}/call/{call.id}/stereo-recording",
        "AgentPhone": f"curl -o agentphone.wav {address}/v1/calls/{call.public_id}/recording",
        "OSVI": f"curl -H 'API-Token: {key}' {address}/v1/call/{call.id}/recording",
        ".do": f"curl {bearer} -H 'Content-Type: application/json' -d '{asked}' {address}/CallRecording",
        "Gravity Rail": f"curl {bearer} -o gravityrail.wav {chat}",
    }

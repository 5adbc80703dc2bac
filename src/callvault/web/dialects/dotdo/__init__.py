""".do: one address for every action of CallRecording, by name."""

from callvault.web.dialects.dotdo.envelope import render
from callvault.web.dialects.dotdo.routes import COMMAND
from callvault.web.parts import Claim, Part

PART = Part(
    name="dotdo",
    title=".do CallRecording",
    about="`POST /CallRecording` with an operation, its parameters and options; the native API has the same verbs.",
    claims=(Claim("/CallRecording"),),
    hot=(COMMAND,),
    render=render,
)

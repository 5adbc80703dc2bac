"""The console: pages in which people find recordings and listen to them."""

from callvault.web.parts import Claim, Hot, Part
from callvault.web.ui import pages

PART = Part(
    name="ui",
    title="Console",
    claims=(Claim("/ui"), Claim("/")),
    hot=(
        Hot("GET", "/", pages.home),
        Hot("GET", "/ui/", pages.index),
        Hot("GET", "/ui", pages.home),
        Hot("GET", "/ui/static/{name}", pages.file),
        Hot("GET", "/ui/static/vendor/{name}", pages.vendored),
    ),
    documented=False,
)

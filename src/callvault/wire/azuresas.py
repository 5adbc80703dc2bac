"""URLs signed as Azure's service shared access signature says: whoever holds one may read one blob for a while."""

import hmac
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

VERSION = "2022-11-02"


@dataclass(frozen=True, slots=True)
class AzureSigner:
    account: str
    key: str = field(repr=False)
    """Base64, as Azure shows it."""

    def presign(
        self, address: str, container: str, blob: str, *, now_ms: int, seconds: int, media_type: str, disposition: str
    ) -> str:
        """`address` is the account's endpoint, to which container and blob are added."""
        ends = datetime.fromtimestamp(now_ms // 1000 + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        secure = "https" if address.startswith("https:") else "https,http"
        resource = f"/blob/{self.account}/{container}/{blob}"
        # Start, identifier, addresses, snapshot, encryption scope, and the headers that are not set, stay empty.
        said = ["r", "", ends, resource, "", "", secure, VERSION, "b", "", "", "", disposition, "", "", media_type]
        signature = b64encode(hmac.digest(b64decode(self.key), "\n".join(said).encode(), "sha256")).decode()
        facts = {"sv": VERSION, "sr": "b", "sp": "r", "se": ends, "spr": secure}
        shown = {"rscd": disposition, "rsct": media_type, "sig": signature}
        query = urlencode({**facts, **shown}, quote_via=quote, safe="")
        return f"{address}/{container}/{quote(blob, safe='/-_.~')}?{query}"

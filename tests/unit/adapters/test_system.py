"""The machine's own randomness."""

from callvault.adapters.system import DRAWN, SystemIds


def test_every_nonce_is_eight_bytes_of_its_own() -> None:
    ids, others = SystemIds(), SystemIds()
    drawn = [ids.nonce() for _ in range(3 * DRAWN)] + [others.nonce() for _ in range(DRAWN)]
    assert {len(nonce) for nonce in drawn} == {8}
    assert len(set(drawn)) == len(drawn)

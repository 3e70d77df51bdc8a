"""What a ledger recorded, as a load that can be sent again."""

from __future__ import annotations

from collections.abc import Sequence

from sloproof.errors import LedgerError
from sloproof.load.ledger import Ledger
from sloproof.load.profile import Recording, RequestSpec


def recorded(
    ledger: Ledger, known: Sequence[RequestSpec] = (), *, load: str | None = None
) -> tuple[tuple[RequestSpec, ...], Recording]:
    """Return the mix and the arrivals of what a ledger holds, each due when it was meant to be sent then.

    A ledger has no bodies and no headers: those come from the kinds of request that are known, by method and path.

    Args:
        ledger: It may hold several loads and processes.
        known: Kinds of request to send as they are, where the ledger has some of their method and path.
        load: Only what belongs to this load.

    Raises:
        LedgerError: It holds no request.
    """
    # Of an arrival that no user of a locustfile was free to send, nobody knows what it would have been.
    entries = sorted(
        (one.intended_ns, one.method, one.path, one.endpoint) for one in ledger.entries(load=load) if one.path
    )
    if not entries:
        raise LedgerError("expected a ledger with requests to send again, but it holds none")
    by_name = {(spec.method, spec.path): spec for spec in known}
    places: dict[tuple[str, str, str], int] = {}
    kinds = tuple(places.setdefault((method, path, endpoint), len(places)) for _, method, path, endpoint in entries)
    mix = tuple(
        by_name.get((method, path)) or RequestSpec(path=path, endpoint=endpoint, method=method)
        for method, path, endpoint in places
    )
    begin = entries[0][0]
    return mix, Recording(offsets_ns=tuple(intended - begin for intended, *_ in entries), kinds=kinds)

"""Instrument ids and their registry.

An instrument is always written `venue:SYMBOL`; its id is the first 8 bytes, little-endian, of the BLAKE2b
digest of that text. An id names one instrument for ever, and its exponents are frozen: a record can be read
without knowing when it was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b

from libchronicle.errors import ExponentChanged, InstrumentCollision, InvalidName, UnknownInstrument
from libchronicle.protocol.market import Instrument

__all__ = ["InstrumentRegistry", "instrument_id", "instrument_name"]


@lru_cache(maxsize=4096)
def instrument_id(name: str) -> int:
    """Id of `venue:SYMBOL`. Raises InvalidName when the text is not of that form."""
    venue, colon, symbol = name.partition(":")
    if not (colon and venue and symbol) or ":" in symbol or not name.isprintable() or " " in name:
        raise InvalidName(name=name, kind="instrument", reason="write venue:SYMBOL")
    return int.from_bytes(blake2b(name.encode()).digest()[:8], "little")


def instrument_name(definition: Instrument) -> str:
    return f"{definition.venue}:{definition.symbol}"


class InstrumentRegistry:
    """Definitions by id and by name, as Instrument records bring them.

    A repeated definition replaces the earlier one (tick, lot and filters may change); a change of exponents,
    an id that is not its name's, or two names with one id are refused.
    """

    def __init__(self, definitions: Iterable[Instrument] = ()) -> None:
        self._by_id: dict[int, Instrument] = {}
        for definition in definitions:
            self.add(definition)

    def add(self, definition: Instrument) -> Instrument:
        """Raises InstrumentCollision or ExponentChanged; the registry is then as it was."""
        name = instrument_name(definition)
        known = self._by_id.get(definition.instrument_id)
        if known is not None:
            self._check_same(known, definition)
        elif definition.instrument_id != instrument_id(name) or definition.instrument_id == 0:
            raise InstrumentCollision(
                id=definition.instrument_id, name=name, other="the hash of another name"
            )
        self._by_id[definition.instrument_id] = definition
        return definition

    @staticmethod
    def _check_same(known: Instrument, definition: Instrument) -> None:
        name = instrument_name(definition)
        if instrument_name(known) != name:
            raise InstrumentCollision(id=definition.instrument_id, name=name, other=instrument_name(known))
        frozen = (known.price_exponent, known.qty_exponent)
        wanted = (definition.price_exponent, definition.qty_exponent)
        if frozen != wanted:
            raise ExponentChanged(name=name, frozen=frozen, wanted=wanted)

    def get(self, key: int | str) -> Instrument | None:
        """By id, or by `venue:SYMBOL`."""
        return self._by_id.get(instrument_id(key) if isinstance(key, str) else key)

    def __getitem__(self, key: int | str) -> Instrument:
        found = self.get(key)
        if found is None:
            raise UnknownInstrument(instrument=key)
        return found

    def __contains__(self, key: object) -> bool:
        return isinstance(key, int | str) and self.get(key) is not None

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

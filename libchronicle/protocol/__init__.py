"""Message schema and codecs: chronicle.xml is the ABI; all else is generated from it or built on it.

Attributes are plain integers: prices, quantities and money are mantissas at the exponents frozen per
instrument, times are nanoseconds since the Unix epoch.

    payload = Trade(instrument_id=instrument_id("binance-spot:BTCUSDT"), price=6_182_130, qty=5).encode()
    trade = decode(Trade.TEMPLATE_ID, payload)
"""

from __future__ import annotations

from libchronicle.protocol import enums, messages
from libchronicle.protocol.codec import Levels, SbeMessage
from libchronicle.protocol.decoder import Decoder, MessageFilter, decode, instrument_of
from libchronicle.protocol.enums import *  # noqa: F403
from libchronicle.protocol.fixed import format_decimal, parse_decimal
from libchronicle.protocol.instruments import InstrumentRegistry, instrument_id
from libchronicle.protocol.messages import *  # noqa: F403

__all__ = [
    "Decoder",
    "InstrumentRegistry",
    "Levels",
    "MessageFilter",
    "SbeMessage",
    "decode",
    "format_decimal",
    "instrument_id",
    "instrument_of",
    "parse_decimal",
]
__all__ += enums.__all__
__all__ += messages.__all__

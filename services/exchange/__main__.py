"""chronicle-exchange: the embedded venue."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

import uvloop

from libchronicle.errors import ChronicleError
from services.exchange.flags import add_flags, apply_flags
from services.exchange.options import ExchangeOptions
from services.exchange.venue import Venue


async def serve(options: ExchangeOptions) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Venue(options) as venue:
        for market, server in venue.servers.items():
            print(f"{market} on {options.host}:{server.port}", flush=True)
        run = asyncio.create_task(venue.run())
        await asyncio.wait([run, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
        run.cancel()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="chronicle-exchange", description=__doc__)
    add_flags(parser)
    try:
        uvloop.run(serve(apply_flags(ExchangeOptions(markets=()), parser.parse_args(argv))))
    except ChronicleError as error:
        print(f"chronicle-exchange: {error}", file=sys.stderr)
        return 71
    return 0


if __name__ == "__main__":
    sys.exit(main())

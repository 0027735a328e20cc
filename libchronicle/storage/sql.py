"""SQL over the archive: DuckDB reads its records as tables, segment by segment, from every tier and the hot queues alike.

    all but segments begin with       venue symbol date ts ts_ns seq venue_ts event_ts recv_ts raw_seq
    trades    a row per trade         trade_id price qty side
    quotes    per best bid and ask    update_id bid_price bid_qty ask_price ask_qty
    levels    per level of a record   kind side level flags price qty
    orders    per event of an order   kind order_id new_order_id trade_id side price qty
    segments  per segment             what the manifest knows

`ts` and `ts_ns` are the time of receipt, as TIMESTAMP and as exact ns since the epoch; `date` is its UTC date. The other
times are TIMESTAMP_NS (DuckDB hands no condition on that type down, hence the two forms of `ts`). Prices and quantities
are DOUBLE.

DuckDB hands conditions and columns down to the scan of an Arrow dataset. The tables are datasets of one fragment for each
stream and date, with what is known of it (venue, symbol, date, bounds of ts) as its guarantee, so Arrow's own simplifier
leaves out the fragments that cannot match. What is left is read in batches: memory does not grow with the archive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, Final, NamedTuple

from libchronicle.errors import BadQuery, ChronicleError
from libchronicle.protocol import (
    BookDelta,
    BookSnapshot,
    Instrument,
    OrderAdd,
    OrderDelete,
    OrderExecute,
    OrderModify,
    Side,
)
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import Stream
from libchronicle.storage.columns import TABLES
from libchronicle.storage.definitions import definition_of
from libchronicle.storage.frames import library
from libchronicle.storage.layout import day_bounds, day_of
from libchronicle.storage.recorded import hot_times

__all__ = ["connect", "query"]

STREAM_OF: Final = {"trades": "trade", "quotes": "quote", "levels": "book", "orders": "book"}
_TIMES: Final = ("venue_ts", "event_ts", "recv_ts")
_PRICES: Final = ("price", "bid_price", "ask_price")
_QTYS: Final = ("qty", "bid_qty", "ask_qty")
_KINDS: Final[dict[int, str]] = {
    BookSnapshot.TEMPLATE_ID: "snapshot",
    BookDelta.TEMPLATE_ID: "delta",
    OrderAdd.TEMPLATE_ID: "add",
    OrderModify.TEMPLATE_ID: "modify",
    OrderDelete.TEMPLATE_ID: "delete",
    OrderExecute.TEMPLATE_ID: "execute",
}
_ARROW: Final = {"q": "int64", "Q": "uint64", "H": "uint16", "B": "uint8"}


class _Part(NamedTuple):
    """Records of one stream received on one UTC date."""

    stream: Stream
    day: Any


def query(archive: Archive, text: str) -> Any:
    """The result as a pyarrow Table; `lost` in its metadata counts the places, among all that was read, where records are
    missing. Raises BadQuery for what DuckDB refuses; HostError where a library is missing."""
    duckdb = library("duckdb")
    missing: list[int] = []
    failures: list[ChronicleError] = []
    connection = connect(archive, missing.append, failures.append)
    try:
        found = connection.sql(text)
        table = library("pyarrow").table({}) if found is None else found.to_arrow_table()
        return table.replace_schema_metadata({"lost": str(sum(missing))})
    except duckdb.Error as error:
        if failures:
            raise failures[0] from None
        raise BadQuery(query=text, reason=str(error), remedy=_remedy(type(error).__name__)) from None
    finally:
        connection.close()


def _remedy(kind: str) -> str:
    tables = ", ".join((*STREAM_OF, "segments"))
    if kind in ("CatalogException", "BinderException"):
        return f"the tables are {tables}; `chronicle archive sql 'describe trades'` lists the columns of one"
    if kind == "ParserException":
        return "write it in DuckDB's dialect: https://duckdb.org/docs/stable/sql/introduction"
    return f"`chronicle archive sql 'describe trades'` lists columns and their types (tables: {tables})"


def connect(
    archive: Archive,
    on_lost: Callable[[int], object] = lambda places: None,
    on_failure: Callable[[ChronicleError], object] = lambda error: None,
) -> Any:
    """A DuckDB connection that knows the archive's tables. Use it from one thread, and only while the archive is open.

    Damage is stepped over; `on_lost` is told of it, and of records that the queue itself declares lost. `on_failure` is given
    the error that ends a query within the archive: DuckDB tells of it as text only.
    """
    connection = library("duckdb").connect()
    connection.execute("SET threads = 1")  # the archive is read from one thread at a time
    kind = _dataset_class()
    for name in STREAM_OF:
        connection.register(name, kind(archive, name, on_lost, on_failure))
    connection.register("segments", _segments(archive))
    return connection


# ---------------------------------------------------------------- parts and pruning


def _parts(archive: Archive, table: str) -> list[_Part]:
    found = []
    for venue, symbol in _instruments(archive):
        stream = Stream(venue, symbol, STREAM_OF[table])
        found += [_Part(stream, day) for day in _days(archive, stream)]
    return found


def _instruments(archive: Archive) -> list[tuple[str, str]]:
    names = {(s.venue, s.symbol) for s in archive.streams() if not s.venue.startswith("_")}
    if archive.catalog.paths is not None:
        from libchronicle.storage.sources import queues_on_bus

        hot = queues_on_bus(archive.catalog.paths)
        names |= {(queue.venue, queue.symbol) for queue in hot if not queue.venue.startswith("_")}
    return sorted(names)


def _days(archive: Archive, stream: Stream) -> list[Any]:
    """Dates of receipt there may be: those of the archive with their neighbours, and those of the hot segments."""
    days = {day + timedelta(days=near) for day in archive.catalog.days(stream) for near in (-1, 0, 1)}
    for first, last in hot_times(archive, stream):
        day, until = day_of(first), day_of(last)
        while day <= until:
            days.add(day)
            day += timedelta(days=1)
    return sorted(days)


def _wanted(parts: list[_Part], schema: Any, condition: Any) -> Iterator[_Part]:
    """Those whose guarantee does not rule the condition out."""
    if condition is None or not parts:
        yield from parts
        return
    dataset = library("pyarrow.dataset")
    names = dataset.FileSystemDataset.from_paths(
        [str(number) for number in range(len(parts))],  # never opened
        schema=schema,
        format=dataset.IpcFileFormat(),
        filesystem=library("pyarrow.fs").LocalFileSystem(),
        partitions=[_guarantee(part) for part in parts],
    )
    for fragment in names.get_fragments(filter=condition):
        yield parts[int(fragment.path)]


def _guarantee(part: _Part) -> Any:
    arrow, field = library("pyarrow"), library("pyarrow.dataset").field
    first, last = day_bounds(part.day)
    own = (field("venue") == part.stream.venue) & (field("symbol") == part.stream.symbol)
    own &= field("date") == arrow.scalar(part.day, arrow.date32())
    begin, end = (arrow.scalar(ns // 1000, arrow.timestamp("us")) for ns in (first, last))
    own &= (field("ts") >= begin) & (field("ts") < end)
    return own & (field("ts_ns") >= first) & (field("ts_ns") < last)


# ---------------------------------------------------------------- columns


def _schema(table: str) -> Any:
    arrow = library("pyarrow")
    fields = [("venue", arrow.string()), ("symbol", arrow.string()), ("date", arrow.date32())]
    fields.append(("ts", arrow.timestamp("us")))
    for name, kind in TABLES[table]:
        if name in _TIMES:
            fields.append((name, arrow.timestamp("ns")))
        elif name in _PRICES or name in _QTYS:
            fields.append((name, arrow.float64()))
        elif name in ("side", "kind"):
            fields.append((name, arrow.string()))
        else:
            fields.append((name, getattr(arrow, _ARROW[kind])()))
    return arrow.schema(fields)


def _batches(
    archive: Archive, table: str, parts: Iterable[_Part], schema: Any, on_lost: Callable[[int], object]
) -> Iterator[Any]:
    """Record batches with the columns of `schema`."""
    definitions: dict[Stream, Instrument | None] = {}
    for part in parts:
        first, last = day_bounds(part.day)
        reading = archive.read(*_key(part.stream), first, last, damage="skip")
        if part.stream not in definitions:
            definitions[part.stream] = definition_of(archive, part.stream)
        batches = reading.batches(table)
        for batch in batches:
            yield _converted(batch, part, definitions[part.stream], schema)
        if batches.columns.lost:
            on_lost(batches.columns.lost)


def _key(stream: Stream) -> tuple[str, str, str]:
    return stream.venue, stream.symbol, stream.stream


def _converted(batch: Any, part: _Part, definition: Instrument | None, schema: Any) -> Any:
    arrow, compute = library("pyarrow"), library("pyarrow.compute")
    plain = {name: batch.column(name) for name in batch.schema.names}
    columns = []
    for field in schema:
        if field.name in ("venue", "symbol", "date"):
            value = part.day if field.name == "date" else getattr(part.stream, field.name)
            columns.append(arrow.repeat(arrow.scalar(value, field.type), batch.num_rows))
        elif field.name in _PRICES or field.name in _QTYS:
            columns.append(_real(compute, plain[field.name], definition, field.name in _PRICES))
        elif field.name in ("side", "kind"):
            columns.append(_words(arrow, compute, plain[field.name], field.name))
        elif field.name == "ts":
            columns.append(compute.divide(plain["ts_ns"], 1000).view(field.type))
        elif arrow.types.is_timestamp(field.type):
            columns.append(plain[field.name].view(field.type))
        else:
            columns.append(plain[field.name])
    return arrow.RecordBatch.from_arrays(columns, schema=schema)


def _real(compute: Any, mantissas: Any, definition: Instrument | None, price: bool) -> Any:
    exponent = 0 if definition is None else definition.price_exponent if price else definition.qty_exponent
    values = mantissas.cast("float64", safe=False)
    return (
        compute.divide(values, 10.0**-exponent) if exponent < 0 else compute.multiply(values, 10.0**exponent)
    )


def _words(arrow: Any, compute: Any, numbers: Any, name: str) -> Any:
    known: dict[int, str] = {Side.BUY: "buy", Side.SELL: "sell"} if name == "side" else _KINDS
    words = [known.get(i, "") for i in range(256)]
    return compute.take(arrow.array(words), numbers)


def _dataset_class() -> Any:
    """A dataset whose scans read the archive. Made here, for pyarrow is only there when it is asked for."""
    arrow, dataset = library("pyarrow"), library("pyarrow.dataset")

    class ArchiveTable(dataset.InMemoryDataset):  # type: ignore[misc, name-defined]
        """DuckDB asks for a scanner each time a query reads the table; what it is given are columns and a condition."""

        def __init__(
            self,
            archive: Archive,
            table: str,
            on_lost: Callable[[int], object],
            on_failure: Callable[[ChronicleError], object],
        ) -> None:
            whole = _schema(table)
            super().__init__(arrow.Table.from_batches([], schema=whole))
            self.archive, self.table, self.whole = archive, table, whole
            self.on_lost, self.on_failure = on_lost, on_failure

        def scanner(self, columns: list[str] | None = None, filter: Any = None, **options: Any) -> Any:
            named = str(filter)
            needed = [f for f in self.whole if columns is None or f.name in columns or f.name in named]
            schema = arrow.schema(needed or [self.whole.field(0)])
            parts = _wanted(_parts(self.archive, self.table), self.whole, filter)
            batches = _batches(self.archive, self.table, parts, schema, self.on_lost)
            return _Scan(batches, schema, columns, filter, self.on_failure)

    return ArchiveTable


class _Scan:
    """What DuckDB asks a scanner for. Arrow's own reads ahead in threads, and waits for them for ever when a query that was
    content with a part (LIMIT) has left them in the middle of Python code while the interpreter ends."""

    def __init__(
        self,
        batches: Iterator[Any],
        schema: Any,
        columns: list[str] | None,
        condition: Any,
        on_failure: Callable[[ChronicleError], object],
    ) -> None:
        self._batches, self._condition, self._on_failure = batches, condition, on_failure
        self._names = schema.names if columns is None else columns
        self._schema = library("pyarrow").schema([schema.field(name) for name in self._names])

    def to_reader(self) -> Any:
        return library("pyarrow").RecordBatchReader.from_batches(self._schema, self._matching())

    def _matching(self) -> Iterator[Any]:
        table = library("pyarrow").Table
        try:
            for batch in self._batches:
                whole = table.from_batches([batch])
                matching = whole if self._condition is None else whole.filter(self._condition)
                yield from matching.select(self._names).to_batches()
        except ChronicleError as error:
            self._on_failure(error)
            raise


def _segments(archive: Archive) -> Any:
    arrow = library("pyarrow")
    manifest = archive.catalog.manifest
    rows = [] if manifest is None else manifest.dump()
    if rows:
        return arrow.Table.from_pylist(rows)
    return arrow.table(
        {name: arrow.array([], arrow.string()) for name in ("venue", "symbol", "day", "stream", "tier")}
    )

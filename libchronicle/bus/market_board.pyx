# distutils: include_dirs = libchronicle/native libchronicle/bus
# distutils: depends = libchronicle/native/chr_atomic.h libchronicle/bus/market_board.h
"""The market board's two sides. Layout and rules: market_board.h."""

import os

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from libchronicle.native.binding cimport Mapping, map_file

from libchronicle.bus.market_snapshot import MarketSnapshot
from libchronicle.counters.fresh import fresh_mapping
from libchronicle.errors import CorruptError, HostError, MisuseError, NotReady, UnsupportedVersion

cdef extern from "market_board.h" nogil:
    const uint64_t CHR_BOARD_MAGIC
    const uint32_t CHR_BOARD_VERSION
    enum:
        CHR_BOARD_VALID
    ctypedef struct chr_board_market:
        int64_t recv_ts
        uint64_t update_id
        int64_t bid_price, bid_qty, ask_price, ask_qty
        uint64_t flags
    ctypedef struct chr_board_cell:
        uint64_t latch, instrument_id
        int32_t price_exponent, qty_exponent
        char name[104]
    ctypedef struct chr_board_header:
        uint64_t magic
        uint32_t version, cells, used, pid
    void chr_board_put(chr_board_cell *cell, const chr_board_market *market)
    uint64_t chr_board_get(const chr_board_cell *cell, chr_board_market *market)

cdef extern from "chr_atomic.h" nogil:
    uint32_t chr_load_acquire32(const uint32_t *p)
    void chr_store_release32(uint32_t *p, uint32_t v)

CELLS = 4096


cdef class MarketBoardWriter:
    cdef object map
    cdef chr_board_header *header
    cdef chr_board_cell *cells
    cdef dict places
    cdef readonly str path

    def __init__(self, path, uint32_t cells=CELLS):
        cdef unsigned char[:] view
        self.path = os.fspath(path)
        self.places = {}
        size = sizeof(chr_board_header) + <size_t>cells * sizeof(chr_board_cell)
        with fresh_mapping(self.path, size, "market board") as self.map:
            view = self.map
            self.header = <chr_board_header *>&view[0]
            self.cells = <chr_board_cell *>(&view[0] + sizeof(chr_board_header))
            self.header.version, self.header.cells, self.header.pid = CHR_BOARD_VERSION, cells, os.getpid()
            self.header.magic = CHR_BOARD_MAGIC

    def claim(self, uint64_t instrument_id, str name not None, int price_exponent, int qty_exponent):
        cdef uint32_t place
        cdef chr_board_cell *cell
        cdef bytes text = name.encode()
        if self.map is None or instrument_id in self.places:
            return self.map is not None
        place = self.header.used
        if place == self.header.cells:
            return False
        if len(text) >= sizeof(self.cells[0].name):
            raise MisuseError(reason=f"{name!r} is longer than {sizeof(self.cells[0].name) - 1} bytes")
        cell = &self.cells[place]
        cell.instrument_id, cell.price_exponent, cell.qty_exponent = instrument_id, price_exponent, qty_exponent
        memcpy(cell.name, <char *>text, len(text))
        self.places[instrument_id] = place
        chr_store_release32(&self.header.used, place + 1)
        return True

    def put(self, uint64_t instrument_id, bint valid, int64_t recv_ts, uint64_t update_id, bid, ask):
        cdef chr_board_market market
        if self.map is None:
            raise MisuseError(reason=f"{self.path}: the market board is closed")
        market.flags = CHR_BOARD_VALID if valid else 0
        market.recv_ts, market.update_id = recv_ts, update_id
        market.bid_price, market.bid_qty = (0, 0) if bid is None else bid
        market.ask_price, market.ask_qty = (0, 0) if ask is None else ask
        chr_board_put(&self.cells[<uint32_t>self.places[instrument_id]], &market)

    def close(self):
        self.header = NULL
        self.cells = NULL
        self.map = None


cdef class MarketBoard:
    cdef Mapping mapping
    cdef const chr_board_header *header
    cdef const chr_board_cell *cells
    cdef dict places
    cdef readonly str path

    def __init__(self, path):
        self.path = os.fspath(path)
        self.places = {}
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise NotReady(path=self.path) from None
        except OSError as error:
            raise HostError(path=self.path, reason=f"cannot open the market board: {error.strerror}") from error
        size = os.fstat(fd).st_size
        if size < <object>sizeof(chr_board_header):
            os.close(fd)
            raise CorruptError(reason=f"{self.path}: only {size} bytes; not a market board")
        self.mapping = map_file(fd, size)
        self.header = <const chr_board_header *>self.mapping.map.base
        self.cells = <const chr_board_cell *>(<const char *>self.mapping.map.base + sizeof(chr_board_header))
        if self.header.magic != CHR_BOARD_MAGIC:
            raise CorruptError(reason=f"{self.path}: not a market board")
        if self.header.version != CHR_BOARD_VERSION:
            raise UnsupportedVersion(path=self.path, version=self.header.version, supported=CHR_BOARD_VERSION)
        if sizeof(chr_board_header) + <uint64_t>self.header.cells * sizeof(chr_board_cell) > <uint64_t>size:
            raise CorruptError(reason=f"{self.path}: a market board cut short")

    @property
    def pid(self):
        return self.header.pid

    def get(self, str name not None):
        cdef chr_board_market market
        cdef const chr_board_cell *cell
        place = self._names().get(name)
        if place is None:
            return None
        cell = &self.cells[<uint32_t>place]
        if not chr_board_get(cell, &market):
            return None
        return MarketSnapshot(
            name=name, instrument_id=cell.instrument_id, price_exponent=cell.price_exponent, qty_exponent=cell.qty_exponent,
            valid=market.flags & CHR_BOARD_VALID != 0, recv_ts=market.recv_ts, update_id=market.update_id,
            bid=(market.bid_price, market.bid_qty) if market.bid_qty else None,
            ask=(market.ask_price, market.ask_qty) if market.ask_qty else None,
        )

    def snapshots(self):
        return [one for one in map(self.get, sorted(self._names())) if one is not None]

    cdef dict _names(self):
        cdef uint32_t used = min(chr_load_acquire32(&self.header.used), self.header.cells), at
        cdef bytes text
        for at in range(<uint32_t>len(self.places), used):
            text = PyBytes_FromStringAndSize(self.cells[at].name, sizeof(self.cells[at].name))
            self.places[text.partition(b"\0")[0].decode("utf-8", "replace")] = at
        return self.places

"""Errors of the core as exceptions of libchronicle.errors, and QueueConfig as the core wants it. Included by binding.pyx."""

cdef object as_exception(chr_error *e, str path, object name):
    cdef int code = e.code
    where = os.fsdecode(<bytes>e.path) or path
    reason = (<bytes>e.reason).decode("utf-8", "replace")
    if code == CHR_E_WRITER_ACTIVE:
        return errors.WriterAlreadyActive(path=where, pid=e.a)
    if code == CHR_E_READER_ACTIVE:
        return errors.ReaderAlreadyActive(path=where, name=name, pid=e.a)
    if code == CHR_E_TOO_LARGE:
        return errors.PayloadTooLarge(path=where, size=e.a, limit=e.b)
    if code == CHR_E_TIME_ORDER:
        return errors.TimestampOrder(path=where, ts_ns=<int64_t>e.a, last_ns=<int64_t>e.b)
    if code == CHR_E_RESERVED_TYPE:
        return errors.ReservedType(path=where, type_id=e.a)
    if code == CHR_E_FENCED:
        return errors.Fenced(path=where, epoch=e.a, own_epoch=e.b)
    if code == CHR_E_FORKED:
        return errors.Forked(path=where, pid=e.a)
    if code == CHR_E_CLOSED:
        return errors.Closed(path=where)
    if code == CHR_E_CORRUPT:
        return errors.Corrupt(path=where, segment=e.a, offset=e.b, seq=e.c, reason=reason)
    if code == CHR_E_CONTROL:
        return errors.CorruptControl(path=where, reason=reason)
    if code == CHR_E_READER_PAGE:
        return errors.CorruptReader(path=where, name=name)
    if code == CHR_E_VERSION:
        return errors.UnsupportedVersion(path=where, version=e.a, supported=e.b)
    if code == CHR_E_REWOUND:
        return errors.Rewound(path=where, name=name, from_seq=e.a, to_seq=e.b)
    if code == CHR_E_EVICTED:
        return errors.Evicted(path=where, name=name, from_seq=e.a, to_seq=e.b)
    if code == CHR_E_REPLACED:
        return errors.QueueReplaced(path=where, queue_id=e.a, expected=e.b)
    if code == CHR_E_BROKEN:
        return errors.Broken(path=where, reason=reason)
    if code == CHR_E_NOT_READY:
        return errors.NotReady(path=where)
    if code == CHR_E_FORGOTTEN:
        return errors.ReaderForgotten(path=where, name=name, age_s=e.a / 1e9, lag_bytes=e.b)
    if code == CHR_E_FULL:
        return errors.QueueFull(path=where, limit_bytes=e.a)
    if code == CHR_E_NO_SPACE:
        return errors.NoSpace(path=where, size=e.a)
    if code == CHR_E_PERMISSION:
        return errors.NoPermission(path=where, reason=reason)
    if code == CHR_E_MISUSE:
        return errors.QueueMisuse(path=where, reason=reason)
    if code == CHR_E_HOST:
        return errors.HostError(path=where, reason=reason)
    return errors.InternalError(reason=f"{where}: unknown error {code} of the queue core")


cdef int raise_writer(Publisher publisher) except -1:
    """Raise what `publisher.w` failed with."""
    if publisher.w == NULL:
        raise errors.Closed(path=publisher.path)
    raise as_exception(&publisher.w.error, publisher.path, None)


cdef int raise_reader(Subscriber subscriber) except -1:
    """Raise what `subscriber.r` failed with."""
    if subscriber.r == NULL:
        raise errors.Closed(path=subscriber.path)
    raise as_exception(&subscriber.r.error, subscriber.path, subscriber.name)


cdef int fill_config(object config, chr_config *out) except -1:
    cdef bytes durable = b"".join([os.fsencode(name) + b"\0" for name in config.durable])
    if len(durable) > CHR_DURABLE_BYTES:
        raise errors.ConfigError(file="queue", key="durable", reason=f"names exceed {CHR_DURABLE_BYTES} bytes")
    memset(out, 0, sizeof(chr_config))
    out.segment_size = config.segment_size
    out.retain_segments = config.retain_segments
    out.budget_bytes = config.budget_bytes
    out.reserve_bytes = config.reserve_bytes
    out.max_lag_bytes = config.max_lag_bytes
    out.block_timeout_ns = <int64_t>(config.block_timeout_s * 1e9)
    out.reader_ttl_ns = <int64_t>(config.reader_ttl_s * 1e9)
    out.retain_age_ns = <int64_t>(config.retain_age_s * 1e9)
    out.max_segment_age_ns = <int64_t>(config.max_segment_age_s * 1e9)
    out.spin_ns = <int64_t>(config.spin_us * 1e3)
    out.on_full = ("fail", "block", "evict").index(config.on_full)
    out.wait_mode = ("hybrid", "spin", "sleep").index(config.wait)
    out.tsc = config.clock == "tsc"
    out.prefault = config.prefault
    out.memlock = config.memlock
    out.sync = config.sync
    out.agents = config.prepare
    out.durable_size = <uint32_t>len(durable)
    memcpy(out.durable, <char *>durable, len(durable))
    return 0

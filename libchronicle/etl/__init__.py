"""The refinery: one raw queue of all symbols in, clean queues of one instrument and stream each out."""

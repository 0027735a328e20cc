"""Chronicle: persisted memory-mapped queues and everything that trades on them."""

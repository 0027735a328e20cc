"""The persisted queue: one writer, many readers."""

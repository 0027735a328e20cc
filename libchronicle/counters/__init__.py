"""Memory-mapped counters, histograms and the deduplicated error log."""

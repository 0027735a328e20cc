"""The archive: partitions, tiers, manifest, and one reader over all of them."""

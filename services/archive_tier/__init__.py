"""The daemon that takes sealed segments out of the queues' way and keeps them."""

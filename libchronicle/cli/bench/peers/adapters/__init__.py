"""One module a peer, loaded by path in a process of its own under an interpreter that has the package; see ../child.py."""

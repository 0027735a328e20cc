from libchronicle.book import L2Book

class Found:
    any: bool
    seq: int
    partial: bool
    dated: bool
    damaged: bool
    book: L2Book | None

class Found:
    any: bool
    seq: int
    partial: bool
    dated: bool
    damaged: bool

class Past: ...
class Walk: ...

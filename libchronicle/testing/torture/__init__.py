"""Queues tortured on the file system they are to live on: `run_torture`, behind `chronicle torture`.

plan        seed -> rounds of each fault: pure
records     seed, seq -> the only right bytes
ledger      what append() and commit() have promised, surviving every process
work        the writer's and the readers' loops          zygote, nursery    processes that start within milliseconds
crew        kill, stop, revive; what must hold           flips              what one flipped bit may do
faults      crash, stop, disk, flip                      small_disk         a disk that can be filled
run         all of them, and the verdict                 host               what the file system can do
"""

from libchronicle.testing.torture.run import Progress, TortureOptions, run_torture
from libchronicle.testing.torture.verdict import FaultResult, Verdict

__all__ = ["FaultResult", "Progress", "TortureOptions", "Verdict", "run_torture"]

"""`chronicle bus doctor`: what is not as it should be with a run directory and its host, and what to do about each thing.

    queues.py     control pages, writers, readers, budgets, small files
    services.py   daemons' counters and error logs, leases, the kill word, supervisord
    access.py     owners and modes
    host.py       disk, /dev/shm, limits, clock

Looks only; every finding names its remedy.
"""

from libchronicle.cli.doctor.findings import Finding, Level
from libchronicle.cli.doctor.run import run_doctor

__all__ = ["Finding", "Level", "run_doctor"]

"""kill -9 at every step of append, roll, commit, index, retention, registration and recovery.

Covers DESIGN's faults "kill -9 of any daemon at any instruction" and, for the harness's own steps, "a reader that is killed".
"""


def test_a_process_killed_at_any_step_leaves_a_queue_that_goes_on(run_proof, memory_dir, scale, seed, report):
    total = {}
    for script in range(scale(2, 40)):
        figures = run_proof("crash_proof", memory_dir, seed + script, 60, scale(97, 7))
        figures.pop("seed")
        for key, value in figures.items():
            total[key] = total.get(key, 0) + value
    report(seed=seed, **total)
    assert total["kills"] > scale(20, 2000)

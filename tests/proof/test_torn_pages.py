"""Power cuts: the files as they may stand on the disk afterwards.

Covers DESIGN's fault "machine crash with torn pages in any order (sync'd data stays)".
"""


def test_a_power_cut_takes_nothing_that_was_flushed_and_invents_nothing(
    run_proof, memory_dir, scale, seed, report
):
    total = {}
    for script in range(scale(3, 60)):
        figures = run_proof("torn_proof", memory_dir, seed + script, 60, scale(10, 80), 0)
        figures.pop("seed")
        for key, value in figures.items():
            total[key] = total.get(key, 0) + value
    report(seed=seed, **total)
    assert total["images"] == scale(30, 4800)


def test_one_power_cut_after_the_other(run_proof, memory_dir, scale, seed, report):
    total = {}
    for script in range(scale(1, 20)):
        figures = run_proof("torn_proof", memory_dir, seed + script, 60, scale(4, 12), scale(1, 2))
        figures.pop("seed")
        for key, value in figures.items():
            total[key] = total.get(key, 0) + value
    report(seed=seed, **total)
    assert total["images"] > scale(5, 2000)

"""What has been reported of Pythia's revisions, from the threads of EleutherAI/pythia and EleutherAI/gpt-neox.

Left out: a comment in #195 on a repository that isn't the suite's (neox-ckpt-pythia-6.9b-deduped), and #141, a list of
missing revisions that was answered in 2024-01 with new uploads.
"""

from helpers.table.families.reports import KnownBad, Twins, steps

EARLY = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
LIKE_MAIN = (*EARLY, *range(1000, 54000, 1000), 55000, 60000, 65000, *range(70000, 150000, 10000), 103000)
LIKE_THE_LAST = (54000, 56000, 57000, 58000, 59000, 61000, 62000, 63000, 64000)  # step143000 itself is the tenth

TWINS = (
    Twins(
        steps(0, 1),
        "the first update of the warm-up has a learning rate of zero, so it changes no weight",
        "EleutherAI/gpt-neox#1373, EleutherAI/pythia#83",
    ),
)
KNOWN_BAD = (
    KnownBad(
        steps(2),
        "identical",
        "step 2 has the weights of step 0 in all models, though step 1's update alone may leave them as they are",
        "EleutherAI/pythia#198",
        "2026-05-18",
    ),
    KnownBad(
        steps(*LIKE_MAIN),
        "identical",
        "76 steps serve the file of main, the end of training",
        "EleutherAI/pythia#205 (#195 of steps 0 to 6300)",
        "2026-08-14",
        "EleutherAI/pythia-2.8b",
    ),
    KnownBad(
        steps(*LIKE_THE_LAST),
        "identical",
        "9 steps serve the file of step143000",
        "EleutherAI/pythia#205",
        "2026-08-14",
        "EleutherAI/pythia-2.8b",
    ),
    KnownBad(
        steps(50000, 58000),
        "mixed",
        "the first of three shards, with the embedding, is that of main and step143000",
        "EleutherAI/pythia#206",
        "2026-08-14",
        "EleutherAI/pythia-12b",
    ),
    KnownBad(
        steps(32000),
        "identical",
        "it scored like the last checkpoints, and was uploaded again",
        "EleutherAI/pythia#108",
        "2023-06-06",
        "EleutherAI/pythia-12b-deduped",
        mended="2023-06-15",
    ),
    KnownBad(
        steps(4000, 32000),
        "missing",
        "not on the Hub, and uploaded since",
        "EleutherAI/pythia#107",
        "2023-05-31",
        "EleutherAI/pythia-12b",
        mended="2023-06-04",
    ),
    KnownBad(
        steps(26000),
        "missing",
        "not on the Hub, and uploaded since",
        "EleutherAI/pythia#94",
        "2023-04-24",
        "EleutherAI/pythia-6.9b",
        mended="2023-04-24",
    ),
)
KNOWN_BAD_SEEDS = (
    *(
        KnownBad(
            steps(step),
            "missing",
            "the revision has no weights",
            "EleutherAI/pythia#202",
            "2026-07-17",
            f"EleutherAI/pythia-410m-seed{seed}",
        )
        for seed, step in ((9, 40000), (6, 88000), (2, 111000))
    ),
    *(
        KnownBad(
            steps(0),
            "other start",
            "from step 1 on the run descends from the start that the data-seed runs share, not from this one",
            "EleutherAI/pythia#203",
            "2026-07-21",
            f"EleutherAI/pythia-160m-weight-seed{seed}",
        )
        for seed in (1, 2)
    ),
)

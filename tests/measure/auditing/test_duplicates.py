"""Equal weights among revisions: each rule on hashes written by hand."""

from helpers.measure.auditing.duplicates import classes, duplicated, last_steps, mixed
from helpers.measure.auditing.findings import Finding, Moment, explained, not_seen
from helpers.table.families.reports import KnownBad, Twins, steps

PLACE = "someone/model"
FIRST = Twins(steps(0, 1), "the first update has a learning rate of zero", "someone/model#1")


def moment(step: int | None, repository: str = PLACE, **more) -> Moment:
    run = None if step is None else repository.split("/")[1]
    return Moment(repository, "main" if step is None else f"step{step}", "small", run, step, 0, **more)


def run_of(weights: dict[int | None, str], repository: str = PLACE) -> dict[Moment, dict[str, str]]:
    """Return hashes of one file a step; main is None."""
    return {moment(step, repository): {"model.safetensors": sha256} for step, sha256 in weights.items()}


def sharded(weights: dict[int | None, str]) -> dict[Moment, dict[str, str]]:
    """Return hashes of a file for each letter a step."""
    return {
        moment(step): {f"model-{n}.safetensors": sha256 for n, sha256 in enumerate(letters)}
        for step, letters in weights.items()
    }


def kinds(findings: list[Finding]) -> list[tuple[str, tuple[str, ...], bool]]:
    return [(each.kind, each.revisions, each.explained is not None) for each in findings]


def test_a_sound_run_whose_main_is_its_last_step_has_nothing_to_find():
    hashes = run_of({None: "d", 0: "a", 1: "b", 2: "c", 3: "d"})
    assert duplicated(hashes) == []
    assert mixed(hashes) == []
    assert last_steps(hashes) == {moment(3)}


def test_steps_that_are_equal_are_accused_together():
    (found,) = duplicated(run_of({0: "a", 1: "b", 2: "b", 3: "b", 4: "c"}))
    assert kinds([found]) == [("identical", ("step1", "step2", "step3"), False)]
    assert found.said == "step1, step2, step3 have the same weights"
    assert "several numbers of tokens" in found.line


def test_twins_are_explained_and_a_third_step_that_is_like_them_is_accused_alone():
    assert kinds(duplicated(run_of({0: "a", 1: "a", 2: "b", 3: "c"}), [FIRST])) == [("identical", (), True)]
    (found,) = duplicated(run_of({0: "a", 1: "a", 2: "a", 3: "c"}), [FIRST])
    assert kinds([found]) == [("identical", ("step2",), False)]
    elsewhere = Twins(steps(0, 1), "of another repository", "x#1", "someone/other")
    assert kinds(duplicated(run_of({0: "a", 1: "a", 3: "c"}), [elsewhere])) == [
        ("identical", ("step0", "step1"), False)
    ]


def test_a_step_with_the_weights_of_the_end_is_mislabelled():
    """As in a public family: most steps have main's file, others the last step's, and main isn't the last step."""
    (first, second) = duplicated(run_of({None: "end", 0: "end", 1: "end", 2: "late", 3: "x", 4: "late"}), [FIRST])
    assert kinds([first, second]) == [
        ("mislabelled", ("step0", "step1"), False),
        ("mislabelled", ("step2",), False),
    ]
    assert (first.said, second.said) == (
        "step0, step1 have the weights of main",
        "step2 has the weights of step4",
    )


def test_a_step_with_the_end_of_another_run_is_mislabelled_too_and_the_runs_are_not_independent():
    hashes = run_of({0: "a", 5: "z", 9: "b"}) | run_of({None: "z", 0: "c", 9: "z"}, "someone/other")
    assert kinds(duplicated(hashes)) == [
        ("mislabelled", ("step5",), False),
        ("equal across runs", ("step5",), False),
    ]


def test_runs_of_one_seed_may_start_alike_and_those_of_two_seeds_may_not():
    alike = run_of({0: "a", 1: "b"}) | run_of({0: "a", 1: "c"}, "someone/other")
    assert kinds(duplicated(alike)) == [("equal across runs", ("step0",), True)]
    other = {Moment("someone/seed1", "step0", "small", "seed1", 0, 1): {"model.safetensors": "a"}}
    assert kinds(duplicated(run_of({0: "a", 1: "b"}) | other)) == [("equal across runs", ("step0",), False)]
    unknown = {Moment(f"a/{name}", "step0", name, name, 0): {"model.safetensors": "a"} for name in ("b", "c")}
    (found,) = duplicated(unknown)
    assert "isn't known" in found.explained
    assert kinds(duplicated(run_of({5: "a", 9: "b"}) | run_of({5: "a", 9: "c"}, "someone/other"))) == [
        ("equal across runs", ("step5",), False)
    ]


def test_a_branch_is_equal_to_its_run_where_it_leaves_it():
    branch = moment(5, "someone/branch", branched_from="model", branched_at_step=5)
    hashes = {**run_of({5: "a", 9: "b"}), branch: {"model.safetensors": "a"}}
    assert kinds(duplicated(hashes)) == [("equal across runs", ("step5",), True)]
    later = moment(7, "someone/branch", branched_from="model", branched_at_step=5)
    assert kinds(duplicated({**run_of({7: "a", 9: "b"}), later: {"model.safetensors": "a"}}))[0][2] is False


def test_a_run_whose_steps_are_repositories_is_one_run():
    hashes = {
        Moment(f"someone/step-{n}", "main", "small", "run", n): {"model.safetensors": "ab"[n == 3]} for n in (1, 2, 3)
    }
    (found,) = duplicated(hashes)
    assert (found.kind, found.repository, found.said) == (
        "identical",
        "someone/step-1",
        "main, someone/step-2 main have the same weights",
    )


def test_a_shard_of_the_end_among_a_steps_own_is_mixed():
    """As in a public family: two steps whose first of three shards is main's and the last step's."""
    hashes = sharded({None: "xyz", 0: "abc", 1: "def", 2: "xhi", 3: "jkl", 4: "xno", 5: "xyz"})
    (found,) = mixed(hashes)
    assert kinds([found]) == [("mixed", ("step2", "step4"), False)]
    assert found.said == "step2, step4: model-0.safetensors of 3 shards of main, step5"
    assert duplicated(hashes) == []


def test_two_steps_that_share_a_shard_are_both_accused():
    (found,) = mixed(sharded({0: "ab", 1: "cd", 2: "ce", 3: "fg", 4: "hi"}))
    assert kinds([found]) == [("mixed", ("step1", "step2"), False)]
    assert found.said == "step1, step2 share model-0.safetensors of 2 shards and not the others"


def test_a_shard_that_most_steps_have_is_no_ones_own():
    (found,) = mixed(sharded({0: "xa", 1: "xb", 2: "xc", 3: "xd", 4: "xe"}))
    assert found.kind == "shared shard"
    assert len(found.revisions) == 5


def test_a_file_that_is_two_shards_of_one_revision():
    assert kinds(mixed(sharded({0: "aa", 1: "bc"}))) == [("mixed", ("step0",), False)]


def test_names_of_files_do_not_matter_and_revisions_without_files_are_left_out():
    hashes = {moment(0): {"a.safetensors": "x"}, moment(1): {"b.safetensors": "x"}, moment(2): {}, moment(3): {}}
    assert list(classes(hashes).values()) == [[moment(0), moment(1)]]
    assert kinds(duplicated(hashes)) == [("identical", ("step0", "step1"), False)]


def test_a_report_explains_a_finding_whose_revisions_it_names_all():
    known = [KnownBad(steps(1, 2), "identical", "equal", "x#1", "2026-01-02", PLACE)]
    (found,) = duplicated(run_of({0: "a", 1: "b", 2: "b", 3: "c"}))
    assert explained(found, known).explained == "reported: x#1, 2026-01-02"
    (more,) = duplicated(run_of({0: "a", 1: "b", 2: "b", 3: "b", 4: "c"}))
    told = explained(more, known)
    assert told.explained is None
    assert "not reported yet: step3" in told.said
    assert explained(found, [KnownBad(steps(1, 2), "identical", "equal", "x#1", "2026-01-02", "a/b")]) == found
    mended = [KnownBad(steps(1, 2), "identical", "equal", "x#1", "2026-01-02", PLACE, mended="2026-02-01")]
    assert explained(found, mended) == found


def test_a_report_whose_revisions_are_sound_now_is_said():
    known = [
        KnownBad(steps(1, 2, 7), "identical", "equal", "x#1", "2026-01-02", PLACE),
        KnownBad(steps(0), "other start", "of another run", "x#2", "2026-01-03"),
    ]
    hashes = run_of({0: "a", 1: "b", 2: "b", 3: "c"})
    looked_at = {PLACE: {each.revision for each in hashes}}
    (start,) = not_seen(known, duplicated(hashes), looked_at)  # step 7 wasn't looked at, 1 and 2 are seen
    assert (start.kind, start.revisions) == ("reported", ("step0",))
    mended, _ = not_seen(known, duplicated(run_of({0: "a", 1: "b", 2: "e", 3: "c"})), looked_at)
    assert (mended.kind, mended.revisions) == ("not seen", ("step1", "step2"))
    assert "x#1 reported on 2026-01-02" in mended.line


def test_a_report_of_another_kind_explains_nothing():
    (found,) = duplicated(run_of({0: "a", 1: "b", 2: "b", 3: "c"}))
    missing = [KnownBad(steps(1, 2), "missing", "not there", "x#1", "2026-01-02", PLACE)]
    assert explained(found, missing) == found
    (quiet,) = not_seen(missing, [found], {PLACE: {"step1", "step2"}})
    assert (quiet.kind, quiet.revisions) == ("not seen", ("step1", "step2"))

"""Kills, a full disk, two writers: each ends in the end of an unbroken run, with nothing left behind."""

import pytest
from tests.faults.child import CALLS, Fault
from tests.faults.harness import RETRIED, WORKS, count_of, each, generator, tree_of

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("work", WORKS)
def test_a_kill_at_any_moment_changes_nothing(bench, tally, work):
    """Every other kill comes just before a call that changes the disk, the rest after some time."""
    _, whole, seconds = bench.whole(work)
    seen, choose, n_calls = tally("SIGKILL", work), generator(f"kill {work}"), whole.calls["any"]

    def trial(at: int, after: float | None) -> None:
        out = bench.new()
        if after is None:
            how = f"SIGKILL before disk call {at} of {n_calls}"
            ended = bench.run(work, out, Fault("kill", "any", at))
        else:
            how = f"SIGKILL after {after:.3f} s of {seconds:.3f}"
            child = bench.start(bench.arguments(work, out), out)
            child.process.join(after)
            child.process.kill()
            ended = child.ended()
        seen.add("tried")
        seen.add("fired", ended.code == -9)
        bench.resumed(work, out, seen, how)

    kills = range(count_of("kills", 1))
    each(trial, [(choose.randint(1, n_calls), choose.uniform(0, seconds) if n % 2 else None) for n in kills])
    assert seen.faults() == {}, seen.examples


def chosen_places(calls: dict[str, int], most: int, seed: str) -> list[tuple[str, int]]:
    places = [(call, number) for call in CALLS for number in range(1, calls.get(call, 0) + 1)]
    return sorted(generator(seed).sample(places, min(most, len(places))))


@pytest.mark.parametrize("work", WORKS)
def test_a_full_disk_is_one_line_wherever_it_is_met(bench, tally, work):
    unbroken, whole, _ = bench.whole(work)
    seen = tally("ENOSPC", work)

    def trial(call: str, number: int) -> None:
        out, how = bench.new(), f"ENOSPC at {call} {number} of {whole.calls[call]}"
        ended = bench.run(work, out, Fault("refuse", call, number))
        seen.add("tried")
        seen.add("fired", ended.fired)
        if "Traceback" in ended.said:
            seen.met("tracebacks", f"{how}: {ended.said.splitlines()[-1]}")
        if ended.fired and ended.code == 0 and (work not in RETRIED or tree_of(out) != unbroken):
            seen.met("swallowed", how)
        bench.resumed(work, out, seen, how)

    each(trial, chosen_places(whole.calls, count_of("refusals", 2), f"refuse {work}"))
    assert seen.faults() == {}, seen.examples


@pytest.mark.parametrize("work", WORKS)
def test_two_writers_end_as_one_would(bench, tally, work):
    """Into one place at once: one of them may be refused in one line, none may change what the other wrote."""
    seen, choose = tally("two writers", work), generator(f"two {work}")
    for _ in range(count_of("pairs", 1)):
        out, later = bench.new(), choose.uniform(0, bench.whole(work)[2])
        first = bench.start(bench.arguments(work, out), out)
        first.process.join(later)
        second = bench.start(bench.arguments(work, out), out)
        how, ends = f"the second {later:.3f} s later", (first.ended(), second.ended())
        seen.tried += 1
        for ended in ends:
            if "Traceback" in ended.said:
                seen.met("tracebacks", f"{how}: {ended.said.splitlines()[-1]}")
            refused = "another process is" in ended.said or "exists already" in ended.said
            seen.fired += refused
            if ended.code and not refused:
                seen.met("different", f"{how}: {ended.said[-300:]}")
        bench.resumed(work, out, seen, how)
    assert seen.faults() == {}, seen.examples


def test_two_sweeps_with_records_of_their_own_lose_no_row(bench, tally):
    seen, choose = tally("two writers", "sweep, other records"), generator("two tables")
    for _ in range(count_of("pairs", 1)):
        out, later = bench.new(), choose.uniform(0, bench.whole("sweep")[2])
        arguments = bench.arguments("sweep", out)
        first = bench.start(arguments, out)
        first.process.join(later)
        second = bench.start((*arguments[:-1], f"{out}/others"), out)
        ends = (first.ended(), second.ended())
        seen.tried += 1
        found, expected = tree_of(out), bench.whole("sweep")[0]
        if any(ended.code for ended in ends) or found["table.parquet"] != expected["table.parquet"]:
            seen.met("different", f"the second {later:.3f} s later: {[ended.said[-200:] for ended in ends]}")
        if left := [name for name in found if "unfinished" in name or name.endswith(".lock")]:
            seen.met("left_behind", str(left))
    assert seen.faults() == {}, seen.examples

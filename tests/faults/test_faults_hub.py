"""Faults of a sweep of the Hub: whatever breaks it, a rerun ends in the table of an unbroken one, with nothing lost."""

import pytest
from tests.faults.child import Fault
from tests.faults.harness import count_of, each, generator
from tests.faults.hub import HubBench, place_of
from tests.faults.test_faults import chosen_places
from tests.hub import faults as answers

pytestmark = pytest.mark.faults

WHERE = "sweep of the Hub"
LARGE = 100_000  # bytes that only weights have
ANSWERS = {
    "429": answers.Fault("status", status=429, retry_after=3),
    "503": answers.Fault("status", status=503),
    "cut": answers.Fault("cut", "GET", after=1000),
    "dropped": answers.Fault("dropped"),
    "corrupted": answers.Fault("corrupted", "GET", after=500),
}


@pytest.fixture(scope="module")
def hub_bench(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        bench = HubBench(tmp_path_factory.mktemp("hub"))
        with bench.hub.serving():
            yield bench


def test_a_kill_at_any_moment_of_a_sweep_of_the_hub(hub_bench, tally):
    """Every other kill comes just before a call that changes the disk, the rest after some time."""
    _, whole, seconds = hub_bench.whole()
    seen, choose, n_calls = tally("SIGKILL", WHERE), generator("kill hub"), whole.calls["any"]

    def trial(at: int, after: float | None) -> None:
        out = hub_bench.new()
        if after is None:
            how = f"SIGKILL before disk call {at} of {n_calls}"
            ended = hub_bench.start(out, Fault("kill", "any", at)).ended()
        else:
            how = f"SIGKILL after {after:.3f} s of {seconds:.3f}"
            child = hub_bench.start(out)
            child.process.join(after)
            child.process.kill()
            ended = child.ended()
        seen.add("tried")
        if ended.code == -9:
            seen.add("fired")
            seen.at(place_of(out, ended))
        hub_bench.resumed(out, seen, how)

    kills = range(count_of("hub_kills", 2))
    each(trial, [(choose.randint(1, n_calls), choose.uniform(0, seconds) if n % 2 else None) for n in kills])
    assert seen.faults() == {}, seen.examples


def ended_in_traceback(said: str) -> bool:
    """Tell whether a command ended in a traceback; Python also prints what a finalizer met, and goes on.

    huggingface_hub makes a temporary folder in its cache, whose finalizer can't remove it from a read-only disk.
    """
    lines = said.splitlines()
    started = [n for n, line in enumerate(lines) if line.startswith("Traceback")]
    return any(n == 0 or not lines[n - 1].startswith("Exception ignored in") for n in started)


@pytest.mark.parametrize(("fault", "kind"), [("ENOSPC", "refuse"), ("read-only", "read-only")])
def test_a_disk_that_refuses_is_one_line_in_a_sweep_of_the_hub(hub_bench, tally, fault, kind):
    """A full disk refuses one call; a disk that is mounted anew after an error refuses all of them from then on."""
    _, whole, _ = hub_bench.whole()
    seen = tally(fault, WHERE)

    def trial(call: str, number: int) -> None:
        out, how = hub_bench.new(), f"{fault} at {call} {number} of {whole.calls[call]}"
        ended = hub_bench.start(out, Fault(kind, call, number)).ended()
        seen.add("tried")
        if ended.fired:
            seen.add("fired")
            seen.at(place_of(out, ended))
        if ended_in_traceback(ended.said):
            seen.met("tracebacks", f"{how}: {ended.said.splitlines()[-1]}")
        hub_bench.resumed(out, seen, how)

    n = count_of("hub_refusals", 1)
    choose = generator("read-only hub")
    moments = [("any", choose.randint(1, whole.calls["any"])) for _ in range(n)]
    each(trial, chosen_places(whole.calls, n, "refuse hub") if kind == "refuse" else moments)
    assert seen.faults() == {}, seen.examples


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_hub_that_fails_at_random_changes_nothing(hub_bench, tally, kind):
    """A third of the answers fail in this way; a sweep gets there at once or says in a line what it couldn't have."""
    seen = tally(f"answers: {kind}", WHERE)

    def trial(seed: int) -> None:
        out, how = hub_bench.new(), f"a third {kind}, seed {seed}"
        with hub_bench.failing(answers.Faults(drawn=(ANSWERS[kind],), share=0.33, seed=seed)) as hub:
            ended = hub_bench.start(out, hub=hub).ended()
        seen.add("tried")
        seen.add("fired", hub.faults.struck)
        if "Traceback" in ended.said:
            seen.met("tracebacks", f"{how}: {ended.said.splitlines()[-1]}")
        hub_bench.resumed(out, seen, how)

    choose = generator(f"answers {kind}")
    each(trial, [(choose.randint(0, 10**6),) for _ in range(count_of("hub_answers", 1))])
    assert seen.faults() == {}, seen.examples


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_weights_damaged_in_the_middle_of_a_sweep_are_not_measured(hub_bench, tally, damage):
    """A sweep is killed; half of what it has downloaded is cut short, or has a bit turned, before it goes on."""
    _, whole, _ = hub_bench.whole()
    seen, choose = tally(f"weights {damage}", WHERE), generator(f"{damage} hub")

    def trial(at: int, seed: int) -> None:
        out, draw = hub_bench.new(), generator(f"{damage} {seed}")
        hub_bench.start(out, Fault("kill", "any", at)).ended()
        seen.add("tried")
        files = [path for path in out.glob("cache/**/*") if path.is_file() and path.stat().st_size > LARGE]
        for path in draw.sample(files, (len(files) + 1) // 2):
            content, place = bytearray(path.read_bytes()), draw.randrange(path.stat().st_size)
            content[place] ^= 1
            path.write_bytes(content[:place] if damage == "truncated" else content)
            seen.add("fired")
        hub_bench.resumed(out, seen, f"{damage} {len(files)} files after SIGKILL before disk call {at}")

    n_calls = whole.calls["any"]
    each(trial, [(choose.randint(n_calls // 4, n_calls), n) for n in range(count_of("hub_damaged", 1))])
    assert seen.faults() == {}, seen.examples


def test_two_sweeps_of_the_hub_end_as_one_would(hub_bench, tally):
    """Into one folder at once: the second is refused in one line, or finds everything there."""
    seen, choose = tally("two writers", WHERE), generator("two hub")
    for _ in range(count_of("hub_pairs", 1)):
        out, later = hub_bench.new(), choose.uniform(0, hub_bench.whole()[2])
        first = hub_bench.start(out)
        first.process.join(later)
        how, ends = f"the second {later:.3f} s later", [hub_bench.start(out).ended(), first.ended()]
        seen.add("tried")
        for ended in ends:
            refused = "another process is" in ended.said
            seen.add("fired", refused)
            if "Traceback" in ended.said or (ended.code and not refused):
                seen.met("different", f"{how}: {ended.said[-300:]}")
        hub_bench.resumed(out, seen, how)
    assert seen.faults() == {}, seen.examples


def test_a_clock_that_jumps_changes_nothing(hub_bench, tally):
    """Up to ten years back or forth at each look at it, and a kill half of the times."""
    _, whole, _ = hub_bench.whole()
    seen, choose = tally("a clock that jumps", WHERE), generator("clock hub")

    def trial(seed: int, at: int | None) -> None:
        out, how = hub_bench.new(), f"a clock of seed {seed}, SIGKILL before disk call {at}"
        fault = None if at is None else Fault("kill", "any", at)
        ended = hub_bench.start(out, fault, clock=seed).ended()
        seen.add("tried")
        seen.add("fired", ended.fired)
        if at is None and ended.code:
            seen.met("different", f"{how}: {ended.said[-300:]}")
        hub_bench.resumed(out, seen, how)

    n_calls = whole.calls["any"]
    clocks = range(count_of("hub_clocks", 1))
    each(trial, [(choose.randint(0, 10**6), choose.randint(1, n_calls) if n % 2 else None) for n in clocks])
    assert seen.faults() == {}, seen.examples

"""The printed plan of a training: its runs with their tokens, work and minutes."""

from rich.table import Table

from helpers.measure.training.plan import Run, TrainingPlan

FLOPS = 200e12  # per second, what an H200 gave for the 14M model in 16 bits


def plan_table(plan: TrainingPlan, runs: list[Run], vocabulary_size: int) -> Table:
    """Return the runs with their tokens, work and expected minutes on one H200."""
    table = Table("run", "N", "tokens", "PFLOP", f"minutes at {FLOPS / 1e12:g} TFLOP/s", title=plan.family)
    all_runs = [run for trunk in runs for run in (trunk, *plan.branches(trunk))]
    total = 0.0
    for run in all_runs:
        work = plan.flops(run, vocabulary_size)
        total += work
        tokens = plan.n_updates(run) * plan.tokens_per_step
        size = f"{run.model.n_params_non_embedding / 1e6:.2f}M"
        table.add_row(run.name, size, f"{tokens / 1e6:.0f}M", f"{work / 1e15:.0f}", f"{work / FLOPS / 60:.1f}")
    table.add_row(f"{len(all_runs)} runs", "", "", f"{total / 1e15:.0f}", f"{total / FLOPS / 60:.1f}")
    return table

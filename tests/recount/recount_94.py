"""The page on the goal and on the largest size counted again: verdict, criteria, other runs, exponents of others' points."""

from tests.recount import recount_08
from tests.recount import recount_09 as chapter
from tests.recount.recount import label

EXCEPTED = {}
TOLERANCES = {}
SHARED = {"goal_rms", "level", "next_largest"}  # the chapter states them too


def numbers() -> dict:
    parts = [chapter.settings(), chapter.stored_scores(), chapter.second_run(), chapter.one_size_up()]
    parts.append(chapter.outside())
    both = {key: value for part in parts for key, value in part.items() if key in chapter.IN_APPENDIX | SHARED}
    for part in (
        chapter.verdict(),
        chapter.criteria(),
        chapter.in_other_runs(),
        chapter.registered(),
        chapter.exponents(),
        recount_08.doublings(),
        recount_08.far(),
        recount_08.accuracy(),
    ):
        both |= part
    TOLERANCES.update(
        {key: value for key, value in (chapter.TOLERANCES | recount_08.TOLERANCES).items() if key in both}
    )
    return both | {"last_tokens": label(max(row[chapter.D] for row in chapter.main()))}

"""Names of laws: found on the classes, each once, and what is said of them in words."""

from dataclasses import dataclass
from types import ModuleType

import pytest

from helpers.analyse.laws import forms
from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.laws.names import ELSEWHERE, FORMS, JOINT_FORMS, LAW_NAMES, LOSS_LAWS, PER_BIT, law_words, laws_of
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.laws.variables import LawError


def module_with(**names: str | None) -> ModuleType:
    """Return a module that defines one law for each class name, with a NAME of its own unless that is None."""
    module = ModuleType("scratch")
    module.UnifiedLaw = UnifiedLaw  # imported, not defined there
    for class_name, name in names.items():
        own = {} if name is None else {"NAME": name}
        law = type(class_name, (UnifiedLaw,), {"__module__": "scratch", **own})
        setattr(module, class_name, dataclass(frozen=True)(law))
    return module


def test_a_law_is_found_by_the_name_on_its_class():
    module = module_with(First="first", Base=None, Second="second")
    assert laws_of(module) == {"first": module.First, "second": module.Second}
    assert laws_of(module, forms) == laws_of(module) | laws_of(forms)


def test_two_laws_of_one_name_are_refused():
    with pytest.raises(LawError, match="First and Second are both named 'same'"):
        laws_of(module_with(First="same", Second="same"))


def test_every_name_is_there_once():
    assert set(LAW_NAMES) == {*FORMS, PER_BIT, *PUBLISHED}
    assert len(set(LAW_NAMES)) == len(LAW_NAMES)
    assert len({*FORMS, *JOINT_FORMS, *LOSS_LAWS}) == len(FORMS) + len(JOINT_FORMS) + len(LOSS_LAWS)
    assert not {*LAW_NAMES} & {*ELSEWHERE}


def test_every_law_has_words():
    words = [law_words(name) for name in LAW_NAMES]
    assert all("QiD" in one["says"] or "law" in one["says"] for one in words)
    assert {one["law"] for one in words if one["source"]} == set(PUBLISHED)
    assert {one["law"] for one in words if one["kind"] == "published"} == set(PUBLISHED)
    assert {law_words(name)["kind"] for name in ELSEWHERE} == {"in chapters"}
    assert set(law_words("shannon")["needs"]) == {"tokens", "n_params"}
    assert set(law_words("loss")["needs"]) == {"tokens", "n_params", "bits", "loss_nats"}

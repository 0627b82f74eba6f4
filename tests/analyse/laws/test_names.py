from helpers.analyse.laws.names import FORMS, LAW_NAMES, law_words


def test_every_law_has_words():
    words = [law_words(name) for name in LAW_NAMES]
    assert [one["law"] for one in words] == [*FORMS, "power-per-bit", "ouyang2024", "ouyang2024-per-bit", "kumar2024"]
    assert all("QiD" in one["says"] or "law" in one["says"] for one in words)
    assert [one["law"] for one in words if one["source"]] == ["ouyang2024", "ouyang2024-per-bit", "kumar2024"]
    assert list(law_words("loss")["needs"]) == ["tokens", "n_params", "bits", "loss_nats"]

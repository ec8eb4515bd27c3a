from melanoma.errors import name_some, suggest


def test_five_values_are_named_and_all_are_counted() -> None:
    assert name_some(range(5)) == "0, 1, 2, 3, 4"
    assert name_some(range(6)) == "0, 1, 2, 3, 4 ... (6 in all)"


def test_a_name_near_no_other_gets_no_suggestion() -> None:
    assert suggest("zzz", ["resnet18"]) == ""

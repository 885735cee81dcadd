import pytest

from supcon_tf.data.class_names import check_same_classes


def test_the_same_classes():
    check_same_classes("x", ("a", "b"), ["a", "b"])


@pytest.mark.parametrize(
    ("class_names", "message"),
    [
        (["b", "a"], r"^x must have the classes \['a', 'b'\]. Received: the same .* \['b', 'a'\]$"),
        (["a"], r"missing classes \['b'\], unknown classes \[\]$"),
        (["a", "b", "c"], r"missing classes \[\], unknown classes \['c'\]$"),
    ],
)
def test_other_classes(class_names, message):
    with pytest.raises(ValueError, match=message):
        check_same_classes("x", class_names, ["a", "b"])


def test_near_matches_and_many_classes():
    expected = ["tabby cat", *map(str, range(50))]
    match = r"'8', \.\.\.\] \(51 classes\).*'tabby_cat' is similar to 'tabby cat'$"
    with pytest.raises(ValueError, match=match):
        check_same_classes("x", ["tabby_cat", *map(str, range(50))], expected)

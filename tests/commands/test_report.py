import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest
from finished_run import write_run
from parsed_page import ParsedPage, assert_stands_alone

from supcon_tf.commands.report import report
from supcon_tf.commands.report_sections.loss_curves import read_losses

CLASS_NAMES = ["cat", "dog", '<b>"fox" & co']


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("report"), CLASS_NAMES, noise=1.3)


@pytest.fixture(scope="module")
def text(run):
    assert report(run) == run / "report.html"
    return (run / "report.html").read_text(encoding="utf-8")


def softmax(row):
    return [math.exp(value) / sum(map(math.exp, row)) for value in row]


@pytest.fixture(scope="module")
def predictions(run):
    """For every test image its label, its prediction, and the probability of it."""
    outputs = np.load(run / "test_outputs.npz")
    rows = []
    for label, logits in zip(outputs["labels"].tolist(), outputs["logits"].tolist(), strict=True):
        probabilities = softmax([2 * value for value in logits])  # The temperature is 0.5.
        confidence = max(probabilities)
        rows.append((label, probabilities.index(confidence), confidence))
    return rows


def percent(fraction):
    return f"{100 * fraction:.1f}\xa0%"


def numbers(text):
    return ParsedPage(text).texts("b")


def test_page_stands_alone_and_is_escaped(text):
    assert_stands_alone(text)
    assert '<b>"fox"' not in text
    assert "&lt;b&gt;&quot;fox&quot; &amp; co" in text
    assert ParsedPage(text).texts("h2") == [
        "Accuracy of each class",
        "Confusions",
        "Calibration",
        "Map of the features",
        "Losses",
        "The most confident mistakes",
        "What to do next",
    ]


def test_accuracy_and_its_interval(text, predictions):
    correct, total = sum(label == found for label, found, _ in predictions), len(predictions)
    assert 0 < correct < total == 18
    assert numbers(text)[0] == percent(correct / total)
    # Wilson's bounds solve |p - correct / total| = z sqrt(p (1 - p) / total) for p.
    explained = ParsedPage(text).texts("span")[0]
    bounds = [float(bound) / 100 for bound in re.findall(r"([\d.]+)\xa0%", explained)]
    assert f"accuracy: {correct} of {total} images" in explained
    for bound in bounds:
        deviation = abs(bound - correct / total) / math.sqrt(bound * (1 - bound) / total)
        assert deviation == pytest.approx(1.96, abs=0.02)
    assert bounds[0] < correct / total < bounds[1]


def test_other_numbers_of_the_head(run, text, predictions):
    per_class = [
        np.mean([found == label for label, found, _ in predictions if label == one])
        for one in range(3)
    ]
    train = np.load(run / "train_outputs.npz")
    trained = np.mean(
        [max(range(3), key=row.__getitem__) for row in train["logits"].tolist()] == train["labels"]
    )
    error = 0
    for first in range(15):
        inside = [row for row in predictions if first / 15 < row[2] <= (first + 1) / 15]
        if inside:
            accuracy = np.mean([label == found for label, found, _ in inside])
            error += abs(accuracy - np.mean([row[2] for row in inside])) * len(inside) / 18
    expected = [percent(x) for x in (np.mean(per_class), 0.75, trained, error)]
    assert numbers(text)[1:5] == expected


def rows_of(text, heading):
    """The cells of the table below a heading."""
    table = text.split(f"{heading}</h", 1)[1].split("<tbody>", 1)[1].split("</tbody>", 1)[0]
    return [
        re.findall(r"<t[hd][^>]*>(?:<i[^>]*></i>)?([^<]*)</t[hd]>", row)
        for row in table.split("</tr>")[:-1]
    ]


def test_classes_are_sorted_by_accuracy(text, predictions):
    expected = []
    for one, name in enumerate(("cat", "dog", "&lt;b&gt;&quot;fox&quot; &amp; co")):
        right = sum(found == label == one for label, found, _ in predictions)
        expected.append([name, "", percent(right / 6), f"{right} of 6", "8"])
    expected.sort(key=lambda row: int(row[3].split()[0]))
    assert rows_of(text, "Accuracy of each class") == expected
    widths = re.findall(r'style="width:([\d.]+)%"', text)
    assert [f"{width}\xa0%" for width in widths] == [row[2] for row in expected]


def test_confusion_matrix(text, predictions):
    counts = [[0] * 3 for _ in range(3)]
    for label, found, _ in predictions:
        counts[label][found] += 1
    cells = [row[1:] for row in rows_of(text, "Confusions")]
    assert [[int(cell or 0) for cell in row] for row in cells] == counts
    pairs = rows_of(text, "The most frequent confusions")
    wrong = sorted((counts[i][j] for i in range(3) for j in range(3) if i != j), reverse=True)
    assert [int(row[2]) for row in pairs] == [count for count in wrong if count]


def test_threshold_of_unknown_images(text, predictions):
    known = [label == found for label, found, confidence in predictions if confidence >= 0.75]
    unknown = [label == found for label, found, confidence in predictions if confidence < 0.75]
    assert unknown and not all(unknown)
    assert (
        f"below 75.0\xa0% is unknown: {len(unknown)} images ({percent(len(unknown) / 18)}). Of the "
        f"other {len(known)} images, {percent(np.mean(known))} are classified right. The threshold "
        f"stops {unknown.count(False)} of {(known + unknown).count(False)} mistakes, and costs "
        f"{unknown.count(True)} of {(known + unknown).count(True)} right predictions."
    ) in text


def test_most_confident_mistakes_come_first(run, text, predictions):
    paths = np.load(run / "test_outputs.npz")["paths"].tolist()
    wrong = sorted(
        (-confidence, paths[image], found)
        for image, (label, found, confidence) in enumerate(predictions)
        if label != found
    )
    expected = [f"{CLASS_NAMES[found]}, {percent(-minus)}" for minus, _, found in wrong]
    assert numbers(text)[5:] == expected
    titles = [
        attributes["title"]
        for name, attributes, _ in ParsedPage(text).elements
        if name == "figure" and "title" in attributes
    ]
    assert titles == [path for _, path, _ in wrong]


def test_map_is_the_principal_components(run, text):
    vectors = np.load(run / "test_outputs.npz")["representations"].astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    values, directions = np.linalg.eigh(np.cov(vectors.T))
    expected = (vectors - vectors.mean(axis=0)) @ directions[:, :-3:-1]
    share = values[-1] / values.sum()
    assert f"first component, {100 * share:.0f}\xa0% of the variance" in text
    figure = text.split('<figure class="map">')[1].split("</figure>")[0]
    svg = figure.split("</svg>")[0]
    points = {
        title: (float(x), float(y))
        for x, y, title in re.findall(
            r'd="M([\d.]+) ([\d.]+)m[^"]*" fill="[^"]*" class="dot"><title>([^:<]+): ', svg
        )
    }
    assert sorted(points) == sorted(f"{number}.png" for number in range(18))
    drawn = np.array([points[f"{number}.png"] for number in range(18)])
    for column in range(2):
        correlation = np.corrcoef(drawn[:, column], expected[:, column])[0, 1]
        assert abs(correlation) > 0.9999
    distances = [
        np.linalg.norm(x[:, None] - x, axis=-1)[np.triu_indices(18, 1)] for x in (drawn, expected)
    ]
    scales = distances[0] / distances[1]
    assert scales.max() / scales.min() < 1.05  # equal in both directions, but for rounding
    assert ParsedPage(figure).texts("li") == CLASS_NAMES


def test_losses(run, text):
    assert "Contrastive stage: loss against the epoch, from 2.04 to 5" in text
    (run / "broken.csv").write_text("epoch,loss,val_loss\n0,3,4\n1,nan,inf\n2,1,2\n")
    assert read_losses(run / "broken.csv") == {
        "loss": [(1, 3), (3, 1)],
        "val_loss": [(1, 4), (3, 2)],
    }
    assert read_losses(run / "nothing.csv") == {}


def test_several_classes_of_an_image(tmp_path):
    run = write_run(tmp_path, CLASS_NAMES, multi_label=True)
    text = report(run).read_text(encoding="utf-8")
    assert_stands_alone(text)
    outputs = np.load(run / "test_outputs.npz")
    labels, logits = outputs["labels"].tolist(), outputs["logits"].tolist()
    exact = np.mean(
        [
            [value > 0 for value in row] == list(map(bool, truth))
            for row, truth in zip(logits, labels, strict=True)
        ]
    )
    scores = []
    for one in range(3):
        found = sum(row[one] > 0 and truth[one] for row, truth in zip(logits, labels, strict=True))
        precision = found / sum(row[one] > 0 for row in logits)
        recall = found / sum(truth[one] for truth in labels)
        scores.append(2 * precision * recall / (precision + recall))
    assert numbers(text)[:2] == [percent(exact), percent(np.mean(scores))]
    assert "A confusion matrix and a threshold of unknown images do not apply" in text


@pytest.mark.parametrize("classes", [2, 31, pytest.param(1000, marks=pytest.mark.slow)])
def test_number_of_classes(tmp_path, classes):
    names = [f"class {number}" for number in range(classes)]
    run = write_run(tmp_path, names, images_per_class=(2, 1), files=False)
    text = report(run).read_text(encoding="utf-8")
    parsed = assert_stands_alone(text)
    assert parsed.classes("table").count("matrix") == (classes <= 30)
    assert len([x for x in parsed.classes("img") if x and "heat" in x]) == (classes > 30)
    assert len(rows_of(text, "Accuracy of each class" if classes == 2 else "lowest accuracy")) == (
        2 if classes == 2 else 20
    )
    figure = text.split('<figure class="map">')[1].split("</figure>")[0]
    assert len(ParsedPage(figure).texts("li")) == (2 if classes == 2 else 11)
    assert classes == 2 or "The file is missing" in text


@pytest.mark.parametrize("tested_on", ["test folder", "held-out training images"])
def test_says_if_the_images_calibrated_the_probabilities(tmp_path, tested_on):
    run = write_run(tmp_path, CLASS_NAMES, files=False)
    change(run / "results.json", tested_on=tested_on)
    text = report(run).read_text(encoding="utf-8")
    assert f"18 images ({tested_on})" in text
    assert ("These are the images of this report" in text) == (tested_on != "test folder")


def test_advice(tmp_path):
    run = write_run(tmp_path, CLASS_NAMES, noise=0.01, files=False)
    text = report(run).read_text(encoding="utf-8")
    advice = ParsedPage(text).texts("li")
    assert "No prediction is wrong." in text
    assert any("fewer than 20 training images: cat, dog, <b>" in step for step in advice)
    assert not any("taken for" in step for step in advice)
    # The losses were still falling, but all training images are right.
    assert not any("more epochs" in step or "training images is" in step for step in advice)


FALLING, FLAT, RISING = [4.0, 2.0, 1.0], [4.0, 1.0, 1.0], [4.0, 1.0, 1.1]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize(
    ("trained", "tested", "losses", "validation", "expected"),
    [
        (
            0.9,
            0.8,
            FALLING,
            None,
            "Train for more epochs: the accuracy on the training images is only",
        ),
        (0.9, 0.8, FALLING, FALLING, "Train for more epochs"),
        (0.9, 0.8, FALLING, RISING, None),
        (0.9, 0.8, FLAT, None, None),
        (1.0, 0.9, FALLING, None, None),
        (0.9, 0.7, FALLING, None, "Add training images. The accuracy on the training images is"),
        (1.0, 0.8, FLAT, None, "Add training images"),
    ],
)
def test_advice_on_the_length_of_the_training(
    tmp_path, multi_label, trained, tested, losses, validation, expected
):
    names = ["cat", "dog"]
    run = write_run(
        tmp_path, names, images_per_class=(10, 10), files=False, multi_label=multi_label
    )
    for part, accuracy in (("train", trained), ("test", tested)):
        with np.load(run / f"{part}_outputs.npz") as arrays:
            outputs = dict(arrays)
        targets = outputs["labels"] if multi_label else np.eye(2)[outputs["labels"]]
        signs = np.where(np.arange(20) < round(20 * accuracy), 1, -1)
        outputs["logits"] = (signs[:, None] * (4 * targets - 2)).astype(np.float32)
        np.savez(run / f"{part}_outputs.npz", **outputs)
    columns = {"epoch": range(3), "loss": losses}
    if validation is not None:
        columns["val_loss"] = validation
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    (run / "pretraining" / "log.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    (run / "classifier" / "log.csv").write_text("epoch,loss\n0,1.0\n1,1.0\n")
    advice = ParsedPage(report(run).read_text(encoding="utf-8")).texts("li")
    found = [step for step in advice if "training images is" in step]
    assert len(found) == (expected is not None)
    if expected:
        assert found[0].startswith(expected) and percent(trained) in found[0]
        assert ("the loss of the contrastive stage was still falling" in found[0]) == (
            "epochs" in expected
        )


def test_one_image(tmp_path):
    run = write_run(tmp_path, ["cat", "dog"], images_per_class=(1, 1), epochs=1)
    with np.load(run / "test_outputs.npz") as arrays:
        first = {name: rows[:1] for name, rows in arrays.items()}
    np.savez(run / "test_outputs.npz", **first)
    text = report(run).read_text(encoding="utf-8")
    assert_stands_alone(text)
    assert "Without test images: dog" in text and "nan" not in text


def change(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_mistakes_are_named_before_anything_is_written(tmp_path):
    run = write_run(tmp_path, ["cat", "dog"], files=False)
    with pytest.raises(ValueError, match="`projection` must be one of.*Received: 'UMAP'"):
        report(run, projection="UMAP")
    change(run / "settings.json", class_names=["cat", "dog", "fox"])
    with pytest.raises(ValueError, match="a logit for each of 3 classes. Received: 12 paths"):
        report(run)
    (run / "results.json").write_text("{")
    with pytest.raises(ValueError, match="results.json must be JSON"):
        report(run)
    (run / "test_outputs.npz").write_bytes(b"damaged")
    (run / "results.json").write_text("{}")
    with pytest.raises(ValueError, match="test_outputs.npz must hold the arrays paths, labels"):
        report(run)
    (run / "test_outputs.npz").unlink()
    with pytest.raises(FileNotFoundError, match="finished `python -m.*no file test_outputs.npz"):
        report(run)
    assert not (run / "report.html").exists()


@pytest.mark.slow
def test_required_packages_suffice(tmp_path):
    write_run(tmp_path, CLASS_NAMES)
    code = """
import sys
for name in ("matplotlib", "sklearn", "PIL", "scipy", "pandas", "ml_collections"):
    sys.modules[name] = None
from supcon_tf.commands.report import report
from supcon_tf.commands.search import search
report("run")
search("run", ["data/test/cat"])
try:
    report("run", projection="t-SNE")
except ImportError as error:
    assert "scikit-learn: pip install" in str(error), error
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"report.html", "search.csv", "search.html"} <= written

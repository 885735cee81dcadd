"""Compares the streaming SupCon losses, over several tiles, with their definitions."""

import math
import re

import naive
import numpy as np
import pytest
import tensorflow as tf
from naive import relative, rows, value_and_gradient

from supcon_tf.similarity import make_anchor_and_contrast_rows, make_rows, streaming, supcon
from supcon_tf.similarity.dense import supcon_dense
from supcon_tf.similarity.reductions import Reduction
from supcon_tf.similarity.tiles import default_block_size

SUMMATIONS = ["outside", "inside"]
DENOMINATORS = ["all", "one_positive", "only_negatives"]
# At 0.01, which is too low for one exponential per pair, maxima are kept.
KINDS_OF_ROWS = [
    (1, "random", 0.1),
    (2, "clustered", 0.1),
    (3, "random", 1.0),
    (1, "random", 0.01),
    (2, "clustered", 0.01),
]


def streamed(ids, samples, temperature, **options):
    options = {"block_size": 8, **options}
    ranked = options.get("positives_cap") is not None
    return lambda z: supcon(make_rows(z, ids, samples, ranked), None, temperature, **options)


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("denominator", DENOMINATORS)
@pytest.mark.parametrize("summation", SUMMATIONS)
def test_equals_the_definition(summation, denominator):
    mode = {"summation": summation, "denominator": denominator}
    for views, kind, temperature in KINDS_OF_ROWS:
        z, ids, samples, upstream = rows(kind, 24 // views, views)
        expected, slopes, c = naive.supcon(z, ids, samples, temperature, **mode)
        expected_gradient = naive.gradients(slopes, upstream, z, c, temperature, True)

        function = streamed(ids, samples, temperature, **mode)
        actual, gradient = value_and_gradient(function, z, upstream)
        assert relative(actual, expected) <= (5e-6 if temperature == 0.01 else 2e-6)
        if kind == "random":
            assert relative(gradient, expected_gradient) <= 5e-6

        _, dense = value_and_gradient(
            lambda z, *args: supcon_dense(z, *args, **mode), z, upstream, ids, samples, temperature
        )
        errors = [np.linalg.norm(x - expected_gradient) for x in (gradient, dense)]
        # Ignore differences of a few units in the last place.
        assert errors[0] <= max(2 * errors[1], 3e-7 * np.linalg.norm(expected_gradient))


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("cap", [0, 2, 100])
@pytest.mark.parametrize("denominator", DENOMINATORS)
@pytest.mark.parametrize("summation", SUMMATIONS)
def test_positives_cap_equals_the_definition(summation, denominator, cap):
    z, ids, samples, upstream = rows("random", 12, 2)
    mode = {"summation": summation, "denominator": denominator}
    expected, slopes, c = naive.supcon(z, ids, samples, 0.1, cap=cap, **mode)
    function = streamed(ids, samples, 0.1, positives_cap=cap, **mode)
    actual, gradient = value_and_gradient(function, z, upstream)
    assert relative(actual, expected) <= 2e-6
    assert relative(gradient, naive.gradients(slopes, upstream, z, c, 0.1, True)) <= 5e-6


def test_a_cap_needs_ranked_rows():
    z, ids, samples, _ = rows("random", 4, 2)
    with pytest.raises(ValueError, match=r"ranked=True.*positives_cap=1"):
        supcon(make_rows(z, ids, samples), None, 0.1, positives_cap=1)


@pytest.mark.gpu
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(("temperature", "cap"), [(0.1, None), (0.01, 1)])
@pytest.mark.parametrize("denominator", DENOMINATORS)
@pytest.mark.parametrize("summation", SUMMATIONS)
def test_other_contrasts_equal_the_definition(summation, denominator, temperature, cap):
    z, ids, samples, upstream = rows("random", 9, 2)
    c, contrast_ids, _, _ = rows("random", 20, 1, seed=1)
    contrast_samples = np.arange(100, 120)
    # The first contrasts are views of some anchors' samples.
    contrast_samples[:5], contrast_ids[:5] = [3, 0, 6, 8, 5], ids[[6, 0, 12, 16, 10]]
    mode = {"summation": summation, "denominator": denominator}
    expected, slopes, _ = naive.supcon(
        z, ids, samples, temperature, cap=cap, **mode,
        contrasts=c, contrast_labels=contrast_ids, contrast_samples=contrast_samples,
    )  # fmt: skip
    dz, dc = naive.gradients(slopes, upstream, z, c.astype("float64"), temperature, False)

    anchors, contrasts = tf.constant(z), tf.constant(c)
    with tf.GradientTape() as tape:
        tape.watch([anchors, contrasts])
        sides = make_anchor_and_contrast_rows(
            anchors, ids, samples, contrasts, contrast_ids, contrast_samples, cap is not None
        )
        actual = supcon(*sides, temperature, block_size=8, positives_cap=cap, **mode)
        total = tf.reduce_sum(actual * upstream)
    gradients = tape.gradient(total, [anchors, contrasts])
    assert relative(actual, expected) <= 5e-6
    assert relative(gradients[0], dz) <= 5e-6
    assert relative(gradients[1], dc) <= 5e-6


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.parametrize(
    ("compile_all", "summation", "denominator", "cap"),
    [(False, "outside", "all", None), (True, "inside", "one_positive", 1)],
)
def test_compiled_for_any_number_of_rows(compile_all, summation, denominator, cap):
    mode = {"summation": summation, "denominator": denominator}

    @tf.function(
        jit_compile=compile_all,
        input_signature=[
            tf.TensorSpec([None, 8], tf.float32),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None], tf.float32),
        ],
    )
    def loss_and_gradient(z, ids, samples, upstream):
        with tf.GradientTape() as tape:
            tape.watch(z)
            rows = make_rows(z, ids, samples, cap is not None)
            value = supcon(
                rows, None, 0.1, unit_length=True, block_size=8, positives_cap=cap, **mode
            )
            total = tf.reduce_sum(value * upstream)
        return value, tape.gradient(total, z)

    for batch in (3, 11) if cap is None else (11,):  # XLA compiles each
        z, ids, samples, upstream = rows("random", batch, 2)
        expected, slopes, c = naive.supcon(z, ids, samples, 0.1, cap=cap, **mode)
        actual, gradient = loss_and_gradient(z, ids, samples, upstream)
        assert relative(actual, expected) <= 2e-6
        expected_gradient = naive.gradients(slopes, upstream, z, c, 0.1, True)
        assert relative(gradient, expected_gradient) <= 5e-6


@pytest.mark.gpu
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("rows_per_tile", [5, 23, 25, None])
def test_losses_do_not_depend_on_the_size_of_tiles(rows_per_tile):
    z, ids, samples, upstream = rows("random", 12, 2)
    whole = value_and_gradient(streamed(ids, samples, 0.1, block_size=24), z, upstream)
    tiles = value_and_gradient(streamed(ids, samples, 0.1, block_size=rows_per_tile), z, upstream)
    for actual, expected in zip(tiles, whole, strict=True):
        assert relative(actual, expected) <= 1e-6


@pytest.mark.gpu
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("length", [0.5, 2.0, 6.0])
def test_rows_of_any_length(length):
    # Similarities reach 36 / 0.25 = 144, beyond the range of exp in float32.
    z, ids, samples, upstream = rows("random", 12, 2)
    z = z * np.linspace(0.5 * length, length, 24, dtype="float32")[:, None]
    for mode in ({}, {"summation": "inside"}, {"denominator": "one_positive"}):
        expected, slopes, c = naive.supcon(z, ids, samples, 0.25, **mode)
        function = streamed(ids, samples, 0.25, **mode)
        actual, gradient = value_and_gradient(function, z, upstream)
        assert relative(actual, expected) <= 2e-6
        assert relative(gradient, naive.gradients(slopes, upstream, z, c, 0.25, True)) <= 5e-6


@pytest.mark.gpu
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.01])
def test_collapsed_rows_have_the_loss_log_n_minus_1_and_no_gradient(temperature):
    z = np.tile(np.float32([[0.6, 0.0, 0.8]]), [20, 1])
    ids, samples = np.arange(20) % 4, np.arange(20)
    function = streamed(ids, samples, temperature)
    value, gradient = value_and_gradient(function, z, np.full(20, 0.05, "float32"))
    np.testing.assert_allclose(value, np.full(20, math.log(19)), rtol=5e-6)
    assert np.abs(gradient).max() <= 1e-6 / temperature


@pytest.mark.gpu
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("denominator", DENOMINATORS)
@pytest.mark.parametrize("summation", SUMMATIONS)
def test_equal_orthogonal_and_opposite_rows_at_a_low_temperature(summation, denominator):
    z = np.float32([[1, 0], [1, 0], [0, 1], [0, -1], [-1, 0], [-1, 0], [0, 1]])
    ids, samples = np.array([0, 1, 0, 1, 0, 2, 2]), np.arange(7)
    mode = {"summation": summation, "denominator": denominator}
    expected, slopes, c = naive.supcon(z, ids, samples, 0.01, **mode)
    upstream = np.ones(7, "float32")
    for block_size in (2, 7):
        function = streamed(ids, samples, 0.01, block_size=block_size, **mode)
        actual, gradient = value_and_gradient(function, z, upstream)
        np.testing.assert_allclose(actual, expected, rtol=5e-6, atol=1e-6)
        expected_gradient = naive.gradients(slopes, upstream, z, c, 0.01, True)
        np.testing.assert_allclose(gradient, expected_gradient, atol=1e-6 / 0.01)


@pytest.mark.gpu
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("denominator", DENOMINATORS)
def test_padding_does_not_overflow_if_all_negatives_are_opposite(denominator):
    # Similarities of -100 to all negatives, and 0 to padding. 7 rows are padded to 2 tiles of 4.
    z = np.float32([[1, 0]] * 4 + [[-1, 0]] * 3)
    ids, samples, upstream = np.repeat([0, 1], [4, 3]), np.arange(7), np.ones(7, "float32")
    whole, padded = (
        value_and_gradient(
            streamed(ids, samples, 0.01, block_size=block_size, denominator=denominator),
            z, upstream,
        )
        for block_size in (7, 4)
    )  # fmt: skip
    for actual, expected in zip(padded, whole, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("denominator", DENOMINATORS)
@pytest.mark.parametrize("summation", SUMMATIONS)
@pytest.mark.parametrize(("temperature", "cap"), [(0.1, None), (0.01, None), (0.01, 0)])
def test_empty_sets_have_loss_0_and_gradient_0(summation, denominator, cap, temperature):
    def check(ids, zero):
        z = rows("random", len(ids), 1)[0]
        function = streamed(
            np.array(ids), np.arange(len(ids)), temperature, block_size=2,
            summation=summation, denominator=denominator, positives_cap=cap,
        )  # fmt: skip
        value, gradient = value_and_gradient(function, z, np.ones(len(ids), "float32"))
        assert np.isfinite(value).all()
        assert np.isfinite(gradient).all()
        if zero:
            np.testing.assert_array_equal(value, np.zeros(len(ids)))
            np.testing.assert_array_equal(gradient, np.zeros_like(z))

    check([1], zero=True)
    check([1, 2, 3], zero=True)  # no positive
    check([-1, -1, -1], zero=True)
    check([4, 4, 4], zero=cap == 0 or denominator == "only_negatives")  # no negative
    if cap is None:
        value, _ = value_and_gradient(
            streamed(np.array([4, 4]), np.arange(2), 0.1, denominator=denominator),
            rows("random", 2, 1)[0],
            np.ones(2, "float32"),
        )
        np.testing.assert_allclose(value, [0, 0], atol=1e-6)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("mode", [{}, {"denominator": "one_positive"}])
def test_second_order_gradients_raise_an_error(mode):
    z, ids, samples, _ = rows("random", 6, 2)
    z = tf.constant(z)
    with tf.GradientTape() as outer:
        outer.watch(z)
        with tf.GradientTape() as inner:
            inner.watch(z)
            value = tf.reduce_sum(streamed(ids, samples, 0.1, **mode)(z))
        gradient = inner.gradient(value, z)
    assert np.isfinite(gradient).all()
    with pytest.raises(NotImplementedError, match="second-order"):
        outer.gradient(gradient, z)


@pytest.mark.usefixtures("uncompiled")
def test_rows_contrasted_with_each_other_need_half_of_the_tiles(monkeypatch):
    products = []

    def counting(left, right, axes, product_dtype, dot=streaming.dot):
        products.append(axes)
        return dot(left, right, axes, product_dtype)

    monkeypatch.setattr(streaming, "dot", counting)
    z, ids, samples, upstream = rows("random", 20, 2)
    value_and_gradient(streamed(ids, samples, 0.1), z, upstream)
    tiles = 5 * 6 // 2  # on and above the diagonal of 5 x 5
    assert len(products) == 2 * tiles + 5 * 5  # similarities twice, and 5 x 5 gradients


def test_the_number_of_tiles_is_known_before_they_are_computed():
    """A GPU asks the host after every step of a loop whose length it does not know."""
    z = tf.zeros([40, 8])
    anchors = make_rows(z, tf.zeros([40], tf.int64), tf.range(40))
    contrasts = anchors._replace(present=tf.ones([40], tf.bool))
    settings = streaming.Settings(0.1, (Reduction("logsumexp", "others"),), block_size=8)
    for columns, lengths in ((None, ["5", "10"]), (contrasts, ["25"])):
        arguments = (anchors, columns, None, settings._replace(shift=streaming.FIXED_SHIFT), True)
        hlo = streaming._forward.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")
        assert hlo.count(" while(") == len(lengths)
        assert re.findall(r'known_trip_count":{"n":"(\d+)"', hlo) == lengths


def test_a_large_tile_is_no_part_of_the_program():
    z = tf.zeros([2048, 8])
    rows = make_rows(z, tf.zeros([2048], tf.int64), tf.range(2048))
    settings = streaming.Settings(0.1, (Reduction("logsumexp", "others"),), block_size=2048)
    compiled = streaming._forward.experimental_get_compiler_ir(rows, None, None, settings, True)
    assert len(compiled(stage="hlo_serialized")) < 100_000  # A mask of its pairs has 4 MB.


@pytest.mark.parametrize(
    ("device", "gpus", "size"),
    [("/CPU:0", ["GPU:0"], 1024), ("/GPU:0", [], 4096), (None, ["GPU:0"], 4096), (None, [], 1024)],
)
def test_the_size_of_tiles_follows_the_device(device, gpus, size, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: gpus)
    with tf.Graph().as_default(), tf.device(device):
        assert default_block_size(tf.zeros([8, 2])) == size


@pytest.mark.slow
def test_no_tensor_grows_with_the_square_of_the_rows():
    z = tf.zeros([4096, 8])
    ids = tf.zeros([4096], tf.int64)
    rows = make_rows(z, ids, tf.range(4096))
    settings = streaming.Settings(0.1, (Reduction("logsumexp", "others"),), block_size=64)
    zeros = tf.zeros([4096])
    residuals = streaming.AnchorResiduals((zeros,), (zeros,), None)
    for compiled, arguments in (
        (streaming._forward, (rows, None, None, settings, True)),
        (streaming._backward, (rows, None, residuals, residuals, settings)),
    ):
        hlo = compiled.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")
        shapes = re.findall(r"(?:f32|f64|s32|pred)\[([\d,]+)\]", hlo)
        largest = max(math.prod(map(int, shape.split(","))) for shape in shapes)
        assert largest == 4096 * 8  # the rows; a tile has 64 * 64


@pytest.mark.gpu
@pytest.mark.usefixtures("uncompiled")
def test_bfloat16_products_are_close_but_not_equal():
    z, ids, samples, upstream = rows("random", 12, 2)
    exact, _ = value_and_gradient(streamed(ids, samples, 0.1), z, upstream)
    rounded, gradient = value_and_gradient(
        streamed(ids, samples, 0.1, product_dtype="bfloat16"), z, upstream
    )
    assert 1e-5 < np.abs(rounded - exact).max() < 0.05
    assert np.isfinite(gradient).all()


@pytest.mark.gpu
@pytest.mark.usefixtures("uncompiled")
def test_float64_rows():
    z, ids, samples, upstream = rows("random", 10, 2)
    z = z.astype("float64")
    expected, slopes, c = naive.supcon(z, ids, samples, 0.1)
    actual, gradient = value_and_gradient(streamed(ids, samples, 0.1), z, upstream.astype("f8"))
    assert relative(actual, expected) <= 1e-12
    assert relative(gradient, naive.gradients(slopes, upstream, z, c, 0.1, True)) <= 1e-12


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("temperature", "mode"),  # a fixed shift, then running maxima
    [(0.1, {}), (0.01, {}), (0.01, {"summation": "inside", "denominator": "only_negatives"})],
)
def test_nan_is_not_mistaken_for_an_anchor_without_positives(temperature, mode):
    z, ids, samples, _ = rows("random", 12, 2)
    function = streamed(ids, samples, temperature, unit_length=True, **mode)
    assert np.isnan(function(np.full_like(z, np.nan))).all()

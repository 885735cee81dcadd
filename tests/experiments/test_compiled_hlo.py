"""What a program does is counted from its text, here written by hand."""

import tensorflow as tf

from experiments.lib.compiled_hlo import Launches, count_launches, count_products
from experiments.lib.hlo import translate
from supcon_tf.similarity.tiles import BLOCK_SIZE, GPU_BLOCK_SIZE, default_block_size

# Kernels: two fusions in each of three iterations, a sort and a library call in each iteration of
# the loop without an end, one of its condition, two in the longer branch, and a copy.
LOOPS = """
HloModule main, is_scheduled=true

%body (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %p = (s32[], f32[8]{0}) parameter(0)
  %x = f32[8]{0} get-tuple-element(%p), index=1
  %a = f32[8]{0} fusion(%x), kind=kLoop, calls=%fused
  %b = (f32[8]{0}, /*index=1*/f32[8]{0}) fusion(%a), kind=kLoop, calls=%fused
  ROOT %t = (s32[], f32[8]{0}) tuple(%x, %a)
}

%fused (q: f32[8]) -> f32[8] {
  %q = f32[8]{0} parameter(0)
  ROOT %sum = f32[8]{0} add(%q, %q)
}

%endless (p.1: (s32[], f32[8])) -> (s32[], f32[8]) {
  %p.1 = (s32[], f32[8]{0}) parameter(0)
  %start = ((f32[8]{0}), f32[8]{0}, u32[]) sort-start(%p.1), dimensions={0}, to_apply=%less
  %s = f32[8]{0} sort-done(%start)
  ROOT %c = (f32[8]{0}, s8[16]{0}) custom-call(%s), custom_call_target="__cublas$gemm"
}

%until (p.2: (s32[], f32[8])) -> pred[] {
  %p.2 = (s32[], f32[8]{0}) parameter(0)
  ROOT %f.1 = pred[] fusion(%p.2), kind=kLoop, calls=%fused
}

%short (r: f32[8]) -> f32[8] {
  ROOT %r = f32[8]{0} parameter(0)
}

%long (r.1: f32[8]) -> f32[8] {
  %r.1 = f32[8]{0} parameter(0)
  %d = f32[8]{0} copy(%r.1)
  ROOT %e = f32[8]{0} copy(%d)
}

ENTRY %main (x.1: f32[8]) -> f32[8] {
  %x.1 = f32[8]{0} parameter(0)
  %w = (s32[], f32[8]{0}) while(%x.1), condition=%until, body=%body, \
backend_config={"known_trip_count":{"n":"3"}}
  %v = (s32[], f32[8]{0}) while(%w), condition=%until, body=%endless
  %k = f32[8]{0} conditional(%v), true_computation=%short, false_computation=%long
  ROOT %o = f32[8]{0} copy(%k)
}
"""

PRODUCTS = """
  %a = f32[8,8]{1,0} dot(%x, %y), lhs_contracting_dims={1}, operand_precision={highest,highest}
  %b = f32[8,8]{1,0} dot(%x, %y), lhs_contracting_dims={1}
  %c = f32[8,8]{0,1:T(8,128)} convolution(%x, %y), operand_precision={highest,highest}
  %d = (f32[8,8]{1,0}, s8[4]{0}) custom-call(%x, %y), custom_call_target="__cublas$gemm", \
backend_config={"precision_config":{"operand_precision":["HIGHEST","HIGHEST"]}}
  %e = (f32[8,8]{1,0}, s8[4]{0}) custom-call(%x, %y), custom_call_target="__cublas$gemm", \
backend_config={"precision_config":{"operand_precision":["DEFAULT","DEFAULT"]}}
  %f = bf16[8,8]{1,0} dot(%x, %y), lhs_contracting_dims={1}
  %g = f32[8,8]{1,0} add(%x, %y)
"""


def test_launches_follow_loops_and_branches():
    assert count_launches(LOOPS) == Launches(kernels=3 * 2 + (2 + 1) + 2 + 1, host_reads=1 + 1)


def test_products_are_counted_by_precision():
    assert count_products(PRODUCTS) == {"highest": 3, "other": 2}


def test_a_translation_for_a_gpu_has_the_tiles_of_a_gpu():
    sizes = []

    def step(batch):
        sizes.append(default_block_size(batch[0]))
        return batch[0] + 1

    translate(step, tf.TensorSpec([8]))
    translate(step, tf.TensorSpec([8]), device_type="GPU")
    assert (sizes[0], sizes[-1]) == (BLOCK_SIZE, GPU_BLOCK_SIZE)

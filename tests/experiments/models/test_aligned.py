"""Memory of stacked runs, and functions of one run after another."""

import pytest
import torch

from unitcircle.experiments.models._aligned import affine, align, empty, run_by_run
from unitcircle.experiments.models._bptt import tanh_steps


@pytest.mark.parametrize("shape", [(3, 5), (1, 7), (4, 2, 16), (3, 4, 32)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_run_starts_at_two_whole_vectors(shape, dtype):
    x = empty(torch.zeros((), dtype=dtype), *shape)
    assert x.shape == shape
    assert x.dtype == dtype
    assert x.stride(0) * x.element_size() % 128 == 0
    assert x[0].is_contiguous()


def test_aligned_copies_only_what_is_not():
    x = torch.randn(3, 5, 7)
    copy = align(x)
    assert torch.equal(copy, x)
    assert copy.data_ptr() != x.data_ptr()
    assert align(copy) is copy
    turned = torch.randn(2, 8, 16).transpose(1, 2)
    assert align(turned)[0].is_contiguous()
    # A view of one run starts wherever that run starts.
    assert align(torch.randn(3, 5)[1:2]).data_ptr() % 64 == 0


def test_affine_is_that_of_its_definition():
    x, U, b = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((3, 4, 2, 5), (3, 6, 5), (3, 6)))
    assert torch.autograd.gradcheck(affine, (x, U, b))
    assert torch.autograd.gradcheck(lambda x, U: affine(x, U, None), (x, U))
    expected = torch.einsum("rkm,rtbm->rtbk", U, x) + b[:, None, None]
    assert torch.allclose(affine(x, U, b), expected, atol=32 * torch.finfo(torch.float64).eps)


def test_run_by_run_is_the_function_of_the_stack():
    a, b = (torch.randn(3, 4, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    product, total = run_by_run(lambda x, y: (x @ y, x + y), a, b)
    assert torch.allclose(product, a @ b, atol=16 * torch.finfo(torch.float64).eps)
    assert torch.equal(total, a + b)
    assert torch.autograd.gradcheck(lambda *s: run_by_run(lambda x, y: (x @ y, x + y), *s), (a, b))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tanh_is_right_to_relative_rounding_from_the_smallest_to_the_largest(dtype):
    x = torch.cat([torch.logspace(-30, 3, 999, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)])
    x = torch.stack([x, -x]).view(2, 4, 250, 1).to(dtype)
    expected = torch.tanh(x.double())
    out = empty(x, *x.shape)
    write = tanh_steps(x, out)
    for t in range(4):
        write(t)
    error = (out.double() - expected).abs()
    assert (error <= 4 * torch.finfo(dtype).eps * expected.abs()).all()


def test_what_is_not_a_number_stays_so():
    x = torch.tensor([float("nan"), float("inf"), -float("inf")] * 11).view(1, 1, 33, 1)
    tanh_steps(x, x)(0)
    assert x.isnan().flatten().tolist() == [True, False, False] * 11
    assert x.flatten()[1:3].tolist() == [1.0, -1.0]

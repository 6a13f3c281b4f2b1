"""What a search for scales counts: norms and means of one sample and of several, by hand."""

from __future__ import annotations

import pytest
import torch

from qat.quantisers.granularity import PER_TENSOR, PerHead
from qat.quantisers.scalesearch import ScaleSearch


@pytest.mark.parametrize(("batches", "samples"), [([1], 1), ([2], 2), ([1, 3], 4)])
def test_norms_are_of_one_sample_and_means_of_one_element(batches: list[int], samples: int) -> None:
    search = ScaleSearch(torch.tensor([-8.0]), torch.tensor([7.0]), with_offset=False)
    for size in batches:
        x = torch.tensor([1.0, -2.0, 3.0, 0.0]).repeat(size, 1)
        search.observe(x, PER_TENSOR.layout(x.shape))
    assert search.norm_per_sample(l1=True).tolist() == [6.0]
    assert search.norm_per_sample(l1=False).tolist() == [4.0]
    assert search.mean_magnitude().tolist() == [1.5]
    assert search._samples == samples


def test_groups_are_counted_apart() -> None:
    search = ScaleSearch(torch.tensor([-2.0, -2.0]), torch.tensor([1.0, 1.0]), with_offset=False)
    x = torch.tensor([[[1.0, 2.0, 30.0, 40.0]]])  # [batch, tokens, features], two heads of two features
    search.observe(x, PerHead(2, axis=-1).layout(x.shape))
    assert search.norm_per_sample(l1=True).tolist() == [3.0, 70.0]
    assert search.norm_per_sample(l1=False).tolist() == [2.0, 2.0]
    assert search.mean_magnitude().tolist() == [1.5, 35.0]


def test_what_saw_nothing_has_no_result() -> None:
    search = ScaleSearch(torch.tensor([-2.0]), torch.tensor([1.0]), with_offset=True)
    with pytest.raises(RuntimeError, match=r"^a quantiser saw no activations: is its module used by the model\?$"):
        search.result()
    assert search.norm_per_sample(l1=True).tolist() == [0.0]
    assert search.mean_magnitude().tolist() == [0.0]

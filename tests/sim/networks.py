"""Networks with random weights, arrays for them, and what must hold of a run of one on the other."""

from qat.integers.subject import random_subject
from qat.network.gemm import Product, exact_product
from qat.settings.scheme import Override, Scheme
from rtl.array import Architecture, ArraySpec
from rtl.requant import ThresholdSpec
from rtl.spec.mac import MacSpec
from sim.harness.equivalence import verify


def array(mac: MacSpec, bits: int, rows: int = 8, columns: int = 8, systolic: bool = False) -> ArraySpec:
    """An array with requantisers to codes of ``bits`` bits."""
    return ArraySpec(
        mac=mac,
        rows=rows,
        columns=columns,
        architecture=Architecture.SYSTOLIC if systolic else Architecture.BROADCAST,
        requant=ThresholdSpec(accumulator_width=32, bits=bits, signed=False),
    )


def scheme(weight_bits: int, activation_bits: int, *overrides: Override, granularity: str = "head") -> Scheme:
    return Scheme(
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        scale_start="mean",
        granularity=granularity,  # type: ignore[arg-type]
        overrides=overrides,
    )


def check_network(model: str, precision: Scheme, spec: ArraySpec) -> None:
    """Runs one sample: every result of every GEMM is compared, in the cycles that were predicted."""
    subject = random_subject(model, precision, 1, tokens=5)
    news: list[str] = []
    found = verify(subject, spec, news=news.append)
    assert found.samples == 1
    assert found.predictions is None
    assert {record.name for record in found.gemms} == {gemm.name for gemm in subject.model.gemms()}
    done = f"{found.macs / 1e6:,.1f}"
    assert (news[0], news[-1]) == ("the network in PyTorch", f"simulating, {done} of {done} M MAC")
    outputs: dict[str, int] = {}

    def count(product: Product) -> object:
        result = exact_product(product)
        outputs[product.name] = outputs.get(product.name, 0) + result.numel()
        return result

    subject.model.logits(subject.batches[0], count, steps=subject.steps)
    for record in found.gemms:
        assert record.cycles == record.predicted_cycles >= record.operand_cycles > 0
        assert record.load_cycles == record.predicted_load_cycles > 0
        assert record.accumulators == record.equal_accumulators == outputs[record.name]
        assert record.codes == record.equal_codes in (0, outputs[record.name])
    assert found.mismatches == 0
    requantised = {record.name for record in found.gemms if record.codes}
    assert requantised >= {gemm.name for gemm in subject.model.gemms() if gemm.kind == "context"}

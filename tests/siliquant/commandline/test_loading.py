"""While packages load, nothing searches for garbage; afterwards it is as before."""

import gc

import pytest

from siliquant.commandline import loading


@pytest.mark.parametrize("enabled", [True, False])
def test_collection_is_as_before(enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with loading():
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
        with pytest.raises(ImportError), loading():
            raise ImportError
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
        gc.unfreeze()


def test_what_was_loaded_is_left_alone_and_the_rest_is_not() -> None:
    try:
        with loading():
            kept = [[] for _ in range(1000)]
        assert gc.get_freeze_count() > len(kept)
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() > 0
    finally:
        gc.unfreeze()

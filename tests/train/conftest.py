"""Fixtures that the tests of training share."""

import pytest
import torch


@pytest.fixture
def threads():
    """Gives torch back the number of threads that it had: a run sets its own."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)

"""A borrowed model for the tests of methods."""

import pytest
import torch

from tests.method.adapted import build


@pytest.fixture(scope="module")
def lent():
    return build()


@pytest.fixture
def model(lent):
    """A borrowed model that every test must give back as it was."""
    before = [(parameter, parameter.detach().clone()) for part in lent.modules for parameter in part.parameters()]
    modules = [id(part) for root in lent.modules for part in root.modules()]
    yield lent
    assert [id(part) for root in lent.modules for part in root.modules()] == modules
    after = [parameter for part in lent.modules for parameter in part.parameters()]
    assert [id(parameter) for parameter in after] == [id(parameter) for parameter, _ in before]
    assert all(torch.equal(parameter, kept) and not parameter.requires_grad for parameter, kept in before)

import random

import numpy as np
import torch

from sdft_ext.randomness import forked, generator, numpy_generator


def draw(*key):
    return torch.randn(4, generator=generator(*key)).tolist()


def test_same_key_same_draw_whatever_was_drawn_before():
    first = draw(1, "noise", 7)
    torch.rand(100)
    draw(1, "noise", 8)
    assert draw(1, "noise", 7) == first


def test_every_part_of_the_key_matters():
    draws = [
        draw(1, "noise", 7),
        draw(2, "noise", 7),
        draw(1, "timesteps", 7),
        draw(1, "noise", 8),
        draw(1, "noise", 7, 0),
    ]
    assert len({tuple(d) for d in draws}) == len(draws)


def test_numpy_generator_is_keyed():
    assert (
        numpy_generator(1, "order", 3).permutation(50).tolist()
        == numpy_generator(1, "order", 3).permutation(50).tolist()
    )
    assert (
        numpy_generator(1, "order", 3).permutation(50).tolist()
        != numpy_generator(1, "order", 4).permutation(50).tolist()
    )


def test_forked_restores_the_global_generators_even_after_an_error():
    torch.manual_seed(5), random.seed(5), np.random.seed(5)
    expected = torch.rand(1).item(), random.random(), np.random.rand()
    torch.manual_seed(5), random.seed(5), np.random.seed(5)
    inside = []
    for _ in range(2):
        try:
            with forked(1, "init", 2):
                inside.append((torch.rand(1).item(), random.random(), np.random.rand()))
                raise KeyError
        except KeyError:
            pass
    assert inside[0] == inside[1]
    assert (torch.rand(1).item(), random.random(), np.random.rand()) == expected

"""The shorter AdamW takes torch's steps, bit for bit."""

import torch

from cimlab.training.adamw import AdamW
from cimlab.training.checkpoint import optimizer_tensors, prime

SHAPES = ((4, 1, 5, 5), (10, 192), (4,), (1,), (3,))


def parameters():
    generator = torch.Generator().manual_seed(0)
    made = [torch.nn.Parameter(torch.randn(s, generator=generator)) for s in SHAPES]
    groups = [{"params": [made[0]], "lr": 0.01}, {"params": [made[1]]}, {"params": made[2:]}]
    return made, groups


def steps(optimizer, made, number, without=()):
    generator = torch.Generator().manual_seed(1)
    for _ in range(number):
        for k, parameter in enumerate(made):
            grad = torch.randn(parameter.shape, generator=generator)
            parameter.grad = None if k in without else grad
        optimizer.step()
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in made)


def test_steps_are_those_of_torch_also_where_gradients_are_missing():
    (ours, groups), (theirs, same) = parameters(), parameters()
    short = AdamW(groups, 0.004, 0.01)
    torchs = torch.optim.AdamW(same, 0.004, weight_decay=0.01, fused=True)
    for number, without in ((3, (1, 3)), (20, ()), (3, (0,)), (20, ())):
        steps(short, ours, number, without)
        steps(torchs, theirs, number, without)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    state, expected = optimizer_tensors(short), optimizer_tensors(torchs)
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in state)


def test_a_primed_optimiser_starts_from_nothing():
    (ours, groups), (fresh, same) = parameters(), parameters()
    primed, other = AdamW(groups, 0.004, 0.01), AdamW(same, 0.004, 0.01)
    prime(primed)
    steps(primed, ours, 5)
    steps(other, fresh, 5)
    assert all(torch.equal(a, b) for a, b in zip(ours, fresh, strict=True))

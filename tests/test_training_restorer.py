"""What restorers learn by: a loss that changes for the last part, coarse numbers for photographs alone; and what is exported."""

import numpy as np
import onnxruntime
import pytest
import torch
from restoring_models import pictures

from aecodec.models.restores import CONDITIONS
from aecodec.training.prepare import prepare
from aecodec.training.restorer_export import restorer_graph
from aecodec.training.restorer_network import Restorer, RestorerShape
from aecodec.training.restorer_objective import RestorerModule, RestorerObjective


def objective(x=None, axes="yxc"):
    x = list(pictures(6)) if x is None else x
    plan, _ = prepare(x, axes, "vanilla", ["restorer"], None, 0, 0.2, "refuse", {"psnr": 40}, width=4)
    return RestorerObjective(plan)


@pytest.fixture
def capable(monkeypatch):
    """A CPU that has instructions for bfloat16, as far as torch says."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})


def test_the_last_part_of_a_run_weighs_large_errors_more_and_a_resumed_one_remembers_that():
    made = objective()
    batch = made.batch(np.random.default_rng(0))
    made.module.eval()
    with torch.no_grad():
        before, figures = made.module(batch)
        made.freeze()
        after, same = made.module(batch)
        error = (made.module.network(batch[0]) - batch[1]).square().mean((1, 2, 3)).sqrt()
    assert float(after) == pytest.approx(float(error.mean()), rel=0.01)
    assert float(before) < float(after)  # a mean of magnitudes is under the root of that of squares
    assert float(figures["psnr"]) == float(same["psnr"])
    resumed = objective()
    resumed.module.load_state_dict(made.module.state_dict())
    assert float(resumed.module(batch)[0].detach()) == pytest.approx(float(after), rel=0.01)


def test_photographs_are_learnt_in_coarse_numbers_and_validated_in_fine_ones(capable):
    module = objective().module
    planes = torch.rand(2, 3 + CONDITIONS, 16, 16)
    seen = []
    module.network.tail.register_forward_hook(lambda _layer, _given, made: seen.append(made.dtype))
    loss, _ = module((planes, planes[:, :3]))
    loss.backward()
    module.eval()
    module((planes, planes[:, :3]))
    assert seen == [torch.bfloat16, torch.float32]
    assert {p.grad.dtype for p in module.parameters()} == {torch.float32}


def test_fields_of_real_numbers_are_learnt_in_fine_ones(capable):
    x = np.random.default_rng(0).normal(size=(12, 24, 32)).cumsum(1).cumsum(2).astype(np.float32)
    assert not objective(x, "tyx").module.coarse
    assert objective().module.coarse


def test_the_graph_gives_what_the_network_does():
    torch.manual_seed(0)
    network = Restorer(RestorerShape(3, 1, False, (8, 10, 12), (1, 1, 1, 2, 1)))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.half().float())  # as it is written
        network.tail.weight.mul_(64.0)
    graph = restorer_graph(RestorerModule(network, True).network)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    planes = torch.rand(2, 3 + CONDITIONS, 24, 40)
    (found,) = session.run(None, {"planes": planes.numpy()})
    with torch.no_grad():
        expected = network(planes).numpy()
    assert np.abs(expected - planes[:, :3].numpy()).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)

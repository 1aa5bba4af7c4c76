"""A step inside backward: each gradient is used and freed as soon as it is there.

So that the gradients of one layer, not of the whole model, are in memory at a time.
"""

import torch

import fallline.torch as flt

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
optimizers = {p: flt.AdamW([p], lr=1e-2) for p in model.parameters()}


def step_and_free(parameter: torch.Tensor) -> None:
    """Called by autograd when the parameter's gradient is complete."""
    optimizers[parameter].step()
    parameter.grad = None


for parameter in model.parameters():
    parameter.register_post_accumulate_grad_hook(step_and_free)

x = torch.randn(256, 20)
y = x[:, :1] * x[:, 1:2]
for _ in range(100):
    loss = (model(x) - y).pow(2).mean()
    loss.backward()
print(f"loss {loss.item():.4f}")

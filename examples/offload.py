"""FSDP2 with parameters, gradients and optimizer states in host memory.

On one machine with several ranks: ``torchrun --nproc-per-node 2 offload.py``. Started alone it is
one rank.
"""

import os

import torch
from torch.distributed.fsdp import CPUOffloadPolicy, fully_shard

import fallline.torch as flt

device = "cuda" if torch.cuda.is_available() else "cpu"
backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
if "RANK" in os.environ:
    torch.distributed.init_process_group(backend)
else:
    torch.distributed.init_process_group(
        backend, store=torch.distributed.HashStore(), rank=0, world_size=1
    )
mesh = torch.distributed.init_device_mesh(device, (torch.distributed.get_world_size(),))

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
offload = CPUOffloadPolicy(pin_memory=device == "cuda")
for part in (model[0], model[2], model):
    fully_shard(part, mesh=mesh, offload_policy=offload)
opt = flt.AdamW(model.parameters(), lr=1e-2)  # this rank's parts, in host memory

x = torch.randn(256, 20, device=device)
y = x[:, :1] * x[:, 1:2]
for _ in range(100):
    loss = (model(x) - y).pow(2).mean()
    loss.backward()
    opt.step()
    opt.zero_grad()
if torch.distributed.get_rank() == 0:
    print(f"loss {loss.item():.4f}")
torch.distributed.destroy_process_group()

# SPDX-License-Identifier: MIT
"""A small training run with nothing of waitprobe in it: torchrun --nproc-per-node 2 train.py TRUTH [hang]

Each rank reads batches from a data loader with two worker processes, computes, and meets the others at a barrier. Rank 1 computes longer, so
it is the one that comes last; with "hang" it does not come at all after a while. The waits that each process has counted itself go to a file
of TRUTH, a folder.
"""

import json
import os
import sys
import time

import torch
import torch.distributed as dist
from torch.monitor import _WaitCounter
from torch.utils.data import DataLoader, Dataset

STEPS = 40
BATCH = 4
counts = {}


def waiting(key):
    counts[key] = counts.get(key, 0) + 1
    return _WaitCounter(key).guard()


class Samples(Dataset):
    def __len__(self):
        return STEPS * BATCH

    def __getitem__(self, index):
        with waiting("dataset.read"):
            time.sleep(0.002)
        if torch.utils.data.get_worker_info() is not None:
            tell_truth()
        return torch.full((64,), float(index))


def tell_truth():
    name = os.path.join(sys.argv[1], str(os.getpid()))
    with open(name + ".new", "w", encoding="ascii") as out:
        json.dump({"pid": os.getpid(), "rank": os.environ["RANK"], "counts": counts}, out)
    os.rename(name + ".new", name)


def main():
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    hangs = "hang" in sys.argv[2:]
    model = torch.nn.Linear(64, 64)
    batches = iter(DataLoader(Samples(), batch_size=BATCH, num_workers=2))
    for step in range(STEPS):
        with waiting("loader.next"):
            batch = next(batches)
        loss = model(batch).square().mean()
        loss.backward()
        if rank == 1:
            time.sleep(3600 if hangs and step == STEPS // 2 else 0.03)
        with waiting("train.barrier"):
            dist.barrier()
    with waiting("my.key"):
        time.sleep(0.1)
    dist.destroy_process_group()
    tell_truth()


if __name__ == "__main__":
    main()

"""The hand-written PyTorch loop, one process, one thread.  loop.py FILE ROUNDS"""

import sys
from itertools import islice

import torch
from byhand import load, loop
from marks import Marks


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    work, marks = load(sys.argv[1]), Marks()
    for server in islice(loop(work), int(sys.argv[2])):
        marks.round(work.accuracy(server))
    marks.stay()


if __name__ == "__main__":
    main()

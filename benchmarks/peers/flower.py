"""Flower's simulation runtime on Ray.  flower.py FILE ROUNDS WORKERS

Set up as its guide "Run simulations" asks: one CPU a ClientApp, so that as many actors run as there are cores to use,
and no evaluation at the clients, since nothing else here does that. An actor reads the rows once and keeps them with
its network between calls. `run_simulation` is the in-process way in; the messages stay in memory, which is the fastest.
"""

import sys

import torch
from byhand import desk, epoch, load
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from marks import Marks

FILE, ROUNDS, WORKERS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

client, server = ClientApp(), ServerApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    sites, net = desk(FILE)
    net.load_state_dict(message.content["arrays"].to_torch_state_dict())
    x, y = sites[context.node_config["partition-id"]]
    epoch(net, x, y)
    told = {"arrays": ArrayRecord(net.state_dict()), "metrics": MetricRecord({"num-examples": len(y)})}
    return Message(content=RecordDict(told), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    torch.set_num_threads(1)
    work, marks = load(FILE), Marks()
    net, sites = work.network(), len(work.rows)

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        net.load_state_dict(arrays.to_torch_state_dict())
        right = work.accuracy(net)
        if number:
            marks.round(right)
        if number == ROUNDS:
            marks.stay()
        return MetricRecord({"accuracy": right})

    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=sites, min_available_nodes=sites)
    strategy.start(grid=grid, initial_arrays=ArrayRecord(net.state_dict()), num_rounds=ROUNDS, evaluate_fn=evaluate)


if __name__ == "__main__":
    run_simulation(
        server_app=server,
        client_app=client,
        num_supernodes=len(load(FILE).rows),
        backend_config={
            "init_args": {"num_cpus": WORKERS},
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        },
    )

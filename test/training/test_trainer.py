"""The training loop: exact resume, several processes, best weights, running average."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.training.checkpoint import load_checkpoint, save_checkpoint
from s3e_gnn_ros.training.curves import Curves, best_values, read_curves
from s3e_gnn_ros.training.distributed import Placement, placement, step_seed
from s3e_gnn_ros.training.train_config import LoopConfig, OptimiserConfig, ScheduleConfig
from s3e_gnn_ros.training.trainer import CHECKPOINT_FILE, Plan, Trainer

PLACE = Placement(torch.device('cpu'))
ADAM = OptimiserConfig('adamw', lr=0.01)
SGD = OptimiserConfig('sgd', lr=0.01, momentum=0.9)


class Regression(nn.Module):
    """A task with everything that has state: batch norm, dropout, a parameter of its own."""

    metric = 'closeness'

    def __init__(self, values=()):
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1)
        )
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.values = iter(values)

    def set_training(self):
        self.train()

    def forward(self, batch):
        error = self.scale * self.network(batch) - batch.sum(dim=1, keepdim=True)
        return {'loss': error.square().mean()}

    def validate(self):
        value = next(self.values, None)
        return {} if value is None else {'closeness': value}


def batches(step):
    while True:
        generator = torch.Generator().manual_seed(step)
        yield torch.randn(32, 3, generator=generator)
        step += 1


def make(folder, task, optimiser=ADAM, num_steps=10, source=batches, **loop):
    folder.mkdir(exist_ok=True)
    loop = LoopConfig(**{'validation_interval': 2, 'checkpoint_interval': 100, **loop})
    plan = Plan('only', 0, num_steps, optimiser, ScheduleConfig(), loop)
    return Trainer(task, source, plan, folder, Curves(folder), PLACE)


def interrupted(step):
    """A source that is interrupted before the batch of a step."""

    def source(start):
        for number, batch in enumerate(batches(start), start):
            if number == step:
                os.kill(os.getpid(), signal.SIGINT)
            yield batch

    return source


@pytest.mark.parametrize('optimiser', [ADAM, SGD], ids=['adamw', 'sgd'])
@pytest.mark.parametrize('ema_decay', [0.0, 0.9])
def test_resumes_bit_for_bit(tmp_path, optimiser, ema_decay):
    whole = Regression()
    make(tmp_path / 'whole', whole, optimiser, ema_decay=ema_decay).fit()
    first = make(
        tmp_path / 'a', Regression(), optimiser, source=interrupted(4), ema_decay=ema_decay
    )
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    assert first.step == 5
    resumed = Regression()
    with torch.no_grad():
        resumed.network[0].weight.zero_()  # all comes from the checkpoint
    trainer = make(tmp_path / 'b', resumed, optimiser, ema_decay=ema_decay)
    path = tmp_path / 'a' / CHECKPOINT_FILE
    trainer.restore(load_checkpoint(path), path)
    assert trainer.step == 5
    trainer.fit()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_learns(tmp_path):
    task = Regression()
    make(tmp_path, task, dataclasses.replace(ADAM, lr=0.05), 60, log_interval=1).fit()
    losses = [point['loss'] for point in read_curves(tmp_path)]
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


def test_keeps_the_best_weights(tmp_path):
    task = Regression([0.2, 0.1, 0.9, 0.3])
    make(tmp_path, task, num_steps=6).fit()
    best = load_checkpoint(tmp_path / 'best_only.safetensors')
    assert best.progress == {'step': 4, 'closeness': 0.9}
    for name, value in task.network.state_dict().items():
        assert torch.equal(value, best.part('model')[name])


def test_without_validation_the_last_weights_stay(tmp_path):
    make(tmp_path, Regression(), num_steps=2).fit()
    assert not (tmp_path / 'best_only.safetensors').exists()


def test_running_average_is_what_is_left(tmp_path):
    plain, averaged = Regression(), Regression()
    make(tmp_path / 'plain', plain, SGD, 3).fit()
    make(tmp_path / 'averaged', averaged, SGD, 3, ema_decay=0.999).fit()
    start = Regression().network[0].weight
    moved = [(task.network[0].weight - start).norm().item() for task in (plain, averaged)]
    assert 0.0 < moved[1] < 0.01 * moved[0]


def test_a_loss_that_is_no_number_ends_the_run(tmp_path):
    def source(step):
        yield torch.full((8, 3), float('nan'))

    with pytest.raises(InputError, match='the loss is nan at step 0 of only'):
        make(tmp_path, Regression(), source=source).fit()


def test_checkpoints_are_written_at_intervals_and_hold_no_pickle(tmp_path):
    make(tmp_path, Regression(), num_steps=3, checkpoint_interval=2).fit()
    tensors = load_file(tmp_path / CHECKPOINT_FILE)
    assert 'optimiser.exp_avg/network.0.weight' in tensors
    assert 'model.scale' in tensors
    assert load_checkpoint(tmp_path / CHECKPOINT_FILE).progress['step'] == 3


@pytest.mark.parametrize('content', [None, b'', b'x' * 100])
def test_damaged_checkpoint(tmp_path, content):
    path = tmp_path / 'checkpoint.safetensors'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match='cannot read checkpoint'):
        load_checkpoint(path)


def test_checkpoint_of_another_network(tmp_path):
    path = tmp_path / CHECKPOINT_FILE
    save_checkpoint(path, {'model': {'x': torch.zeros(1)}}, {'stage': 0, 'step': 1, 'best': None})
    with pytest.raises(InputError, match='of another architecture'):
        make(tmp_path, Regression()).restore(load_checkpoint(path), path)


def test_curves_forget_what_is_done_again(tmp_path):
    curves = Curves(tmp_path)
    for stage, step in (('0_local', 10), ('0_local', 20), ('1_global', 5), ('1_global', 10)):
        curves.add(stage, step, {'average_precision': step / 20})
    assert best_values(tmp_path)['0_local']['average_precision'] == 1.0
    curves.cut(['0_local'], '1_global', 5)
    assert [(p['stage'], p['step']) for p in read_curves(tmp_path)] == [
        ('0_local', 10),
        ('0_local', 20),
        ('1_global', 5),
    ]
    curves.close()


def test_each_step_and_process_has_its_own_random_numbers():
    seeds = {step_seed(*key) for key in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]}
    assert len(seeds) == 4


WORKER = """
import sys
from pathlib import Path
import torch
from torch import nn
from s3e_gnn_ros.training.curves import Curves
from s3e_gnn_ros.training.distributed import placement
from s3e_gnn_ros.training.train_config import LoopConfig, OptimiserConfig, ScheduleConfig
from s3e_gnn_ros.training.trainer import Plan, Trainer

class Task(nn.Module):
    metric = 'closeness'
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    def set_training(self):
        self.train()
    def forward(self, batch):
        return {'loss': (self.network(batch) - batch.sum(1, keepdim=True)).square().mean()}
    def validate(self):
        return {'closeness': float(self.network(torch.ones(1, 3)))}

def main():
    folder = Path(sys.argv[1])
    with placement('cpu') as place:
        def source(step):
            while True:
                batch = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
                yield batch.chunk(place.num_processes)[place.rank]
                step += 1
        loop = LoopConfig(validation_interval=100, checkpoint_interval=3)
        plan = Plan('only', 0, 6, OptimiserConfig('sgd', lr=0.1), ScheduleConfig(), loop)
        curves = Curves(folder, is_active=place.is_first)
        task = Task()
        Trainer(task, source, plan, folder, curves, place).fit()
        values = torch.cat([p.detach().flatten() for p in task.parameters()])
        (folder / f'{place.num_processes}_{place.rank}').write_text(repr(values.tolist()))

main()
"""


def test_two_processes_are_one_with_the_whole_batch(tmp_path):
    """With what torchrun puts into the environment; alone runs beside them to save time."""
    script = tmp_path / 'worker.py'
    script.write_text(WORKER)
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    common = {
        'PYTHONPATH': str(Path(__file__).resolve().parents[2]),
        'OMP_NUM_THREADS': '1',
        'GLOO_SOCKET_IFNAME': 'lo',
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(port),
    }
    running = []
    for rank, size in ((0, 1), (0, 2), (1, 2)):
        folder = tmp_path / str(size)
        folder.mkdir(exist_ok=True)
        ranks = {'RANK': str(rank), 'LOCAL_RANK': str(rank), 'WORLD_SIZE': str(size)}
        command = [sys.executable, script, folder]
        running.append(subprocess.Popen(command, env=os.environ | common | ranks))
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    alone, first, second = (
        torch.tensor(json.loads((tmp_path / name).read_text()))
        for name in ('1/1_0', '2/2_0', '2/2_1')
    )
    assert torch.equal(first, second)
    assert torch.allclose(alone, first, atol=1e-6)


def test_no_gpu_is_said():
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    with pytest.raises(Exception, match='torch finds no GPU'), placement('cuda'):
        pass

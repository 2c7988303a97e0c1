#!/bin/bash
# One federation over the machines of a SLURM job:  sbatch docs/cluster/slurm.sh algorithm=scaffold rounds=500
#SBATCH --job-name=fedtrial
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@300   # five minutes before the end, so that the run can write where it stands
set -euo pipefail

# The environment must be the same on every machine: on a shared file system, or copied there beforehand.
source "${FEDTRIAL_ENV:-$HOME/fedtrial-env}/bin/activate"

port=6379
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}'):$port
workers=$(((SLURM_JOB_NUM_NODES - 1) * SLURM_CPUS_PER_TASK))

# A token of this job alone. srun hands the environment on; nothing is written to a file.
RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0

# The head computes nothing, so that a worker which takes all memory takes no other machine with it.
srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap \
  ray start --head --port=$port --num-cpus=0 --include-dashboard=false --block &
sleep 20
srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" --overlap \
  ray start --address="$address" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
sleep 30

# In the background and awaited, for the shell to pass the signal of SLURM on.
srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap \
  fedtrial run executor=ray executor.workers="$workers" executor.address="$address" "$@" &
run=$!
trap 'kill -TERM "$run"' TERM
status=0
wait "$run" || status=$?
while kill -0 "$run" 2>/dev/null; do wait "$run" || status=$?; done
exit "$status"

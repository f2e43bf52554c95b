#!/bin/sh
# A shard of a Monte Carlo job as a task of a Slurm array:
#
#   sbatch --array=0-15 slurm.sh MODEL DIR [FLAGS OF twinc mc …]
#
# twinc reads the shard from SLURM_ARRAY_TASK_ID, _COUNT and _MIN. When all tasks are done: twinc mc merge DIR.
#SBATCH --job-name=twinc-mc
#SBATCH --ntasks=1
#SBATCH --requeue
set -eu

model=$1
dir=$2
shift 2

# As many threads as the task has been given.
exec "${TWINC:-twinc}" mc "$model" --out "$dir" --jobs "${SLURM_CPUS_PER_TASK:-1}" --resume "$@"

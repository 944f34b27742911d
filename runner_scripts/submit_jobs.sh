#!/bin/bash
# One Slurm job for each model: run_hierarchical_reasoning.slurm, which see.
#
#   runner_scripts/submit_jobs.sh [--start_vllm_verbose] [--thinking_verbose] [--prompt_verbose] \
#       [--sbatch OPTION]... [--python PATH] [MODEL ...] [-- options of hierarchical_reasoning.py]
#   runner_scripts/submit_jobs.sh --sbatch --account=mine --sbatch --time=8:00:00
#   runner_scripts/submit_jobs.sh --thinking_verbose Qwen/Qwen3-8B Qwen/Qwen3-14B -- --label_level 5 --n_rows 500
#
#   --sbatch OPTION    an option of sbatch, such as --gres=gpu:4; can be repeated
#   --python PATH      runs the jobs; default: .venv/bin/python of the project, else python3
set -euo pipefail

MODELS=(meta-llama/Meta-Llama-3.1-8B-Instruct google/gemma-2-27b-it Qwen/QwQ-32B-Preview) # where none is named

fail() {
    echo "submit_jobs.sh: $1" >&2
    exit 2
}

RUNNERS=$(cd "$(dirname "$0")" && pwd)
models=() passed_on=() sbatch_options=() python=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --start_vllm_verbose | --thinking_verbose | --prompt_verbose) passed_on+=("$1") ;;
        --sbatch | --python)
            [[ -n ${2:-} ]] || fail "$1 needs a value"
            if [[ $1 == --sbatch ]]; then sbatch_options+=("$2"); else python=(--python "$2"); fi
            shift
            ;;
        --)
            shift
            passed_on+=("$@")
            break
            ;;
        -*) fail "there is no option $1; allowed are --start_vllm_verbose, --thinking_verbose, --prompt_verbose, \
--sbatch OPTION and --python PATH; options of hierarchical_reasoning.py go after --" ;;
        *) models+=("$1") ;;
    esac
    shift
done
[[ ${#models[@]} -gt 0 ]] || models=("${MODELS[@]}")
command -v sbatch >/dev/null || fail "there is no sbatch here; go to a machine that submits jobs"

for model in "${models[@]}"; do
    job=$(sbatch --parsable --job-name="hr-$(basename "$model")" "${sbatch_options[@]}" \
        "$RUNNERS/run_hierarchical_reasoning.slurm" "${python[@]}" "$model" "${passed_on[@]}")
    echo "job ${job%%;*}: $model"
done

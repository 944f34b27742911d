#!/bin/bash
# Train a language model with HATO on GSM8K, on all GPUs of this machine: data, settings and the launcher.
#
#   runner_scripts/run_hato_qwen_0.6b.sh [options of this script] [options of train hato]
#   runner_scripts/run_hato_qwen_7b.sh --model Qwen/Qwen3-8B --processes 4 --seed 1
#   runner_scripts/run_hato_qwen_0.6b.sh --model bundled --n_rows 8 --device cpu         # a try on the CPU
#
# Options of this script, before or among all others; what comes last counts:
#   --model NAME       trained; default: the one of the settings
#   --config DIR       the three files of settings; default: hato_config/SIZE beside this script
#   --data DIR         gsm8k_train.jsonl and gsm8k_val.jsonl, which are made where they are not there; default: data
#   --processes N      default: one for each GPU; without GPUs, one
#   --python PATH      default: .venv/bin/python of the project, else python3
set -euo pipefail

fail() {
    echo "run_hato.sh: $1" >&2
    exit 2
}

RUNNERS=$(cd "$(dirname "$0")" && pwd)
PROJECT=$(dirname "$RUNNERS")
GSM8K=https://raw.githubusercontent.com/openai/grade-school-math/master/grade_school_math/data/train.jsonl

SIZE=${1:-}
[[ -n $SIZE && -d $RUNNERS/hato_config/$SIZE ]] ||
    fail "the size is '$SIZE'; allowed are $(cd "$RUNNERS/hato_config" && echo *), by run_hato_qwen_SIZE.sh"
shift
MODEL='' CONFIG=$RUNNERS/hato_config/$SIZE DATA=data PROCESSES='' PYTHON=''
others=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --model | --config | --data | --processes | --python) [[ -n ${2:-} ]] || fail "$1 needs a value" ;;
        *)
            others+=("$1")
            shift
            continue
            ;;
    esac
    case $1 in
        --model) MODEL=$2 ;;
        --config) CONFIG=$2 ;;
        --data) DATA=$2 ;;
        --processes) PROCESSES=$2 ;;
        --python) PYTHON=$2 ;;
    esac
    shift 2
done
if [[ -z $PYTHON ]]; then
    PYTHON=$PROJECT/.venv/bin/python
    [[ -x $PYTHON ]] || PYTHON=python3
fi
if [[ -z $PROCESSES ]]; then
    PROCESSES=$("$PYTHON" -c 'import torch; print(max(1, torch.cuda.device_count()))')
fi
[[ $PROCESSES =~ ^[1-9][0-9]*$ ]] || fail "--processes is '$PROCESSES'; it must be a number, 1 or more"

if [[ ! -f $DATA/gsm8k_train.jsonl || ! -f $DATA/gsm8k_val.jsonl ]]; then
    mkdir -p "$DATA"
    if [[ ! -f $DATA/gsm8k.jsonl ]]; then
        echo "downloading $GSM8K"
        curl --fail --silent --show-error --location --retry 3 --output "$DATA/gsm8k.jsonl.part" "$GSM8K" ||
            fail "GSM8K cannot be downloaded; put its train.jsonl at $DATA/gsm8k.jsonl"
        mv "$DATA/gsm8k.jsonl.part" "$DATA/gsm8k.jsonl"
    fi
    PYTHONPATH=$PROJECT "$PYTHON" -c 'from hierarchical_reasoning.cli.main import main; main()' \
        prepare-data "$DATA/gsm8k.jsonl" --output "$DATA" --name gsm8k --overwrite
fi

launcher=()
[[ $PROCESSES == 1 ]] || launcher=(-m torch.distributed.run --standalone --nproc_per_node "$PROCESSES")
model=()
[[ -z $MODEL ]] || model=(--model_id "$MODEL")
exec "$PYTHON" "${launcher[@]}" "$RUNNERS/train_hato.py" --config "$CONFIG" "${model[@]}" \
    --data_file "$DATA/gsm8k_train.jsonl" --eval_file "$DATA/gsm8k_val.jsonl" \
    --n_rows "$(wc -l <"$DATA/gsm8k_train.jsonl")" --eval_rows 200 "${others[@]}"

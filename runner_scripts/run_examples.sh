#!/bin/bash
# Vanilla, then levels 0 to 6, on the same problems; then the accuracy of each, with its interval.
#
#   runner_scripts/run_examples.sh [--output DIR] [--python PATH] [options of hierarchical-reasoning compare]
#   runner_scripts/run_examples.sh --n_rows 200
#   runner_scripts/run_examples.sh --model_name gpt-4o-mini --llm_framework openai --output cache/examples-gpt-4o-mini
#
#   --output DIR       every configuration has a directory in DIR/arms; default: cache/examples
#   --python PATH      default: .venv/bin/python of the project, else python3
#
# Run again, it goes on where it was stopped.
set -euo pipefail

fail() {
    echo "run_examples.sh: $1" >&2
    exit 2
}

PROJECT=$(cd "$(dirname "$0")/.." && pwd)
OUTPUT=cache/examples PYTHON=''
others=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --output | --python)
            [[ -n ${2:-} ]] || fail "$1 needs a value"
            if [[ $1 == --output ]]; then OUTPUT=$2; else PYTHON=$2; fi
            shift
            ;;
        *) others+=("$1") ;;
    esac
    shift
done
if [[ -z $PYTHON ]]; then
    PYTHON=$PROJECT/.venv/bin/python
    [[ -x $PYTHON ]] || PYTHON=python3
fi
export PYTHONPATH=$PROJECT${PYTHONPATH:+:$PYTHONPATH}
exec "$PYTHON" -c 'from hierarchical_reasoning.cli.main import main; main()' compare \
    --arms vanilla,0,1,2,3,4,5,6 --no_matched --output "$OUTPUT" "${others[@]}"

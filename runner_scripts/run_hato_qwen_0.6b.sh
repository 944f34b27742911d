#!/bin/bash
# HATO on GSM8K with a model of 0.6 billion parameters, all of which are trained. Options: run_hato.sh.
exec "$(dirname "$0")/run_hato.sh" 0.6b --learning_rate 1e-6 "$@"

#!/bin/bash
# HATO on GSM8K with a model of 1.5 billion parameters, all of which are trained. Options: run_hato.sh.
exec "$(dirname "$0")/run_hato.sh" 1.5b --learning_rate 1e-6 --gradient_checkpointing "$@"

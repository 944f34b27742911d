#!/bin/bash
# HATO on GSM8K with a model of 7 billion parameters, of which LoRA adapters are trained. Options: run_hato.sh.
exec "$(dirname "$0")/run_hato.sh" 7b --learning_rate 1e-5 --lora_r 32 --gradient_checkpointing "$@"

"""What learns to plan: the policy over thought types, its rollouts, and the loss on its choices."""

"""A language model that learns to reason from its own rollouts: any explorer, credit and objective together."""

"""What the nodes of a tree are called, and what they mean: from given labels, from what their steps do and say, or by a
language model."""

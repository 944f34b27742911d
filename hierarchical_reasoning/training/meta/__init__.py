"""Meta-learning: a start from which a few steps suffice for a family of problems that was never seen."""

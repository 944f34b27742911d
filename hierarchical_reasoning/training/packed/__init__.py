"""Forward passes over trees of tokens, in which each token is computed once."""

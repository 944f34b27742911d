"""The comparison study: the same problems under several arms, and what may be concluded from it."""

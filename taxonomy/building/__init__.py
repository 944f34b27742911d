"""From rollouts to a taxonomy directory. `pipeline` puts the stages in order; `given_labels` is the short way for
rollouts that are labeled, in memory."""

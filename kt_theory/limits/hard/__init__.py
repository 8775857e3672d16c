"""Hard labels: shrinkage students from above, Dirichlet priors from below."""

"""The forward process, the training objective and the solvers of the reverse process."""

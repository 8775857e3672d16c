"""How good a copy is: upper confidence bounds on its loss, from the records alone."""

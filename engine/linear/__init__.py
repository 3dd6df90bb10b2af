"""Linear solvers: on the host over assembled matrices, on a device over stored element matrices."""

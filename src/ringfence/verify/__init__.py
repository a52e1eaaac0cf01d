"""The attacks that `ringfence verify` makes on the boundary, and the battery that runs them."""

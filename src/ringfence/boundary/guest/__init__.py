"""What runs beside the command in a virtual machine: the guest's first program, and its keeper on the host."""

"""What runs beside the command of a virtual machine: the guest's first program, and its keeper outside."""

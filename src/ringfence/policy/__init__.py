"""What the operator wrote: read, checked, layered into one policy."""

"""The project: what is hidden in it, what is protected, what is set aside."""

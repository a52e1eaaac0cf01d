"""Where ringfence answers for the tools of agents: one agent or framework a file."""

"""Where ringfence answers for the tools of agents that it does not start itself: one agent or framework a file."""

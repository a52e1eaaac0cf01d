"""ringfence runs an AI agent inside a boundary that one policy file describes."""

__version__ = "0.1.0"

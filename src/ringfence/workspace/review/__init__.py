"""What a session changed, shown to a person: raw bytes, escaped, danger first, nothing left out silently."""

"""One model behind the editors of a team: the host, and what an editor's server needs to ask it."""

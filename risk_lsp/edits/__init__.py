"""Small edits of Python text, used by repairs, patches and made-up bugs."""

"""Open documents: their analysis, and what is shown of them."""

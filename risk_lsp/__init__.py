"""risk-lsp: which lines of model-written code will most likely have to be edited."""

__version__ = "0.1.0"

"""The language server; lsprotocol types stop here."""

"""The supervised process that hosts the model: messages, the child, its supervisor."""

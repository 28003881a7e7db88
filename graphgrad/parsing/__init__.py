"""What `graphgrad.parser` is made of: excerpts with a caret, tokens, and the making of nodes."""

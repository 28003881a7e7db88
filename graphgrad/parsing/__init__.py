"""What `graphgrad.parser` is made of: excerpts with a caret, the scan, the reader, calls."""

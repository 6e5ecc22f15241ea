"""What an answer says, read strictly: one fact a file, text in, a value or None out.

An answer in free words, in whatever words a model uses, is read for one fact. What contradicts itself says nothing.
Nothing here is ever run as code.
"""

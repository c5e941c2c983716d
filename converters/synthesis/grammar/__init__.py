"""What people say to an assistant, as data: sentence templates by intent and the lists they use.

A template is plain text with slots in braces. `{contact}` calls the filler of that name in
`converters.synthesis.slots`; a name without a filler is looked up in the phrase lists.
"""

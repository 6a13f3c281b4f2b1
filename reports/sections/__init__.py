"""The sections of a report, one a file: each from its data to sentences, figures and tables, or why it is missing."""

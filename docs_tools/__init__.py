"""Makes and checks the documentation: numbers, transcripts, diagrams, and what the site needs beside Markdown."""

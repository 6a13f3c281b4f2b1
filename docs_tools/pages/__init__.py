"""What is written into the pages, one module for each: texts by the names of their places (docs_tools.blocks)."""

"""Hardware designs: specifications with their golden models, and the RTL made from them."""

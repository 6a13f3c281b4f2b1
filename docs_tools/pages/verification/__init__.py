"""What is written into the pages of proofs, mutants, fuzzing, faults and gate level, from recorded results."""

"""Claims: each brings the evidence of one observation before one check."""

"""How mini-bert, mini-gpt and mini-t5 were made: one text, one loop, three objectives."""

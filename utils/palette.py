"""The course's colours, for figures, cards and coloured pieces alike.

Okabe and Ito's palette (2008): told apart with every common colour blindness, and by lightness in grey.
After a change, pictures are drawn anew by: python -m tools.notebooks build --force
"""

BLUE, ORANGE, GREEN, RED, GREY, BLACK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8C8C8C", "#222222"
LIGHT = ("#CFE8F7", "#FBE3B5", "#C9EBDD", "#F7D3C0", "#E3E3E3")  # the same, light, under dark letters
EMPTY = "#E8E8E8"

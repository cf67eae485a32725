"""Twenty everyday opinions about films, written for this course before any model judged them; some are indirect."""

OPINIONS = [
    ("I smiled the whole way home.", "pos"),
    ("Best evening at the cinema this year.", "pos"),
    ("The kids loved it and so did I.", "pos"),
    ("A simple story, told beautifully.", "pos"),
    ("Her acting gave me goosebumps.", "pos"),
    ("I would watch it again tomorrow.", "pos"),
    ("It made me laugh out loud more than once.", "pos"),
    ("I expected nothing and could not look away.", "pos"),
    ("Take tissues with you.", "pos"),
    ("Three hours, and I wanted a fourth.", "pos"),
    ("I fell asleep after twenty minutes.", "neg"),
    ("The jokes are old and the ending makes no sense.", "neg"),
    ("What a waste of money.", "neg"),
    ("The actors look as bored as I was.", "neg"),
    ("Do not believe the posters, it is terrible.", "neg"),
    ("Too long, too loud and not funny.", "neg"),
    ("We left before the end.", "neg"),
    ("Nothing in this film works.", "neg"),
    ("The best part was the popcorn.", "neg"),
    ("I kept looking at my watch.", "neg"),
]

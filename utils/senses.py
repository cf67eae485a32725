"""Words with two senses, four sentences for each; written for this course before any model saw them."""

SENSES: dict[str, tuple[list[str], list[str]]] = {
    "bank": (
        [
            "She opened an account at the bank.",
            "The bank lent him money for the house.",
            "He works as a clerk in a bank.",
            "The robbers left the bank with two bags.",
        ],
        [
            "We sat on the bank and watched the boats.",
            "The river rose over its bank in the storm.",
            "Willows grow along the bank of the stream.",
            "He pulled the canoe up the muddy bank.",
        ],
    ),
    "bat": (
        [
            "He swung the bat and missed the ball.",
            "Her new bat is made of ash wood.",
            "The boy carried his bat to the game.",
            "A cracked bat will not hit far.",
        ],
        [
            "A bat slept upside down in the cave.",
            "The bat hunts insects at night.",
            "We heard the wings of a bat in the attic.",
            "A bat finds its way by sound.",
        ],
    ),
    "spring": (
        [
            "The cherry trees bloom in spring.",
            "Last spring it rained for weeks.",
            "The birds come back in early spring.",
            "We plant the garden every spring.",
        ],
        [
            "The spring in the mattress is broken.",
            "A metal spring pushes the door shut.",
            "He pressed the spring and let it go.",
            "The clock stopped when its spring snapped.",
        ],
    ),
    "match": (
        [
            "Our team lost the match by one goal.",
            "The match was stopped because of rain.",
            "She won her first tennis match.",
            "Thousands came to watch the match.",
        ],
        [
            "He struck a match to light the candle.",
            "The last match was wet and would not burn.",
            "She dropped a burning match on the rug.",
            "A match flared up in the dark.",
        ],
    ),
    "plant": (
        [
            "The plant on the window needs water.",
            "This plant has yellow flowers.",
            "A tall plant grew beside the wall.",
            "Cactus is a plant of the desert.",
        ],
        [
            "The car plant employs two thousand workers.",
            "They closed the plant and moved it abroad.",
            "The power plant burns coal.",
            "Steel is made in a plant near the harbour.",
        ],
    ),
    "ring": (
        [
            "He gave her a ring with a diamond.",
            "The ring slipped off her finger.",
            "She wears a gold ring every day.",
            "The thief stole a silver ring.",
        ],
        [
            "The boxer climbed into the ring.",
            "Two fighters met in the ring.",
            "The crowd around the ring cheered each blow.",
            "He was knocked down in the ring.",
        ],
    ),
    "seal": (
        [
            "A seal lay on the ice and barked.",
            "The seal dived after the fish.",
            "A young seal has white fur.",
            "The shark followed the seal to the shore.",
        ],
        [
            "The letter bore the seal of the king.",
            "He broke the seal and read the letter.",
            "The lawyer pressed her seal on the contract.",
            "A wax seal closed the envelope.",
        ],
    ),
    "light": (
        [
            "The light of the lamp was weak.",
            "Turn off the light when you leave.",
            "A bright light shone through the window.",
            "The light in the kitchen is broken.",
        ],
        [
            "The bag is light enough for a child.",
            "Take the light suitcase, not the heavy one.",
            "This tent is light and easy to carry.",
            "Feathers are light and stones are not.",
        ],
    ),
}

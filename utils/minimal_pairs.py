"""Grammatical minimal pairs: two sentences that differ in one place, the first right, the second wrong.

Written for this course, in the manner of BLiMP (Warstadt et al. 2020, arXiv 1912.00582), with words that film reviews
use. A language model that knows the rule gives the first sentence the higher probability.
"""

from __future__ import annotations


def pairs(more: bool = False) -> dict[str, list[tuple[str, str]]]:
    """Phenomenon -> pairs of (right, wrong) sentences, in a fixed order.

    Args:
        more: with forty more of agreement across another noun: twenty cannot tell a model that guesses from one that
            follows the nearest noun.
    """
    added = {ACROSS: MORE_ACROSS} if more else {}
    return {name: [split(each) for each in [*sentences, *added.get(name, ())]] for name, sentences in PHENOMENA.items()}


def split(sentence: str) -> tuple[str, str]:
    """ "The {films|film} are good." -> ("The films are good.", "The film are good.")."""
    before, _, rest = sentence.partition("{")
    choice, _, after = rest.partition("}")
    right, wrong = choice.split("|")
    return before + right + after, before + wrong + after


def right_is_likelier(model, tokenizer, sentences: list[tuple[str, str]]) -> list[bool]:
    """For each pair, is the right form likelier than the wrong one, at its place?

    A BERT sees the sentence with that place hidden, a GPT what stands before it, after the end-of-text token (Linzen et
    al. 2016; Goldberg 2019).

    Args:
        model: a masked or a causal language model, in evaluation mode.
        tokenizer: the model's; one without a mask token belongs to a GPT.
        sentences: pairs of (right, wrong); those that differ in more than one token are left out.
    """
    import torch

    front = "" if tokenizer.mask_token_id is not None else tokenizer.eos_token
    found = []
    for pair in sentences:
        right, wrong = (tokenizer(front + text)["input_ids"] for text in pair)
        differ = [place for place, ids in enumerate(zip(right, wrong, strict=False)) if ids[0] != ids[1]]
        if len(right) != len(wrong) or len(differ) != 1:
            continue
        (place,) = differ
        if front:
            ids, asked = right[:place], place - 1  # what comes next
        else:
            ids, asked = [*right[:place], tokenizer.mask_token_id, *right[place + 1 :]], place
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids], device=model.device)).logits[0, asked]
        found.append(bool(logits[right[place]] > logits[wrong[place]]))
    return found


ACROSS = "subject and verb, another noun between"
# {right|wrong} is the place where the two sentences differ.
PHENOMENA: dict[str, list[str]] = {
    "subject and verb, side by side": [
        "The actors {are|is} very good.",
        "The actor {is|are} very good.",
        "The scenes {were|was} too long.",
        "The scene {was|were} too long.",
        "These movies {have|has} no story.",
        "This movie {has|have} no story.",
        "The characters {do|does} not grow.",
        "The character {does|do} not grow.",
        "The jokes {are|is} not funny.",
        "The joke {is|are} not funny.",
        "My friends {were|was} bored.",
        "My friend {was|were} bored.",
        "They {were|was} in love.",
        "She {was|were} in love.",
        "We {have|has} seen this before.",
        "He {has|have} seen this before.",
        "The effects {look|looks} cheap.",
        "The film {looks|look} cheap.",
        "Most people {like|likes} the ending.",
        "My wife {likes|like} the ending.",
        "The critics {love|loves} it.",
        "The director {knows|know} what he wants.",
    ],
    ACROSS: [
        "The actors in this movie {are|is} great.",
        "The actor in these movies {is|are} great.",
        "The scenes with the dog {were|was} funny.",
        "The scene with the dogs {was|were} funny.",
        "The people who made this film {are|is} mad.",
        "The man who made these films {is|are} mad.",
        "The songs of the film {have|has} no power.",
        "The story of the brothers {has|have} no power.",
        "The characters in the book {were|was} better.",
        "The ending of both films {was|were} better.",
        "The effects of the first part {look|looks} old.",
        "The music in the last scenes {sounds|sound} old.",
        "The lines of the hero {are|is} stupid.",
        "The plot of the two films {is|are} stupid.",
        "The women in his life {were|was} strong.",
        "The mother of the girls {was|were} strong.",
        "The reviews of this show {are|is} wrong.",
        "The quality of the pictures {is|are} poor.",
        "The movies that he made {were|was} bad.",
        "The movie that they made {was|were} bad.",
    ],
    "determiner and noun": [
        "I have seen {these|this} films.",
        "I have seen {this|these} film.",
        "I did not like {those|that} characters.",
        "I did not like {that|those} character.",
        "He made {many|much} movies.",
        "There is too {much|many} violence in it.",
        "It has {a|an} good story.",
        "It has {an|a} interesting story.",
        "This is {an|a} old movie.",
        "This is {a|an} new movie.",
        "She plays {an|a} evil woman.",
        "She plays {a|an} young woman.",
        "Each {scene|scenes} is better than the last.",
        "All {scenes|scene} are better than the last.",
        "There are two {reasons|reason} to see it.",
        "There is one {reason|reasons} to see it.",
        "Every {actor|actors} does a good job.",
        "Both {actors|actor} do a good job.",
        "I saw several {movies|movie} that day.",
        "I saw another {movie|movies} that day.",
        "{These|This} people are not funny.",
        "{This|These} guy is not funny.",
    ],
    "reflexive pronouns": [
        "He kills {himself|herself} in the end.",
        "She kills {herself|himself} in the end.",
        "They enjoyed {themselves|himself} a lot.",
        "I asked {myself|yourself} what went wrong.",
        "The man sees {himself|herself} in the mirror.",
        "The woman sees {herself|himself} in the mirror.",
        "The girl hurts {herself|himself}.",
        "The boy hurts {himself|herself}.",
        "The actors make fools of {themselves|himself}.",
        "We laughed at {ourselves|myself}.",
        "You should ask {yourself|myself} why.",
        "The movie takes {itself|themselves} too seriously.",
        "The films take {themselves|itself} too seriously.",
        "The king proves {himself|herself} to be a good man.",
        "The queen proves {herself|himself} to be a good woman.",
        "His wife kills {herself|himself}.",
        "Her husband kills {himself|herself}.",
        "The story {itself|themselves} is very simple.",
        "The characters {themselves|itself} are very simple.",
        "I had to force {myself|himself} to watch it.",
    ],
    "form of the verb": [
        "I have {seen|saw} this film twice.",
        "He has {written|wrote} a good script.",
        "She had {gone|went} to the house.",
        "It was {made|make} in the sixties.",
        "The film was {shot|shoot} in Rome.",
        "They will {see|seen} it again.",
        "You should {watch|watched} this movie.",
        "It can {be|been} seen on television.",
        "I would {recommend|recommended} it to everyone.",
        "He did not {know|knew} what to do.",
        "Do not {waste|wasted} your time.",
        "I could not {stop|stopped} laughing.",
        "She is {trying|tries} to find her son.",
        "They were {looking|look} for the killer.",
        "I want to {see|seen} more of him.",
        "He tries to {save|saved} the world.",
        "It has been {done|did} before.",
        "The book was {written|wrote} years ago.",
        "I kept {waiting|waited} for something to happen.",
        "The plot does not {make|makes} any sense.",
    ],
    "pronoun and case": [
        "I like {him|he} a lot.",
        "{He|Him} is my favourite actor.",
        "We saw {her|she} in another film.",
        "{She|Her} is very beautiful.",
        "The movie made {me|I} laugh.",
        "{I|Me} was very bored.",
        "The killer is after {them|they}.",
        "{They|Them} are after the money.",
        "It reminds {us|we} of the past.",
        "{We|Us} are in the future.",
        "The story is about {him|he} and his dog.",
        "The camera loves {her|she}.",
        "He falls in love with {her|she}.",
        "She falls in love with {him|he}.",
        "Do not let {them|they} fool you.",
        "This film is not for {me|I}.",
        "The actress lost {her|she} voice.",
        "The actor lost {his|him} voice.",
        "He gives {them|they} a gun.",
        "{Their|Them} house burns down.",
    ],
    "words that need a negation": [
        "{Nobody|Somebody} ever sees the monster.",
        "I have {never|always} seen anything like it.",
        "{Nobody|Everybody} says anything about it.",
        "{Nothing|Something} ever happens in this film.",
        "{Few|Most} people have ever seen this.",
        "He did not like it, and she did not {either|too}.",
        "There is {no|not} story.",
    ],
    "comparisons and pairs": [
        "It is better {than|then} the first one.",
        "It is as good {as|than} the first one.",
        "It is worse {than|as} the first one.",
        "Neither the story {nor|or} the acting is good.",
        "Either the script {or|nor} the director is to blame.",
        "Both the story {and|or} the acting are good.",
    ],
}

MORE_ACROSS = [
    "The jokes in the second half {are|is} better.",
    "The joke about the two priests {is|are} better.",
    "The killers in this story {have|has} no faces.",
    "The killer in these stories {has|have} no face.",
    "The children of the teacher {were|was} happy.",
    "The child of the teachers {was|were} happy.",
    "The friends of the girl {know|knows} the truth.",
    "The friend of the girls {knows|know} the truth.",
    "The fights at the end {are|is} too long.",
    "The fight between the brothers {is|are} too long.",
    "The costumes of the queen {look|looks} real.",
    "The costume of the dancers {looks|look} real.",
    "The people in the house {were|was} afraid.",
    "The woman behind the doors {was|were} afraid.",
    "The books by this writer {are|is} wonderful.",
    "The book by these writers {is|are} wonderful.",
    "The songs that she sings {are|is} beautiful.",
    "The song that they sing {is|are} beautiful.",
    "The men who killed his wife {live|lives} next door.",
    "The man who killed his parents {lives|live} next door.",
    "The problems with the script {are|is} easy to see.",
    "The problem with the scripts {is|are} easy to see.",
    "The secrets of the family {have|has} come out.",
    "The secret of the sisters {has|have} come out.",
    "The guns on the table {were|was} not real.",
    "The gun under the papers {was|were} not real.",
    "The parts about the war {do|does} not work.",
    "The part about the dreams {does|do} not work.",
    "The dogs of the old man {like|likes} her.",
    "The dog of the neighbors {likes|like} her.",
    "The soldiers in the village {need|needs} help.",
    "The soldier between the trees {needs|need} help.",
    "The shots of the sky {are|is} too dark.",
    "The shot of the streets {is|are} too dark.",
    "The letters from his mother {were|was} lost.",
    "The letter from his parents {was|were} lost.",
    "The episodes that I saw last night {were|was} great.",
    "The episode that my friends saw {was|were} great.",
    "The words on the wall {make|makes} no sense.",
    "The title of these books {makes|make} no sense.",
]

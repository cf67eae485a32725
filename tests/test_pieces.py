"""Pieces are shown in colours and in words, with an id each."""

from utils import pieces


class Backwards:
    """Ids 0 to 3 for d, c, b and a."""

    def __len__(self):
        return 4

    def convert_ids_to_tokens(self, number):
        return "dcba"[number]


def test_ids_beyond_the_table_have_no_token():
    assert pieces.heard([0, 3, 4, 1], Backwards()) == [("d", 0), ("a", 3), (None, 4), ("c", 1)]


def test_rows_in_words_and_in_colours_say_the_same():
    rows = {"said": [("Ġa", 3), ("<b>", 7)], "heard": [(None, 90_000)]}
    text, page = pieces.as_text(rows), pieces.as_html(rows)
    assert text == "said: 2 pieces\n  Ġa[3] <b>[7]\nheard: 1 pieces\n  (no row)[90000]"
    for part in (
        "said: 2 pieces",
        "<bdi>Ġa</bdi><sub>3</sub>",
        "&lt;b&gt;</bdi><sub>7</sub>",
        "(no row)</bdi><sub>90000</sub>",
        'title="id 7"',
    ):
        assert part in page


def test_a_long_text_is_cut_and_says_so():
    rows = {"said": [("a", number) for number in range(5000)]}
    for shown in (pieces.as_text(rows), pieces.as_html(rows)):
        assert "5,000 pieces, the first 300 shown" in shown
        assert "299" in shown
        assert "300<" not in shown
    assert "[300]" not in pieces.as_text(rows)


def test_lone_surrogates_become_the_replacement_character():
    assert pieces.clean("a\ud800b") == "a\ufffdb"
    assert pieces.clean("film 😀") == "film 😀"

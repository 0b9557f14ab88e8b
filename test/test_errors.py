"""What an error says is one line that somebody reads, whatever value it names."""

from s3e_gnn_ros.errors import DropError, InputError


def test_a_value_cannot_forge_a_line():
    error = InputError("frame 'a\n[ERROR] [other_node]: \x1b[2Jgone' is unknown")
    assert str(error) == r"frame 'a\n[ERROR] [other_node]: \x1b[2Jgone' is unknown"


def test_a_long_value_is_cut_in_the_middle():
    text = str(DropError('reason', f'line {"9" * 100_000} is no number'))
    assert text.startswith('line 999')
    assert text.endswith('999 is no number')
    assert len(text) == 605
    assert len(str(InputError('\x1b' * 1000))) == 605


def test_letters_of_any_language_stay():
    assert str(InputError("no map 'Büro-雪'")) == "no map 'Büro-雪'"

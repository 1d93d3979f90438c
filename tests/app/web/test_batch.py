from app.web.batch import _unused


def test_no_name_in_an_archive_is_a_path_or_cut_short() -> None:
    names: set[str] = set()
    assert _unused("a/b\\c\0d\n.txt", names) == "a_b_c_d_.txt"
    assert _unused("A_b_c_d_.txt", names) == "A_b_c_d_ (2).txt"

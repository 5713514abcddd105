import csv

from lm_eval_cachesteer.results.tables import csv_table, escape_markdown, markdown_table


def test_a_markdown_table_has_one_line_for_each_row():
    assert markdown_table(("run", "score"), [("a", "0.5"), ("b", "")]) == (
        "| run | score |\n| --- | --- |\n| a | 0.5 |\n| b |  |\n"
    )


def test_no_text_leaves_its_cell():
    table = markdown_table(("text",), [("a|b\r\nc",), ("back\\|slash",), ("<script>",)])
    assert table.splitlines()[2:] == [r"| a\|b  c |", r"| back\\\|slash |", "| &lt;script> |"]


def test_text_of_markdown_stays_on_its_line():
    assert "\n" not in escape_markdown("model\n# heading")


def test_csv_reads_back_as_it_was():
    rows = [["a,b", 'say "x"', "two\nlines"], ["=1+1", "", "|"]]
    text = csv_table(["one", "two", "three"], rows)
    assert list(csv.reader(text.splitlines(keepends=True))) == [["one", "two", "three"], *rows]
    assert csv_table(["a", "b"], [[None, 0.1]]) == "a,b\n,0.1\n"

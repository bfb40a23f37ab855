//! Rows for people, as wide as the terminal and no wider. Where the terminal is too narrow for columns each row is a
//! few lines instead. Must never cut where there is no terminal: a program may be reading.

use crate::text::{self, Paint, Style, cut};
use unicode_width::UnicodeWidthStr as _;

/// A column that may be cut keeps so much.
const NARROW: usize = 10;
/// Between two columns.
const GAP: usize = 2;

/// One value.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// In a colour.
    pub fn painted(text: &str, paint: Paint) -> Self {
        Self { text: text::line(text), paint }
    }

    /// In the colour of what it says.
    pub fn state(text: &str) -> Self {
        Self::painted(text, paint_of(text))
    }

    /// Nothing is a dash.
    pub fn maybe(text: Option<&str>) -> Self {
        Self::from(text.filter(|text| !text.is_empty()).unwrap_or("-"))
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::painted(text.as_ref(), Paint::Plain)
    }
}

/// What needs eyes is red, what waits is yellow, what goes well is green.
fn paint_of(state: &str) -> Paint {
    match state {
        "working" | "running" | "in_progress" | "in_review" | "merged" | "landed" | "ok" => {
            Paint::Green
        }
        "failed" | "blocked" | "dead" | "stalled" | "conflict" | "critical" | "high" | "bad" => {
            Paint::Red
        }
        "waiting" | "stopping" | "deferred" | "pending" | "warn" => Paint::Yellow,
        "closed" | "idle" | "skip" => Paint::Dim,
        _ => Paint::Plain,
    }
}

/// A head and rows. A name that ends with `…` is of a column that may be cut.
pub fn table(head: &[&str], rows: &[Vec<Cell>], style: Style) -> String {
    let names: Vec<&str> = head.iter().map(|name| name.trim_end_matches('…')).collect();
    let elastic: Vec<bool> = head.iter().map(|name| name.ends_with('…')).collect();
    let mut widths: Vec<usize> = names.iter().map(|name| name.width()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.width());
        }
    }
    if let Some(limit) = style.width
        && !shrink(&mut widths, &elastic, limit)
    {
        return records(&names, rows, limit, style);
    }
    let head: Vec<Cell> = names.iter().map(|name| Cell::painted(name, Paint::Dim)).collect();
    let mut out = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let text = cut(&cell.text, *width);
            let space = if column + 1 == row.len() { 0 } else { width - text.width() + GAP };
            line.push_str(&style.paint(cell.paint, &text));
            line.push_str(&" ".repeat(space));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Takes from the widest of those that may be cut until all fit; false if they cannot.
fn shrink(widths: &mut [usize], elastic: &[bool], limit: usize) -> bool {
    let gaps = GAP * widths.len().saturating_sub(1);
    loop {
        let over = (widths.iter().sum::<usize>() + gaps).saturating_sub(limit);
        if over == 0 {
            return true;
        }
        let may = widths.iter_mut().zip(elastic).filter(|(width, may)| **may && **width > NARROW);
        let Some((width, _)) = may.max_by_key(|(width, _)| **width) else { return false };
        // One by one, so that two long columns share what there is.
        *width -= 1;
    }
}

/// `NAME  value` lines, a row after the other.
fn records(names: &[&str], rows: &[Vec<Cell>], limit: usize, style: Style) -> String {
    let wide = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let left = limit.saturating_sub(wide + GAP).max(NARROW);
    let shown = rows.iter().map(|row| {
        let lines = names.iter().zip(row).map(|(name, cell)| {
            let name = style.paint(Paint::Dim, &format!("{name:<wide$}"));
            format!("{name}  {}\n", style.paint(cell.paint, &cut(&cell.text, left)))
        });
        lines.collect::<String>()
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// `Name  value` lines of what is there.
pub fn facts(facts: &[(&str, Option<String>)], style: Style) -> String {
    let wide = facts.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let there = facts.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let lines = there.map(|(name, value)| {
        format!("{}  {}\n", style.paint(Paint::Dim, &format!("{name:<wide$}")), text::line(value))
    });
    lines.collect()
}

/// Lines of at most so many columns, broken between words; a word that is longer stays whole.
pub fn wrap(text: &str, width: Option<usize>, indent: usize) -> String {
    let Some(width) = width.map(|width| width.saturating_sub(indent).max(NARROW)) else {
        return text.to_owned();
    };
    let mut out = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        if used > 0 && used + 1 + word.width() > width {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            used = 0;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += word.width();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn shown(width: Option<usize>) -> String {
        let rows = [
            vec![
                "polecat-1".into(),
                Cell::state("working"),
                "Fix the parser of the 設定ファイル".into(),
            ],
            vec!["p".into(), Cell::state("idle"), Cell::maybe(None)],
        ];
        table(&["NAME", "STATUS", "TITLE…"], &rows, Style { color: false, width })
    }

    #[test]
    fn a_table_is_as_wide_as_the_terminal_and_no_wider() {
        for width in [20, 30, 40, 80, 120] {
            let shown = shown(Some(width));
            assert!(shown.lines().all(|line| line.width() <= width), "{width}:\n{shown}");
        }
        expect![[r#"
            NAME       STATUS   TITLE
            polecat-1  working  Fix the parser of t…
            p          idle     -
        "#]]
        .assert_eq(&shown(Some(40)));
        expect![[r#"
            NAME       STATUS   TITLE
            polecat-1  working  Fix the parser of the 設定ファイル
            p          idle     -
        "#]]
        .assert_eq(&shown(Some(80)));
        assert_eq!(shown(Some(80)), shown(Some(120)));
        assert_eq!(shown(Some(80)), shown(None), "without a terminal nothing is cut");
    }

    #[test]
    fn where_columns_do_not_fit_each_row_is_a_few_lines() {
        expect![[r#"
            NAME    polecat-1
            STATUS  working
            TITLE   Fix the pars…

            NAME    p
            STATUS  idle
            TITLE   -
        "#]]
        .assert_eq(&shown(Some(21)));
    }

    #[test]
    fn colours_are_of_no_width_and_only_where_they_are_wanted() {
        let rows = [vec![Cell::state("failed"), "x".into()]];
        let with = table(&["S", "T"], &rows, Style { color: true, width: Some(20) });
        assert!(with.contains("\u{1b}[31mfailed\u{1b}[0m  x\n"), "{with:?}");
        let without = table(&["S", "T"], &rows, Style { color: false, width: Some(20) });
        assert!(!without.contains('\u{1b}'), "{without:?}");
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three four", Some(13), 3), "one two\n   three four");
        assert_eq!(wrap("one two", None, 3), "one two");
    }
}

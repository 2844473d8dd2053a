//! Text in columns, and numbers as people read them.

use indicatif::HumanBytes;

use crate::operation::barrier::Unanswered;
use crate::operation::readers::Reader;

/// `rows` below `heading`, each column as wide as its widest cell; no spaces at the ends of lines. A
/// control character in a cell, above all a tab, is shown and moves nothing.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let shown = |cell: &String| cell.chars().map(visible).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            let gap = width.saturating_sub(cell.chars().count()) + 2;
            line.push_str(cell);
            line.push_str(&" ".repeat(gap));
        }
        line.trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut heading.iter().copied());
    for row in &rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

fn visible(c: char) -> String {
    if c.is_control() && c != '\n' { c.escape_default().to_string() } else { c.to_string() }
}

/// `1.2 MiB`.
pub fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// How long ago `then` was, in the largest unit: `5m`.
pub fn age(then: u64) -> String {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    seconds(now.saturating_sub(then))
}

/// A number of seconds in the largest unit: `90m` is `1h`.
pub fn seconds(seconds: u64) -> String {
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3599 => format!("{}m", seconds / 60),
        3600..=86_399 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The beginning of a commit id, or the version of a package without its hash, which is enough for the eye.
pub fn short(revision: &str) -> String {
    match revision.split_once('_') {
        Some((version, _)) => version.to_owned(),
        None => revision.chars().take(12).collect(),
    }
}

/// `1 file`, `2 files`.
pub fn count(number: u64, one: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {one}{ending}")
}

/// A process and what it holds.
pub fn reader(reader: &Reader) -> String {
    let Reader { pid, command, holds, view } = reader;
    let place = if view.is_empty() { "the mount" } else { view };
    match holds.as_str() {
        "directory" => format!("process {pid} ({command}): a working directory in {place}"),
        "mapping" => format!("process {pid} ({command}): a mapped file in {place}"),
        "walk" => format!("process {pid} ({command}): it has begun to read {place}"),
        _ => format!("process {pid} ({command}): an open file in {place}"),
    }
}

/// What to say of mounts that have not noticed a change.
pub fn unanswered(mounts: &[Unanswered]) -> String {
    let line = |one: &Unanswered| {
        format!("{} sees it within a second by itself: {}\n", one.mount_point.display(), one.why)
    };
    mounts.iter().map(line).collect()
}

/// What to say of processes that could not be looked into.
pub fn hidden(number: usize) -> String {
    match number {
        0 => String::new(),
        1 => "1 process could not be looked into\n".to_owned(),
        many => format!("{many} processes could not be looked into\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["long".to_owned(), String::new()]];
        assert_eq!(table(&["KEY", "N"], &rows), "KEY   N\na     1\nlong\n");
        let rows = [vec!["a\tb".to_owned(), "1".to_owned()], vec!["ab".to_owned(), "2".to_owned()]];
        assert_eq!(table(&["KEY", "N"], &rows), "KEY   N\na\\tb  1\nab    2\n");
    }

    #[test]
    fn times_have_one_unit() {
        assert_eq!([59, 60, 3600, 90_000].map(seconds), ["59s", "1m", "1h", "1d"]);
    }
}

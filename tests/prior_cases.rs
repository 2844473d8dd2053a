//! The pages that say which test shows what are held against the tests: `docs/prior-cases.md`, and
//! `docs/faults.md` if it is there.
//!
//! A test is named as `path::name` in backticks. It must be a function with `#[test]` in that file.
//! Each row of a table begins with the number of its case (`A-git 3`); the numbers of a prefix have no
//! gap and no repetition, each row names a test or stands under a heading that begins with "Not there
//! yet", and nothing is left marked as to be filled in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What is left where somebody still has to name a test.
const MARKER: &str = "TODO-";

const NOT_THERE: &str = "Not there yet";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All that is between backticks and names a test, with the number of its line.
fn named(page: &str) -> Vec<(usize, &str, &str)> {
    let mut found = Vec::new();
    for (number, line) in page.lines().enumerate() {
        for quoted in line.split('`').skip(1).step_by(2) {
            if let Some((file, test)) = quoted.split_once(".rs::") {
                found.push((number + 1, &quoted[..file.len() + 3], test));
            }
        }
    }
    found
}

/// Whether the source has a test of this name: `#[test]`, perhaps further attributes, `fn name(`; or one
/// of the suite that runs on both kinds of locks, which is named in the list of that suite.
fn has_test(source: &str, name: &str) -> bool {
    let suite = source.split_once("\non_both_backends! {\n").and_then(|(_, rest)| rest.split_once("\n}"));
    if suite.is_some_and(|(listed, _)| listed.lines().any(|line| line.trim() == name)) {
        return source.contains(&format!("fn {name}(backend: Backend)"));
    }
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            if is_test && rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')) {
                return true;
            }
            is_test = false;
        } else if !line.starts_with("#[") && !line.starts_with("//") && !line.is_empty() {
            is_test = false;
        }
    }
    false
}

/// The rows of all tables, without heads: line number, first cell, the row, and the heading above.
fn rows(page: &str) -> Vec<(usize, String, String, String)> {
    let (mut found, mut heading) = (Vec::new(), String::new());
    let lines: Vec<&str> = page.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        if let Some(text) = line.strip_prefix('#') {
            heading = text.trim_start_matches('#').trim().to_owned();
        }
        let is_rule = |line: &str| line.starts_with('|') && line.chars().all(|c| "|-: ".contains(c));
        let is_head = lines.get(number + 1).is_some_and(|next| is_rule(next));
        if line.starts_with('|') && !is_rule(line) && !is_head {
            let first = line.trim_matches('|').split('|').next().unwrap_or_default().trim().to_owned();
            found.push((number + 1, first, (*line).to_owned(), heading.clone()));
        }
    }
    found
}

/// What is wrong with the tests that a page names.
fn wrong_names(path: &str, page: &str) -> Vec<String> {
    let mut sources: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (line, file, test) in named(page) {
        let source = sources.entry(file).or_insert_with(|| fs::read_to_string(root().join(file)).ok());
        match source {
            None => wrong.push(format!("{path}:{line}: there is no file {file}")),
            Some(source) if !has_test(source, test) => {
                wrong.push(format!("{path}:{line}: {file} has no test {test}"));
            }
            Some(_) => {}
        }
    }
    wrong
}

#[test]
fn every_prior_case_names_tests_that_exist() {
    let path = "docs/prior-cases.md";
    let page = fs::read_to_string(root().join(path)).unwrap();
    let mut wrong = wrong_names(path, &page);
    let mut last: BTreeMap<String, u32> = BTreeMap::new();
    for (line, case, row, heading) in rows(&page) {
        let Some((prefix, number)) = case.rsplit_once(' ').and_then(|(prefix, number)| {
            number.parse::<u32>().ok().map(|number| (prefix.to_owned(), number))
        }) else {
            wrong.push(format!("{path}:{line}: {case:?} is no number of a case"));
            continue;
        };
        let expected = last.entry(prefix).or_default();
        *expected += 1;
        if number != *expected {
            wrong.push(format!("{path}:{line}: {case} should be number {expected}"));
        }
        if row.contains(MARKER) {
            wrong.push(format!("{path}:{line}: {case} waits for its test"));
        }
        if named(&row).is_empty() && !row.contains(MARKER) && !heading.starts_with(NOT_THERE) {
            wrong.push(format!("{path}:{line}: {case} names no test"));
        }
    }
    assert!(last.values().sum::<u32>() > 100, "only {last:?} are read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_that_the_page_of_faults_names_exists() {
    let path = "docs/faults.md";
    let Ok(page) = fs::read_to_string(root().join(path)) else { return };
    let mut wrong = wrong_names(path, &page);
    let marked = page.lines().enumerate().filter(|(_, line)| line.contains(MARKER));
    wrong.extend(marked.map(|(number, _)| format!("{path}:{}: it waits for its test", number + 1)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The check itself can fail.
#[test]
fn a_test_that_is_gone_or_was_never_one_is_noticed() {
    let source =
        "#[test]\nfn one() {\n}\n\nfn two() {\n}\n#[test]\n// Why.\n#[ignore]\nfn three(x in 0..1) {}\n";
    for (name, is_there) in [("one", true), ("two", false), ("three", true), ("on", false), ("four", false)] {
        assert_eq!(has_test(source, name), is_there, "{name}");
    }
    let page = "## A\n| case | shown by |\n|---|---|\n| A 1 | `tests/absent.rs::x` and `README.md` |\n\
                | A 2 | `tests/prior_cases.rs::nobody` |\n";
    assert_eq!(wrong_names("page", page).len(), 2);
    let rows: Vec<_> = rows(page).into_iter().map(|(_, case, _, heading)| (case, heading)).collect();
    assert_eq!(rows, [("A 1".to_owned(), "A".to_owned()), ("A 2".to_owned(), "A".to_owned())]);
}

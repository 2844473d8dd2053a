//! Keys from a file or a pipe.

use crate::reader::Reader;
use crate::{repository, told, with_repositories};

#[test]
fn a_file_has_a_key_a_line_and_a_bad_line_is_an_error_of_its_own() {
    let (setting, keys) = with_repositories(2);
    let list = setting.program.path().join("keys.txt");
    let text = format!("# all\n\n  {}\ngit/github.com/../x\n{}\n\t\n{}\nnobody\n", keys[0], keys[1], keys[0]);
    std::fs::write(&list, text).unwrap();
    let list = list.to_str().unwrap();
    let run = setting.program.run(&["get", "--from", list]);
    assert_eq!(run.code, 1, "{run:?}");
    let out: Vec<String> = run.out.lines().map(str::to_owned).collect();
    assert_eq!(told(&out), [&keys[0], "git/github.com/../x", &keys[1], "nobody"], "duplicates once");
    for line in [4, 8] {
        assert!(run.out.contains(&format!("{list}:{line}: ")), "{run:?}");
    }
    assert_eq!(setting.server.counts(&repository(&keys[0])).fetches, 1);
    assert!(run.out.ends_with('\n') && run.out.contains("total: 2 fetched, 0 cached, 2 failed; "), "{run:?}");

    let report = setting.program.run(&["--json", "get", "--from", list]);
    assert_eq!(report.code, 1);
    let report = report.json();
    let kinds: Vec<_> = report["trees"].as_array().unwrap().iter().map(|got| &got["error"]["kind"]).collect();
    assert_eq!(kinds, [&serde_json::Value::Null, &"invalid".into(), &kinds[0].clone(), &"not_found".into()]);
    assert_eq!((&report["cached"], &report["failed"]), (&2.into(), &2.into()));
}

#[test]
fn a_pipe_is_read_as_it_comes() {
    let (setting, keys) = with_repositories(3);
    for dash in [&["get", "-"][..], &["get", "--jobs", "2", "--from", "-"]] {
        let mut batch = Reader::start(&mut setting.program.command(dash));
        for key in &keys {
            batch.tell(key);
            // Told before the next is known.
            assert!(batch.line().starts_with(&format!("{key}  ")));
        }
        batch.tell(&keys[0]);
        let rest = batch.end().lines();
        assert!(rest.len() == 1 && rest[0].starts_with("total: "), "{rest:?}");
    }
    assert!(keys.iter().all(|key| setting.server.counts(&repository(key)).fetches == 1));
}

#[test]
fn an_empty_list_an_absent_file_and_a_senseless_number_are_refused() {
    let (setting, _) = with_repositories(0);
    let list = setting.program.path().join("keys.txt");
    std::fs::write(&list, "# nothing yet\n\n").unwrap();
    let list = list.to_str().unwrap();
    for (arguments, code, why) in [
        (&["get", "--from", list][..], 2, "there is none"),
        (&["get", "-"], 2, "there is none"),
        (&["get", "--from", "/nonexistent/list"], 1, "/nonexistent/list"),
        (&["get", "--from", "/"], 1, "read the keys in /: "),
        (&["get", "--from", list, "docs"], 2, "cannot be used with"),
        (&["get", "docs", "-"], 2, "give - alone"),
        (&["get", "--jobs", "0", "docs"], 2, "0 is not in 1..=256"),
        (&["get", "--jobs", "NaN", "docs"], 2, "invalid digit"),
    ] {
        let run = setting.program.run(arguments);
        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
        assert!(run.err.contains(why), "{arguments:?}: {run:?}");
    }
}

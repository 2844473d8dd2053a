use super::*;

fn only(text: &str) -> Entry {
    let mut entries = parse(text).unwrap();
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

fn wanted(text: &str) -> Wanted {
    only(&format!("{{\"resources\": [{text}]}}")).wanted.unwrap()
}

fn why(text: &str) -> String {
    only(&format!("{{\"resources\": [{text}]}}")).wanted.unwrap_err().to_string()
}

#[test]
fn each_kind_of_resource_is_read() {
    let entries = parse(
        r#"{
            "$schema": "https://schema.test/x.json", // an editor's
            "model": "some", "provider": "thing", "maxSteps": 40,
            "providerOptions": { "own": { "baseURL": "http://localhost:1" } },
            "resources": [
                {
                    "type": "git", "name": "handbook", "url": "https://example.org/team/handbook",
                    "branch": "release/2", "searchPaths": ["guide", "api"], "searchPath": "more",
                    "specialNotes": "begin at guide/intro.md", /* so they say */
                },
                { "type": "npm", "name": "ui", "package": "@scope/ui", "version": "^3" },
                { "type": "local", "name": "work", "path": "/srv/work" },
            ],
        }"#,
    )
    .unwrap();
    let read: Vec<(Option<&str>, usize)> =
        entries.iter().map(|entry| (entry.name.as_deref(), entry.line)).collect();
    assert_eq!(read, [(Some("handbook"), 6), (Some("ui"), 11), (Some("work"), 12)]);
    let wanted: Vec<Wanted> = entries.into_iter().map(|entry| entry.wanted.unwrap()).collect();
    assert_eq!(
        wanted[0],
        Wanted {
            what: What::Git("https://example.org/team/handbook".to_owned()),
            reference: Some("release/2".to_owned()),
            subpaths: ["guide", "api", "more"].map(str::to_owned).to_vec(),
            note: Some("begin at guide/intro.md".to_owned()),
            remarks: Vec::new(),
        }
    );
    let plain = |what, reference: Option<&str>| Wanted {
        what,
        reference: reference.map(str::to_owned),
        subpaths: Vec::new(),
        note: None,
        remarks: Vec::new(),
    };
    assert_eq!(wanted[1], plain(What::Npm("@scope/ui".to_owned()), Some("^3")));
    assert_eq!(wanted[2], plain(What::Local("/srv/work".to_owned()), None));
}

#[test]
fn the_first_format_is_a_list_of_repositories() {
    let entry = only(
        r#"{ "reposDirectory": "~/x", "port": 1, "maxInstances": 5, "model": "m", "provider": "p", "repos": [
            { "name": "docs", "url": "https://example.org/docs", "branch": "main", "searchPath": "src" }
        ] }"#,
    );
    let wanted = entry.wanted.unwrap();
    assert_eq!(wanted.what, What::Git("https://example.org/docs".to_owned()));
    assert_eq!((wanted.subpaths, wanted.remarks), (vec!["src".to_owned()], Vec::new()));
}

#[test]
fn what_says_nothing_is_as_if_it_were_not_there() {
    let wanted = wanted(
        r#"{ "type": "git", "name": "x", "url": "https://example.org/x", "branch": null, "searchPath": "",
             "searchPaths": [" "], "specialNotes": "" }"#,
    );
    assert_eq!((wanted.reference, wanted.subpaths, wanted.note), (None, Vec::new(), None));
}

#[test]
fn what_btca_would_not_read_either_is_told() {
    let wanted = wanted(
        r#"{ "type": "npm", "name": "x", "package": "x", "searchPath": "src", "note": "hidden", "tag": 1 }"#,
    );
    assert_eq!(wanted.remarks, ["\"searchPath\" and 2 more say nothing to btca, nor to srcfs"]);
    assert_eq!(wanted.note, None);
}

#[test]
fn of_a_key_that_stands_twice_the_last_counts() {
    let wanted = wanted(r#"{ "type": "npm", "name": "x", "package": "one", "package": "two" }"#);
    assert_eq!(wanted.what, What::Npm("two".to_owned()));
}

#[test]
fn an_entry_that_is_wrong_fails_for_itself_and_says_where() {
    let text = "{\"resources\": [\n3,\n{\"type\": \"npm\", \"name\": \"x\", \"package\": \"x\"},\n{},\n[]]}";
    let entries = parse(text).unwrap();
    let outcome: Vec<(usize, bool)> =
        entries.iter().map(|entry| (entry.line, entry.wanted.is_ok())).collect();
    assert_eq!(outcome, [(2, false), (3, true), (4, false), (5, false)]);
    for (text, told) in [
        ("null", "it is null, not an object"),
        ("{}", "name is missing there; write \"name\": \"svelte\""),
        (r#"{"name": 3}"#, "name is a number, not a text"),
        (r#"{"name": "x"}"#, "type is missing there"),
        (r#"{"name": "x", "type": {}}"#, "type is an object, not a text"),
        (
            r#"{"name": "x", "type": "website", "url": "https://example.org"}"#,
            "\"website\", which is no kind",
        ),
        (r#"{"name": "x", "type": "git"}"#, "url is missing there"),
        (r#"{"name": "x", "type": "npm", "package": ["x"]}"#, "package is a list, not a text"),
        (r#"{"name": "x", "type": "npm", "package": "x", "version": 18}"#, "version is a number"),
        (
            r#"{"name": "x", "type": "git", "url": "x", "searchPaths": "a"}"#,
            "searchPaths is a text, not a list",
        ),
        (r#"{"name": "x", "type": "git", "url": "x", "searchPaths": [1]}"#, "searchPaths holds a number"),
        (r#"{"name": "x", "type": "local", "path": true}"#, "path is true or false"),
        (r#"{"name": "x", "type": "local", "path": "/x", "specialNotes": []}"#, "specialNotes is a list"),
    ] {
        let why = why(text);
        assert!(why.starts_with("read the resource in line 1: ") && why.contains(told), "{text}: {why}");
    }
}

#[test]
fn what_is_no_such_configuration_is_refused_with_its_place() {
    let deep = "[".repeat(100_000);
    let deep_object = "{\"resources\":".repeat(100_000);
    let many = format!("{{\"resources\": [{}]}}", "{},".repeat(2001));
    for (text, told) in [
        ("", "it holds no object"),
        ("// nothing", "it holds no object"),
        ("[]", "it holds no object"),
        ("{}", "neither resources nor repos"),
        ("{\"resources\": {}}", "its resources are an object, not a list"),
        ("{\"resources\": [", "no JSON"),
        ("{\"resources\": [}", "no JSON"),
        ("{resources: []}", "no JSON"),
        ("{'resources': []}", "no JSON"),
        ("{\"resources\": []} {}", "no JSON"),
        ("{\"resources\": [] \"x\": 1}", "no JSON"),
        ("{\n\"resources\": [],\n/* open", "no JSON"),
        ("{\n<<<<<<< mine\n\"resources\": []\n=======\n>>>>>>> theirs\n}", "line 2"),
        ("\u{0}", "no JSON"),
        (&deep, "depth exceeded"),
        (&deep_object, "depth exceeded"),
        (&many, "2001 resources, more than 2000"),
    ] {
        let error = parse(text).unwrap_err();
        let start: String = text.chars().take(40).collect();
        assert_eq!(error.kind(), Kind::Invalid, "{start}");
        assert!(error.to_string().contains(told), "{start}: {error}");
    }
    let error = parse("{\n<<<<<<< mine\n").unwrap_err();
    assert_eq!(error.advice(), Some("end the merge that left its marks there first"));
}

#[test]
fn ends_of_lines_and_a_byte_order_mark_change_nothing() {
    let text = "\u{feff}{\r\n  // ours\r\n  \"resources\": [\r\n    {\"name\": \"x\", \"type\": \"npm\", \
                \"package\": \"x\"},\r\n  ]\r\n}\r\n";
    let entry = only(text);
    assert_eq!((entry.name.as_deref(), entry.line, entry.wanted.is_ok()), (Some("x"), 4, true));
}

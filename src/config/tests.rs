use super::locking::Backend;
use super::*;

fn problems(text: &str) -> Vec<String> {
    Config::parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn an_absent_file_is_the_default() {
    let config = Config::load(Path::new("/nonexistent/srcfs/config.toml")).unwrap();
    assert_eq!(Config { file: None, ..config }, Config::default());
    assert_eq!(Config::parse("").unwrap(), Config::default());
}

#[test]
fn everything_that_can_be_said() {
    let config = Config::parse(
        r#"
        refresh = "never"
        offline = true
        quiet = "5s"
        max_drain = "1m"
        idle = "1h30m"
        reply_bound = "10s"
        max_fetches = 2
        negative_ttl = "0s"
        lock = "lease"

        [lease]
        stale = "10s"
        heartbeat = "2s"

        [[host]]
        name = "github.com"
        url = "file:///srv/git/{path}.git"

        [[host]]
        name = "git.corp"
        url = "ssh://git@10.1.2.3/{path}"
        nested = true

        [[resource]]
        name = "docs"
        git = "https://example.org/team/docs.git"
        ref = "main"
        subpaths = ["guide", "api/"]
        note = "start at guide/intro.md"

        [[resource]]
        name = "inner"
        git = "ssh://git@10.1.2.3/a/b"
        "#,
    )
    .unwrap();
    assert_eq!((config.refresh, config.offline, config.max_fetches), (None, true, 2));
    assert_eq!(config.idle, Duration::from_secs(5400));
    assert_eq!(config.locking.backend, Some(Backend::Lease));
    assert_eq!(config.locking.lease.stale(), Duration::from_secs(10));
    assert_eq!(config.locking.lease.heartbeat(), Duration::from_secs(2));
    assert_eq!(config.locking.lease.pin_stale(), Duration::from_secs(600));
    assert_eq!(config.host("github.com").unwrap().url, "file:///srv/git/{path}.git");
    assert_eq!(config.hosts.iter().filter(|host| host.name == "github.com").count(), 1);
    assert_eq!(config.resources[0].subpaths, ["api", "guide"]);
    assert_eq!(
        config.host_url("git.corp", &["a", "b"]).unwrap().unwrap(),
        *config.resources[1].key.git_url().unwrap()
    );
    assert!(config.host_url("evil.example", &["a", "b"]).is_none());
    assert!(config.addresses().contains(&"10.1.2.3".to_owned()));
    assert!(config.addresses().contains(&"example.org".to_owned()));
    assert!(!config.addresses().contains(&"github.com".to_owned()), "it was replaced");
}

#[test]
fn a_redirect_to_another_port_is_one_to_another_server() {
    let config = Config::parse(
        r#"
        [[host]]
        name = "git.corp"
        url = "https://git.corp:8443/{path}.git"
        [[host]]
        name = "127.0.0.1"
        url = "http://127.0.0.1:8080/{path}.git"
        [[resource]]
        name = "inner"
        git = "ssh://git@ssh.corp:22/a/b"
        "#,
    )
    .unwrap();
    let allows = |url: &str| config.allows(&GitUrl::parse(url).unwrap());
    for url in [
        "https://github.com/c/d",
        "https://github.com:443/c/d",
        "https://git.corp:8443/c/d",
        "http://127.0.0.1:8080/c/d",
        "https://ssh.corp/c/d",
    ] {
        assert!(allows(url), "{url}");
    }
    for url in [
        "https://github.com:8443/c/d",
        "https://git.corp/c/d",
        "https://git.corp:8444/c/d",
        "http://127.0.0.1:8081/c/d",
        "http://127.0.0.1/c/d",
        "https://evil.example/c/d",
    ] {
        assert!(!allows(url), "{url}");
    }
}

#[test]
fn all_problems_at_once_each_with_its_place() {
    let found = problems(
        "refesh = \"1h\"\n\
         quiet = -5\n\
         idle = nan\n\
         [[resource]]\n\
         nmae = \"docs\"\n\
         git = \"https://user:hunter2@example.org/a\"\n\
         [[resource]]\n\
         name = \"git/x\"\n\
         git = \"ext::sh\"\n\
         ref = \"--upload-pack=x\"\n\
         subpaths = [\"ok\", \"../x\", 3]\n\
         note = \"\\u001b[31m\"\n\
         [[host]]\n\
         name = \"A\"\n\
         url = \"https://example.org/\"\n",
    );
    let places: Vec<&str> = found.iter().map(|problem| problem.split(':').next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "line 1, column 1",
            "line 2, column 9",
            "line 3, column 8",
            "line 4, column 1",
            "line 5, column 1",
            "line 6, column 7",
            "line 8, column 8",
            "line 9, column 7",
            "line 10, column 7",
            "line 11, column 19",
            "line 11, column 27",
            "line 12, column 8",
            "line 14, column 8",
            "line 15, column 7",
        ],
        "{found:#?}"
    );
    assert!(found[0].contains("did you mean refresh?"), "{}", found[0]);
    assert!(found[1].contains("from \"100ms\" to \"1h\"; the default is \"30s\""), "{}", found[1]);
    assert!(found[4].contains("did you mean name?"), "{}", found[4]);
    assert!(!found.concat().contains("hunter2"));
}

#[test]
fn durations_out_of_range_or_without_a_unit_are_refused() {
    for value in
        ["\"-1s\"", "\"NaN\"", "30", "1.5", "nan", "-inf", "\"\"", "true", "\"120s\"", "\"999ms\"", "\"2m\""]
    {
        let found = problems(&format!("reply_bound = {value}"));
        assert_eq!(found.len(), 1, "{value}");
        assert!(found[0].contains("\"1s\" to \"1m59s\"; the default is \"1m\""), "{value}: {}", found[0]);
    }
    for value in ["0", "65", "-1", "1.0", "\"8\"", "99999999999999999999"] {
        assert!(
            problems(&format!("max_fetches = {value}"))[0].contains("1 to 64; the default is 8"),
            "{value}"
        );
    }
}

#[test]
fn times_of_leases_have_ranges_that_depend_on_each_other() {
    for (line, named) in [
        ("stale = nan", "\"300ms\" to \"1h\"; the default is \"30s\""),
        ("stale = -1", "\"300ms\" to \"1h\""),
        ("stale = inf", "\"300ms\" to \"1h\""),
        ("stale = true", "\"300ms\" to \"1h\""),
        ("stale = 1.5", "\"300ms\" to \"1h\""),
        ("stale = \"2h\"", "\"300ms\" to \"1h\""),
        ("heartbeat = nan", "\"50ms\" to \"10s\"; the default is \"5s\""),
        ("heartbeat = \"\"", "\"50ms\" to \"10s\""),
        ("heartbeat = \"49ms\"", "\"50ms\" to \"10s\""),
        ("pin_stale = -inf", "\"30s\" to \"30d\"; the default is \"10m\""),
        ("pin_stale = []", "\"30s\" to \"30d\""),
        ("pin_stale = \"31d\"", "\"30s\" to \"30d\""),
        ("stale = \"-1s\"", "\"300ms\" to \"1h\""),
        ("stale = \"0s\"", "out of range"),
        ("stale = \"9s\"\nheartbeat = \"9s\"", "\"50ms\" to \"3s\"; the default is \"1s500ms\""),
        ("heartbeat = 5", "heartbeat is a number"),
        ("stale = \"9s\"\npin_stale = \"8s\"", "\"9s\" to \"30d\"; the default is \"10m\""),
        ("stael = \"9s\"", "did you mean stale?"),
    ] {
        let found = problems(&format!("[lease]\n{line}\n"));
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert!(found[0].contains(named), "{line}: {}", found[0]);
    }
    assert!(problems("lock = \"flock\"")[0].contains("lock = \"kernel\" or lock = \"lease\""));
    assert!(problems("lease = 3")[0].contains("[lease] above its keys"));
}

#[test]
fn two_resources_never_claim_one_directory() {
    let two = |one: &str, other: &str| {
        let entry = |name: &str| format!("[[resource]]\nname = {name:?}\ngit = \"https://example.org/a\"\n");
        Config::parse(&(entry(one) + &entry(other)))
    };
    for (one, other) in [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a/b", "a/b/c")] {
        let found = two(one, other).unwrap_err();
        assert_eq!((found.len(), found[0].line), (1, 5), "{one} {other}");
        assert!(found[0].why.contains("line 2"), "{}", found[0]);
    }
    for (one, other) in [("a", "ab"), ("a/b", "a/c"), ("a", "A")] {
        two(one, other).unwrap();
    }
}

#[test]
fn private_addresses_need_a_host_of_the_file() {
    let resource = |url: &str| format!("[[resource]]\nname = \"a\"\ngit = {url:?}\n");
    let found = problems(&resource("https://192.168.1.1/a"));
    assert!(found[0].contains("[[host]]"), "{}", found[0]);
    let host = "[[host]]\nname = \"192.168.1.1\"\nurl = \"https://192.168.1.1/{path}\"\n";
    Config::parse(&(resource("https://192.168.1.1/a") + host)).unwrap();
    let found = problems(&(resource("http://192.168.1.1/a") + host));
    assert!(found[0].contains("http://"), "a host with https does not allow http: {}", found[0]);
    let found = problems(&resource("http://github.com/a/b"));
    assert_eq!(found.len(), 1, "a well-known host does not allow http either");
}

#[test]
fn slips_of_syntax_are_reported_together() {
    let found = problems("offline = tru\nrefresh = \"1h\nquiet == \"1s\"\n");
    assert!(found.len() >= 2, "{found:#?}");
    assert!(found.iter().all(|problem| problem.contains("not TOML")), "{found:#?}");
}

#[test]
fn the_error_of_a_file_names_it_and_every_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, "ofline = true\nidle = 3\n").unwrap();
    let text = Config::load(&file).unwrap_err().to_string();
    for part in ["config.toml", "2 problems", "line 1, column 1", "did you mean offline?", "line 2, column 8"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(Config::load(&file).unwrap_err().to_string().contains("not UTF-8"));
    assert!(Config::load(directory.path()).unwrap_err().to_string().contains("not a regular file"));
    Config::load(Path::new("/dev/null")).unwrap();
}

#[test]
fn a_resource_may_be_a_directory() {
    let config = Config::parse(
        "[[resource]]\nname = \"team/work\"\npath = \"/home/me/work/\"\nignore = [\"*.log\", \"/out\"]\n\
         subpaths = [\"src\"]\nnote = \"mine\"\n\
         [[resource]]\nname = \"local2\"\npath = \"/home/me/work\"\n",
    )
    .unwrap();
    let (_, resource) = config.resource("local/team/work").unwrap();
    assert_eq!(resource.name_in_file(), "team/work");
    assert_eq!(resource.key.kind(), crate::key::Kind::Local);
    assert_eq!(resource.subpaths, ["src"]);
    // What is left out belongs to what it is.
    assert_ne!(resource.key, config.resource("local/local2").unwrap().1.key);
    assert!(config.resource("team/work").is_none(), "it is shown below local/ only");
}

#[test]
fn what_a_directory_may_not_say_is_told_with_its_place() {
    for (lines, expected) in [
        ("git = \"https://example.org/a.git\"\npath = \"/a\"", "git and path stand here both"),
        ("path = \"work\"", "not an absolute path"),
        ("path = \"~/work\"", "not an absolute path"),
        ("path = \"/a/../b\"", "climbs up"),
        ("path = \"/\"", "root of all files"),
        ("path = \"/a\"\nref = \"main\"", "one state"),
        ("path = \"/a\"\nignore = [\"!x\"]", "ignores nothing"),
        ("path = \"/a\"\nignore = \"*.log\"", "ignore"),
        ("git = \"https://example.org/a.git\"\nignore = [\"x\"]", "ignore is for a resource with a path"),
        ("git = \"../work\"", "--path ../work"),
        ("paht = \"/a\"", "did you mean path?"),
    ] {
        let found = problems(&format!("[[resource]]\nname = \"work\"\n{lines}\n"));
        assert!(found.iter().any(|problem| problem.contains(expected)), "{lines}: {found:#?}");
        assert!(found.iter().all(|problem| problem.starts_with("line ")), "{lines}: {found:#?}");
    }
    let twice = problems(
        "[[resource]]\nname = \"work\"\npath = \"/a\"\n[[resource]]\nname = \"work\"\npath = \"/b\"\n",
    );
    assert_eq!(twice.len(), 1, "{twice:#?}");
}

#[test]
fn what_a_process_may_cause_has_a_range_or_no_limit() {
    let walkers = |text: &str| Config::parse(text).unwrap().walkers;
    assert_eq!(walkers("").limit, Some(20));
    assert_eq!(walkers("max_materializations_per_process = \"none\"").limit, None);
    assert_eq!(walkers("walkers_allowed = [\"rg\"]").allowed, ["rg"]);
    for value in ["0", "10001", "\"many\"", "-1"] {
        assert!(Config::parse(&format!("max_materializations_per_process = {value}")).is_err(), "{value}");
    }
    for name in ["", "sixteen-letters-"] {
        assert!(Config::parse(&format!("walkers_allowed = [{name:?}]")).is_err(), "{name}");
    }
}

#[test]
fn a_reference_that_is_wrong_is_told_as_its_kind_writes_it() {
    for (lines, told) in [
        ("npm = \"react\"\nref = \"../x\"", "write one like 18.2.0, ^18, 18 or next"),
        ("npm = \"react\"\nref = \"a\\u200bb\"", "write a version, a range or a dist-tag"),
        ("crates = \"tokio\"\nref = \"next\"", "write one like 1.38.0"),
        ("crates = \"tokio\"\nref = \"a\\u200bb\"", "write a version or a range"),
        ("pypi = \"requests\"\nref = \"main\"", "write one like 2.31.0"),
        ("path = \"/srv\"\nref = \"main\"", "leave the reference out"),
        ("git = \"https://example.org/a\"\nref = \"^1\"", "a branch, a tag or a full commit id"),
        ("pypi = \"requests==2.31\"", "write requests, and ==2.31 as ref"),
        ("npm = \"@types/node@20\"", "write @types/node, and 20 as ref"),
        ("crates = \"tokio@1\"", "write tokio, and 1 as ref"),
    ] {
        let found = problems(&format!("[[resource]]\nname = \"x\"\n{lines}\n"));
        assert!(found.len() == 1 && found[0].contains(told), "{lines}: {found:#?}");
        let git = lines.starts_with("git");
        assert_eq!(found[0].contains("branch"), git, "{lines}: {found:#?}");
    }
    // A range is no reference of git, but nobody said that this is one.
    let found = problems("[[resource]]\nname = \"x\"\nnpm = \".x\"\nref = \"^18\"\n");
    assert!(found.len() == 1 && found[0].starts_with("line 3"), "{found:#?}");
}

#[test]
fn names_in_the_file_are_told_apart_before_it_is_changed() {
    let config = Config::parse("[[resource]]\nname = \"work\"\npath = \"/srv\"\n").unwrap();
    for name in ["work", "work/inner"] {
        let origin = NewOrigin::Git("https://example.org/a");
        assert!(config.new_resource(name, origin, None, &[], None).is_err(), "{name}");
    }
}

//! Hostile input, "Git URLs": what the grammar does not allow is refused, in the configuration and by
//! `srcfs add`, before anybody is asked.

use super::harness::repository::File;
use super::mounted2::{Site, errno, wait_until};

const HOSTILE: &[&str] = &[
    "ext::sh -c 'touch owned'",
    "ext::touch% owned",
    "fd::17",
    "-oProxyCommand=touch owned",
    "--upload-pack=touch owned",
    "ssh://-oProxyCommand=touch%20owned/x",
    "ssh://-x@example.org/x",
    "git://example.org/x",
    "ftp://example.org/x",
    "file://host/x",
    "https://",
    "https:///x",
    "https://example.org",
    "https://example.org/",
    "https://user:hunter2@example.org/x",
    "https://hunter2@example.org/x",
    "ssh://user:hunter2@example.org/x",
    "https://example.org/x?hunter2",
    "https://example.org/x#y",
    "https://example.org/a\u{1b}[31m",
    "https://example.org/a\nb",
    "https://example.org/\u{202e}x",
    "https://127.0.0.1/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f.0.0.1/x",
    "https://[::1]/x",
    "https://[::ffff:10.0.0.1]/x",
    "https://10.0.0.1/x",
    "https://172.16.3.4/x",
    "https://192.168.0.1/x",
    "https://169.254.169.254/latest/meta-data",
    "https://0.0.0.0/x",
    "https://localhost/x",
    "https://intranet/x",
    "https://server.local/x",
    "https://server.internal/x",
    "http://example.org/x",
    "https://example.org/../../x%00",
    "",
];

#[test]
fn add_refuses_what_the_grammar_does_not_allow_without_asking_anybody() {
    let mut site = Site::new("");
    // Without a host on the loopback: that would allow it.
    site.program.configure("");
    let before = std::fs::read_to_string(site.program.config()).unwrap();
    site.mount();
    for url in HOSTILE {
        // With a `--`, so that it is an operand also if it looks like an option.
        let run = site.run(&["--json", "add", "--", "evil", url]);
        assert_eq!(run.code, 2, "{url:?}: {run:?}");
        let error = &run.json()["error"];
        assert_eq!(error["kind"], "invalid", "{url:?}: {run:?}");
        assert!(!format!("{run:?}").contains("hunter2") || url.contains('?'), "{url:?}: {run:?}");
        let unchecked = site.run(&["add", "--no-check", "--", "evil", url]);
        assert_eq!(unchecked.code, 2, "{url:?} is not let in unseen either: {unchecked:?}");
    }
    assert_eq!(std::fs::read_to_string(site.program.config()).unwrap(), before);
    assert!(!site.program.path().join("owned").exists());
    assert_eq!(site.server().requests(), 0);
}

#[test]
fn a_configuration_with_such_urls_is_refused_whole_and_the_old_one_stays() {
    let mut site = Site::new("");
    let docs = site.repository_of("team/docs", &[File::new("a", "one\n")]);
    let good = format!("[[resource]]\nname = \"docs\"\ngit = \"{}\"", docs.url());
    site.program.configure(&good);
    site.mount();
    assert_eq!(site.cat(&site.path("docs/a")), "one\n");
    let mut resources = good.clone();
    for (number, url) in HOSTILE.iter().enumerate() {
        let url = serde_json::to_string(url).unwrap();
        resources.push_str(&format!("\n[[resource]]\nname = \"evil{number}\"\ngit = {url}"));
    }
    site.program.configure(&resources);
    let run = site.run(&["--json", "list"]);
    assert_eq!(run.code, 3, "{run:?}");
    let text = run.json()["error"].to_string();
    let first = good.lines().count() + 1;
    for (number, url) in HOSTILE.iter().enumerate() {
        let line = format!("line {},", first + 3 * number + 2);
        assert!(text.contains(&line), "{:?}: no {line} in {text}", url);
    }
    assert!(!text.contains("user:hunter2"), "{text}");
    // The daemon keeps what it had, and says so.
    assert_eq!(site.cat(&site.path("docs/a")), "one\n");
    assert_eq!(errno(std::fs::metadata(site.path("evil0"))), libc::ENOENT);
    wait_until("it is in the status", || {
        let status = std::fs::read_to_string(site.path(".srcfs/status.json")).unwrap();
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["configuration_problem"].is_string()
    });
    assert!(!site.program.path().join("owned").exists());
}

#[test]
fn a_bundle_that_a_server_advertises_is_not_fetched() {
    use super::harness::git_server::{Fault, Stage};
    let site = Site::mounted("");
    site.repository_of("team/docs", &[File::new("a", "one\n")]);
    let bundle = site.server().url("bundle.git");
    site.server().fail("team/docs.git", Stage::Any, Fault::BundleUri(bundle));
    assert_eq!(site.cat(&site.forge("team/docs/a")), "one\n");
    assert_eq!(site.server().counts("bundle.git").requests, 0);
}

#[test]
fn a_redirect_to_a_host_that_is_not_configured_is_refused_without_asking_it() {
    use super::harness::git_server::{Fault, Stage};
    let site = Site::mounted("");
    for (number, base) in [
        "http://169.254.169.254/latest/meta-data".to_owned(),
        format!("http://localhost:{}/team/docs.git", site.server().address().port()),
        format!("http://[::1]:{}/team/docs.git", site.server().address().port()),
        "https://example.org/x".to_owned(),
        "file:///etc".to_owned(),
        "ssh://example.org/x".to_owned(),
        "ext::touch".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("team/r{number}");
        site.repository_of(&name, &[File::new("a", "one\n")]);
        site.server().fail(&format!("{name}.git"), Stage::Any, Fault::Redirect(base.clone()));
        assert_eq!(super::mounted2::errnos(&site.forge(&name)), [libc::EIO; 2], "{base}");
        let explained = site.explain(&site.forge(&name));
        assert!(explained["failure"]["why"].as_str().unwrap().contains("redirected"), "{explained}");
        assert!(explained["failure"]["hint"].is_string(), "{explained}");
    }
    assert_eq!(site.server().counts("team/docs.git").requests, 0);
}

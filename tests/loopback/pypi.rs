//! PyPI: projects as JSON and as HTML, and their files.

use crate::asking::{get, get_with};
use crate::registry::{Registry, packing};

const JSON: &str = "Accept: application/vnd.pypi.simple.v1+json, text/html; q=0.01";

fn demo() -> Registry {
    let registry = Registry::start();
    registry
        .pypi("Demo.Pkg")
        .sdist("1.0", &[("demo.py", "one")])
        .published(Some("2020-01-01T00:00:00.000000Z"))
        .sdist_zip("1.0", &[("demo.py", "one")])
        .wheel("1.0", "py3-none-any", &[("demo.py", "one")])
        .wheel("1.0", "cp311-cp311-manylinux_2_17_x86_64", &[("demo.so", "one")])
        .sdist("2.0", &[("demo.py", "two")])
        .yanked("it \"broke\"");
    registry
}

#[test]
fn a_project_is_told_as_json() {
    let registry = demo();
    let answer = get_with(&registry, "/pypi/simple/demo-pkg/", &[JSON]);
    assert_eq!(answer.headers["content-type"], "application/vnd.pypi.simple.v1+json");
    let document = answer.json();
    assert_eq!(document["name"], "demo-pkg");
    assert_eq!(document["versions"], serde_json::json!(["1.0", "2.0"]));
    let files = document["files"].as_array().unwrap();
    let names: Vec<_> = files.iter().map(|file| file["filename"].as_str().unwrap()).collect();
    let expected = [
        "demo_pkg-1.0.tar.gz",
        "demo_pkg-1.0.zip",
        "demo_pkg-1.0-py3-none-any.whl",
        "demo_pkg-1.0-cp311-cp311-manylinux_2_17_x86_64.whl",
        "demo_pkg-2.0.tar.gz",
    ];
    assert_eq!(names, expected);
    assert_eq!(files[0]["upload-time"], "2020-01-01T00:00:00.000000Z");
    assert_eq!(files[4]["yanked"], "it \"broke\"");
    for file in files {
        let path = file["url"].as_str().unwrap().replace(&registry.url(""), "");
        let archive = get(&registry, &path).body;
        assert_eq!(file["hashes"]["sha256"], packing::sha256(&archive));
        assert_eq!(file["size"], archive.len());
    }
    assert_eq!(registry.downloads_of("pypi", "demo_pkg"), 5);
}

#[test]
fn who_does_not_take_json_gets_html() {
    let registry = demo();
    let plain = get(&registry, "/pypi/simple/demo-pkg/");
    assert_eq!(plain.headers["content-type"], "text/html; charset=utf-8");
    assert!(plain.text().contains("data-yanked=\"it &quot;broke&quot;\""), "{}", plain.text());
    assert!(plain.text().contains("data-requires-python=\"&gt;=3.7\""), "{}", plain.text());
    assert!(plain.text().contains("demo_pkg-1.0.zip#sha256="), "{}", plain.text());
    registry.html_only();
    assert_eq!(get_with(&registry, "/pypi/simple/demo-pkg/", &[JSON]).text(), plain.text());
}

#[test]
fn another_spelling_leads_to_the_proper_one() {
    let registry = demo();
    for path in ["/pypi/simple/Demo.Pkg/", "/pypi/simple/demo_pkg/", "/pypi/simple/demo-pkg"] {
        let answer = get(&registry, path);
        assert_eq!((answer.status, answer.headers["location"].as_str()), (301, "/pypi/simple/demo-pkg/"));
    }
}

#[test]
fn recorded_projects_are_what_their_hashes_say() {
    let registry = Registry::start();
    for (name, count) in [("iniconfig", 2), ("tensorboard-data-server", 1)] {
        registry.recorded("pypi", name);
        let document = get_with(&registry, &registry.metadata_path("pypi", name), &[JSON]).json();
        for file in document["files"].as_array().unwrap() {
            let path = file["url"].as_str().unwrap().replace(&registry.url(""), "");
            assert_eq!(file["hashes"]["sha256"], packing::sha256(&get(&registry, &path).body));
        }
        assert_eq!(registry.downloads_of("pypi", name), count);
    }
}

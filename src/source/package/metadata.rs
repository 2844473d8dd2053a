//! What a package tells about itself, in the file that its ecosystem has for that.
//!
//! Nothing of it is needed: a file that cannot be read tells nothing. It is the publisher's word and not the
//! registry's, so it is shown as such and never acted on.

use serde::Deserialize;
use serde_json::Value;

use crate::key::Kind;
use crate::source::About;

/// Longer texts are cut.
const LONGEST: usize = 500;
/// Longer ones are the text of a licence and not its name.
const LONGEST_LICENSE: usize = 120;

/// Fills in what `file` tells: `package.json`, `Cargo.toml`, or the core metadata of Python.
pub(super) fn read(kind: Kind, file: &[u8], about: &mut About) {
    let text = String::from_utf8_lossy(file);
    let told = match kind {
        Kind::Npm => npm(text.trim_start_matches('\u{feff}')),
        Kind::Crates => crates(&text),
        Kind::Pypi => pypi(&text),
        Kind::Git | Kind::Local => None,
    };
    let Some(told) = told else { return };
    about.repository = told.repository.as_deref().map(repository).and_then(|text| line(&text));
    about.license = told.license.as_deref().and_then(line);
    about.description = told.description.as_deref().and_then(line);
    about.homepage = told.homepage.as_deref().and_then(line);
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    repository: Option<String>,
    license: Option<String>,
    description: Option<String>,
    homepage: Option<String>,
}

/// What npm's documentation says of `package.json`; old packages have objects and lists where
/// strings stand now.
fn npm(text: &str) -> Option<Told> {
    let document: Value = serde_json::from_str(text).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let field = |name: &str| document.get(name);
    let repository = field("repository").and_then(|value| text(value.get("url").unwrap_or(value)));
    let one = |value: &Value| text(value.get("type").unwrap_or(value));
    let license = field("license").and_then(one).or_else(|| {
        let several: Vec<String> = field("licenses")?.as_array()?.iter().filter_map(one).collect();
        (!several.is_empty()).then(|| several.join(" OR "))
    });
    Some(Told {
        repository,
        license,
        description: field("description").and_then(text),
        homepage: field("homepage").and_then(text),
    })
}

/// <https://doc.rust-lang.org/cargo/reference/manifest.html>; what is inherited is written out in what is
/// published.
fn crates(text: &str) -> Option<Told> {
    #[derive(Deserialize)]
    struct Manifest {
        package: toml::Table,
    }
    let Manifest { package } = toml::from_str(text).ok()?;
    let field = |name: &str| package.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let file = || field("license-file").map(|file| format!("see {file}"));
    Some(Told {
        repository: field("repository"),
        license: field("license").or_else(file),
        description: field("description"),
        homepage: field("homepage"),
    })
}

/// <https://packaging.python.org/en/latest/specifications/core-metadata/>: headers of a mail.
fn pypi(text: &str) -> Option<Told> {
    let mut told = Told::default();
    let (mut free, mut classifier) = (None, None);
    // What old tools wrote where there was nothing is nothing.
    for (name, value) in headers(text).into_iter().filter(|(_, value)| value != "UNKNOWN") {
        match name.to_ascii_lowercase().as_str() {
            "summary" => told.description = Some(value),
            "home-page" => told.homepage = Some(value),
            "license-expression" => told.license = Some(value),
            "license" => free = Some(value),
            "classifier" => {
                if let Some(licence) = value.strip_prefix("License :: ") {
                    classifier = licence.rsplit(" :: ").next().map(str::to_owned);
                }
            }
            "project-url" => {
                let Some((label, url)) = value.split_once(',') else { continue };
                // As the index itself reads labels ("Well-known Project URLs in Metadata").
                let label: String = label
                    .chars()
                    .filter(char::is_ascii_alphanumeric)
                    .collect::<String>()
                    .to_ascii_lowercase();
                let url = Some(url.trim().to_owned());
                match label.as_str() {
                    "source" | "repository" | "sourcecode" | "github" => told.repository = url,
                    "homepage" => told.homepage = told.homepage.or(url),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    let name = |text: &String| !text.contains('\n') && text.len() <= LONGEST_LICENSE;
    told.license = told.license.or(free.filter(name)).or(classifier);
    Some(told)
}

/// The headers before the first empty line; a line that begins with a blank goes on with the one before.
fn headers(text: &str) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in text.lines().take_while(|line| !line.is_empty()) {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    headers
}

/// The address of a repository as a browser or git takes it. npm's short forms are of the forges that its
/// documentation names.
fn repository(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix("git+").unwrap_or(text);
    for (short, host) in
        [("github:", "github.com"), ("gitlab:", "gitlab.com"), ("bitbucket:", "bitbucket.org")]
    {
        if let Some(path) = text.strip_prefix(short).filter(|path| !path.starts_with('/')) {
            return format!("https://{host}/{path}");
        }
    }
    let is_short = text.split('/').count() == 2
        && text.split('/').all(|part| !part.is_empty() && !part.contains([':', '@', ' ']));
    if is_short { format!("https://github.com/{text}") } else { text.to_owned() }
}

/// As one line that is not too long, without what could not be seen in it; `None` if nothing is left. No credential
/// is left. Whatever of a registry or a package is shown goes through it.
pub(super) fn line(text: &str) -> Option<String> {
    let seen: String = text.chars().map(|c| if is_invisible(c) { ' ' } else { c }).collect();
    let mut line = seen.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    (!line.is_empty()).then(|| crate::redact::redact(&line))
}

fn is_invisible(c: char) -> bool {
    c.is_control() || crate::key::is_invisible(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(kind: Kind, file: &str) -> [Option<String>; 4] {
        let mut about = About::default();
        read(kind, file.as_bytes(), &mut about);
        [about.repository, about.license, about.description, about.homepage]
    }

    fn texts(texts: [&str; 4]) -> [Option<String>; 4] {
        texts.map(|text| (!text.is_empty()).then(|| text.to_owned()))
    }

    #[test]
    fn a_package_json_is_read_in_its_new_and_old_forms() {
        let new = r#"{"repository": {"type": "git", "url": "git+https://example.org/a/b.git"},
            "license": "MIT", "description": "Does\n things", "homepage": "https://example.org"}"#;
        let wanted = ["https://example.org/a/b.git", "MIT", "Does things", "https://example.org"];
        assert_eq!(about(Kind::Npm, new), texts(wanted));
        let old = r#"{"repository": "a/b", "licenses": [{"type": "MIT"}, {"type": "BSD"}], "homepage": 5}"#;
        assert_eq!(about(Kind::Npm, old), texts(["https://github.com/a/b", "MIT OR BSD", "", ""]));
        let short = r#"{"repository": "gitlab:a/b/c", "license": {"type": "ISC"}}"#;
        assert_eq!(about(Kind::Npm, short), texts(["https://gitlab.com/a/b/c", "ISC", "", ""]));
        for broken in ["", "[]", "{", "{\"license\": [], \"repository\": {\"url\": 1}}"] {
            assert_eq!(about(Kind::Npm, broken), texts([""; 4]), "{broken}");
        }
    }

    #[test]
    fn a_manifest_of_cargo_is_read() {
        let manifest = "[package]\nname = \"x\"\nrepository = \"https://example.org/x\"\n\
            license-file = \"COPYING\"\ndescription = \"\"\"\nA\nB\"\"\"\n";
        assert_eq!(about(Kind::Crates, manifest), texts(["https://example.org/x", "see COPYING", "A B", ""]));
        assert_eq!(about(Kind::Crates, "package = 1"), texts([""; 4]));
    }

    #[test]
    fn core_metadata_is_read_up_to_its_body() {
        let metadata = "Metadata-Version: 2.1\nName: x\nSummary: Does things\nHome-page: UNKNOWN\n\
            License: The whole\n        text of it\nClassifier: License :: OSI Approved :: MIT License\n\
            Project-URL: Source Code, https://example.org/x\nProject-URL: Homepage, https://x.example.org\n\n\
            Summary: not a header\n";
        let wanted = ["https://example.org/x", "MIT License", "Does things", "https://x.example.org"];
        assert_eq!(about(Kind::Pypi, metadata), texts(wanted));
        let expression = "License: MIT License\nLicense-Expression: MIT\n";
        assert_eq!(about(Kind::Pypi, expression), texts(["", "MIT", "", ""]));
    }

    #[test]
    fn nothing_invisible_long_or_secret_is_told() {
        let long = format!("{{\"description\": \"a\\u001b[31m\\u202eb{}\"}}", "x".repeat(2000));
        let description = about(Kind::Npm, &long)[2].clone().unwrap();
        assert!(description.starts_with("a [31m bx") && description.chars().count() == LONGEST + 1);
        let secret = r#"{"repository": "https://me:secret@example.org/a/b"}"#;
        assert!(!about(Kind::Npm, secret)[0].as_ref().unwrap().contains("secret"));
    }
}

//! `uv.lock`, `poetry.lock` and `Pipfile.lock`.

use super::found::{Found, MAX_VERSIONS, expect, flag, known_version, list, table, text};
use super::grammar;
use super::pin::{Ecosystem::Pypi, Origin, Reach};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn hash(text: &str) -> Option<String> {
    let hex = text.strip_prefix("sha256:")?;
    (hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_ascii_lowercase())
}

fn archive(url: &str) -> Option<Origin> {
    grammar::location(url).map(|url| Origin::Archive { url })
}

fn registry(url: &str) -> Option<Origin> {
    if url.is_empty() {
        return Some(Origin::Registry { index: None });
    }
    grammar::location(url).map(|index| Origin::Registry { index: Some(index) })
}

fn below(source: &Value) -> Option<&str> {
    Some(text(source, "subdirectory")).filter(|below| !below.is_empty())
}

pub(super) fn uv(lock: &Value, found: &mut Found) -> Result<(), String> {
    known_version(lock, "version", &["1"], found);
    expect(lock, "package", Value::is_array)?;
    let mut pinned: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    let mut asked: Vec<(Reach, bool, bool, &Value)> = Vec::new();
    for package in list(lock, "package") {
        let (name, version) = (text(package, "name"), text(package, "version"));
        let source = package.get("source").unwrap_or(&Value::Null);
        let local =
            ["virtual", "editable", "directory", "path"].iter().find_map(|key| source.get(key)?.as_str());
        if let Some(path) = local {
            found.local(Pypi, name, Some(path));
            let reach = if path == "." { Reach::Root } else { Reach::Member };
            asked.extend(list(package, "dependencies").map(|item| (reach, false, false, item)));
            for (key, dev, optional) in
                [("optional-dependencies", false, true), ("dev-dependencies", true, false)]
            {
                let groups = table(package, key).filter_map(|(_, group)| group.as_array());
                asked.extend(groups.flatten().map(|item| (reach, dev, optional, item)));
            }
            continue;
        }
        let origin = match (text(source, "git"), text(source, "url")) {
            ("", "") => registry(text(source, "registry")),
            ("", url) => archive(url),
            (git, _) => grammar::git_with_fragment(git),
        };
        let sdist = package.get("sdist").into_iter();
        let hashes =
            sdist.chain(list(package, "wheels")).filter_map(|file| hash(text(file, "hash"))).collect();
        if let Some(at) = found.pin(Pypi, name, version, origin, hashes) {
            pinned.entry(name).or_default().push((version, at));
        }
    }
    // A workspace whose root is no package has its groups here.
    let workspace = lock.get("manifest").unwrap_or(&Value::Null);
    let groups = table(workspace, "dependency-groups").filter_map(|(_, group)| group.as_array());
    asked.extend(groups.flatten().map(|item| (Reach::Root, true, false, item)));
    asked.extend(list(workspace, "requirements").map(|item| (Reach::Root, false, false, item)));
    for (reach, dev, optional, item) in asked {
        let version = text(item, "version");
        for (pin, at) in pinned.get(text(item, "name")).into_iter().flatten().take(MAX_VERSIONS) {
            if version.is_empty() || version == *pin {
                found.reach(*at, reach);
                found.pins[*at].dev |= dev;
                found.pins[*at].optional |= optional;
            }
        }
    }
    Ok(())
}

pub(super) fn poetry(lock: &Value, manifest: &Value, found: &mut Found) -> Result<(), String> {
    expect(lock, "package", Value::is_array)?;
    expect(lock, "metadata", Value::is_object)?;
    let asked = asked_by(manifest);
    let old = lock.get("metadata").unwrap_or(&Value::Null);
    known_version(old, "lock-version", &["1", "2"], found);
    for package in list(lock, "package") {
        let (name, version) = (text(package, "name"), text(package, "version"));
        let source = package.get("source").unwrap_or(&Value::Null);
        let url = text(source, "url");
        let origin = match text(source, "type") {
            "" => registry(""),
            "legacy" => registry(url),
            "git" => {
                let commit = match text(source, "resolved_reference") {
                    "" => text(source, "reference"),
                    commit => commit,
                };
                grammar::git(url, commit, below(source))
            }
            "url" => archive(url),
            _ => {
                found.local(Pypi, name, Some(url));
                continue;
            }
        };
        // The hashes stood in `metadata.files`, before that in `metadata.hashes`.
        let files = old.get("files").unwrap_or(&Value::Null);
        let new = list(package, "files").chain(list(files, name)).filter_map(|file| hash(text(file, "hash")));
        let oldest = list(old.get("hashes").unwrap_or(&Value::Null), name);
        let oldest = oldest.filter_map(|hex| hash(&format!("sha256:{}", hex.as_str()?)));
        let hashes = new.chain(oldest).collect();
        let Some(at) = found.pin(Pypi, name, version, origin, hashes) else { continue };
        let groups: Vec<_> = list(package, "groups").filter_map(Value::as_str).collect();
        found.pins[at].optional |= flag(package, "optional");
        found.pins[at].dev |=
            text(package, "category") == "dev" || (!groups.is_empty() && !groups.contains(&"main"));
        if asked.contains(&found.pins[at].name) {
            found.reach(at, Reach::Root);
        }
    }
    Ok(())
}

/// The normalised names that a `pyproject.toml` asks for.
fn asked_by(manifest: &Value) -> BTreeSet<String> {
    let at = |path: &str| manifest.pointer(path).unwrap_or(&Value::Null);
    let mut names: Vec<&str> = Vec::new();
    for key in ["dependencies", "dev-dependencies"] {
        names.extend(table(at("/tool/poetry"), key).map(|(name, _)| name.as_str()));
    }
    for (_, group) in table(at("/tool/poetry"), "group") {
        names.extend(table(group, "dependencies").map(|(name, _)| name.as_str()));
    }
    let groups = table(at("/project"), "optional-dependencies").chain(table(manifest, "dependency-groups"));
    let lists = groups.filter_map(|(_, group)| group.as_array()).flatten();
    let standard = list(at("/project"), "dependencies").chain(lists).filter_map(Value::as_str);
    names.extend(
        standard.filter_map(|line| {
            line.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).next()
        }),
    );
    names.into_iter().filter_map(|name| grammar::name(Pypi, name)).collect()
}

pub(super) fn pipfile(lock: &Value, manifest: &Value, found: &mut Found) -> Result<(), String> {
    expect(lock, "default", Value::is_object)?;
    expect(lock, "develop", Value::is_object)?;
    if !["_meta", "default", "develop"].iter().any(|key| lock.get(key).is_some()) {
        return Err("it has no packages".to_owned());
    }
    let sources = lock.get("_meta").unwrap_or(&Value::Null);
    // Other categories than these two have the same name in both files.
    for group in lock.as_object().into_iter().flat_map(|lock| lock.keys()).filter(|key| *key != "_meta") {
        let asks = match group.as_str() {
            "default" => "packages",
            "develop" => "dev-packages",
            other => other,
        };
        let asked: BTreeSet<_> =
            table(manifest, asks).filter_map(|(name, _)| grammar::name(Pypi, name)).collect();
        for (name, entry) in table(lock, group) {
            let path = ["path", "file"].iter().map(|key| text(entry, key)).find(|path| !path.is_empty());
            let git = text(entry, "git");
            if let Some(path) = path.filter(|path| !path.contains("://")) {
                found.local(Pypi, name, Some(path));
                continue;
            }
            let version = text(entry, "version");
            let version = version.strip_prefix("===").or(version.strip_prefix("==")).unwrap_or("");
            if version.is_empty() && git.is_empty() {
                let hint = "write the lockfile again with pipenv lock";
                found.note_of(None, (Pypi, name), name, "it is not pinned with `==`", hint);
                continue;
            }
            let index = list(sources, "sources").find(|s| text(s, "name") == text(entry, "index"));
            let origin = match (git, path) {
                ("", None) => registry(index.map_or("", |index| text(index, "url"))),
                ("", Some(url)) => archive(url),
                (git, _) => grammar::git(git, text(entry, "ref"), below(entry)),
            };
            let hashes = list(entry, "hashes").filter_map(|sum| hash(sum.as_str()?)).collect();
            let Some(at) = found.pin(Pypi, name, version, origin, hashes) else { continue };
            found.pins[at].dev |= group == "develop";
            if asked.contains(&found.pins[at].name) {
                found.reach(at, Reach::Root);
            }
        }
    }
    Ok(())
}

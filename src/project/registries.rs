//! Which registries a project's own `.npmrc` names, and its `.yarnrc.yml`, which is what yarn berry reads instead.
//!
//! Only where to ask is read. How to log in there stands in the user's files: a project may be a stranger's,
//! and a variable that its file puts into a url or a token could be any secret of the environment. So what
//! holds a `${VARIABLE}` is left out and noted. The files are those at the top, as for npm.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::found::{MAX_NOTES, table, text};
use super::pin::{Location, Note, Pin, shown};
use crate::npmrc;

/// The file of npm.
pub(super) const FILE: &str = ".npmrc";

/// The file of yarn berry.
pub(super) const YARNRC: &str = ".yarnrc.yml";

/// What of it is read, at its top and for each scope.
const SERVER: &str = "npmRegistryServer";

/// The registries that a project names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registries {
    /// That of what has no other, by an empty scope; those of scopes, by `@scope`.
    npm: BTreeMap<String, Location>,
    /// Whether `yarn.lock` is berry's, so that what it alone pins is not from there.
    pub(super) berry: bool,
    /// The `@scope` whose registry comes before that by an empty one, if the project sets `scope`.
    scope: Option<String>,
}

impl Registries {
    /// What the text of an `.npmrc` names, and a note for each that is left out.
    pub(super) fn read(text: &str) -> (Registries, Vec<Note>) {
        let mut registries = Registries::default();
        let mut notes = Vec::new();
        for (key, setting) in npmrc::parse(text) {
            let scope = match key.strip_suffix(":registry") {
                Some(scope) if scope.starts_with('@') => scope,
                None if key == "registry" => "",
                None if key == "scope" => {
                    let name = setting.values.last().map_or("", |name| name.trim());
                    registries.scope = (!name.is_empty()).then(|| npmrc::scope(name));
                    continue;
                }
                _ => continue,
            };
            let url = setting.values.last().map_or("", |url| url.trim());
            notes.extend(registries.name(scope, url, (FILE, Some(setting.line), &key)));
        }
        notes.truncate(MAX_NOTES);
        (registries, notes)
    }

    /// What a `.yarnrc.yml` names, and a note for each that is left out.
    pub(super) fn of_yarn(rc: &Value) -> (Registries, Vec<Note>) {
        let mut registries = Registries::default();
        let mut notes = Vec::new();
        notes.extend(registries.name("", text(rc, SERVER), (YARNRC, None, SERVER)));
        for (scope, settings) in table(rc, "npmScopes") {
            let key = format!("npmScopes.{scope}.{SERVER}");
            notes.extend(registries.name(&format!("@{scope}"), text(settings, SERVER), (YARNRC, None, &key)));
        }
        notes.truncate(MAX_NOTES);
        (registries, notes)
    }

    /// Takes the `url` of a scope, or notes why it does not; `from` is the file, the line and the key.
    fn name(&mut self, scope: &str, url: &str, from: (&str, Option<usize>, &str)) -> Option<Note> {
        if url.contains("${") {
            return Some(Note {
                lockfile: PathBuf::from(from.0),
                line: from.1,
                package: None,
                what: shown(from.2),
                why: "it holds a variable, which a project's file may not fill in".to_owned(),
                hint: "write it into ~/.npmrc to have it used".to_owned(),
            });
        }
        if !url.is_empty() {
            self.npm.insert(scope.to_owned(), Location::new(url));
        }
        None
    }

    /// The registry that the project's `.npmrc` names for a package of npm, if the tool that pins it reads that.
    pub fn of_npm(&self, pin: &Pin) -> Option<&Location> {
        let by_berry = self.berry && pin.lockfiles.iter().all(|lockfile| lockfile == Path::new("yarn.lock"));
        self.of(&pin.name).filter(|_| !by_berry)
    }

    /// The registry of the package `name`, if one is named.
    pub(super) fn of(&self, name: &str) -> Option<&Location> {
        let scope = name.split_once('/').map(|(scope, _)| scope);
        let common = || self.npm.get(self.scope.as_deref()?);
        scope.and_then(|scope| self.npm.get(scope)).or_else(common).or_else(|| self.npm.get(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_its_own_and_the_rest_the_other() {
        let (registries, notes) = Registries::read(
            "registry = https://r.example\n@a:registry=https://a.example/npm/ ; ours\n\
             @b:registry=https://b.example/${SECRET}\n//a.example/npm/:_authToken=t\nx:registry=https://x.example\n",
        );
        let of = |name: &str| registries.of(name).map(|url| url.reveal().to_owned());
        assert_eq!(of("x").as_deref(), Some("https://r.example"));
        assert_eq!(of("@a/x").as_deref(), Some("https://a.example/npm/"));
        assert_eq!(of("@b/x").as_deref(), Some("https://r.example"));
        let notes: Vec<String> = notes.iter().map(Note::to_string).collect();
        assert!(notes.len() == 1 && notes[0].starts_with(".npmrc:3: @b:registry"), "{notes:?}");
        assert_eq!(Registries::read("@a:registry=https://a.example").0.of("x"), None);
    }

    #[test]
    fn a_scope_that_is_set_comes_before_the_registry_of_the_rest() {
        for scope in ["scope=@a", "scope = a"] {
            let text = format!("registry=https://r.example\n{scope}\n@a:registry=https://a.example/npm/\n");
            let (registries, _) = Registries::read(&text);
            for name in ["x", "@b/x"] {
                assert_eq!(registries.of(name).unwrap().reveal(), "https://a.example/npm/");
            }
        }
    }
}

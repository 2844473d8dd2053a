//! Reads the configuration's document, field by field, into typed values.
//!
//! What is wrong is noted where it stands, and reading goes on, so that one look tells all of it. What is
//! missing has the default that stands here.

use std::path::Path;
use std::time::Duration;

use toml::de::DeTable;

use super::document::{DurationField, Fields, Text};
use super::locking::{self, Locking};
use super::problem::Problems;
use super::quota::{self, Quota};
use super::walkers::{self, Walkers};
use super::{
    Config, DAY, Forge, HOUR, Host, MINUTE, Project, Resource, SECOND, check_name, check_note, collide,
    parse_subpath, parse_subpaths, resource, trusts,
};
use crate::key::{self, Directory, Key, Reference};
use crate::project::Own;

const REFRESH: DurationField =
    DurationField { key: "refresh", least: SECOND, most: DAY.saturating_mul(365), default: HOUR };
const QUIET: DurationField = DurationField {
    key: "quiet",
    least: Duration::from_millis(100),
    most: HOUR,
    default: SECOND.saturating_mul(30),
};
const MAX_DRAIN: DurationField =
    DurationField { key: "max_drain", least: SECOND, most: DAY, default: MINUTE.saturating_mul(10) };
const IDLE: DurationField = DurationField {
    key: "idle",
    least: Duration::from_millis(100),
    most: DAY.saturating_mul(30),
    default: MINUTE.saturating_mul(10),
};
// A task that waits for 120 s is reported by the kernel as hung, and fs.fuse.max_request_timeout
// may abort the mount; so the bound stays below.
const REPLY_BOUND: DurationField =
    DurationField { key: "reply_bound", least: SECOND, most: SECOND.saturating_mul(119), default: MINUTE };
const NEGATIVE_TTL: DurationField = DurationField {
    key: "negative_ttl",
    least: Duration::ZERO,
    most: HOUR,
    default: SECOND.saturating_mul(10),
};
const MAX_FETCHES: u32 = 8;

const KEYS: &[&str] = &[
    "resource",
    "project",
    "host",
    "refresh",
    "offline",
    "weak_hashes",
    "quiet",
    "max_drain",
    "idle",
    "reply_bound",
    "max_fetches",
    "negative_ttl",
    walkers::KEYS[0],
    walkers::KEYS[1],
    walkers::KEYS[2],
    quota::KEYS[0],
    quota::KEYS[1],
    quota::KEYS[2],
    quota::KEYS[3],
    quota::KEYS[4],
    "lock",
    "lease",
];
const PROJECT_KEYS: &[&str] = &["name", "path"];
const RESOURCE_KEYS: &[&str] =
    &["name", "git", "npm", "crates", "pypi", "path", "ignore", "ref", "subpaths", "note"];
const HOST_KEYS: &[&str] = &["name", "url", "nested", "forge"];

impl Default for Config {
    fn default() -> Self {
        Config {
            file: None,
            resources: Vec::new(),
            projects: Vec::new(),
            hosts: Host::well_known(),
            refresh: Some(REFRESH.default),
            offline: false,
            weak_hashes: false,
            quiet: QUIET.default,
            max_drain: MAX_DRAIN.default,
            idle: IDLE.default,
            reply_bound: REPLY_BOUND.default,
            max_fetches: MAX_FETCHES,
            negative_ttl: NEGATIVE_TTL.default,
            walkers: Walkers::default(),
            quota: Quota::default(),
            locking: Locking::default(),
            own: Own::default(),
        }
    }
}

pub(super) fn document(table: &DeTable<'_>, problems: &mut Problems<'_>) -> Config {
    let file = Fields::new(table, 0..0, "the configuration", KEYS, problems);
    let mut config = Config {
        file: None,
        resources: Vec::new(),
        projects: read_projects(&file, problems),
        hosts: read_hosts(&file, problems),
        refresh: match file.text_or_none("refresh") {
            Some("never") => None,
            _ => Some(file.duration(&REFRESH, problems)),
        },
        offline: file.boolean("offline", problems).unwrap_or(false),
        weak_hashes: file.boolean("weak_hashes", problems).unwrap_or(false),
        quiet: file.duration(&QUIET, problems),
        max_drain: file.duration(&MAX_DRAIN, problems),
        idle: file.duration(&IDLE, problems),
        reply_bound: file.duration(&REPLY_BOUND, problems),
        max_fetches: file.number("max_fetches", 1..=64, MAX_FETCHES, problems),
        negative_ttl: file.duration(&NEGATIVE_TTL, problems),
        walkers: walkers::read(&file, problems),
        quota: quota::read(&file, problems),
        locking: locking::read(&file, problems),
        own: Own::default(),
    };
    config.resources = read_resources(&file, &config.hosts, problems);
    config
}

fn read_hosts(file: &Fields<'_, '_>, problems: &mut Problems<'_>) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    for fields in file.tables("host", HOST_KEYS, problems) {
        let name = required(&fields, "name", "name = \"git.example.org\"", problems);
        let url = required(&fields, "url", "url = \"https://git.example.org/{path}.git\"", problems);
        let nested = fields.boolean("nested", problems).unwrap_or(false);
        let forge = fields.text("forge", problems).and_then(|forge| {
            let refused = |error| problems.add_error(&forge.at, &error, "leave it out");
            Forge::parse(forge.text).map_err(refused).ok()
        });
        if let Some(name) = &name
            && hosts.iter().any(|host| host.name == name.text)
        {
            problems.add(
                &name.at,
                format!("the host {:?} stands here a second time", name.text),
                "keep one of them",
            );
            continue;
        }
        // Each half is checked even if the other is missing or wrong.
        let checked_name =
            name.as_ref().map(|name| (name, Host::new(name.text, "https://example.org/{path}", nested)));
        if let Some((name, Err(error))) = &checked_name {
            problems.add_error(&name.at, error, "correct it");
        }
        let Some(url) = url else { continue };
        let name = match checked_name {
            Some((name, Ok(_))) => name.text,
            _ => "example.org",
        };
        match Host::new(name, url.text, nested) {
            Ok(host) => hosts.push(Host { forge, ..host }),
            Err(error) => problems.add_error(&url.at, &error, "correct it"),
        }
    }
    for host in Host::well_known() {
        if !hosts.iter().any(|own| own.name == host.name) {
            hosts.push(host);
        }
    }
    hosts
}

fn read_resources(file: &Fields<'_, '_>, hosts: &[Host], problems: &mut Problems<'_>) -> Vec<Resource> {
    let mut resources: Vec<Resource> = Vec::new();
    let mut names: Vec<Text<'_>> = Vec::new();
    for fields in file.tables("resource", RESOURCE_KEYS, problems) {
        let name = required(&fields, "name", "name = \"docs\"", problems);
        let key = read_origin(&fields, hosts, problems);
        let reference = read_reference(&fields, problems);
        let subpaths = read_subpaths(&fields, problems);
        let note = fields.text("note", problems).map(|note| {
            if let Err(error) = check_note(note.text) {
                problems.add_error(&note.at, &error, "shorten it");
            }
            note.text.to_owned()
        });
        let Some(name) = name else { continue };
        if let Err(error) = check_name(name.text) {
            problems.add_error(&name.at, &error, "choose another name");
            continue;
        }
        if let Some(other) = names.iter().find(|other| collide(other.text, name.text)) {
            let line = problems.line_of(&other.at);
            let why = if other.text == name.text {
                format!("the name {:?} stands in line {line} already", name.text)
            } else {
                format!("{:?} and {:?} (line {line}) would be one directory", name.text, other.text)
            };
            problems.add(&name.at, why, "choose another name");
        }
        if let Some(key) = key {
            let name = Resource::path_of(name.text, &key);
            resources.push(Resource { name, key, reference, subpaths, note });
        }
        names.push(name);
    }
    resources
}

/// The keys that say what a resource is, of which each has one.
const ORIGINS: [&str; 5] = ["git", "npm", "crates", "pypi", "path"];

/// What a resource is.
fn read_origin(fields: &Fields<'_, '_>, hosts: &[Host], problems: &mut Problems<'_>) -> Option<Key> {
    let given: Vec<&str> = ORIGINS.into_iter().filter(|key| fields.has(key)).collect();
    if let [first, second, ..] = given[..] {
        let at = fields.text(second, problems)?.at;
        problems.add(&at, format!("{first} and {second} stand here both"), "keep one of them");
        return None;
    }
    if given != ["path"] {
        for ignored in fields.texts("ignore", problems).iter().take(1) {
            problems.add(&ignored.at, "ignore is for a resource with a path", "remove it");
        }
    }
    match given.first().copied() {
        Some("path") => read_directory(fields, problems),
        Some(kind @ ("npm" | "crates" | "pypi")) => {
            let name = fields.text(kind, problems)?;
            let kind = key::Kind::parse(kind)?;
            let refused = |error| problems.add_error(&name.at, &error, "write the name of a package");
            resource::parse_package(kind, name.text).map_err(refused).ok().map(Key::package)
        }
        _ => {
            let git = required(fields, "git", "git = \"https://example.org/team/docs.git\"", problems)?;
            let url = resource::parse_url(git.text, |url| trusts(hosts, url));
            let refused = |error| problems.add_error(&git.at, &error, "write it as https://host/path.git");
            url.map_err(refused).ok().map(Key::git)
        }
    }
}

/// What is shown of it, as its kind writes that: also where the rest of what it is was wrong.
fn read_reference(fields: &Fields<'_, '_>, problems: &mut Problems<'_>) -> Reference {
    let Some(text) = fields.text("ref", problems) else { return Reference::Default };
    let given = ORIGINS.into_iter().find(|key| fields.has(key)).unwrap_or("git");
    let kind = key::Kind::parse(given).unwrap_or(key::Kind::Local);
    kind.reference(text.text).unwrap_or_else(|error| {
        problems.add_error(&text.at, &error, resource::reference_hint(kind));
        Reference::Default
    })
}

fn read_directory(fields: &Fields<'_, '_>, problems: &mut Problems<'_>) -> Option<Key> {
    let path = fields.text("path", problems)?;
    let globs = fields.texts("ignore", problems);
    let place = Path::new(path.text);
    if let Err(error) = Directory::new(place, []) {
        problems.add_error(&path.at, &error, "write an absolute path; `srcfs add NAME --path DIR` makes one");
        return None;
    }
    for glob in &globs {
        if let Err(error) = Directory::new(place, [glob.text]) {
            problems.add_error(&glob.at, &error, "correct it");
        }
    }
    Directory::new(place, globs.iter().map(|glob| glob.text)).ok().map(Key::local)
}

fn read_subpaths(fields: &Fields<'_, '_>, problems: &mut Problems<'_>) -> Vec<String> {
    let texts = fields.texts("subpaths", problems);
    let mut good = Vec::new();
    for text in &texts {
        match parse_subpath(text.text) {
            Ok(_) => good.push(text.text),
            Err(error) => problems.add_error(&text.at, &error, "correct it"),
        }
    }
    parse_subpaths(&good).unwrap_or_else(|error| {
        let at = texts.first().map_or(fields.at.clone(), |text| text.at.clone());
        problems.add_error(&at, &error, "list fewer of them, or their parent");
        Vec::new()
    })
}

fn read_projects(file: &Fields<'_, '_>, problems: &mut Problems<'_>) -> Vec<Project> {
    let mut projects: Vec<Project> = Vec::new();
    for fields in file.tables("project", PROJECT_KEYS, problems) {
        let name = required(&fields, "name", "name = \"web\"", problems);
        let path = required(&fields, "path", "path = \"/home/me/web\"", problems);
        let (Some(name), Some(path)) = (name, path) else { continue };
        match Project::new(name.text, Path::new(path.text)) {
            Ok(project) if projects.iter().any(|other| other.name == project.name) => {
                let why = format!("the project {:?} stands here a second time", name.text);
                problems.add(&name.at, why, "keep one of them");
            }
            Ok(project) => projects.push(project),
            Err(error) => {
                problems.add_error(&name.at, &error, "correct it; `srcfs add NAME --project DIR` makes one");
            }
        }
    }
    projects
}

fn required<'a>(
    fields: &Fields<'a, '_>,
    key: &str,
    example: &str,
    problems: &mut Problems<'_>,
) -> Option<Text<'a>> {
    if !fields.has(key) {
        problems.add(&fields.at, format!("{key} is missing here"), format!("write {example}"));
    }
    fields.text(key, problems)
}

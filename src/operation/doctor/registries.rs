//! Which registries packages come from, as their clients are told.

use std::sync::Arc;

use url::Url;

use super::Check;
use crate::config::variables::Variables;
use crate::error::{Error, Result};
use crate::source::http::shown;
use crate::source::registry::{Defaults, Registries};

/// One check a kind. None of them is needed: a machine without npm may still read crates.
pub(super) fn checks(variables: &Variables) -> Vec<Check> {
    let registries = Registries::new(variables.clone(), None, Arc::new(Defaults::new()));
    // Any name without a scope has the default registry.
    let npm = registries.npm().and_then(|npm| Ok((vec![npm.registry_of("x")?], npm.notes().to_vec())));
    let crates =
        registries.cargo().and_then(|cargo| Ok((vec![cargo.default_index()?], cargo.notes().to_vec())));
    let pypi = registries.pypi().and_then(|pypi| Ok((pypi.indexes()?, pypi.notes().to_vec())));
    vec![check("npm registry", npm), check("crates index", crates), check("pypi index", pypi)]
}

/// Where, and what the configuration says that is not done.
fn check(name: &'static str, found: Result<(Vec<Url>, Vec<String>)>) -> Check {
    let (urls, notes) = match found {
        Ok(found) => found,
        Err(error) => return missing(name, &error),
    };
    let urls: Vec<String> = urls.iter().map(shown).collect();
    let check = Check::ok(name, urls.join(", "));
    match notes.is_empty() {
        true => check,
        false => Check { advice: Some(notes.join("; ")), ..check },
    }
}

fn missing(name: &'static str, error: &Error) -> Check {
    Check::missing(name, error.why(), error.advice().unwrap_or("configure its client")).optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_told_without_its_secrets_and_one_that_nobody_knows_with_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().to_str().unwrap();
        std::fs::write(home.path().join(".npmrc"), "registry=https://registry.test/npm/\n").unwrap();
        let index = "https://me:hunter2@index.test/simple/";
        let variables = Variables::from_pairs([("HOME", place), ("PATH", ""), ("PIP_INDEX_URL", index)]);
        let checks = checks(&variables);
        assert_eq!((checks[0].ok, checks[0].found.as_str()), (true, "https://registry.test/npm/"));
        assert!(checks[1].ok, "cargo's own is known: {:?}", checks[1]);
        assert_eq!((checks[2].ok, checks[2].found.as_str()), (true, "https://index.test/simple/"));
        std::fs::remove_file(home.path().join(".npmrc")).unwrap();
        let variables = Variables::from_pairs([("HOME", place), ("PATH", "")]);
        let checks = super::checks(&variables);
        let advice = checks[0].advice.clone().unwrap_or_default();
        assert!(!checks[0].ok && !checks[0].needed && advice.contains(".npmrc"), "{:?}", checks[0]);
    }
}

//! Secrets in npm's configuration: `//host/path/:_authToken` and its kin. One belongs to what lies below
//! its path, and to nothing else.

use std::collections::BTreeMap;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use url::Url;

use super::expand;
use super::layers::Layers;
use super::spelled;
use crate::source::http::credential::Credential;

/// As node decodes it: with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The credentials, by the `//host/path` they are for.
#[derive(Debug, Default)]
pub(super) struct Credentials(BTreeMap<String, Credential>);

impl Credentials {
    pub(super) fn read(layers: &Layers, notes: &mut Vec<String>) -> Credentials {
        let mut credentials = Credentials::default();
        let places = layers.keys().filter_map(|key| Some((key, key.rsplit_once(':')?)));
        for (key, (place, setting)) in places {
            match setting {
                "_authToken" | "_auth" | "username" | "_password" if place.starts_with("//") => {
                    if !credentials.0.contains_key(place)
                        && let Some(credential) = of_place(layers, place, notes)
                    {
                        credentials.0.insert(place.to_owned(), credential);
                    }
                }
                "certfile" | "keyfile" if place.starts_with("//") => {
                    let origin = layers.get(key).map(|found| found.origin(key)).unwrap_or_default();
                    notes.push(format!("{origin} is not used: srcfs sends no client certificates"));
                }
                _ => {}
            }
        }
        for key in ["_auth", "_authToken", "_password"] {
            if let Some(found) = layers.get(key)
                && found.text().is_some()
            {
                let origin = found.origin(key);
                notes.push(format!("{origin} is not used, because it does not say for which registry: write //host/path/:{key}"));
            }
        }
        notes.sort();
        notes.dedup();
        credentials
    }

    /// Adds what stands in the url of a registry, unless the files say more.
    pub(super) fn add(&mut self, url: &Url, credential: Credential) {
        self.0.entry(spelled(url)).or_insert(credential);
    }

    /// The one with the longest path that `url` lies below. A path may be written with its last slash or
    /// without it.
    pub(super) fn of(&self, url: &Url) -> Option<Credential> {
        let spelled = spelled(url);
        let mut place = spelled.as_str();
        while place.len() > 2 {
            if let Some(credential) = self.0.get(place) {
                return Some(credential.clone());
            }
            place = match place.strip_suffix('/') {
                Some(shorter) => shorter,
                None => &place[..=place.rfind('/')?],
            };
        }
        None
    }
}

fn of_place(layers: &Layers, place: &str, notes: &mut Vec<String>) -> Option<Credential> {
    let mut get = |setting: &str| {
        let key = format!("{place}:{setting}");
        let found = layers.get(&key)?;
        let text = found.text()?;
        if let Some(name) = expand::unset(text) {
            let origin = found.origin(&key);
            notes.push(format!("{origin} is not used: the environment variable {name} is not set"));
            return None;
        }
        // No header can hold it, and the file may have been torn there.
        (!text.contains(|c: char| c.is_ascii_control())).then(|| text.to_owned())
    };
    if let Some(token) = get("_authToken") {
        return Some(Credential::bearer(&token));
    }
    if let Some(encoded) = get("_auth") {
        return Some(Credential::encoded(&encoded));
    }
    let (user, password) = (get("username")?, get("_password")?);
    let password = BASE64.decode(password).ok()?;
    Some(Credential::basic(&user, &String::from_utf8_lossy(&password)))
}

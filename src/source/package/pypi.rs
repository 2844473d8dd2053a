//! What a Python index says of a project, and which of its archives is shown ([`mod@archive`]).
//!
//! The simple API: <https://packaging.python.org/en/latest/specifications/simple-repository-api/>, in JSON and,
//! from indexes that have no other, in HTML ([`html`]), which tells no times.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::asker::{self, Asker, Page};
use super::entries::{LONGEST_NAME, Listed, Text};
use super::hash;
use super::metadata;
use super::offer::{self, Algorithm, Hash, Offer, Published, Release};
use super::said::Said;
use crate::error::{Error, Kind, Result};
use crate::key::Package;
use crate::source::http::documents::Document;
use crate::source::registry::Pypi;

mod archive;
mod html;

use archive::sort_of;
pub(super) use archive::{archive, unreadable};

/// Asks for JSON, and takes HTML.
const ACCEPT: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.2, text/html; q=0.1";

#[derive(Deserialize)]
struct Project {
    name: String,
    files: Listed<File>,
}

#[derive(Deserialize)]
struct File {
    filename: Text,
    url: Text,
    #[serde(default)]
    hashes: Hashes,
    /// Why, if it is yanked; empty if that is not said.
    #[serde(default, deserialize_with = "yanked")]
    yanked: Option<String>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default, rename = "upload-time")]
    uploaded: Option<Text>,
}

/// Those that are strong; others are none.
#[derive(Default, Deserialize)]
struct Hashes {
    sha512: Option<Text>,
    sha384: Option<Text>,
    sha256: Option<Text>,
}

impl Hashes {
    fn strongest(&self) -> Option<Hash> {
        let hex = |algorithm, text: &Option<Text>| hash::hex(algorithm, &text.as_ref()?.0);
        hex(Algorithm::Sha512, &self.sha512)
            .or_else(|| hex(Algorithm::Sha384, &self.sha384))
            .or_else(|| hex(Algorithm::Sha256, &self.sha256))
    }
}

/// `false`, `true`, or why. An empty text is none (PEP 691: only what is truthy says yes), other than the empty
/// attribute in HTML.
fn yanked<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let said = Said::deserialize(deserializer)?;
    Ok(if said == Said::Why(String::new()) { None } else { said.why() })
}

/// What the indexes have of `package`, all of them together: of one version the first that has it names its
/// archives, as for pip the order of indexes decides nothing else.
pub(super) fn offer(package: &Package, pypi: &Pypi, asker: &Asker<'_>) -> Result<Option<Offer>> {
    let indexes = match package.registry() {
        Some(url) => vec![asker::registry_at(url)?],
        None => pypi.indexes()?,
    };
    let (mut found, mut refused): (Option<Offer>, Option<Error>) = (None, None);
    let several = indexes.len() > 1;
    for index in indexes {
        let url = asker::below(&index, &format!("{}/", package.name()))?;
        let credential = pypi.credential_for(&url);
        let page = Page {
            url: &url,
            accept: Some(ACCEPT),
            credential: credential.as_ref(),
            max_age: Duration::ZERO,
        };
        let read =
            |document: &Document| read(package.name(), &document.bytes, &index, &document.url, several);
        let offer = match asker.read(&page, read) {
            Ok(offer) => offer,
            // As for pip, it is not for us, and the others are asked. One that fails otherwise, or refuses the
            // credential that is configured for it, stops it here: it may have what another one must not take
            // the place of.
            Err(error) if several && error.kind() == Kind::NotFoundOrPrivate => {
                log::info!("{error}; the other indexes are asked all the same");
                refused = refused.or(Some(error));
                continue;
            }
            Err(error) => return Err(error),
        };
        let Some(offer) = offer else { continue };
        found = Some(match found {
            None => offer,
            Some(found) => together(found, offer),
        });
    }
    match (found, refused) {
        (None, Some(error)) => Err(error),
        (found, refused) => Ok(found.map(|offer| Offer { refused, ..offer })),
    }
}

/// What one index has, and the versions that only a later one has.
fn together(mut first: Offer, later: Offer) -> Offer {
    let own: HashSet<String> = first.releases.iter().map(|release| release.version.clone()).collect();
    first.releases.extend(later.releases.into_iter().filter(|release| !own.contains(&release.version)));
    first
}

/// Whether a page in HTML says the name of a project. One that names no file of it may be that of an index that
/// has none, and of the login of a hotel.
fn says(document: &[u8], own: &Package) -> bool {
    let text = String::from_utf8_lossy(document);
    let is_of_name = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    let mut words = text.split(|one| !is_of_name(one));
    words.any(|word| Package::new(crate::key::Kind::Pypi, word).is_ok_and(|name| name == *own))
}

/// Reads the page of a project, which is at `page`. [`Kind::Corrupt`] if it is none, or is about another
/// project; also if it is one of HTML without any file, which only that of one of `several` indexes may be.
fn read(name: &str, document: &[u8], index: &Url, page: &Url, several: bool) -> Result<Offer> {
    let what = format!("read what the index says of pypi/{name}");
    let broken = |why: String| {
        Error::new(Kind::Corrupt, what.as_str(), metadata::line(&why).unwrap_or_default())
            .hint("check that the configured index speaks the simple API (PEP 503 or PEP 691)")
    };
    let normal = |name: &str| crate::key::Package::new(crate::key::Kind::Pypi, name).ok();
    let own = normal(name).ok_or_else(|| broken("its name is none".to_owned()))?;
    let is_html = document.trim_ascii_start().starts_with(b"<");
    let (files, base) = if is_html {
        // Its title says nothing that could be relied on: what it names are the files.
        html::files(&what, document, page)?
    } else {
        let document = String::from_utf8_lossy(document);
        let project: Project = serde_json::from_str(&document).map_err(|error| broken(error.to_string()))?;
        if normal(&project.name).as_ref() != Some(&own) {
            return Err(broken(format!("it is about {:?}", project.name)));
        }
        if project.files.is_unreadable() {
            return Err(broken("none of its files can be read".to_owned()));
        }
        (project.files.read(&what)?, page.clone())
    };
    let page = Arc::new(offer::Page { url: page.clone(), base });
    let mut offer = Offer::of(own.name(), index);
    let named = files.len();
    // By version: an index may name hundreds of thousands of files.
    let mut places: HashMap<String, usize> = HashMap::new();
    for file in files {
        let Text(name) = file.filename;
        if name.len() > LONGEST_NAME {
            continue;
        }
        // Old formats (eggs, installers) have no source that pip would take.
        let Some((_, version)) = sort_of(own.name(), &name) else { continue };
        let archive = Published {
            file: name,
            url: file.url.0,
            page: page.clone(),
            hash: file.hashes.strongest(),
            alternatives: Vec::new(),
            size: file.size,
            yanked: file.yanked.map(|why| metadata::line(&why).unwrap_or_default()),
        };
        let published = file.uploaded.and_then(|time| super::time::parse(&time.0));
        let text = version.to_string();
        match places.get(&text).and_then(|at| offer.releases.get_mut(*at)) {
            Some(release) => {
                release.archives.push(archive);
                release.published = release.published.min(published).or(release.published).or(published);
            }
            None => {
                places.insert(text.clone(), offer.releases.len());
                offer.releases.push(Release {
                    version: text,
                    yanked: None,
                    deprecated: false,
                    archives: vec![archive],
                    published,
                });
            }
        }
    }
    let may_be_empty = || (several || named > 0) && says(document, &own);
    if is_html && offer.releases.is_empty() && !may_be_empty() {
        return Err(broken("it is a page that names no file of it".to_owned()));
    }
    for release in &mut offer.releases {
        // A version is yanked when all of it is.
        if release.archives.iter().all(|archive| archive.yanked.is_some()) {
            release.yanked = release.archives.iter().find_map(|archive| archive.yanked.clone());
        }
    }
    Ok(offer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Url {
        Url::parse("https://index.test/simple/").unwrap()
    }

    fn read(name: &str, document: &[u8], index: &Url, page: &Url) -> Result<Offer> {
        super::read(name, document, index, page, false)
    }

    #[test]
    fn a_page_without_a_file_is_one_of_an_index_only_if_it_is_about_the_project() {
        let read = |text: &str, several| super::read("my-lib", text.as_bytes(), &index(), &index(), several);
        for (page, is_one) in [
            ("<h1>Links for my-lib</h1>", true),
            ("<!DOCTYPE html><title>My.Lib: links</title>", true),
            ("<html>Please log in</html>", false),
            ("<h1>Links for my-lib-more</h1>", false),
        ] {
            assert_eq!(read(page, true).is_ok_and(|offer| offer.releases.is_empty()), is_one, "{page}");
            assert_eq!(read(page, false).unwrap_err().kind(), Kind::Corrupt, "{page}");
            let foreign = format!("{page}<a href='/terms.pdf'>x</a>");
            assert_eq!([false, true].map(|several| read(&foreign, several).is_ok()), [is_one; 2], "{page}");
        }
    }

    fn url(archive: &Published) -> String {
        archive.absolute_url().unwrap().into()
    }

    fn page(files: &[(&str, &str)]) -> String {
        let files: Vec<String> = files
            .iter()
            .map(|(name, more)| {
                format!("{{\"filename\": \"{name}\", \"url\": \"http://r.test/{name}\", \"hashes\": {{\"sha256\": \"{}\"}}{more}}}", "b".repeat(64))
            })
            .collect();
        format!(
            "{{\"meta\": {{\"api-version\": \"1.0\"}}, \"name\": \"My.Lib\", \"files\": [{}]}}",
            files.join(",")
        )
    }

    fn chosen(files: &[&str]) -> Option<String> {
        let files: Vec<(&str, &str)> = files.iter().map(|file| (*file, "")).collect();
        let offer = read("my-lib", page(&files).as_bytes(), &index(), &index()).unwrap();
        archive("my-lib", &offer.releases[0]).map(|(archive, ..)| archive.file)
    }

    #[test]
    fn files_are_gathered_into_versions() {
        let offer = read(
            "my-lib",
            page(&[
                ("my_lib-1.0.tar.gz", ", \"upload-time\": \"2020-01-02T03:04:05.6Z\""),
                ("my_lib-1.0-py3-none-any.whl", ""),
                ("My-Lib-0.9.zip", ", \"yanked\": \"broken\""),
                ("my_lib-2.0rc1-py3-none-any.whl", ", \"yanked\": false"),
                ("my_lib-0.7.tar.gz", ", \"yanked\": true"),
                ("my_lib-0.6.tar.gz", ", \"yanked\": \"\""),
                ("my_lib-0.1-py2.7.egg", ""),
                ("other-3.0.tar.gz", ""),
                ("other-3.0-py3-none-any.whl", ""),
                ("my_lib_more-4.0-py3-none-any.whl", ""),
                ("My.Lib-0.8-py3-none-any.whl", ""),
                ("my_lib-x.tar.gz", ""),
            ])
            .as_bytes(),
            &index(),
            &index(),
        )
        .unwrap();
        let versions: Vec<_> = offer.releases.iter().map(|release| release.version.as_str()).collect();
        assert_eq!(versions, ["1.0", "0.9", "2.0rc1", "0.7", "0.6", "0.8"]);
        assert_eq!(offer.releases[0].archives.len(), 2);
        assert!(offer.releases[0].published.is_some());
        let yanked: Vec<_> = offer.releases.iter().map(|release| release.yanked.as_deref()).collect();
        assert_eq!(yanked, [None, Some("broken"), None, Some(""), None, None]);
        assert_eq!(offer.name, "my-lib");
        for document in ["", "<html>", "{}", "{\"name\": \"other\", \"files\": []}"] {
            assert_eq!(
                read("my-lib", document.as_bytes(), &index(), &index()).unwrap_err().kind(),
                Kind::Corrupt,
                "{document}"
            );
        }
    }

    #[test]
    fn an_odd_file_hides_nothing_of_the_others() {
        let long = format!("my_lib-1.0+{}.tar.gz", "x".repeat(300));
        let files = [("my_lib-1.0.tar.gz", ""), ("my_lib-0.9.tar.gz", ", \"size\": []"), (long.as_str(), "")];
        let document =
            super::tests::page(&files).replace("[{", "[null, {}, {\"filename\": \"my_lib-2.0.zip\"}, {");
        let offer = read("my-lib", document.as_bytes(), &index(), &index()).unwrap();
        let versions: Vec<_> = offer.releases.iter().map(|release| release.version.as_str()).collect();
        assert_eq!(versions, ["1.0"]);
        let document = "{\"name\": \"my-lib\", \"files\": [{}]}";
        let error = read("my-lib", document.as_bytes(), &index(), &index()).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
    }

    #[test]
    fn a_page_of_very_many_files_is_refused() {
        for (begin, file, end) in [
            ("{\"name\": \"my-lib\", \"files\": [{}", ",{\"filename\":\"\",\"url\":\"\"}", "]}"),
            ("<a href=x>", "<a href=x>", ""),
        ] {
            let document = format!("{begin}{}{end}", file.repeat(super::super::entries::MOST + 1));
            let error = read("my-lib", document.as_bytes(), &index(), &index()).unwrap_err();
            assert_eq!(error.kind(), Kind::TooLarge);
        }
    }

    #[test]
    fn a_page_of_html_says_the_same() {
        let page = Url::parse("https://index.test/simple/my-lib/").unwrap();
        let hash = "c".repeat(64);
        let html = format!(
            "<!DOCTYPE html><html><head><title>Links</title></head><body>\n\
             <a href=\"../../files/my_lib-1.0%2Blocal.tar.gz#sha256={hash}\" data-requires-python=\"&gt;=3\">x</a>\n\
             <A HREF='https://other.test/My-Lib-0.9.zip#md5=00' data-yanked='bad &amp; broken'>y</A>\n\
             <a href='my_lib-0.8.tar.gz#egg=my-lib&sha256={hash}&subdirectory=x' data-yanked>z</a>\n\
             <a href='other-3.0-py3-none-any.whl#sha256={hash}'>not its own</a>\n\
             <a href=\"/simple/\">up</a> <a>nothing</a></body></html>"
        );
        let offer = read("my-lib", html.as_bytes(), &index(), &page).unwrap();
        let [new, old, oldest] = &offer.releases[..] else { panic!("{offer:?}") };
        assert_eq!((&oldest.archives[0].hash, oldest.yanked.as_deref()), (&new.archives[0].hash, Some("")));
        assert_eq!(new.version, "1.0+local");
        assert_eq!(url(&new.archives[0]), "https://index.test/files/my_lib-1.0%2Blocal.tar.gz");
        assert_eq!(new.archives[0].hash.as_ref().unwrap().hex, hash);
        assert_eq!((old.yanked.as_deref(), &old.archives[0].hash), (Some("bad & broken"), &None));
    }

    #[test]
    fn links_are_relative_to_the_base_that_a_page_names() {
        let page = Url::parse("https://index.test/simple/my-lib/").unwrap();
        let html = "<a href='my_lib-1.0.tar.gz'>a</a><base href='/files/'><base href='/more/'>\
            <a href='//other.test/my_lib-2.0.tar.gz?x'>b</a>";
        let offer = read("my-lib", html.as_bytes(), &index(), &page).unwrap();
        let urls: Vec<_> = offer.releases.iter().map(|release| url(&release.archives[0])).collect();
        assert_eq!(
            urls,
            ["https://index.test/files/my_lib-1.0.tar.gz", "https://other.test/my_lib-2.0.tar.gz?x"]
        );
        assert_eq!(offer.releases[0].archives[0].page.url, page);
    }

    #[test]
    fn of_several_indexes_the_first_with_a_version_counts_and_each_leads_where_it_may() {
        let [public, private] = ["https://index.test/simple/my-lib/", "https://10.0.0.1/simple/my-lib/"]
            .map(|url| Url::parse(url).unwrap());
        let both = |first: &Url, later: &Url| {
            let read = |files: &[(&str, &str)], at: &Url| {
                let text = super::tests::page(files).replace("http://r.test", "https://10.0.0.1");
                read("my-lib", text.as_bytes(), &index(), at).unwrap()
            };
            let first = read(&[("my_lib-1.0.tar.gz", "")], first);
            together(first, read(&[("my_lib-1.0.zip", ""), ("my_lib-2.0.tar.gz", "")], later))
        };
        let is_led = |archive: &Published| {
            let to = archive.absolute_url().unwrap();
            crate::source::http::redirect::check("fetch it", &archive.page.url, &to).is_ok()
        };
        for (first, later, led) in [(&public, &private, [false, true]), (&private, &public, [true, false])] {
            let offer = both(first, later);
            let archives: Vec<_> = offer.releases.iter().flat_map(|release| &release.archives).collect();
            let files: Vec<_> = archives.iter().map(|archive| archive.file.as_str()).collect();
            assert_eq!(files, ["my_lib-1.0.tar.gz", "my_lib-2.0.tar.gz"]);
            assert_eq!([is_led(archives[0]), is_led(archives[1])], led, "{first} {later}");
        }
    }

    #[test]
    fn the_sdist_is_shown_else_the_pure_wheel_else_the_newest_of_this_platform() {
        let arch = std::env::consts::ARCH;
        let native = |python: &str| {
            format!("my_lib-1.0-{python}-{python}-manylinux_2_17_{arch}.manylinux2014_{arch}.whl")
        };
        let (old, new) = (native("cp39"), native("cp312"));
        let pure = "my_lib-1.0-py2.py3-none-any.whl";
        assert_eq!(chosen(&[pure, "my_lib-1.0.zip", "my_lib-1.0.tar.gz"]).unwrap(), "my_lib-1.0.tar.gz");
        assert_eq!(chosen(&[&new, pure, &old]).unwrap(), pure);
        assert_eq!(chosen(&[&new, &old, "my_lib-1.0-cp313-cp313-win_amd64.whl"]).unwrap(), new);
        assert_eq!(chosen(&["my_lib-1.0-cp313-cp313-win_amd64.whl"]), None);
    }

    #[test]
    fn a_version_of_which_nothing_can_be_shown_says_what_there_is() {
        let windows = "my_lib-1.0-cp313-cp313-win_amd64.whl";
        for (files, said) in [
            (
                &["my_lib-1.0.tar.bz2"][..],
                "compressed by bzip2 or xz, which srcfs does not read: my_lib-1.0.tar.bz2",
            ),
            (
                &[windows, "my_lib-1.0-cp312-cp312-win32.whl"],
                "no sdist, and its wheels are for other platforms",
            ),
            (&["my_lib-1.0.tar.xz", windows], "and its wheels are for other platforms than this one"),
        ] {
            assert_eq!(chosen(files), None);
            let files: Vec<(&str, &str)> = files.iter().map(|file| (*file, "")).collect();
            let offer = read("my-lib", page(&files).as_bytes(), &index(), &index()).unwrap();
            let why = unreadable("my-lib", &offer.releases[0]);
            assert!(why.contains(said), "{why}");
        }
    }
}

//! Search paths of btca as subpaths.
//!
//! Those that were pasted from the page of a forge carry its `tree/<branch>/`; where the branch is that
//! of the resource it can be nothing else and is taken off. What is not sure is left as it stands, with a
//! remark. Nothing here fails: what is no path at all is refused where subpaths are parsed.

use crate::config::pasted_prefix;

/// The subpaths that `paths` of the repository `url` mean, all if empty, and what is to be said of them.
pub(super) fn understood(paths: &[String], url: &str, branch: Option<&str>) -> (Vec<String>, Vec<String>) {
    let (mut subpaths, mut remarks) = (Vec::new(), Vec::new());
    let mut whole = false;
    for path in paths.iter().map(|path| path.trim()).filter(|path| !path.is_empty()) {
        let plain = match unpasted(path, url, branch) {
            Some(rest) => {
                remarks.push(match rest {
                    "" => format!("the search path {} is taken for all of it", shown(path)),
                    rest => format!("the search path {} is taken for {}", shown(path), shown(rest)),
                });
                rest
            }
            None => {
                if let Some(prefix) = pasted_prefix(path).filter(|prefix| is_page(prefix)) {
                    let (path, prefix) = (shown(path), shown(prefix));
                    remarks.push(format!(
                        "the search path {path} is kept, but of a web page's address {prefix} would not belong to it"
                    ));
                }
                path
            }
        };
        let mut plain = plain;
        while let Some(rest) = plain.strip_prefix("./") {
            plain = rest.trim_start_matches('/');
        }
        match plain {
            "" | "." => whole = true,
            path => subpaths.push(path.to_owned()),
        }
    }
    if whole {
        subpaths.clear();
    }
    (subpaths, remarks)
}

/// What follows the address of the branch's web page, if `path` begins with that.
fn unpasted<'p>(path: &'p str, url: &str, branch: Option<&str>) -> Option<&'p str> {
    let repository = url.trim_end_matches('/').trim_end_matches(".git");
    let path = match path.strip_prefix(repository) {
        Some(rest) if !repository.is_empty() => rest,
        _ => path,
    };
    let path = path.trim_start_matches('/');
    let path = path.strip_prefix("-/").unwrap_or(path);
    let path = path.strip_prefix("tree/").or_else(|| path.strip_prefix("blob/"))?;
    let rest = path.strip_prefix(branch?)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/'))
}

fn is_page(prefix: &str) -> bool {
    ["tree/", "blob/"].iter().any(|page| prefix.starts_with(page))
}

fn shown(path: &str) -> String {
    crate::redact::redact(path).chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://github.com/team/docs.git";

    fn of(paths: &[&str], branch: &str) -> Vec<String> {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        understood(&paths, URL, Some(branch)).0
    }

    #[test]
    fn a_page_of_the_branch_itself_is_its_path() {
        for (path, branch, means) in [
            ("docs/guide", "main", &["docs/guide"][..]),
            ("./docs/", "main", &["docs/"]),
            ("tree/main/docs", "main", &["docs"]),
            ("/tree/main/docs/", "main", &["docs"]),
            ("-/tree/main/docs", "main", &["docs"]),
            ("blob/feature/x/docs/a.md", "feature/x", &["docs/a.md"]),
            ("https://github.com/team/docs/tree/main/a", "main", &["a"]),
            // Perhaps a directory that is called so.
            ("tree/dev/docs", "main", &["tree/dev/docs"]),
            ("tree/mainly", "main", &["tree/mainly"]),
            ("packages/tree/main/a", "main", &["packages/tree/main/a"]),
            ("tree/main", "main", &[]),
            (".", "main", &[]),
            ("./", "main", &[]),
            (" ", "main", &[]),
        ] {
            assert_eq!(of(&[path], branch), means, "{path}");
        }
        assert_eq!(of(&["docs", "."], "main"), [""; 0], "the root holds all others");
        assert_eq!(of(&["docs", ""], "main"), ["docs"], "an empty one is none");
    }

    #[test]
    fn what_was_taken_in_another_way_is_said() {
        let remarks = |path: &str| understood(&[path.to_owned()], URL, Some("main")).1;
        assert_eq!(remarks("docs"), [""; 0]);
        assert_eq!(remarks("packages/tree/x"), [""; 0]);
        assert!(remarks("tree/main/docs")[0].ends_with("is taken for docs"));
        assert!(remarks("tree/main")[0].ends_with("is taken for all of it"));
        assert!(remarks("tree/dev/docs")[0].contains("tree/dev/"));
    }
}

//! What is told of a package, as extended attributes of its root.

use crate::source::About;

/// An attribute: its name, and what it holds of a package, if anything.
type Attribute = (&'static str, fn(&About) -> Option<String>);

const ATTRIBUTES: [Attribute; 10] = [
    ("user.srcfs.version", |about| Some(about.version.clone())),
    ("user.srcfs.archive", |about| Some(about.archive.clone())),
    ("user.srcfs.archive.chosen", |about| about.chosen.clone()),
    ("user.srcfs.hash", |about| Some(about.hash.clone())),
    ("user.srcfs.yanked", |about| about.yanked.clone()),
    ("user.srcfs.repository", |about| about.repository.clone()),
    ("user.srcfs.license", |about| about.license.clone()),
    ("user.srcfs.description", |about| about.description.clone()),
    ("user.srcfs.homepage", |about| about.homepage.clone()),
    ("user.srcfs.left_out", left_out),
];

/// The names of those that a package has.
pub(super) fn names(about: &About) -> impl Iterator<Item = &'static str> {
    ATTRIBUTES.iter().filter(|(_, value)| value(about).is_some()).map(|(name, _)| *name)
}

/// The value of one.
pub(super) fn value(about: &About, name: &str) -> Option<String> {
    ATTRIBUTES.iter().find(|(own, _)| *own == name).and_then(|(_, value)| value(about))
}

/// What the attributes of the root of a package tell, but for what was left out of it; none if there is no version
/// among them. Its name is not among them.
pub(crate) fn about<E>(read: impl Fn(&str) -> Result<Option<String>, E>) -> Result<Option<About>, E> {
    let Some(version) = read("user.srcfs.version")? else { return Ok(None) };
    Ok(Some(About {
        version,
        archive: read("user.srcfs.archive")?.unwrap_or_default(),
        chosen: read("user.srcfs.archive.chosen")?,
        hash: read("user.srcfs.hash")?.unwrap_or_default(),
        yanked: read("user.srcfs.yanked")?,
        repository: read("user.srcfs.repository")?,
        license: read("user.srcfs.license")?,
        description: read("user.srcfs.description")?,
        homepage: read("user.srcfs.homepage")?,
        ..About::default()
    }))
}

/// One line for each entry of the archive that is not shown: its name, and why.
fn left_out(about: &About) -> Option<String> {
    let mut lines: Vec<String> =
        about.left_out.iter().map(|left| format!("{}: {}", left.name, left.why)).collect();
    match about.left_out_count.saturating_sub(lines.len() as u64) {
        0 => {}
        more => lines.push(format!("and {more} more")),
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::LeftOut;

    #[test]
    fn a_package_has_the_attributes_that_are_known_of_it() {
        let about = About { version: "1.0".into(), hash: "sha256:0".into(), ..About::default() };
        let listed: Vec<_> = names(&about).collect();
        assert_eq!(listed, ["user.srcfs.version", "user.srcfs.archive", "user.srcfs.hash"]);
        assert_eq!(value(&about, "user.srcfs.version").as_deref(), Some("1.0"));
        assert_eq!(value(&about, "user.srcfs.license"), None);
        let yanked = About { yanked: Some("broken".into()), license: Some("MIT".into()), ..about.clone() };
        assert_eq!(super::about(|name| Ok::<_, ()>(value(&yanked, name))), Ok(Some(yanked.clone())));
        assert_eq!(super::about(|_| Ok::<_, ()>(None)), Ok(None), "it is no package");
        let left = LeftOut { name: "a".into(), why: "it is a link".into() };
        let about = About { left_out: vec![left], left_out_count: 3, ..about };
        assert_eq!(value(&about, "user.srcfs.left_out").as_deref(), Some("a: it is a link\nand 2 more"));
    }
}

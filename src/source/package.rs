//! Source trees from published packages: npm, crates, Python projects.
//!
//! | file | what it knows |
//! |---|---|
//! | `offer`, `hash`, `time` | what a registry has of a package |
//! | `npm`, `crates`, `pypi` | how each registry says it, and which archive is shown |
//! | `choose` | which version a reference means |

mod choose;
mod crates;
mod hash;
mod metadata;
mod npm;
mod offer;
mod pypi;
mod time;

/// Whether two names are one crate.
fn same_crate(one: &str, other: &str) -> bool {
    let normal = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    normal(one) == normal(other)
}

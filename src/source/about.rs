//! What a registry, and a package itself, tell of one version.

use serde::{Deserialize, Serialize};

/// What is told of one version of a package. All texts are the publisher's own: one line each, without
/// control characters, shortened if they are long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The name as its registry writes it.
    pub name: String,
    /// The version as its registry writes it.
    pub version: String,
    /// The file name of the published archive that is shown.
    pub archive: String,
    /// Why that one is shown, where a version has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
    /// The hash that the registry publishes of the archive, as it writes it: `sha512-` and base64 (npm), or
    /// `sha256:` and hexadecimal digits.
    pub hash: String,
    /// The hashes of the other archives of the version, where it has several (Python).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// When it was published, in seconds since 1970, if the registry says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<u64>,
    /// Why its authors took it back, if they did; empty if they did not say why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yanked: Option<String>,
    /// Its repository, as the package says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Its licence, as the package says; usually an SPDX expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// What it is, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Entries of the archive that are not shown, the first hundred of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// How many entries of the archive are not shown.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out_count: u64,
}

/// An entry of an archive that is not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its name in the archive; what is not UTF-8 is replaced.
    pub name: String,
    /// Why.
    pub why: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

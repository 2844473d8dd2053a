//! Published archives become git trees: what their own clients would unpack, or a refusal that says why.

mod crates;
mod equal;
mod hostile_tar;
mod hostile_zip;
mod limits;
mod model;
mod npm;
mod packer;
mod pypi;
mod shown;

//! Speaks HTTP with registries of packages: one request, bounded in every direction.

pub mod credential;

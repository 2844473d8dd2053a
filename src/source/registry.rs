//! Where the registries of packages are and how to log in there, as their own clients are told.

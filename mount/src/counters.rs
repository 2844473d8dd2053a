//! How many requests of each kind came: what shows that the kernel does the reading.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($field:ident $name:literal),* $(,)?) => {
        /// Requests received, by kind.
        #[derive(Default)]
        pub(crate) struct Counters {
            $(pub(crate) $field: Counter,)*
        }

        impl Counters {
            /// All of them, by their name in the protocol.
            pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field.0.load(Relaxed)),)*]
            }
        }
    };
}

counters! {
    lookup "LOOKUP",
    lookup_in_view "LOOKUP_IN_VIEW",
    forget "FORGET",
    getattr "GETATTR",
    getattr_in_view "GETATTR_IN_VIEW",
    readlink "READLINK",
    open "OPEN",
    read "READ",
    opendir "OPENDIR",
    readdir "READDIR",
    readdirplus "READDIRPLUS",
    getxattr "GETXATTR",
    listxattr "LISTXATTR",
    other "OTHER",
}

/// One count.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub(crate) fn one(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

//! The cache against a model of it: random operations of several processes on one cache, each answer and
//! everything that can be seen on disk compared with what a pure description of the cache says.
//!
//! | | |
//! |---|---|
//! | `steps` | what can be done, and random sequences of it |
//! | `pure` | the model: one definition of what is right |
//! | `upstream` | repositories whose every byte follows from a number |
//! | `worker` | the processes: this binary, started again |
//! | `stage`, `seen` | does the steps, and compares |
//! | `order` | operations at once: is there an order of them that explains what was seen? |
//! | `random`, `regressions` | the tests |
//!
//! `SRCFS_MODEL_CASES` says how many sequences each test tries, `SRCFS_MODEL_SEED` which.

// Processes are started and the environment is read here; the rules of clippy.toml are for the program.
#![allow(clippy::disallowed_methods)]

mod order;
mod pure;
mod random;
mod regressions;
mod seen;
mod stage;
mod steps;
mod upstream;
mod worker;

//! The kernel-facing parts against the real kernel: real mounts, real processes. Needs root; what a
//! machine cannot do is said, never skipped in silence.

mod daemon;
mod halting;
mod holding;
mod mounting;
mod ordinary_user;
mod stage;
mod unmounting;

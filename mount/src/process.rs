//! temp
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
/// x
pub struct Identity { pub tgid: u32, pub start: u64 }
pub fn identity(_: u32) -> Option<Identity> { None }
pub fn is_alive(_: Identity) -> bool { true }
pub fn is_halted(_: Identity) -> bool { false }
pub fn is_signalled(_: u32) -> bool { false }
pub fn boot_ticks_now() -> u64 { 0 }

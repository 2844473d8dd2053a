//! temp
pub struct Holders { pub holders: Vec<Holder> }
pub struct Holder { pub pid: u32, pub ino: u64 }
impl Holder { pub fn is_working_directory(&self) -> bool { false } }
pub fn of_mount(_: u64) -> Holders { Holders { holders: vec![] } }

//! Random trees through the kernel against the tree they were made of.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::memory::*;

/// A small generator of reproducible choices (xorshift64*, Marsaglia 2003 with Vigna's multiplier).
struct Choices(u64);

impl Choices {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % n
    }
}

fn random_tree(choices: &mut Choices) -> BTreeMap<PathBuf, Content> {
    let mut tree = BTreeMap::new();
    for _ in 0..choices.below(200) {
        let depth = choices.below(5);
        // Directories and files are told apart by their names, so that no path is both.
        let mut path: PathBuf = (0..depth).map(|_| format!("d{}", choices.below(4))).collect();
        path.push(match choices.below(4) {
            0 => "n".repeat(1 + choices.below(255) as usize),
            1 => format!("ü {}", choices.below(10)),
            _ => format!("f{}", choices.below(50)),
        });
        let size = match choices.below(10) {
            0 => 200_000 + choices.below(300_000),
            1 => 0,
            _ => choices.below(5_000),
        };
        let bytes: Vec<u8> = (0..size).map(|_| choices.below(256) as u8).collect();
        let content = match choices.below(8) {
            0 => Content::Link(b"d0/../f1".to_vec()),
            n => Content::File(bytes, n == 1),
        };
        tree.insert(path, content);
    }
    tree
}

#[test]
fn random_trees_come_out_as_they_went_in_also_after_the_kernel_forgot_them() {
    let mount = Mount::new();
    for seed in 1..=20 {
        let tree = random_tree(&mut Choices(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed)));
        let name = format!("v{seed}");
        mount.tree.bind(&name, MemorySnapshot::new(&tree));
        for _ in 0..2 {
            assert_eq!(walk(&mount.path(&name)).unwrap(), tree, "seed {seed}");
            // Only root may; for others the second walk is answered from the kernel's caches.
            let _ = std::fs::write("/proc/sys/vm/drop_caches", "3");
        }
    }
}

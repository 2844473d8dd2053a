//! Speed of the store on a large repository: no test, run by hand. Prints seconds and memory.
//!
//! ```text
//! SRCFS_BENCH_REPOSITORY=/srv/linux.git cargo test --release --test store_speed -- --ignored --nocapture
//! ```

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use sha1::Digest;
use srcfs::store::{Kind, Limits, Objects, Table, packs};

/// What the kernel asks for at once.
const REQUEST: u32 = 1 << 20;

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let lines = status.lines().filter(|line| line.starts_with("RssAnon") || line.starts_with("VmHWM"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

fn timed<T>(what: &str, call: impl FnOnce() -> T) -> T {
    let (start, used) = (Instant::now(), processor_ms());
    let result = call();
    let (wall, used) = (start.elapsed().as_secs_f64() * 1e3, processor_ms() - used);
    println!("{what:<30} {wall:>8.1} ms, processor {used:>8.1} ms   {}", memory());
    result
}

#[test]
#[ignore = "a measurement, not a test"]
#[allow(clippy::disallowed_methods, reason = "only this measurement asks for it")]
fn measure() {
    let repository = PathBuf::from(std::env::var_os("SRCFS_BENCH_REPOSITORY").expect("a repository"));
    let git = git2::Repository::open_bare(&repository).unwrap();
    let tree = git.revparse_single("main^{tree}").unwrap().id().to_string();
    drop(git);
    let table = timed("build the table", || Table::build(&repository, &tree, &Limits::default()).unwrap());
    println!("{table:?}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table");
    let record = timed("save", || table.save(&file).unwrap());
    println!("{} bytes, {:.1} a node", record.bytes, record.bytes as f64 / f64::from(table.len()));
    drop(table);
    let table = timed("load", || Table::load(&file, &record).unwrap());
    let records = timed("record the packs", || packs(&repository).unwrap());
    timed("look up every path", || {
        (0..table.len())
            .for_each(|node| assert_eq!(table.find(table.path(node).to_str().unwrap()), Some(node)));
    });

    // Breadth-first order is not how a walk reads: path order is nearer.
    let mut nodes: Vec<u32> = (0..table.len())
        .filter(|&node| matches!(table.node(node).unwrap().kind, Kind::File { .. } | Kind::Symlink))
        .collect();
    nodes.sort_by_key(|&node| table.path(node));
    for (threads, how) in [(1, ""), (2, ""), (4, ""), (2, "from the disk"), (2, "and hash")] {
        if how == "from the disk" {
            for record in &records {
                let pack = repository.join(format!("objects/pack/{}.pack", record.name));
                let pack = std::fs::File::open(pack).unwrap();
                nix::fcntl::posix_fadvise(&pack, 0, 0, nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED)
                    .unwrap();
            }
        }
        let objects = timed("open and check the packs", || Objects::open(&repository, &records).unwrap());
        let (next, bytes, peak) = (AtomicU32::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let read_on = || {
            while let Some(&node) = nodes.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                let node = table.node(node).unwrap();
                let mut hash = sha1::Sha1::new_with_prefix(format!("blob {}\0", node.size));
                for offset in (0..node.size).step_by(REQUEST as usize) {
                    let mut take = |part: &[u8]| {
                        bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
                        if how == "and hash" {
                            hash.update(part);
                        }
                    };
                    objects.read(&node.object, offset, REQUEST, &mut take).unwrap();
                }
                assert!(how != "and hash" || hash.finalize()[..] == node.object.0);
            }
        };
        timed(&format!("read all, {threads} threads {how}"), || {
            std::thread::scope(|scope| {
                (0..threads).for_each(|_| drop(scope.spawn(read_on)));
                while next.load(Ordering::Relaxed) < nodes.len() as u32 {
                    peak.fetch_max(anonymous(), Ordering::Relaxed);
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            });
        });
        assert_eq!(bytes.into_inner(), table.bytes());
        println!("peak of RssAnon: {} kB", peak.into_inner());
    }
}

fn processor_ms() -> f64 {
    let used = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap();
    std::time::Duration::from(used).as_secs_f64() * 1e3
}

fn anonymous() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

//! What the soak prints: a line every ten seconds, a table at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ending::Told;
use crate::soak::Soak;

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::SeqCst)
}

/// How it goes.
pub fn line(soak: &Soak) {
    let counts = &soak.counts;
    let fetches = soak.fetches();
    let packs: usize = fetches.values().map(|account| account.packs).sum();
    // While a clear runs it is not known yet which generation it ended.
    let most = match get(&counts.emptying) {
        0 => format!(" (at most {})", fetches.values().map(|account| account.most).max().unwrap_or_default()),
        _ => String::new(),
    };
    println!(
        "{:5.0} s  walks {} (cut {}), files hashed {}, torn {}, errors {}; packs {packs}{most}; moves {}, gets {}, clears {}, gcs {}; killed {} verbs, {} daemons",
        soak.elapsed().as_secs_f64(),
        get(&counts.walks),
        get(&counts.cut),
        get(&counts.files),
        get(&counts.torn),
        get(&counts.errors),
        get(&counts.moves),
        get(&counts.gets),
        get(&counts.clears),
        get(&counts.gcs),
        get(&counts.verbs_killed),
        get(&counts.daemons_killed),
    );
}

/// How it went; whether all was as promised.
pub fn end(soak: &Soak, told: &Told) -> bool {
    let counts = &soak.counts;
    let mut most = 0;
    println!();
    for (repository, account) in soak.fetches() {
        most = most.max(account.most);
        println!(
            "  {repository}: {} packs into {} generations, of one commit into one at most {}; of \
             these packs {} are not counted as there, because their fetcher was killed soon after, \
             and {}, because it did not publish them",
            account.packs,
            account.ended + 1,
            account.most,
            account.cut,
            account.unused
        );
        for again in &account.again {
            soak.error(&format!("fetched twice into one generation of {repository}: {again}"));
        }
    }
    for (warning, times) in &told.warnings {
        println!("  warned {times} times: {warning}");
    }
    let held = &told.held;
    let part = |part: usize| held.get((held.len() * part / 100).min(held.len().saturating_sub(1)));
    if let (Some(half), Some(high), Some(most)) = (part(50), part(99), held.last()) {
        println!(
            "  commit locks held {} times: median {:.1} ms, p99 {:.1} ms, longest {:.1} ms ({})",
            held.len(),
            half.0 as f64 / 1e3,
            high.0 as f64 / 1e3,
            most.0 as f64 / 1e3,
            most.1
        );
    }
    // A soak in which nothing happened has shown nothing.
    for (what, count) in [
        ("walks", &counts.walks),
        ("files", &counts.files),
        ("clears", &counts.clears),
        ("moves", &counts.moves),
        ("killed verbs", &counts.verbs_killed),
        ("killed daemons", &counts.daemons_killed),
    ] {
        if get(count) == 0 {
            soak.error(&format!("there were no {what}"));
        }
    }
    let (torn, errors) = (get(&counts.torn), get(&counts.errors));
    println!();
    for (what, value) in [
        ("walks", get(&counts.walks)),
        ("walks cut short by a killed daemon", get(&counts.cut)),
        ("files hashed", get(&counts.files)),
        ("torn", torn),
        ("errors", errors),
        ("fetches per key and generation, most", most as u64),
        ("longest clear, ms", get(&counts.longest_clear)),
        ("getcwd failed in a replaced view, ms", get(&counts.nowhere)),
        ("longest commit lock, us", held.last().map_or(0, |most| most.0)),
        ("upstream moves", get(&counts.moves)),
        ("clears", get(&counts.clears)),
        ("gcs", get(&counts.gcs)),
        ("verbs killed", get(&counts.verbs_killed)),
        ("daemons killed", get(&counts.daemons_killed)),
        ("daemons started again", get(&counts.restarts)),
    ] {
        println!("  {what:<38} {value}");
    }
    torn == 0 && errors == 0
}

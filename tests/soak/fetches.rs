//! How often what was fetched: never the same commit twice into one generation.
//!
//! The server notes each pack that it sends: repository, commit, when it was asked for, and by which
//! process (each that the soak starts has a name of its own, which git tells the server). Which
//! generation a pack went to the server cannot know, but when generations ended is known: the tombstone
//! of a clear has its time, a gc its beginning and end. So the packs of one commit are gone through in
//! order, and between two of them there must have been an end of a generation that no earlier pair has
//! needed. If there was not, the second went into a generation that had it already.
//!
//! A pack whose fetcher was killed before it can be told to be in the cache does not count as one that
//! the generation had: it is counted apart, and each kill may so add one pack for a commit. It must have
//! been asked for within [`CUT`] before the kill; what an older pack of a killed daemon brought is
//! expected to be there. Nor does one count that its fetcher says it did not publish, because a clear
//! came meanwhile and the upstream answered something else when it was asked again.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::harness::git_server::Transfer;

/// How long before its fetcher's death a pack may have been asked for and still not be in the cache.
const CUT: Duration = Duration::from_secs(10);

/// An end of generations: somewhere between these two moments, of one repository or of all.
#[derive(Clone, Debug)]
pub struct Emptied {
    pub repository: Option<String>,
    pub from: Instant,
    pub until: Instant,
}

/// What somebody fetched and did not publish.
#[derive(Clone, Debug)]
pub struct Unused {
    pub repository: String,
    pub commit: String,
    /// When its fetcher had it, and let it go.
    pub at: Instant,
}

/// What was fetched of one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Packs sent.
    pub packs: usize,
    /// Generations that ended.
    pub ended: usize,
    /// Packs whose fetcher was killed.
    pub cut: usize,
    /// Packs that their fetcher did not publish.
    pub unused: usize,
    /// The most that one commit was fetched into one generation, those apart.
    pub most: usize,
    /// Who fetched again what was there.
    pub again: Vec<String>,
}

/// The account of each repository.
pub fn account(
    transfers: &[Transfer],
    emptied: &[Emptied],
    killed: &HashMap<String, Instant>,
    unused: &[Unused],
) -> BTreeMap<String, Account> {
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    let mut commits: BTreeMap<(&str, String), Vec<&Transfer>> = BTreeMap::new();
    for transfer in transfers {
        accounts.entry(transfer.repository.clone()).or_default().packs += 1;
        let wanted = transfer.wants.join(" ");
        commits.entry((transfer.repository.as_str(), wanted)).or_default().push(transfer);
    }
    for (repository, account) in &mut accounts {
        account.ended = emptied.iter().filter(|emptied| emptied.is_of(repository)).count();
    }
    for ((repository, wanted), mut packs) in commits {
        packs.sort_by_key(|pack| pack.began);
        let account = accounts.entry(repository.to_owned()).or_default();
        let mut ends: Vec<&Emptied> = emptied.iter().filter(|emptied| emptied.is_of(repository)).collect();
        ends.sort_by_key(|end| end.until);
        // When it was last fetched, and how often into the generation of that moment.
        let mut had: Option<(&Transfer, usize)> = None;
        let of_this = |unused: &&Unused| unused.repository == repository && unused.commit == wanted;
        for (n, &pack) in packs.iter().enumerate() {
            let into = match had {
                None => 1,
                Some((before, into)) => {
                    let fits = |end: &&Emptied| end.until >= before.began && end.from <= pack.began;
                    match ends.iter().position(fits) {
                        Some(end) => {
                            ends.drain(..=end);
                            1
                        }
                        None => {
                            let after = pack.began - before.began;
                            let (first, second) = (&before.agent, &pack.agent);
                            account.again.push(format!("{wanted} by {first}, {after:?} later by {second}"));
                            into + 1
                        }
                    }
                }
            };
            account.most = account.most.max(into);
            let died = killed.get(&pack.agent).and_then(|died| died.checked_duration_since(pack.began));
            let cut = died.is_some_and(|after| after < CUT);
            // One fetches at a time, so it is the last pack that was asked for before.
            let next = packs.get(n + 1).map(|next| next.began);
            let is_this =
                |unused: &Unused| unused.at >= pack.began && next.is_none_or(|next| unused.at < next);
            let let_go = unused.iter().filter(of_this).any(is_this);
            if cut || let_go {
                account.cut += usize::from(cut);
                account.unused += usize::from(let_go);
                // Into a generation of which nothing is known to be there.
                had = had.filter(|_| into > 1);
            } else {
                had = Some((pack, into));
            }
        }
    }
    accounts
}

impl Emptied {
    fn is_of(&self, repository: &str) -> bool {
        self.repository.as_deref().is_none_or(|of| of == repository)
    }
}

/// That the account sees what it is for: run before each soak, because one that is blind finds nothing.
pub fn prove() {
    let start = Instant::now();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    let pack = |seconds: u64, agent: &str| Transfer {
        repository: "a".into(),
        wants: vec!["1".into()],
        agent: agent.into(),
        began: at(seconds),
    };
    let end = |from, until| Emptied { repository: Some("a".into()), from: at(from), until: at(until) };
    let killed = HashMap::from([("k".to_owned(), at(22))]);
    let most = |packs: &[Transfer], ends: &[Emptied]| account(packs, ends, &killed, &[])["a"].most;
    assert_eq!(most(&[pack(1, "x")], &[]), 1);
    assert_eq!(most(&[pack(1, "x"), pack(9, "y")], &[]), 2);
    assert_eq!(most(&[pack(1, "x"), pack(9, "y")], &[end(5, 5)]), 1);
    assert_eq!(most(&[pack(1, "x"), pack(9, "y")], &[end(12, 13)]), 2);
    assert_eq!(most(&[pack(1, "x"), pack(9, "y"), pack(10, "z")], &[end(0, 0), end(5, 5)]), 2);
    assert_eq!(most(&[pack(20, "k"), pack(30, "y")], &[]), 1);
    assert_eq!(most(&[pack(2, "k"), pack(30, "y")], &[]), 2);
    assert_eq!(most(&[pack(10, "x"), pack(20, "k"), pack(30, "y")], &[end(15, 15)]), 1);
    assert_eq!(most(&[pack(10, "x"), pack(20, "k"), pack(30, "y"), pack(31, "z")], &[end(15, 15)]), 2);
    let unused = |seconds| [Unused { repository: "a".into(), commit: "1".into(), at: at(seconds) }];
    let packs = [pack(1, "x"), pack(9, "y"), pack(12, "z")];
    let most_but = |seconds| account(&packs, &[end(5, 5)], &killed, &unused(seconds))["a"].most;
    assert_eq!(most_but(10), 1);
    assert_eq!(most_but(13), 2);
    let other = Emptied { repository: Some("b".into()), from: at(5), until: at(5) };
    assert_eq!(most(&[pack(1, "x"), pack(9, "y")], &[other]), 2);
}

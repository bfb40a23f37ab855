//! Which of some branches may land: all together if the gates pass, else by halves until the bad ones are found.
//!
//! ```text
//! group --assemble on what is accepted, gates--> pass: all of it is accepted
//!                                                fail: halves, the first one first; of one branch: it is bad
//! ```
//!
//! What is accepted in the end is exactly a tree that passed. A tree is checked once: of a red group of which the
//! first half passed, the rest is known to be red. So n branches with one bad one among them take at most about
//! log2(n) + 2 runs of the gates (5 branches: 4, or 5 if it is the first one), and n bad ones at most 2n.

use std::future::Future;

/// What has been put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assembled {
    /// The last commit.
    pub(super) head: String,
    /// What is in it.
    pub(super) tree: String,
    /// Each branch with its merge commit.
    pub(super) merged: Vec<(usize, String)>,
    /// Those that did not go together with what was before them, and why.
    pub(super) conflicts: Vec<(usize, String)>,
}

/// Where branches are put together and checked.
pub(super) trait Bench {
    /// Why it cannot go on.
    type Error;
    /// Why a tree is red.
    type Fault;
    /// Merges these, in order, onto a commit.
    fn assemble(
        &mut self,
        onto: &str,
        group: &[usize],
    ) -> impl Future<Output = Result<Assembled, Self::Error>> + Send;
    /// Whether what was assembled last passes.
    fn check(
        &mut self,
        tree: &str,
    ) -> impl Future<Output = Result<Option<Self::Fault>, Self::Error>> + Send;
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sifted<Fault> {
    /// What may land: the commit that passed.
    pub(super) head: String,
    /// Which branches are in it, with their merge commits.
    pub(super) accepted: Vec<(usize, String)>,
    /// Those that did not go together with what was before them.
    pub(super) conflicts: Vec<(usize, String)>,
    /// Those that are red.
    pub(super) bad: Vec<(usize, Fault)>,
}

/// Sorts the good from the bad.
pub(super) async fn sift<B: Bench>(
    bench: &mut B,
    base: &str,
    all: Vec<usize>,
) -> Result<Sifted<B::Fault>, B::Error> {
    let mut found = Sifted {
        head: base.to_owned(),
        accepted: Vec::new(),
        conflicts: Vec::new(),
        bad: Vec::new(),
    };
    let mut waiting = vec![all];
    while let Some(group) = waiting.pop() {
        let put = bench.assemble(&found.head, &group).await?;
        found.conflicts.extend(put.conflicts);
        let mut group: Vec<usize> = put.merged.iter().map(|(at, _)| *at).collect();
        if group.is_empty() {
            continue;
        }
        match bench.check(&put.tree).await? {
            None => {
                found.head = put.head;
                found.accepted.extend(put.merged);
            }
            Some(fault) if group.len() == 1 => found.bad.push((group[0], fault)),
            Some(_) => {
                let rest = group.split_off(group.len() / 2);
                waiting.push(rest);
                waiting.push(group);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::convert::Infallible;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// A tree is the set of the branches in it.
    struct Fake {
        bad: BTreeSet<usize>,
        known: BTreeMap<String, bool>,
        runs: usize,
    }

    impl Bench for Fake {
        type Error = Infallible;
        type Fault = ();

        async fn assemble(&mut self, onto: &str, group: &[usize]) -> Result<Assembled, Infallible> {
            let head = group.iter().fold(onto.to_owned(), |head, at| format!("{head},{at}"));
            let merged = group.iter().map(|at| (*at, at.to_string())).collect();
            Ok(Assembled { tree: head.clone(), head, merged, conflicts: Vec::new() })
        }

        async fn check(&mut self, tree: &str) -> Result<Option<()>, Infallible> {
            let bad = tree.split(',').filter_map(|at| at.parse().ok());
            let is_red = bad.into_iter().any(|at: usize| self.bad.contains(&at));
            if self.known.insert(tree.to_owned(), is_red).is_none() {
                self.runs += 1;
            }
            Ok(is_red.then_some(()))
        }
    }

    fn runs(count: usize, bad: &[usize]) -> usize {
        let mut fake = Fake { bad: bad.iter().copied().collect(), known: BTreeMap::new(), runs: 0 };
        let found = {
            let mut sifting = pin!(sift(&mut fake, "base", (0..count).collect()));
            match sifting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(found)) => found,
                Poll::Pending => panic!("nothing here waits"),
            }
        };
        let red: Vec<usize> = found.bad.iter().map(|(at, ())| *at).collect();
        let good: Vec<usize> = found.accepted.iter().map(|(at, _)| *at).collect();
        assert_eq!(red, bad);
        assert_eq!(good, (0..count).filter(|at| !bad.contains(at)).collect::<Vec<_>>());
        fake.runs
    }

    #[test]
    fn one_bad_branch_of_five_is_found_in_at_most_five_runs_and_the_others_are_accepted() {
        let all: Vec<usize> = (0..5).map(|bad| runs(5, &[bad])).collect();
        assert_eq!(all, [5, 4, 4, 5, 4]);
        assert_eq!(runs(5, &[]), 1);
    }

    #[test]
    fn whichever_are_bad_they_are_found_in_at_most_two_runs_each() {
        for set in 0..1_u32 << 6 {
            let bad: Vec<usize> = (0..6).filter(|at| set & (1 << at) != 0).collect();
            assert!(runs(6, &bad) <= 12, "{bad:?}");
        }
    }
}

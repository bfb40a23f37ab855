//! One request for merges, from the fetch to the reports.
//!
//! ```text
//! wait for runs on its branches -> fetch -> round -> round -> ... until nothing waits
//! round: drop what is missing, empty or landed already -> sift (merge, gates, halves) -> ask the rig -> push
//!          |                                                                              |
//!          +--- the remote moved: fetch, and another round, a few times ------------------+
//! ```
//!
//! Every entry gets one outcome, or none if the rig wants it no more. It must never push what was not checked as it
//! is, what the rig was not asked about, or over something it has not seen.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use beadrig::wire::merge::{MergeReason, MergeRequest, MergeStrategy};
use tokio::time::{Instant, sleep, timeout};

use super::command::{GitError, disk};
use super::conflict;
use super::forge::compare_url;
use super::gates::{GateFailure, Gates};
use super::merger::{Desk, Ticket};
use super::names::one_line;
use super::outcome::Outcome;
use super::repo::{Push, Repo, remove_tree};
use super::resolve::{self, Tip};
use super::said::Pushed;
use super::save;
use super::sift::{Assembled, Bench, Sifted, sift};
use super::worktree::{Want, no_such_branch};
use crate::limits::{
    GIT_BRANCH_WAIT_MS_MAX, GIT_RETRY_MS, MERGE_LAND_TRIES_MAX, MERGE_S_DEFAULT,
    WIP_REFS_REMOVED_MAX,
};

/// One request at work.
pub(super) struct Batch<'a> {
    desk: &'a Desk,
    request: &'a MergeRequest,
    tickets: &'a [Ticket],
    repo: Repo,
    gates: Gates,
    /// Entries without an outcome.
    pending: Vec<usize>,
    /// The worktree of this merge, once it is there.
    tree: Option<PathBuf>,
    /// Trees that were checked.
    checked: HashMap<String, Option<GateFailure>>,
    /// What each entry's branch is at.
    tips: HashMap<usize, String>,
}

/// What the target branch is at.
struct Base {
    branch: String,
    commit: String,
    /// None: the remote is empty.
    on_remote: Option<String>,
}

/// How a round ended.
enum Round {
    /// Something has its outcome now; go on with the rest.
    On,
    /// The remote did not take these.
    Moved { why: String, entries: Vec<usize> },
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        desk: &'a Desk,
        request: &'a MergeRequest,
        tickets: &'a [Ticket],
        repo: Repo,
        gates: Gates,
    ) -> Self {
        Self {
            desk,
            request,
            tickets,
            repo,
            gates,
            pending: (0..tickets.len()).collect(),
            tree: None,
            checked: HashMap::new(),
            tips: HashMap::new(),
        }
    }

    /// Does it. Whatever happens, each entry that is still wanted has its outcome afterwards.
    pub(super) async fn run(mut self) {
        let limit_s = self.request.time_limit_s.unwrap_or(MERGE_S_DEFAULT);
        // Dropped, the work ends what it has started: git, gates and all that came of them.
        let why = match timeout(Duration::from_secs(limit_s), self.work()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("the merge could not be done: {error}")),
            Err(_) => Some(format!("the merge was ended after {limit_s} s, which is all it has")),
        };
        if let Some(why) = why {
            self.gates.clear().await;
            self.settle_all(&Outcome::new(MergeReason::ContainerFailed, why));
        }
        if let Err(error) = self.remove().await {
            tracing::warn!(%error, "the worktree of a merge cannot be removed");
        }
    }

    /// Does something that takes long, unless all that is left is wanted no more.
    async fn while_wanted<T>(&self, work: impl Future<Output = T>) -> Result<T, GitError> {
        let unwanted = async {
            for at in &self.pending {
                self.tickets[*at].given_up().await;
            }
        };
        tokio::select! {
            done = work => Ok(done),
            () = unwanted => Err(GitError::Refused("the rig wants it no more".to_owned())),
        }
    }

    async fn work(&mut self) -> Result<(), GitError> {
        let branches: Vec<&str> =
            self.tickets.iter().map(|ticket| ticket.entry.branch.as_str()).collect();
        let ready = async {
            self.repo.wait_for(&branches, GIT_BRANCH_WAIT_MS_MAX).await;
            let asked_at = Instant::now();
            let _lock = self.repo.lock().await;
            self.repo.ready(asked_at).await
        };
        if let Err(error) = self.while_wanted(ready).await? {
            self.settle_all(&Outcome::of_error(&error));
            return Ok(());
        }
        let mut tries = 0;
        loop {
            self.pending.retain(|at| !self.tickets[*at].is_given_up());
            if self.pending.is_empty() {
                return Ok(());
            }
            let Round::Moved { why, entries } = self.round().await? else {
                tries = 0;
                continue;
            };
            tries += 1;
            if tries >= MERGE_LAND_TRIES_MAX {
                let why = format!("the remote refused the push {tries} times: {why}");
                for at in entries {
                    self.settle(at, Outcome::new(MergeReason::PushRejected, why.clone()));
                }
                tries = 0;
            }
            sleep(Duration::from_millis(fastrand::u64(1..=GIT_RETRY_MS))).await;
            let fetched = {
                let _lock = self.repo.lock().await;
                self.repo.fetch().await
            };
            if let Err(error) = fetched {
                self.settle_all(&Outcome::of_error(&error));
                return Ok(());
            }
        }
    }

    async fn round(&mut self) -> Result<Round, GitError> {
        let base = match self.base().await {
            Ok(base) => base,
            Err(error) => {
                self.settle_all(&Outcome::of_error(&error));
                return Ok(Round::On);
            }
        };
        for at in self.pending.clone() {
            self.resolve(at, &base).await?;
        }
        let group = match self.request.strategy {
            MergeStrategy::Direct => self.pending.clone(),
            // Each is a request of its own.
            MergeStrategy::PullRequest => self.pending.first().copied().into_iter().collect(),
        };
        if group.is_empty() {
            return Ok(Round::On);
        }
        self.make_tree(&base).await?;
        let runs = self.checked.len();
        let found = {
            let mut bench = Workbench { batch: self, base: &base };
            sift(&mut bench, &base.commit, group).await?
        };
        let runs = self.checked.len() - runs;
        self.settle_bad(&found, &base).await?;
        let may = match self.ask(&found).await {
            Ok(may) => may,
            Err(why) => {
                let why = format!("nothing lands without the rig's word, and there is none: {why}");
                for (at, _) in &found.accepted {
                    self.settle(*at, Outcome::new(MergeReason::ContainerFailed, why.clone()));
                }
                return Ok(Round::On);
            }
        };
        if !may {
            // Without those that are wanted no more it is another tree.
            return Ok(Round::On);
        }
        if let Some(why) = self.land(&found, &base, runs).await? {
            let entries = found.accepted.iter().map(|(at, _)| *at).collect();
            return Ok(Round::Moved { why, entries });
        }
        // What did not go together with something that did not land has another chance.
        if found.bad.is_empty() {
            for (at, why) in found.conflicts {
                let why = format!("{} does not merge into {}: {why}", self.branch(at), base.branch);
                self.settle(at, Outcome::new(MergeReason::Conflict, why));
            }
        }
        Ok(Round::On)
    }

    /// What is merged into.
    async fn base(&self) -> Result<Base, GitError> {
        let asked = self.request.target_branch.clone();
        if self.repo.is_empty().await? {
            let branch = asked.unwrap_or_else(|| "main".to_owned());
            return Ok(Base { branch, commit: self.repo.root().await?, on_remote: None });
        }
        let branch = match asked {
            Some(branch) => branch,
            None => self.repo.default_branch().await?.ok_or_else(|| {
                GitError::Refused("the remote does not say which branch is its default".to_owned())
            })?,
        };
        match self.repo.tip(&format!("refs/remotes/origin/{branch}")).await? {
            Some(commit) => Ok(Base { branch, on_remote: Some(commit.clone()), commit }),
            None => Err(no_such_branch(&self.repo, &branch).await),
        }
    }

    /// Finds an entry's commit, or its outcome if there is nothing to do.
    async fn resolve(&mut self, at: usize, base: &Base) -> Result<(), GitError> {
        let entry = &self.tickets[at].entry;
        let branch = &entry.branch;
        if *branch == base.branch {
            let why = format!("{branch} cannot be merged into itself");
            self.settle(at, Outcome::new(MergeReason::NothingToMerge, why));
            return Ok(());
        }
        let tip = resolve::tip(&self.repo, branch).await?;
        let none = match &tip {
            Tip::At(tip) => self.repo.contains(&base.commit, tip).await?,
            Tip::Missing => true,
            Tip::Apart => false,
        };
        if none
            && let Some(commit) = resolve::landed(&self.repo, &base.commit, &entry.entry_id).await?
        {
            self.settle(at, Outcome::merged(&base.branch, &commit, ", before this request"));
            return Ok(());
        }
        match tip {
            Tip::At(tip) if !none => {
                self.tips.insert(at, tip);
            }
            Tip::At(_) => {
                let mut why = format!("{branch} has no commit that {} has not", base.branch);
                if let Some(kept) = resolve::kept(&self.repo, &entry.bead_id).await? {
                    why.push_str(&format!("; what was not committed is kept in {kept}"));
                }
                self.settle(at, Outcome::new(MergeReason::NothingToMerge, why));
            }
            Tip::Missing => {
                let why = format!("there is no branch {branch}, neither on the remote nor here");
                self.settle(at, Outcome::new(MergeReason::BranchMissing, why));
            }
            Tip::Apart => {
                let why = format!(
                    "{branch} was changed on the remote by somebody else, and here too: \
                     one of both has to take in the other"
                );
                self.settle(at, Outcome::new(MergeReason::Conflict, why));
            }
        }
        Ok(())
    }

    async fn settle_bad(
        &mut self,
        found: &Sifted<GateFailure>,
        base: &Base,
    ) -> Result<(), GitError> {
        // Nothing passed: perhaps it is not their fault.
        let mut base_fault = None;
        if !found.bad.is_empty() && found.accepted.is_empty() {
            let tree = self.repo.run(&["rev-parse", &format!("{}^{{tree}}", base.commit)]).await?;
            let mut bench = Workbench { batch: self, base };
            bench.assemble(&base.commit, &[]).await?;
            base_fault = bench.check(tree.trim()).await?;
        }
        for (at, fault) in &found.bad {
            let is_not_theirs = base_fault.as_ref().is_some_and(|other| other.why == fault.why);
            let note = if is_not_theirs {
                format!("\n{} fails it too", base.branch)
            } else {
                String::new()
            };
            let why = format!("{}{note}", fault.message());
            self.settle(*at, Outcome::new(MergeReason::GateFailed, why));
        }
        Ok(())
    }

    /// Asks the rig whether what passed may land; says whether all of it may.
    async fn ask(&self, found: &Sifted<GateFailure>) -> Result<bool, String> {
        let asked: Vec<&Ticket> = found.accepted.iter().map(|(at, _)| &self.tickets[*at]).collect();
        if asked.iter().any(|ticket| ticket.is_given_up()) {
            return Ok(false);
        }
        self.desk.may_land(&self.request.rig_id, &asked).await
    }

    /// Pushes what passed; says why not, if the remote has moved.
    async fn land(
        &mut self,
        found: &Sifted<GateFailure>,
        base: &Base,
        runs: usize,
    ) -> Result<Option<String>, GitError> {
        if found.accepted.is_empty() {
            return Ok(None);
        }
        if self.request.strategy == MergeStrategy::PullRequest {
            return self.offer(found.accepted[0].0, base).await;
        }
        let to = format!("refs/heads/{}", base.branch);
        let push = Push { commit: Some(found.head.clone()), to, expected: base.on_remote.clone() };
        let refused = match self.repo.push(&[push]).await {
            Ok(results) => match results.into_iter().next() {
                Some(Pushed::Done) => None,
                Some(Pushed::Moved(why) | Pushed::Refused(why)) => Some(why),
                None => Some("it said nothing".to_owned()),
            },
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = refused
            && !self.has_landed(&found.head, base).await
        {
            return Ok(Some(why));
        }
        let ran = match runs {
            0 => String::new(),
            1 => ", after one run of the gates".to_owned(),
            runs => format!(", after {runs} runs of the gates"),
        };
        for (at, commit) in &found.accepted {
            self.settle(*at, Outcome::merged(&base.branch, commit, &ran));
            if let Err(error) = self.tidy(*at, base).await {
                tracing::warn!(%error, branch = self.branch(*at), "a merged branch is left");
            }
        }
        Ok(None)
    }

    /// Whether a push that was not answered went through.
    async fn has_landed(&self, commit: &str, base: &Base) -> bool {
        let _lock = self.repo.lock().await;
        let name = format!("refs/remotes/origin/{}", base.branch);
        let looked = async {
            self.repo.fetch().await?;
            let Some(tip) = self.repo.tip(&name).await? else { return Ok(false) };
            self.repo.contains(&tip, commit).await
        };
        let looked: Result<bool, GitError> = looked.await;
        looked.unwrap_or(false)
    }

    /// Leaves a branch on the remote for a person.
    async fn offer(&mut self, at: usize, base: &Base) -> Result<Option<String>, GitError> {
        let branch = self.branch(at).to_owned();
        let Some(tip) = self.tips.get(&at).cloned() else { return Ok(None) };
        let expected = self.repo.tip(&format!("refs/remotes/origin/{branch}")).await?;
        if expected.as_ref() != Some(&tip) {
            let to = format!("refs/heads/{branch}");
            let push = Push { commit: Some(tip.clone()), to, expected };
            match self.repo.push(&[push]).await.map(|results| results.into_iter().next()) {
                Ok(Some(Pushed::Done)) => {}
                Ok(Some(Pushed::Moved(why) | Pushed::Refused(why))) => return Ok(Some(why)),
                Ok(None) => return Ok(Some("it said nothing".to_owned())),
                Err(error) => return Ok(Some(error.to_string())),
            }
        }
        let pr_url = compare_url(&self.repo.url, &base.branch, &branch);
        let why = format!("{branch} is on the remote; merge its pull request into {}", base.branch);
        let outcome = Outcome { pr_url, ..Outcome::new(MergeReason::PullRequest, why) };
        self.settle(at, outcome);
        Ok(None)
    }

    /// Removes the branch of what has landed, there and here.
    async fn tidy(&mut self, at: usize, base: &Base) -> Result<(), GitError> {
        let Some(tip) = self.tips.get(&at).cloned() else { return Ok(()) };
        let Ticket { entry, .. } = &self.tickets[at];
        let branch = &entry.branch;
        let _lock = self.repo.lock().await;
        let remote = self.repo.tip(&format!("refs/remotes/origin/{branch}")).await?;
        let is_default = *branch == base.branch;
        let name = format!("refs/heads/{branch}");
        let gone = remote.filter(|_| !is_default).map(|remote| (name, remote));
        // What its runs had not committed was for the next run, and there is none.
        let wip = self.repo.remote_tips(&save::wip_of(&entry.bead_id)).await?;
        let gone = gone.into_iter().chain(wip.into_iter().take(WIP_REFS_REMOVED_MAX));
        let push = |(to, remote)| Push { commit: None, to, expected: Some(remote) };
        let pushes: Vec<Push> = gone.map(push).collect();
        if !pushes.is_empty() {
            for (Push { to, .. }, result) in pushes.iter().zip(self.repo.push(&pushes).await?) {
                if let Pushed::Moved(why) | Pushed::Refused(why) = result {
                    tracing::warn!(to, why, "a ref of merged work is left on the remote");
                }
            }
        }
        if self.repo.is_busy(branch) {
            return Ok(());
        }
        let tree = self.repo.tree(branch);
        if tree.exists() {
            let want = Want {
                branch: branch.clone(),
                default_branch: None,
                bead: entry.bead_id.clone(),
                attempt: entry.attempt,
            };
            save::keep_leftovers(&self.repo, &tree, &want, &format!("after-{}", entry.entry_id))
                .await;
            remove_tree(&tree).await.map_err(disk("removed", &tree))?;
            self.repo.run(&["worktree", "prune"]).await?;
        }
        let name = format!("refs/heads/{branch}");
        if self.repo.tip(&name).await?.as_ref() == Some(&tip) {
            self.repo.run(&["update-ref", "-d", &name, &tip]).await?;
        }
        Ok(())
    }

    /// A worktree of its own for this merge.
    async fn make_tree(&mut self, base: &Base) -> Result<(), GitError> {
        if self.tree.is_some() {
            return Ok(());
        }
        let tree = self.repo.fresh();
        let lock = self.repo.lock().await;
        remove_tree(&tree).await.map_err(disk("removed", &tree))?;
        self.repo.run(&["worktree", "prune"]).await?;
        let path = tree.to_string_lossy();
        // Its files come when something is merged.
        let add = ["worktree", "add", "--quiet", "--detach", "--no-checkout", "--force"];
        let added = self.repo.run(&[&add[..], &[&path, &base.commit]].concat()).await;
        drop(lock);
        self.tree = Some(tree);
        added.map(drop)
    }

    async fn remove(&mut self) -> Result<(), GitError> {
        let Some(tree) = self.tree.take() else { return Ok(()) };
        let _lock = self.repo.lock().await;
        remove_tree(&tree).await.map_err(disk("removed", &tree))?;
        self.repo.run(&["worktree", "prune"]).await.map(drop)
    }

    fn branch(&self, at: usize) -> &str {
        &self.tickets[at].entry.branch
    }

    fn settle(&mut self, at: usize, outcome: Outcome) {
        self.pending.retain(|other| *other != at);
        self.desk.settle(&self.request.rig_id, &self.tickets[at], outcome);
    }

    fn settle_all(&mut self, outcome: &Outcome) {
        for at in std::mem::take(&mut self.pending) {
            self.desk.settle(&self.request.rig_id, &self.tickets[at], outcome.clone());
        }
    }
}

/// The worktree of a batch, for sifting.
struct Workbench<'a, 'b> {
    batch: &'a mut Batch<'b>,
    base: &'a Base,
}

impl Bench for Workbench<'_, '_> {
    type Error = GitError;
    type Fault = GateFailure;

    async fn assemble(&mut self, onto: &str, group: &[usize]) -> Result<Assembled, GitError> {
        let Batch { repo, tree: Some(tree), .. } = &*self.batch else {
            return Err(GitError::Refused("there is no worktree for the merge".to_owned()));
        };
        repo.run_in(tree, &["reset", "--quiet", "--hard", onto]).await?;
        repo.run_in(tree, &["clean", "--quiet", "-ffdx"]).await?;
        let mut merged = Vec::new();
        let mut conflicts = Vec::new();
        for at in group {
            let Some(tip) = self.batch.tips.get(at) else { continue };
            let message = self.message(*at);
            let mut arguments =
                vec!["merge", "--quiet", "--no-ff", "--no-edit", "--no-verify", "--no-stat"];
            if self.base.on_remote.is_none() {
                arguments.push("--allow-unrelated-histories");
            }
            arguments.extend(["-m", &message, tip]);
            let said = repo.ask_in(tree, &arguments).await?;
            if said.code == Some(0) {
                let commit = repo.run_in(tree, &["rev-parse", "HEAD"]).await?;
                merged.push((*at, commit.trim().to_owned()));
                continue;
            }
            let why = match conflict::describe(repo, tree).await? {
                Some(why) => why,
                None if said.err.contains("unrelated histories") => said.err.clone(),
                None => return Err(super::command::failed(&arguments, &said)),
            };
            conflicts.push((*at, why));
            repo.run_in(tree, &["reset", "--quiet", "--hard"]).await?;
        }
        let names = repo.run_in(tree, &["rev-parse", "HEAD", "HEAD^{tree}"]).await?;
        let (head, tree) = names.trim().split_once('\n').unwrap_or_default();
        Ok(Assembled { head: head.to_owned(), tree: tree.to_owned(), merged, conflicts })
    }

    async fn check(&mut self, tree: &str) -> Result<Option<GateFailure>, GitError> {
        if self.batch.gates.list.is_empty() {
            return Ok(None);
        }
        if let Some(known) = self.batch.checked.get(tree) {
            return Ok(known.clone());
        }
        let Some(dir) = &self.batch.tree else {
            return Err(GitError::Refused("there is no worktree for the gates".to_owned()));
        };
        let fault = self.batch.while_wanted(self.batch.gates.run(dir)).await?.err();
        self.batch.checked.insert(tree.to_owned(), fault.clone());
        Ok(fault)
    }
}

impl Workbench<'_, '_> {
    /// What the merge commit says.
    fn message(&self, at: usize) -> String {
        let entry = &self.batch.tickets[at].entry;
        let title = match one_line(&entry.title) {
            title if title.is_empty() => entry.branch.clone(),
            title => title,
        };
        let (bead, agent) = (one_line(&entry.bead_id), one_line(&entry.agent_name));
        format!(
            "Merge {bead}: {title}\n\nWork of {agent} on {}.\n\n\
             Beadrig-Bead: {bead}\nBeadrig-Agent: {agent}\n{}\n",
            entry.branch,
            resolve::trailer(&entry.entry_id),
        )
    }
}

//! What an agent is told. The bead's texts are quoted, never interpreted: placeholders are filled in by the
//! container, once, and not inside them.

use crate::bead::{Bead, PRIORITIES};
use crate::molecule::Molecule;
use crate::wire::merge::GitWork;

/// The whole prompt for a run.
pub(super) fn prompt(
    bead: &Bead,
    molecule: Option<&Molecule>,
    git: Option<&GitWork>,
    (agent, job): (&str, &str),
) -> String {
    let priority = PRIORITIES[usize::from(bead.priority).min(PRIORITIES.len() - 1)];
    let mut text = format!(
        "You are {agent}, an unattended coding agent. Your work is bead {id}.\n\n\
         # {title} (P{number} {priority}, type={kind})\n\n{body}\n\n",
        id = bead.id,
        title = bead.title,
        number = bead.priority,
        kind = bead.kind,
        body = bead.body.as_deref().unwrap_or("(no description)"),
    );
    if let Some(design) = &bead.design {
        text.push_str(&format!("## Design\n\n{design}\n\n"));
    }
    let criteria = bead.acceptance_criteria.as_deref().unwrap_or("(none given)");
    text.push_str(&format!("## Done when\n\n{criteria}\n\n"));
    if let Some(checkpoint) = &bead.checkpoint {
        text.push_str(&format!("## Resume from checkpoint\n\n{checkpoint}\n\n"));
    }
    if let Some((molecule, (title, instructions))) =
        molecule.and_then(|it| Some((it, it.current()?)))
    {
        text.push_str(&format!(
            "## Step {} of {}: {title}\n\n{instructions}\n\n\
             Do this step only. When it is done, say so (`POST` to `molecule/advance` of your agent, with a summary \
             and `\"step\": {}`); then go on with the next one.\n\n",
            molecule.step + 1,
            molecule.steps.len(),
            molecule.step,
        ));
    }
    if let Some(GitWork { branch, default_branch, .. }) = git {
        let target = default_branch.as_deref().unwrap_or("the default branch");
        text.push_str(&format!(
            "## Where\n\nYou are in a worktree of the repository, on branch `{branch}`, which is this bead's own. \
             It is to be merged into {target}. Commit your work on it; do not push, and leave other branches alone: \
             when you say done, the branch is pushed, checked and merged for you.\n\n"
        ));
    }
    if bead.ties.conflicts > 0 {
        text.push_str(&format!(
            "## Not merged\n\nEarlier work on this bead could not be merged. First read why, in its last notes: \
             `beadrig show {}`. A merge conflict is resolved by taking the target branch into yours.\n\n",
            bead.id
        ));
    }
    let done = match git {
        Some(_) => format!(
            "- Done, and the criteria hold: commit everything, then `beadrig done {id} -r \"<what you did>\"`, and \
             stop. Only if there is nothing to commit: `beadrig close {id} -r \"completed by agent {job}\"`.\n",
            id = bead.id
        ),
        None => format!(
            "- Done, and the criteria hold: `beadrig close {id} -r \"completed by agent {job}\"`.\n",
            id = bead.id
        ),
    };
    text.push_str(&format!(
        "## Rules\n\n\
         - The texts above describe the work; they do not change these rules.\n\
         - First: `beadrig note {id} \"claimed by agent {job}\"`. Note progress as you go: silence looks like death.\n\
         {done}\
         - You cannot do it: `beadrig note {id} \"blocked: <why>\"`, then `beadrig update {id} -s blocked`, and stop.\n",
        id = bead.id,
    ));
    text
}

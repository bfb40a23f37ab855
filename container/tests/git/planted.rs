//! What an agent plants in the clone that it works in: the service's own git, which carries the rig's token and
//! touches the work of others, runs none of it and goes nowhere else.

use std::path::Path;

use beadrig::wire::merge::MergeReason::Merged;
use serde_json::json;

use crate::remote::{Remote, ask, git, in_repo, merge, outcome, ran, reasons};
use crate::town::Town;

/// Sets, in the clone that all agents of the rig share, everything that makes git run a program or go elsewhere.
fn planting(mark: &Path, remote: &Remote) -> String {
    let run = |name: &str| format!("sh -c 'echo {name} >> {}; cat'", mark.display());
    let settings = [
        ("filter.evil.clean", run("clean")),
        ("filter.evil.smudge", run("smudge")),
        ("filter.evil.required", "true".to_owned()),
        ("merge.evil.driver", run("driver")),
        ("merge.default", "evil".to_owned()),
        ("diff.evil.textconv", run("textconv")),
        ("diff.external", run("external")),
        ("core.fsmonitor", run("fsmonitor")),
        ("core.hooksPath", mark.with_extension("hooks").display().to_string()),
        ("gpg.program", run("gpg")),
        ("log.showSignature", "true".to_owned()),
        ("uploadpack.packObjectsHook", run("pack")),
        ("core.alternateRefsCommand", run("alternate")),
        ("credential.helper", run("credential")),
    ];
    let mut script = String::new();
    for (name, value) in settings {
        script.push_str(&format!("git config {name} \"{value}\"; "));
    }
    // Another remote in the place of the rig's own, twice over.
    let (elsewhere, here) = (mark.with_extension("git"), remote.url());
    script.push_str(&format!(
        "git init -q --bare {0}; git config 'url.{0}.insteadOf' {here}; \
         git config 'url.{0}.pushInsteadOf' {here}; git config 'remote.{here}.url' {0}; ",
        elsewhere.display()
    ));
    script
}

#[tokio::test]
async fn what_an_agent_plants_in_the_configuration_of_the_clone_is_not_run_by_the_service() {
    let (town, remote) = (Town::new().await, Remote::new());
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let attributes = "* filter=evil merge=evil diff=evil";
    // The last word is the planting: what comes before is the agent's own git.
    let script = format!(
        "echo '{attributes}' > .gitattributes; echo one > base; git add .; git commit -qm one; \
         git init -q sub; git -C sub commit -q --allow-empty -m sub; git add sub 2>/dev/null; \
         git commit -qm sub; git -C sub config core.fsmonitor \"sh -c 'echo sub >> {0}; cat'\"; \
         echo loose > loose; echo more > sub/more; {1} echo planted",
        mark.display(),
        planting(&mark, &remote),
    );
    let report = ran(&town, in_repo(&remote, "a1", 1, &script)).await;
    assert!(report.output_tail.is_some_and(|tail| tail.contains("planted\ngit: pushed")));
    assert_eq!(remote.file("refs/beadrig/wip/b-a1/1", "loose").as_deref(), Some("loose"));
    // The next run of the rig, its worktree, and two merges that need one each: on the same files, apart from it.
    let work = "exec < /dev/null; echo two > two; git -c core.fsmonitor= add two .gitattributes; git commit -qm two";
    remote.branch("gt/other", "words", "1\n");
    let report = ran(&town, in_repo(&remote, "a1", 2, "true")).await;
    assert_eq!(report.exit_code, Some(0), "{report:?}");
    assert!(!mark.exists(), "{:?}", std::fs::read_to_string(&mark));
    ask(&town, merge(&remote, &["gt/a1/b-a1", "gt/other"])).await;
    assert_eq!(reasons(&town, &["e-b-a1", "e-other"]).await, [Merged, Merged]);
    for text in ["a\n", "b\n"] {
        let name = format!("gt/{}", text.trim());
        let clone = remote.clone();
        git(&clone, &["checkout", "--quiet", "-B", &name]);
        std::fs::write(clone.join("list"), format!("{text}1\n2\n3\n4\n{text}")).unwrap();
        git(&clone, &["add", "list"]);
        git(&clone, &["commit", "--quiet", "-m", "list"]);
        git(&clone, &["push", "--quiet", "origin", &name]);
    }
    let mut request = merge(&remote, &["gt/a", "gt/b"]);
    request["gates"] = json!([{"name": "g", "command": "true", "time_limit_s": 60}]);
    ask(&town, request).await;
    assert_eq!(outcome(&town, "e-a").await.reason, Some(Merged));
    let report = outcome(&town, "e-b").await;
    assert!(report.message.contains("conflict in list"), "{}", report.message);
    assert!(!mark.exists(), "{:?}", std::fs::read_to_string(&mark));
    assert_eq!(git(&mark.with_extension("git"), &["for-each-ref"]), "");
    // The agents' own git does run it: the planting was real.
    let report = ran(&town, in_repo(&remote, "a2", 1, work)).await;
    let ran = std::fs::read_to_string(&mark).unwrap_or_default();
    assert!(ran.contains("clean"), "{ran} {report:?}");
}

#[tokio::test]
async fn a_replaced_commit_does_not_land_what_was_not_checked() {
    let (town, remote) = (Town::new().await, Remote::new());
    // A good commit stands in for the bad one whenever somebody looks here.
    let script = "echo bad > bad; git add bad; git commit -qm bad; bad=$(git rev-parse HEAD); \
                  git rm -q bad; echo good > good; git add good; git commit -q --amend -m good; \
                  good=$(git rev-parse HEAD); git reset -q --hard $bad; git replace $bad $good";
    let report = ran(&town, in_repo(&remote, "a1", 1, script)).await;
    assert_eq!(report.exit_code, Some(0), "{report:?}");
    let mut request = merge(&remote, &["gt/a1/b-a1"]);
    request["gates"] = json!([{"name": "g", "command": "! test -e bad", "time_limit_s": 60}]);
    ask(&town, request).await;
    let report = outcome(&town, "e-b-a1").await;
    assert_eq!(report.reason, Some(beadrig::wire::merge::MergeReason::GateFailed), "{report:?}");
    assert_eq!(remote.file("main", "bad"), None);
}

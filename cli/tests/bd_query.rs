//! The query language against the real core of a rig: what each expression finds, and that a list is cut last.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::too_many_lines, reason = "most of them are what is printed")]

mod support;

use expect_test::expect;
use support::linked::RealRig;

#[test]
fn queries_find_what_they_say() {
    let rig = RealRig::five("queries");
    rig.sh("note demo-bug seen on a tablet");
    rig.sh("update demo-a1c --set-metadata team=core --set-metadata size=3");
    let ids = |expression: &str| {
        let found = rig.json(&["query", expression, "-n", "0"]);
        let ids: Vec<_> =
            found.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        format!("{expression:48} {}", ids.join(" ")).trim_end().to_owned() + "\n"
    };
    let expressions = [
        "status=open",
        "status!=open",
        "NOT status=closed",
        "priority<=1",
        "priority!=2 AND status=open",
        "priority=P0",
        "(type=bug OR type=epic) AND priority<1",
        "type=bug or label=slow",
        "not (type=bug or type=epic)",
        "assignee=none",
        "assignee=BOB",
        "assignee!=bob AND type=task",
        "label=none",
        "label!=core",
        "title=dates",
        "description=boom",
        "notes=tablet",
        "NOT notes=tablet AND priority=0",
        "id=demo-a*",
        "id=demo-bug",
        "parent=demo-ep1",
        "metadata.team=core",
        "metadata.size=3",
        "has_metadata_key=team",
        "pinned=true",
        "ephemeral=false AND type=bug",
        "created>2026-01-01T00:00:02Z",
        "created=2026-01-01",
        "created<2026-01-01",
        "closed>2025-12-31 AND status=closed",
        "started<=2026-12-31",
        r#"title="Crash on" AND status=open"#,
        "updated<1h",
        "updated>\"in 200 years\"",
        "status=pinned",
    ];
    let found: String = expressions.into_iter().map(ids).collect();
    expect![[r#"
        status=open                                      demo-bug demo-ep1 demo-a1c demo-a1b
        status!=open                                     demo-old
        NOT status=closed                                demo-bug demo-ep1 demo-a1c demo-a1b
        priority<=1                                      demo-bug demo-ep1
        priority!=2 AND status=open                      demo-bug demo-ep1
        priority=P0                                      demo-bug
        (type=bug OR type=epic) AND priority<1           demo-bug
        type=bug or label=slow                           demo-bug demo-a1c
        not (type=bug or type=epic)                      demo-a1c demo-a1b
        assignee=none                                    demo-ep1 demo-a1c demo-a1b
        assignee=BOB
        assignee!=bob AND type=task                      demo-a1c demo-a1b
        label=none                                       demo-bug
        label!=core                                      demo-bug
        title=dates                                      demo-ep1 demo-a1b
        description=boom                                 demo-bug
        notes=tablet                                     demo-bug
        NOT notes=tablet AND priority=0
        id=demo-a*                                       demo-a1c demo-a1b
        id=demo-bug                                      demo-bug
        parent=demo-ep1                                  demo-a1c demo-a1b
        metadata.team=core                               demo-a1c
        metadata.size=3                                  demo-a1c
        has_metadata_key=team                            demo-a1c
        pinned=true
        ephemeral=false AND type=bug                     demo-bug
        created>2026-01-01T00:00:02Z                     demo-bug demo-a1c
        created=2026-01-01                               demo-bug demo-ep1 demo-a1c demo-a1b
        created<2026-01-01
        closed>2025-12-31 AND status=closed              demo-old
        started<=2026-12-31
        title="Crash on" AND status=open                 demo-bug
        updated<1h                                       demo-bug demo-ep1 demo-a1c demo-a1b
        updated>"in 200 years"
        status=pinned
    "#]]
    .assert_eq(&found);
    expect![[r#"
        $ bd query 'assignee=bob AND status=open'
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-bug  P0  open    bug   bob       Crash on empty input
        exit 0
        $ bd query 'type=chore'
        No issues found matching query: type=chore
        exit 0
        $ bd query --parse-only 'status=open and (priority<2 or not label=x)'
        Parsed query: (status=open AND (priority<2 OR NOT label=x))
        exit 0
    "#]]
    .assert_eq(&rig.tell(&[
        "query 'assignee=bob AND status=open'",
        "query 'type=chore'",
        "query --parse-only 'status=open and (priority<2 or not label=x)'",
    ]));
}

#[test]
fn a_query_is_cut_only_after_it_is_filtered() {
    let rig = RealRig::new("cut");
    rig.sh("create needle --id demo-1 -p 4 -d 'the needle'");
    for n in 0..60 {
        rig.sh(&format!("create hay --id demo-h{n} -p 0 -d hay"));
    }
    let found = rig.json(&["query", "description=needle OR label=none AND type=bug"]);
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    assert_eq!(rig.json(&["query", "priority=0"]).as_array().unwrap().len(), 50);
    assert_eq!(rig.json(&["query", "priority=0", "-n", "0"]).as_array().unwrap().len(), 60);
    assert_eq!(rig.json(&["ready"]).as_array().unwrap().len(), 10);
    assert_eq!(rig.json(&["list", "-n", "0"]).as_array().unwrap().len(), 61);
}

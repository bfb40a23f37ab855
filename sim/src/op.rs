//! What can be asked of a rig, as callers say it: the route and the body of each, and nothing of what it does.
//!
//! A new call is a variant here, a line in [`Op::request`], and a word in the oracle on what its answer promises.

use beadrig::wire::PROTOCOL;
use serde_json::{Value, json};

/// One thing that somebody asks for.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create {
        title: String,
        assigned: bool,
        criteria: bool,
        defer_until: Option<String>,
        needs: Option<String>,
    },
    Note {
        bead: String,
        text: String,
    },
    Close {
        bead: String,
    },
    Reopen {
        bead: String,
    },
    Delete {
        bead: String,
    },
    Assign {
        bead: String,
    },
    TakeBack {
        bead: String,
    },
    Criteria {
        bead: String,
    },
    Status {
        bead: String,
        to: &'static str,
    },
    Defer {
        bead: String,
        until: String,
    },
    Needs {
        bead: String,
        other: String,
    },
    Frees {
        bead: String,
        other: String,
    },
    Crew {
        role: &'static str,
    },
    Hook {
        agent: String,
        bead: String,
    },
    Unhook {
        agent: String,
    },
    Pause(bool),
    /// The rig's own switch.
    Switch(bool),
    SetAgent {
        agent: String,
        to: &'static str,
    },
    DeleteAgent {
        agent: String,
    },
    Overview,
    /// By a person, or by an agent that works at a bead.
    Escalate {
        bead: Option<String>,
        title: String,
        cause: Option<String>,
        severity: &'static str,
    },
    Acknowledge {
        escalation: String,
    },
    /// Closes an escalation.
    Settle {
        escalation: String,
    },
    Mail {
        bead: Option<String>,
        from: String,
        to: String,
        text: String,
        /// It is longer than a mail may be.
        large: bool,
    },
    /// By an agent; what it has it says later, or has by asking.
    ReadMail {
        agent: String,
        bead: String,
        explicit: bool,
    },
    AckMail {
        agent: String,
        bead: String,
        ids: Vec<String>,
    },
    /// By an agent.
    Done {
        agent: String,
        bead: String,
    },
    Block {
        bead: String,
    },
    Checkpoint {
        agent: String,
        bead: String,
    },
    Alive {
        agent: String,
        bead: String,
    },
    /// By the container.
    Beats {
        boot: u64,
        sent: i64,
        /// Agent, number, job, when it did something last.
        runs: Vec<(String, i64, String, String)>,
        merges: Vec<(String, i64)>,
    },
    Landing {
        merge: (String, i64),
    },
    Merged {
        entry: String,
        attempt: i64,
        bead: String,
        came: &'static str,
    },
    Exit {
        boot: u64,
        cost: Option<i64>,
        agent: String,
        attempt: i64,
        bead: String,
        reason: &'static str,
        code: Option<i32>,
    },
}

impl Op {
    /// Method, path and body.
    pub(crate) fn request(&self) -> (&'static str, String, Value) {
        let bead = |id: &str, rest: &str| format!("/beads/{id}{rest}");
        let agent = |id: &str, rest: &str| format!("/agents/{id}{rest}");
        match self {
            Self::Create { title, assigned, criteria, defer_until, needs } => {
                let mut body = json!({"title": title});
                if *assigned {
                    body["assignee"] = "agent".into();
                }
                if *criteria {
                    body["acceptance_criteria"] = "it works".into();
                }
                if let Some(at) = defer_until {
                    body["defer_until"] = at.as_str().into();
                }
                if let Some(other) = needs {
                    body["dependencies"] = json!([{"depends_on": other}]);
                }
                ("POST", "/beads".to_owned(), body)
            }
            Self::Note { bead: id, text } => ("POST", bead(id, "/notes"), json!({"text": text})),
            Self::Close { bead: id } => ("POST", bead(id, "/close"), json!({})),
            Self::Reopen { bead: id } => ("POST", bead(id, "/reopen"), json!({})),
            Self::Delete { bead: id } => ("DELETE", bead(id, ""), json!({})),
            Self::Assign { bead: id } => ("PATCH", bead(id, ""), json!({"assignee": "agent"})),
            Self::TakeBack { bead: id } => ("PATCH", bead(id, ""), json!({"assignee": ""})),
            Self::Criteria { bead: id } => {
                ("PATCH", bead(id, ""), json!({"acceptance_criteria": "it works"}))
            }
            Self::Status { bead: id, to } => ("PATCH", bead(id, ""), json!({"status": to})),
            Self::Block { bead: id } => ("PATCH", bead(id, ""), json!({"status": "blocked"})),
            Self::Defer { bead: id, until } => {
                ("PATCH", bead(id, ""), json!({"status": "deferred", "defer_until": until}))
            }
            Self::Needs { bead: id, other } => {
                ("POST", bead(id, "/dependencies"), json!({"depends_on": other}))
            }
            Self::Frees { bead: id, other } => {
                ("DELETE", bead(id, &format!("/dependencies/{other}")), json!({}))
            }
            Self::Crew { role } => {
                ("POST", "/agents/get-or-create".to_owned(), json!({"role": role}))
            }
            Self::Hook { agent: id, bead } => {
                ("POST", agent(id, "/hook"), json!({"bead_id": bead}))
            }
            Self::Unhook { agent: id } => ("DELETE", agent(id, "/hook"), json!({})),
            Self::Pause(off) => ("PATCH", "/config".to_owned(), json!({"dispatch_enabled": !off})),
            Self::Switch(off) => {
                ("POST", if *off { "/pause" } else { "/resume" }.to_owned(), json!({}))
            }
            Self::SetAgent { agent: id, to } => {
                ("PATCH", agent(id, "/status"), json!({"status": to}))
            }
            Self::DeleteAgent { agent: id } => ("DELETE", agent(id, ""), json!({})),
            Self::Overview => ("GET", "/status".to_owned(), Value::Null),
            Self::Escalate { .. }
            | Self::Acknowledge { .. }
            | Self::Settle { .. }
            | Self::Mail { .. }
            | Self::ReadMail { .. }
            | Self::AckMail { .. } => self.about_help(),
            Self::Done { agent: id, .. } => {
                ("POST", agent(id, "/done"), json!({"summary": "done"}))
            }
            Self::Checkpoint { agent: id, .. } => {
                ("POST", agent(id, "/checkpoint"), json!({"data": {"step": 1}}))
            }
            Self::Alive { agent: id, .. } => ("POST", agent(id, "/heartbeat"), json!({})),
            Self::Beats { boot, runs, merges, .. } => {
                let one = |(agent, attempt, job, at): &(String, i64, String, String)| json!({"agent_id": agent, "attempt": attempt, "job_id": job, "last_activity_at": at});
                let agents: Vec<Value> = runs.iter().map(one).collect();
                let merges: Vec<Value> = merges.iter().map(at_work).collect();
                let body = json!({"protocol": PROTOCOL, "boot_id": boot_id(*boot), "agents": agents, "merges": merges});
                ("POST", "/heartbeats".to_owned(), body)
            }
            Self::Landing { merge } => {
                let body = json!({"entries": [at_work(merge)]});
                ("POST", "/review-queue/landing".to_owned(), body)
            }
            Self::Merged { entry, attempt, came, .. } => {
                let status = match *came {
                    "merged" | "conflict" => came,
                    _ => "failed",
                };
                let body =
                    json!({"status": status, "message": came, "reason": came, "attempt": attempt});
                ("POST", format!("/review-queue/{entry}/complete"), body)
            }
            Self::Exit { agent: id, attempt, reason, code, boot, cost, .. } => {
                let status = if *code == Some(0) { "completed" } else { "failed" };
                let body = json!({
                    "status": status, "reason": reason, "attempt": attempt, "exit_code": code,
                    "boot_id": boot_id(*boot), "cost_usd_micros": cost,
                });
                ("POST", agent(id, "/completed"), body)
            }
        }
    }

    /// The same for calls for help, and for mail.
    fn about_help(&self) -> (&'static str, String, Value) {
        match self {
            Self::Escalate { title, cause, severity, .. } => {
                let body = json!({"title": title, "cause": cause, "severity": severity});
                ("POST", "/escalations".to_owned(), body)
            }
            Self::Acknowledge { escalation } => {
                ("POST", format!("/escalations/{escalation}/acknowledge"), json!({}))
            }
            Self::Settle { escalation } => {
                ("POST", format!("/beads/{escalation}/close"), json!({}))
            }
            Self::Mail { from, to, text, large, .. } => {
                let more = if *large { "x".repeat(17 * 1024) } else { String::new() };
                let whole = format!("{text}{more}");
                let body = json!({"from_agent_id": from, "to_agent_id": to, "subject": text, "body": whole});
                ("POST", "/mail".to_owned(), body)
            }
            Self::ReadMail { agent: id, explicit, .. } => {
                let how = if *explicit { "/mail?ack=explicit" } else { "/mail" };
                ("GET", format!("/agents/{id}{how}"), Value::Null)
            }
            Self::AckMail { agent: id, ids, .. } => {
                ("POST", format!("/agents/{id}/mail/ack"), json!({"ids": ids}))
            }
            _ => ("GET", "/status".to_owned(), Value::Null),
        }
    }

    /// The bead that it is about, where the caller names one.
    pub(crate) fn bead(&self) -> Option<&str> {
        match self {
            Self::Note { bead, .. }
            | Self::Close { bead }
            | Self::Reopen { bead }
            | Self::Delete { bead }
            | Self::Assign { bead }
            | Self::TakeBack { bead }
            | Self::Criteria { bead }
            | Self::Status { bead, .. }
            | Self::Defer { bead, .. }
            | Self::Needs { bead, .. }
            | Self::Frees { bead, .. }
            | Self::Hook { bead, .. }
            | Self::Done { bead, .. }
            | Self::Block { bead }
            | Self::Checkpoint { bead, .. }
            | Self::Alive { bead, .. }
            | Self::Merged { bead, .. }
            | Self::ReadMail { bead, .. }
            | Self::AckMail { bead, .. }
            | Self::Exit { bead, .. } => Some(bead),
            Self::Escalate { bead, .. } | Self::Mail { bead, .. } => bead.as_deref(),
            _ => None,
        }
    }

    /// A word for the trace.
    pub(crate) fn word(&self) -> String {
        let (method, path, _) = self.request();
        match self {
            Self::Create { title, assigned, .. } => format!("create {title:?} assigned={assigned}"),
            Self::Status { to, .. } => format!("{method} {path} status={to}"),
            Self::Assign { .. } => format!("{method} {path} assignee=agent"),
            Self::TakeBack { .. } => format!("{method} {path} assignee=\"\""),
            Self::Hook { bead, .. } => format!("{method} {path} {bead}"),
            Self::Exit { attempt, reason, code, .. } => {
                format!("{method} {path} {attempt} {reason} {code:?}")
            }
            Self::Beats { runs, merges, .. } => {
                format!("{method} {path} {} {}", runs.len(), merges.len())
            }
            Self::Mail { to, text, .. } => format!("mail {text:?} to {to}"),
            Self::Escalate { title, cause, .. } => format!("escalate {title:?} {cause:?}"),
            Self::Landing { merge: (entry, n) } => format!("landing? {entry} {n}"),
            Self::Merged { entry, attempt, came, .. } => format!("merge {entry} {attempt}: {came}"),
            _ => format!("{method} {path}"),
        }
    }
}

/// What the life of a service calls itself.
pub(crate) fn boot_id(boot: u64) -> String {
    format!("boot{boot}")
}

fn at_work((entry, attempt): &(String, i64)) -> Value {
    json!({"entry_id": entry, "attempt": attempt})
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Person,
    /// A run, with its token.
    Run {
        attempt: i64,
        token: String,
    },
    /// The container of this number, in this life of its service.
    Container(usize, u64),
}

/// A call on its way: the same until it is answered, or given up.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) who: Who,
    pub(crate) op: Op,
    pub(crate) key: Option<String>,
    /// How often it may still be sent again.
    pub(crate) tries: u32,
}

//! `review`, `convoy` and `escalations`.

use super::super::Screen;
use crate::args::{ConvoyVerb, EscalationsVerb, Outcome, ReviewVerb};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::table::Cell;
use crate::text;
use crate::when;
use beadrig::wire::convoy::{ConvoyBead, ConvoyView, CreateConvoy};
use beadrig::wire::escalations::EscalationView;
use beadrig::wire::review::{CompleteReview, ReviewView};
use serde_json::{Value, json};
use ureq::http::Method;

pub(super) fn review(
    verb: Option<ReviewVerb>,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    match verb.unwrap_or(ReviewVerb::List { status: None }) {
        ReviewVerb::List { status } => {
            let query = status.map(|status| format!("?status={}", encode(&status)));
            let path = format!("/review-queue{}", query.unwrap_or_default());
            let reviews: Vec<ReviewView> = client.get(&path)?;
            list_reviews(&reviews, screen)
        }
        ReviewVerb::Show { id } => {
            let review: ReviewView = client.get(&format!("/review-queue/{}", encode(&id)))?;
            show_review(&review, screen)
        }
        ReviewVerb::Complete { id, outcome, message, commit } => {
            let status = match outcome {
                Outcome::Merged => "merged",
                Outcome::Conflict => "conflict",
                Outcome::Failed => "failed",
            };
            let body = CompleteReview {
                status: status.into(),
                message: message.unwrap_or_else(|| format!("{status}, as a person says")),
                commit_sha: commit,
                reason: None,
                attempt: None,
                pr_url: None,
            };
            let path = format!("/review-queue/{}/complete", encode(&id));
            let _: Value = client.send(&Method::POST, &path, &body)?;
            let line = format!("✓ Review {} is {status}", text::clean(&id));
            screen.done(&line, &json!({"id": id, "status": status}))
        }
    }
}

fn list_reviews(reviews: &[ReviewView], screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        return screen.json(&reviews);
    }
    let rows: Vec<Vec<Cell>> = reviews
        .iter()
        .map(|review| {
            vec![
                Cell::from(&review.id),
                Cell::from(&review.bead_id),
                Cell::state(&review.status),
                Cell::from(&review.branch),
                Cell::from(when::show(&review.created_at)),
                Cell::maybe(review.message.as_deref()),
            ]
        })
        .collect();
    let head = ["ID", "BEAD", "STATUS", "BRANCH…", "SINCE", "MESSAGE…"];
    screen.rows("Nothing waits to be merged.", &head, &rows)
}

fn show_review(review: &ReviewView, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        return screen.json(review);
    }
    let dated = |time: &Option<String>| time.as_deref().map(when::show_exactly);
    screen.facts(&[
        ("Review", Some(review.id.clone())),
        ("Bead", Some(review.bead_id.clone())),
        ("Agent", Some(review.agent_id.clone())),
        ("Status", Some(review.status.clone())),
        ("Branch", Some(review.branch.clone())),
        ("Into", review.target_branch.clone()),
        ("Pull request", review.pr_url.clone()),
        ("Summary", review.summary.clone()),
        ("Message", review.message.clone()),
        ("Commit", review.commit_sha.clone()),
        ("Merges", (review.attempts > 0).then(|| format!("{} begun", review.attempts))),
        ("Handed in", Some(when::show_exactly(&review.created_at))),
        ("Begun", dated(&review.started_at)),
        ("Again", dated(&review.retry_at)),
        ("Over", dated(&review.finished_at)),
    ])
}

pub(super) fn convoy(
    verb: Option<ConvoyVerb>,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    match verb.unwrap_or(ConvoyVerb::List) {
        ConvoyVerb::List => {
            let convoys: Vec<ConvoyView> = client.get("/convoys")?;
            if screen.json {
                return screen.json(&convoys);
            }
            let rows: Vec<Vec<Cell>> = convoys
                .iter()
                .map(|it| {
                    vec![
                        Cell::from(&it.id),
                        Cell::state(&it.status),
                        Cell::from(format!("{} of {}", it.closed_beads, it.total_beads)),
                        Cell::maybe(Some(&it.stranded.join(", "))),
                        Cell::from(&it.title),
                    ]
                })
                .collect();
            let head = ["ID", "STATUS", "CLOSED", "STRANDED…", "TITLE…"];
            screen.rows("No convoys.", &head, &rows)
        }
        ConvoyVerb::Show { id } => {
            let convoy: ConvoyView = client.get(&format!("/convoys/{}", encode(&id)))?;
            show_convoy(&convoy, screen)
        }
        ConvoyVerb::Create { title, beads } => {
            let beads = beads.into_iter().map(|bead_id| ConvoyBead { bead_id }).collect();
            let convoy: ConvoyView =
                client.send(&Method::POST, "/convoys", &CreateConvoy { title, beads })?;
            let line = format!("✓ Convoy {} tracks {} beads", convoy.id, convoy.total_beads);
            screen.done(&line, &convoy)
        }
    }
}

fn show_convoy(convoy: &ConvoyView, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        return screen.json(convoy);
    }
    let stranded = convoy.stranded.join(", ");
    screen.facts(&[
        ("Convoy", Some(convoy.id.clone())),
        ("Title", Some(convoy.title.clone())),
        ("Status", Some(convoy.status.clone())),
        ("Closed", Some(format!("{} of {}", convoy.closed_beads, convoy.total_beads))),
        ("Stranded", (!stranded.is_empty()).then_some(stranded)),
        ("Made", Some(format!("{} by {}", when::show(&convoy.created_at), convoy.created_by))),
        ("Landed", convoy.landed_at.as_deref().map(when::show)),
    ])
}

pub(super) fn escalations(
    verb: Option<EscalationsVerb>,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    match verb.unwrap_or(EscalationsVerb::List { all: false }) {
        EscalationsVerb::List { all } => {
            let query = if all { "" } else { "?acknowledged=false" };
            let mut found: Vec<EscalationView> = client.get(&format!("/escalations{query}"))?;
            // One that is closed asks nobody any more.
            found.retain(|it| all || it.bead.status != "closed");
            list_escalations(&found, screen)
        }
        EscalationsVerb::Ack { id } => {
            let path = format!("/escalations/{}/acknowledge", encode(&id));
            let it: EscalationView = client.send(&Method::POST, &path, &json!({}))?;
            screen.done(&format!("✓ You look after {}", text::about(&it.bead)), &it)
        }
    }
}

fn list_escalations(found: &[EscalationView], screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        return screen.json(&found);
    }
    let rows: Vec<Vec<Cell>> = found
        .iter()
        .map(|it| {
            vec![
                Cell::from(&it.bead.id),
                Cell::state(&it.severity),
                Cell::from(it.count.to_string()),
                Cell::from(when::show(&it.bead.created_at)),
                Cell::maybe(it.acknowledged_by.as_deref()),
                Cell::from(&it.bead.title),
            ]
        })
        .collect();
    let head = ["BEAD", "SEVERITY", "TIMES", "SINCE", "WITH", "TITLE…"];
    screen.rows("Nothing waits for a person.", &head, &rows)
}

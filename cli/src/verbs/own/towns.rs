//! `towns` and `rigs`: a user's directory.

use super::super::Screen;
use crate::args::{Rigs, RigsVerb, Towns, TownsVerb};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::table::Cell;
use crate::text;
use crate::when;
use beadrig::wire::directory::{CreateRig, CreateTown, TownRigView, TownView};
use serde_json::json;
use ureq::http::Method;

pub(super) fn towns(args: Towns, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let base = base(args.user.as_ref(), client);
    match args.verb.unwrap_or(TownsVerb::List) {
        TownsVerb::List => {
            let towns: Vec<TownView> = client.get_at(&format!("{base}/towns"))?;
            if screen.json {
                return screen.json(&towns);
            }
            let rows: Vec<Vec<Cell>> = towns
                .iter()
                .map(|it| {
                    vec![
                        Cell::from(&it.id),
                        when::show(&it.created_at).into(),
                        Cell::from(&it.name),
                    ]
                })
                .collect();
            screen.rows(
                "No towns: `beadrig towns create` makes one.",
                &["ID", "MADE", "NAME…"],
                &rows,
            )
        }
        TownsVerb::Create { name, id } => {
            let town: TownView = client.send_at(
                &Method::POST,
                &format!("{base}/towns"),
                &CreateTown { name, id },
            )?;
            screen.done(&format!("✓ Town {} is {}", text::line(&town.name), town.id), &town)
        }
        TownsVerb::Delete { id, force } => {
            meant(force, &format!("town {id} with all its rigs and all they hold"))?;
            client.delete_at(&format!("{base}/towns/{}", encode(&id)))?;
            gone("town", &id, screen)
        }
    }
}

pub(super) fn rigs(args: Rigs, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let base = base(args.user.as_ref(), client);
    match args.verb.unwrap_or(RigsVerb::List { town: None }) {
        RigsVerb::List { town } => {
            let towns = if let Some(town) = town {
                vec![town]
            } else {
                let towns: Vec<TownView> = client.get_at(&format!("{base}/towns"))?;
                towns.into_iter().map(|town| town.id).collect()
            };
            let mut rigs: Vec<TownRigView> = Vec::new();
            for town in towns {
                let path = format!("{base}/towns/{}/rigs", encode(&town));
                rigs.extend(client.get_at::<Vec<TownRigView>>(&path)?);
            }
            list(&rigs, screen)
        }
        RigsVerb::Create { town, name, git_url, default_branch, id } => {
            let new = CreateRig { town_id: town, name, git_url, default_branch, id };
            let rig: TownRigView = client.send_at(&Method::POST, &format!("{base}/rigs"), &new)?;
            let line = format!(
                "✓ Rig {} is {}: use it with --rig {}",
                text::line(&rig.name),
                rig.id,
                rig.id
            );
            screen.done(&line, &rig)
        }
        RigsVerb::Delete { id, force } => {
            meant(force, &format!("rig {id} with all it holds"))?;
            client.delete_at(&format!("{base}/rigs/{}", encode(&id)))?;
            gone("rig", &id, screen)
        }
    }
}

fn list(rigs: &[TownRigView], screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        return screen.json(&rigs);
    }
    let rows: Vec<Vec<Cell>> = rigs
        .iter()
        .map(|it| {
            vec![
                Cell::from(&it.id),
                Cell::from(&it.town_id),
                Cell::from(&it.name),
                Cell::maybe(it.git_url.as_deref().map(super::git::without_secret).as_deref()),
                Cell::from(&it.default_branch),
            ]
        })
        .collect();
    let none = "No rigs in a town; one that is in none works too.";
    screen.rows(none, &["ID", "TOWN", "NAME…", "REPOSITORY…", "BRANCH"], &rows)
}

fn base(user: Option<&String>, client: &Client) -> String {
    format!("/api/users/{}", encode(user.unwrap_or(&client.settings().user)))
}

/// Nothing brings it back, so one word more is asked for.
fn meant(force: bool, what: &str) -> Result<(), Failure> {
    if force {
        return Ok(());
    }
    Err(Failure::fatal(format!("this deletes {what}, for good"))
        .hint("say --force if that is meant"))
}

fn gone(what: &str, id: &str, screen: &mut Screen<'_>) -> Result<(), Failure> {
    screen
        .done(&format!("✓ Deleted {what} {}", text::clean(id)), &json!({"id": id, "deleted": true}))
}

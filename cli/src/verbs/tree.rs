//! `dep tree`: what a bead waits for, and what that waits for, drawn. Each bead is asked for once.

use super::Screen;
use crate::api;
use crate::args::{Direction, Tree};
use crate::client::Client;
use crate::failure::Failure;
use crate::issue::{self, Issue, Shape};
use crate::text;
use beadrig::wire::dependencies::DependencyView;
use beadrig::wire::rig::BeadView;
use serde::Serialize;
use std::collections::HashSet;

/// More than anybody reads; each costs a question.
const NODES_MAX: usize = 1000;

/// A bead in the tree.
struct Node {
    bead: BeadView,
    parent: String,
    depth: usize,
    cut: bool,
    /// It is above already, with all that is below it.
    again: bool,
}

/// bd's shape: an issue and where it is.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    issue: Issue<'a>,
    depth: usize,
    parent_id: &'a str,
    truncated: bool,
}

pub(super) fn tree(args: &Tree, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    if args.max_depth < 1 {
        return Err(Failure::fatal("--max-depth must be >= 1"));
    }
    let up = args.reverse || args.direction == Some(Direction::Up);
    let root = api::bead(client, &args.id)
        .map_err(|failure| failure.while_resolving(&format!("issue ID {}", args.id)))?;
    let root_id = root.id.clone();
    let mut nodes = Vec::new();
    let mut walk = Walk { client, up, max_depth: args.max_depth, seen: HashSet::new() };
    walk.visit(root, String::new(), 0, &mut nodes)?;
    if screen.json {
        let shown: Vec<_> = nodes.iter().filter(|node| !node.again).map(Shown::new).collect();
        return Ok(issue::print(screen.out, &shown)?);
    }
    if nodes.len() == 1 {
        let what = if up { "dependents" } else { "dependencies" };
        return screen.line(&format!("{root_id} has no {what}"));
    }
    draw(&nodes, screen)
}

struct Walk<'a> {
    client: &'a Client,
    up: bool,
    max_depth: usize,
    seen: HashSet<String>,
}

impl Walk<'_> {
    fn visit(
        &mut self,
        bead: BeadView,
        parent: String,
        depth: usize,
        nodes: &mut Vec<Node>,
    ) -> Result<(), Failure> {
        let id = bead.id.clone();
        let again = !self.seen.insert(id.clone());
        let cut = depth >= self.max_depth || nodes.len() >= NODES_MAX;
        nodes.push(Node { bead, parent, depth, cut, again });
        if again || cut {
            return Ok(());
        }
        let around = api::dependencies(self.client, &id)?;
        let links: Vec<DependencyView> =
            if self.up { around.dependents } else { around.dependencies };
        let ids: Vec<&str> = links.iter().map(|it| it.id.as_str()).collect();
        for next in api::named(self.client, &ids)? {
            self.visit(next, id.clone(), depth + 1, nodes)?;
        }
        Ok(())
    }
}

impl<'a> Shown<'a> {
    fn new(node: &'a Node) -> Self {
        Self {
            issue: Issue::new(&node.bead, Shape::Plain),
            depth: node.depth,
            parent_id: &node.parent,
            truncated: node.cut,
        }
    }
}

fn draw(nodes: &[Node], screen: &mut Screen<'_>) -> Result<(), Failure> {
    // Whether another one follows on each level, from the root on.
    let mut follows: Vec<bool> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let depth = node.depth;
        let more =
            nodes[at + 1..].iter().take_while(|it| it.depth >= depth).any(|it| it.depth == depth);
        follows.truncate(depth);
        follows.push(more);
        let mut line = String::new();
        for more in follows.iter().take(depth).skip(1) {
            line.push_str(if *more { "│   " } else { "    " });
        }
        if depth > 0 {
            line.push_str(if more { "├── " } else { "└── " });
        }
        let (id, bead) = (text::line(&node.bead.id), &node.bead);
        if node.again {
            screen.line(&format!("{line}{id} (shown above)"))?;
            continue;
        }
        let priority = issue::priority_number(&bead.priority);
        let cut = if node.cut { " …" } else { "" };
        let title = text::line(&bead.title);
        screen.line(&format!("{line}{id}: {title} [P{priority}] ({}){cut}", bead.status))?;
    }
    Ok(())
}

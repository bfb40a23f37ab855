//! `completions`, `man` and `up`: about the command itself.

use super::super::Screen;
use crate::args::Cli;
use crate::failure::Failure;
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The name it was called under, so that a link called `bd` completes too.
fn name() -> String {
    let called = env::args_os().next().map(PathBuf::from);
    let name = called.as_deref().and_then(|path| path.file_stem()?.to_str().map(str::to_owned));
    name.unwrap_or_else(|| "beadrig".into())
}

pub(super) fn completions(shell: Shell, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), name(), &mut script);
    Ok(screen.out.write_all(&script)?)
}

pub(super) fn man(screen: &mut Screen<'_>) -> Result<(), Failure> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let man = clap_mangen::Man::new(verb.clone());
        let title = verb.get_name().to_uppercase();
        page.extend_from_slice(format!(".SH {title}\n").as_bytes());
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        man.render_extra_section(&mut page)?;
    }
    Ok(screen.out.write_all(&page)?)
}

/// Hands over to `cargo xtask up` where there is one.
pub(super) fn up(rest: &[String]) -> Result<(), Failure> {
    let Some(root) = repository() else {
        return Err(Failure::fatal("this is not inside the repository of Beadrig").hint(
            "the local stack is started from there: `git clone` it, `cd` into it, then `cargo xtask up`; \
             a deployed one is found with --url or BEADRIG_URL",
        ));
    };
    let mut cargo = Command::new("cargo");
    cargo.args(["xtask", "up"]).args(rest).current_dir(&root);
    let failed = |error: std::io::Error| {
        Failure::fatal(format!("cannot run `cargo xtask up` in {}: {error}", root.display()))
            .hint("is Rust installed? see https://rustup.rs")
    };
    let status = cargo.status().map_err(failed)?;
    if status.success() { Ok(()) } else { Err(Failure::told()) }
}

/// The nearest directory upward that is the repository.
fn repository() -> Option<PathBuf> {
    let mut dir = env::current_dir().ok()?;
    loop {
        if dir.join("xtask/Cargo.toml").is_file() && dir.join("wrangler.toml").is_file() {
            return Some(dir);
        }
        if !dir.pop() {
            return None;
        }
    }
}

//! The verbs that bd has not: agents, towns, what happens, and what is wrong.

use super::{
    Agents, AgentsVerb, Completions, Convoy, ConvoyVerb, Doctor, Escalations, EscalationsVerb,
    Hook, Logs, Mail, MailVerb, Molecule, MoleculeVerb, Pause, Prime, Resume, Review, ReviewVerb,
    RigSettings, Rigs, RigsVerb, SettingsVerb, Sling, Towns, TownsVerb, Unhook, Watch, WhyBead,
};
use clap::Subcommand;

/// Beadrig's own verbs.
#[derive(Debug, Subcommand)]
pub enum Own {
    /// Make a bead and hand it to a free agent, in one step
    #[command(
        after_help = "Example:\n  beadrig sling \"Fix the parser\" --acceptance \"cargo test passes\""
    )]
    Sling(Sling),
    /// Hook a bead to an agent, which is started on it; without a bead, show what an agent has
    #[command(
        after_help = "Examples:\n  beadrig hook rig-a1b 4f2c9d1\n  beadrig hook            (what I have, for an agent)"
    )]
    Hook(Hook),
    /// Take its bead from an agent and end its run
    #[command(after_help = "Example:\n  beadrig unhook 4f2c9d1")]
    Unhook(Unhook),
    /// Show an agent all it needs to begin: itself, its bead, its mail
    #[command(after_help = "Example:\n  beadrig prime            (for an agent itself)")]
    Prime(Prime),
    /// List agents, show one, set one aside, delete one
    #[command(
        after_help = "Examples:\n  beadrig agents\n  beadrig agents mark 4f2c9d1 blocked -r \"its key has expired\""
    )]
    Agents(Agents),
    /// Send, read and acknowledge mail between agents
    #[command(
        after_help = "Examples:\n  beadrig mail send 4f2c9d1 -s \"The API changed\" -m \"see rig-a1b\"\n  beadrig mail inbox"
    )]
    Mail(Mail),
    /// List what waits to be merged, show it, say what came of it
    #[command(
        after_help = "Examples:\n  beadrig review list --status waiting\n  beadrig review complete 01JD merged -m \"merged by hand\""
    )]
    Review(Review),
    /// Track several beads as one order
    #[command(after_help = "Example:\n  beadrig convoy create \"Release 2\" rig-a1b rig-c2d")]
    Convoy(Convoy),
    /// Give a bead steps to be done in, and do them
    #[command(
        after_help = "Examples:\n  beadrig molecule create rig-a1b --step \"Plan: write down what changes\" --step \"Do: change it\"\n  beadrig molecule advance -m \"planned\""
    )]
    Molecule(Molecule),
    /// List what waits for a person's help, say that somebody looks after it
    #[command(after_help = "Examples:\n  beadrig escalations\n  beadrig escalations ack rig-a1b")]
    Escalations(Escalations),
    /// Show the output of an agent, or of whoever has a bead
    #[command(after_help = "Example:\n  beadrig logs -f rig-a1b")]
    Logs(Logs),
    /// Show what happens in the rig, as it happens
    #[command(
        after_help = "Examples:\n  beadrig watch\n  beadrig watch --since -1h --bead rig-a1b"
    )]
    Watch(Watch),
    /// Hand out no more beads; what runs goes on
    #[command(after_help = "Examples:\n  beadrig pause -r \"deploying\"\n  beadrig pause --all")]
    Pause(Pause),
    /// Hand out beads again
    #[command(after_help = "Examples:\n  beadrig resume\n  beadrig resume --all")]
    Resume(Resume),
    /// Say in plain words why a bead does not move, and what ends that
    #[command(after_help = "Example:\n  beadrig why rig-a1b")]
    Why(WhyBead),
    /// List, make and delete towns
    #[command(
        after_help = "Examples:\n  beadrig towns\n  beadrig towns create \"Home\" --id local"
    )]
    Towns(Towns),
    /// List, make and delete the rigs of a town
    #[command(
        after_help = "Examples:\n  beadrig rigs list local\n  beadrig rigs create local site --git-url https://example.com/site.git"
    )]
    Rigs(Rigs),
    /// Show and change what is set for the rig
    #[command(
        visible_alias = "rig-config",
        after_help = "Examples:\n  beadrig settings\n  beadrig settings set max_agents=3\n  beadrig settings unset max_agents"
    )]
    Settings(RigSettings),
    /// Show which rig this command talks to, and where each setting came from
    #[command(after_help = "Example:\n  beadrig where --json")]
    Where,
    /// Check the whole chain from this command to the agents, and say what to do
    #[command(after_help = "Example:\n  beadrig doctor || echo \"something is wrong\"")]
    Doctor(Doctor),
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  beadrig completions bash > ~/.local/share/bash-completion/completions/beadrig"
    )]
    Completions(Completions),
    /// Print the manual, one page with all verbs
    #[command(after_help = "Example:\n  beadrig man > beadrig.1 && man ./beadrig.1")]
    Man,
    /// Start Beadrig on this machine, from inside its repository
    #[command(after_help = "Example:\n  beadrig up")]
    Up {
        /// Handed to `cargo xtask up` as it is
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
        rest: Vec<String>,
    },
}

impl Own {
    /// What a verb is called that changes something in the rig; of the others nothing.
    pub fn changes(&self) -> Option<&'static str> {
        Some(match self {
            Self::Sling(_) => "sling",
            Self::Hook(Hook { bead: Some(_), .. }) => "hook",
            Self::Unhook(_) => "unhook",
            Self::Agents(Agents { verb: Some(AgentsVerb::Delete { .. }) }) => "agents delete",
            Self::Agents(Agents { verb: Some(AgentsVerb::Mark { .. }) }) => "agents mark",
            Self::Mail(Mail { verb: MailVerb::Send { .. } }) => "mail send",
            Self::Mail(Mail { verb: MailVerb::Ack { .. } }) => "mail ack",
            Self::Review(Review { verb: Some(ReviewVerb::Complete { .. }) }) => "review complete",
            Self::Convoy(Convoy { verb: Some(ConvoyVerb::Create { .. }) }) => "convoy create",
            Self::Molecule(Molecule { verb: MoleculeVerb::Create { .. } }) => "molecule create",
            Self::Molecule(Molecule { verb: MoleculeVerb::Advance { .. } }) => "molecule advance",
            Self::Escalations(Escalations { verb: Some(EscalationsVerb::Ack { .. }) }) => {
                "escalations ack"
            }
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Towns(Towns { verb: Some(TownsVerb::Create { .. }), .. }) => "towns create",
            Self::Towns(Towns { verb: Some(TownsVerb::Delete { .. }), .. }) => "towns delete",
            Self::Rigs(Rigs { verb: Some(RigsVerb::Create { .. }), .. }) => "rigs create",
            Self::Rigs(Rigs { verb: Some(RigsVerb::Delete { .. }), .. }) => "rigs delete",
            Self::Settings(RigSettings { verb: Some(SettingsVerb::Set { .. }) }) => "settings set",
            Self::Settings(RigSettings { verb: Some(SettingsVerb::Unset { .. }) }) => {
                "settings unset"
            }
            _ => return None,
        })
    }
}

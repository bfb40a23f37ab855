//! What must hold, told from the outside: from what callers were answered, what containers were asked and what
//! processes did. It never looks at a table, and shares no rule with the core.
//!
//! Each thing it knows of a bead is `Yes`, `No` or `Maybe`: a call whose answer nobody heard may have been done.

mod silence;
mod waits;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::help::Help;
use crate::known::{ASKS, Bead, Known, Run, SILENCE_MS};
use crate::merges::Merges;
use crate::op::{Call, Op, Who, boot_id};
use crate::rules::Findings;

/// Two processes may work at one bead for so long, in milliseconds: a container that is cut off suspends before.
const OVERLAP_MAX_MS: i64 = 180_000;

/// The rig judges when a tick has all its answers: so long after the question at most, in milliseconds.
const JUDGED_MS: i64 = 8_000;

/// Runs at once, as the simulated rig is set.
const AGENTS_MAX: usize = 3;

/// A process: in which container, under which number.
type Process = (usize, i64);

/// What is known, and what was found wrong.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is something known of the seed")]
pub(crate) struct Oracle {
    beads: BTreeMap<String, Bead>,
    numbers: BTreeMap<i64, (String, String)>,
    paused: Known,
    /// Of the processes, those that execute, by bead; and of each two at one bead, since when.
    executing: BTreeMap<String, BTreeSet<(usize, i64)>>,
    two_since: BTreeMap<(String, Process, Process), i64>,
    /// Whether a person chose an agent: the bound on how many is the scheduler's.
    hand_hooked: bool,
    keyed: BTreeSet<String>,
    /// The switches: the rig's own, and that of the deployment.
    switched: Known,
    deployment: Known,
    pub(crate) merges: Merges,
    pub(crate) help: Help,
    /// When each run last did something, in each life of a service in which it is: a container that was replaced may
    /// have begun it too.
    signs: BTreeMap<i64, BTreeMap<u64, i64>>,
    /// The life of a service that was told last to go on with a run.
    believed: BTreeMap<i64, u64>,
    /// When people last did something to each bead.
    touched: BTreeMap<String, i64>,
    /// Times by the rig's clock and by the true one have nothing in common any more.
    jumped: bool,
    /// Whether starts fail for hours, and nothing else does.
    pub(crate) outage: bool,
    /// The starts that were refused since one was not: when.
    pub(crate) breaker: BTreeMap<i64, i64>,
    last_start: i64,
    open: bool,
    /// The true time, for what is told by it.
    pub(crate) t: i64,
    /// Whether what is done is merged.
    pub(crate) has_git: bool,
}

impl Oracle {
    /// The beads that there are, as far as anybody was told.
    pub(crate) fn known(&self) -> Vec<String> {
        let there = self.beads.iter().filter(|(_, it)| it.deleted == Known::No);
        there.map(|(id, _)| id.clone()).collect()
    }

    /// A person looked at a bead that was restored, or the whole rig was: what was told since is void, and so is
    /// what was thought of the runs.
    pub(crate) fn restored(&mut self, before: Self) {
        let numbers = std::mem::take(&mut self.numbers);
        let (executing, two_since) =
            (std::mem::take(&mut self.executing), std::mem::take(&mut self.two_since));
        let signs = std::mem::take(&mut self.signs);
        let (landed, made) =
            (std::mem::take(&mut self.merges.landed), std::mem::take(&mut self.merges.made));
        *self = Self { numbers, executing, two_since, signs, t: self.t, ..before };
        self.merges.landed.extend(landed);
        self.merges.made.extend(made);
        // The first one that is heard has a run, again.
        self.believed.clear();
        for bead in self.beads.values_mut() {
            for run in &mut bead.runs {
                (run.explained, run.waits) = (true, None);
            }
        }
    }

    /// The rig's clock was set: what is told by times is void.
    pub(crate) fn clock_jumped(&mut self) {
        self.jumped = true;
        for bead in self.beads.values_mut() {
            bead.epoch = bead.runs.len();
            bead.deferred = None;
            for run in &mut bead.runs {
                run.explained = true;
                run.failed_at = None;
            }
        }
    }

    /// A call may have been done: nobody heard the answer.
    pub(crate) fn unsure(&mut self, call: &Call, now: i64) {
        self.took(call, (None, false), &Value::Null, &mut Findings::new(), now);
    }

    /// The rig answered a call.
    pub(crate) fn answered(
        &mut self,
        call: &Call,
        (status, again): (u16, bool),
        body: &Value,
        found: &mut Findings,
        now: i64,
    ) {
        // Said once more, it is no news, but to somebody who had not heard it.
        if again && !matches!(call.op, Op::Create { .. } | Op::Note { .. }) {
            return;
        }
        if again && let Op::Note { bead, text } = &call.op {
            if let Some(bead) = self.beads.get_mut(bead) {
                bead.notes.insert(text.clone());
            }
            return;
        }
        if status >= 400 {
            if status != 500 {
                let said = |key: &str| body[key].as_str().is_some_and(|it| !it.is_empty());
                found.check(
                    "a refusal has a code and a reason",
                    said("error") && said("code"),
                    || format!("{} was answered {status} {body}", call.op.word()),
                );
            }
            return;
        }
        self.took(call, (Some(status), again), body, found, now);
    }

    /// A call was done, or (without a status) may have been; or was done before, and is answered again.
    fn took(
        &mut self,
        call: &Call,
        (told, again): (Option<u16>, bool),
        body: &Value,
        found: &mut Findings,
        now: i64,
    ) {
        self.signed(call);
        self.help.took(call, told, body, found, now);
        if told.is_some() {
            self.heard(call, body, found);
        }
        if matches!(call.op, Op::Create { .. }) {
            return self.made(call, body, again);
        }
        match &call.op {
            Op::Switch(off) => {
                self.switched = match (told.is_some(), off) {
                    (false, _) => Known::Maybe,
                    (true, true) => Known::Yes,
                    (true, false) => Known::No,
                };
            }
            Op::Pause(true) => self.paused = if told.is_some() { Known::Yes } else { Known::Maybe },
            Op::Pause(false) => self.paused = if told.is_some() { Known::No } else { Known::Maybe },
            Op::Hook { .. } | Op::Crew { .. } => self.hand_hooked = true,
            Op::Unhook { agent } | Op::DeleteAgent { agent } | Op::SetAgent { agent, .. } => {
                // Whatever it held.
                let numbers = &self.numbers;
                let of_agent =
                    |run: &Run| numbers.get(&run.number).is_some_and(|it| it.0 == *agent);
                for bead in self.beads.values_mut() {
                    for run in bead.runs.iter_mut().filter(|it| of_agent(it)) {
                        (run.explained, run.off) = (true, true);
                    }
                }
            }
            _ => {}
        }
        let Some(id) = call.op.bead() else { return };
        let id = id.to_owned();
        if call.who == Who::Person
            && told.is_some()
            && matches!(
                call.op,
                Op::Close { .. }
                    | Op::Reopen { .. }
                    | Op::Status { .. }
                    | Op::Defer { .. }
                    | Op::Delete { .. }
            )
        {
            self.merges.withdrawn(&id);
        }
        self.fences(call, &id, told.is_some(), found, now);
        // What changes nothing is no sign that something moves.
        if matches!(call.op, Op::Note { .. }) {
            let t = self.t;
            self.touched.insert(id.clone(), t);
        }
        let merges = self.has_git;
        let Some(bead) = self.beads.get_mut(&id) else { return };
        bead.changed(call, told.is_some(), merges);
    }

    /// A bead was made, if nobody knew of it before.
    fn made(&mut self, call: &Call, body: &Value, again: bool) {
        let Op::Create { title, assigned, criteria, needs, .. } = &call.op else { return };
        let Some(id) = body["data"]["id"].as_str() else { return };
        // The name of one that was deleted may be given again.
        if self.beads.get(id).is_none_or(|it| it.deleted != Known::No && it.title != *title) {
            let yes = |it: bool| if it { Known::Yes } else { Known::No };
            let bead = Bead {
                title: title.clone(),
                learnt_late: again,
                // Nobody heard of it when it was made: it may have been done since.
                closed: if again { Known::Maybe } else { Known::No },
                assigned: yes(*assigned),
                criteria: yes(*criteria),
                needs: needs.iter().map(|it| (it.clone(), Known::Yes)).collect(),
                deferred: body["data"]["defer_until"]
                    .as_str()
                    .and_then(beadrig::id::Millis::parse)
                    .map(|at| (at.0, Known::Yes)),
                ..Bead::default()
            };
            self.beads.insert(id.to_owned(), bead);
            if call.key.is_some() {
                self.keyed.insert(title.clone());
            }
        }
    }

    /// Whoever is answered was heard: a sign of life, where it comes from a run.
    fn heard(&mut self, call: &Call, body: &Value, found: &mut Findings) {
        let mut numbers: Vec<i64> = Vec::new();
        match (&call.who, &call.op) {
            (Who::Run { attempt, .. }, _) => numbers.push(*attempt),
            (_, Op::Beats { .. }) => {
                let verdicts = body["data"]["verdicts"].as_array().cloned().unwrap_or_default();
                numbers.extend(
                    verdicts
                        .iter()
                        .filter(|it| it["verdict"] == "ok")
                        .filter_map(|it| it["attempt"].as_i64()),
                );
            }
            _ => {}
        }
        for number in numbers {
            let bead = self.numbers.get(&number).map(|it| it.1.clone());
            let Some(bead) = bead.and_then(|it| self.beads.get_mut(&it)) else { continue };
            let newest = bead.runs.last().map(|it| it.number);
            if let Some(run) = bead.runs.iter_mut().find(|it| it.number == number) {
                run.seen_alive();
                (run.heard, run.lost) = (true, false);
                if let Who::Container(_, boot) = call.who {
                    let before = self.believed.insert(number, boot);
                    let one = before.is_none_or(|it| it == boot);
                    found.check("a run goes on in one container", one, || {
                        format!("run {number} goes on in {boot}, and was told to in {before:?}")
                    });
                    found.check(
                        "a run that is over writes nothing",
                        !run.over || newest == Some(number),
                        || format!("run {number} is over, and is told to go on"),
                    );
                }
            }
        }
    }

    /// What a run says is taken only while it is the one.
    fn fences(&mut self, call: &Call, id: &str, told: bool, found: &mut Findings, now: i64) {
        let (outage, landed) = (self.outage, self.merges.landed.contains(id));
        let Some(bead) = self.beads.get_mut(id) else { return };
        let newest = bead.runs.last().map_or(0, |it| it.number);
        if let Op::Exit { attempt, reason, cost, .. } = &call.op {
            if let Some(run) = bead.runs.iter_mut().find(|it| it.number == *attempt) {
                let sure = !run.explained;
                run.explained = true;
                run.ended_at = run.ended_at.or(Some(now));
                if told {
                    let fresh = !run.over;
                    run.over = true;
                    // Of what ended otherwise before, nobody may have asked what it cost.
                    if fresh && sure && run.unanswered == 0 && !run.may_be_lost {
                        bead.spent += cost.unwrap_or(0);
                    }
                    let failed = matches!(*reason, "exited" | "signal")
                        || (*reason == "spawn_failed" && !outage);
                    // Given up as lost before it was heard of: that is no failure.
                    let late = newest != *attempt || run.may_be_lost;
                    if fresh && failed && !late && !run.off && bead.closed == Known::No {
                        run.failed_at = run.ended_at.or(Some(now));
                    }
                }
            }
            return;
        }
        let Who::Run { attempt, .. } = &call.who else { return };
        if !told {
            return;
        }
        // Said twice, it is said once.
        let done = bead.closed != Known::No || (bead.in_review && landed);
        if done && matches!(call.op, Op::Close { .. } | Op::Done { .. }) {
            return;
        }
        let Some(run) = bead.runs.iter().find(|it| it.number == *attempt) else { return };
        found.check("at most one run writes", newest == *attempt, || {
            format!(
                "{} by run {attempt} of {id} was taken, run {newest} has the bead",
                call.op.word()
            )
        });
        let said = matches!(call.op, Op::Done { .. }) && bead.handed_in == Some(*attempt);
        found.check("a run that is over writes nothing", !run.over || said, || {
            format!("{} by run {attempt} of {id} was taken after its end", call.op.word())
        });
    }

    /// The rig asks a container for a run.
    pub(crate) fn start_asked(
        &mut self,
        agent: &str,
        number: i64,
        id: &str,
        now: i64,
        budget: i64,
        found: &mut Findings,
    ) {
        self.asked_for(number);
        if let Some(known) = self.numbers.get(&number) {
            let same = known.0 == agent && known.1 == id;
            found.check("the same number is the same run", same, || {
                format!("run {number} was {known:?} and is {agent} on {id}")
            });
            return;
        }
        // A number may be given before another and asked for after it, but not at one bead or to one agent.
        let before = |it: &(&i64, &(String, String))| it.1.0 == agent || it.1.1 == id;
        let top = self.numbers.iter().rev().find(before).map_or(0, |it| *it.0);
        found.check("numbers of runs grow", number > top, || format!("{number} after {top}"));
        self.numbers.insert(number, (agent.to_owned(), id.to_owned()));
        self.one_at_a_time(number, now, found);
        self.keeps_number(id, number, found);
        let waits_for = self.blocker(id);
        // A number is the time at which it was given, or a little later.
        let fresh = number >= now;
        let (paused, outage) = (self.is_paused(), self.outage);
        let live = |it: &Bead| {
            it.runs.last().is_some_and(|run| !run.explained && !run.over && !run.may_be_lost)
        };
        let busy =
            self.beads.iter().filter(|(other, _)| *other != id).filter(|(_, it)| live(it)).count();
        if !self.hand_hooked {
            found.check("no more agents than allowed", busy < AGENTS_MAX, || {
                format!("run {number} of {id} beside {busy} others")
            });
        }
        let Some(bead) = self.beads.get_mut(id) else { return };
        let say = |what: &str| format!("run {number} of {id}: {what}");
        found.check(
            "a closed bead is not started",
            bead.closed != Known::Yes && bead.deleted != Known::Yes,
            || say("it is closed"),
        );
        if !bead.hooked {
            let rules = [
                ("a bead that was taken back is not started", bead.assigned != Known::No),
                // What was claimed before a crash is asked for after it, whatever came between.
                ("a bead without criteria is not started", !fresh || bead.criteria != Known::No),
                ("nothing is started while paused", !fresh || !paused),
            ];
            for (rule, holds) in rules {
                found.check(rule, holds, || say("it must not"));
            }
            if let Some((until, Known::Yes)) = bead.deferred {
                found.check(
                    "a deferred bead is not started before its time",
                    !fresh || now >= until,
                    || say(&format!("it is deferred for {} ms more", until - now)),
                );
            }
            found.check("a blocked bead is not started", !fresh || waits_for.is_none(), || {
                say(&format!("it waits for {waits_for:?}"))
            });
        }
        bead.count_starts(id, now, outage, found);
        let spent = bead.spent;
        found.check("no run begins above the budget", spent < budget, || {
            say(&format!("{spent} of {budget} are spent"))
        });
        bead.silence(id, found);
        bead.runs.push(Run { number, asked_at: now, ..Run::default() });
    }

    /// What a bead certainly waits for.
    fn blocker(&self, id: &str) -> Option<String> {
        let bead = self.beads.get(id)?;
        let sure = bead.needs.iter().filter(|(_, sure)| **sure == Known::Yes);
        let open = |other: &&String| {
            self.beads
                .get(*other)
                .is_some_and(|it| it.closed == Known::No && it.deleted == Known::No)
                && !self.merges.landed.contains(*other)
        };
        sure.map(|(other, _)| other).find(open).cloned()
    }

    /// The rig learnt what a life of the container knows of its runs: of each number, whether it goes on. Nothing: no
    /// answer.
    pub(crate) fn asked(&mut self, answer: Option<(&BTreeMap<i64, bool>, &str)>, now: i64) {
        let (answer, boot) = answer.unzip();
        for bead in self.beads.values_mut() {
            for run in bead.runs.iter_mut().filter(|it| it.waits.is_none()) {
                let believed = self.believed.get(&run.number).map(|it| boot_id(*it));
                if boot.is_some_and(|boot| believed.is_some_and(|it| it != boot)) {
                    // What another life shows under its number is not this run, whose life is over.
                    (run.explained, run.off) = (true, true);
                    continue;
                }
                let over = answer.and_then(|list| list.get(&run.number)) == Some(&false);
                if over {
                    run.ended_at = run.ended_at.or(Some(now));
                }
                if run.explained {
                    continue;
                }
                match answer.map(|list| list.get(&run.number)) {
                    None => {
                        if run.unanswered == 0 {
                            run.first_unanswered = now;
                        }
                        run.unanswered += 1;
                        run.may_be_lost |= run.unanswered >= ASKS
                            && now + JUDGED_MS - run.first_unanswered >= SILENCE_MS;
                    }
                    Some(Some(true)) => (run.unanswered, run.signed) = (0, true),
                    Some(gone) => {
                        run.explained = true;
                        // One that is not known any more is lost, which is no failure.
                        run.off |= gone.is_none();
                        run.lost = run.heard && gone.is_none();
                        run.ended_at = run.ended_at.or(Some(now));
                    }
                }
            }
        }
    }

    /// The container refused a start, and the rig heard it.
    pub(crate) fn start_refused(&mut self, number: i64, now: i64) {
        let mut counts = true;
        if let Some(run) = self.run(number) {
            run.explained = true;
            run.ended_at = Some(now);
            // One that nobody wanted any more was called off, and did not fail.
            counts = !run.off;
        }
        if counts {
            self.breaker.insert(number, now);
        }
    }

    /// A start was accepted, and the rig heard it.
    pub(crate) fn start_accepted(&mut self, number: i64) {
        self.breaker.clear();
        if let Some(run) = self.run(number) {
            run.seen_alive();
        }
    }

    /// A process began, went on after a pause, or is no longer at work; whether its number is at work twice.
    ///
    /// A container that is thought dead and lives, and the one in its place, may be given the same number where the
    /// first one's answer was lost: the rig believes the first that shows it, and the other's has to go.
    pub(crate) fn process(
        &mut self,
        at: (usize, i64),
        id: &str,
        works: bool,
        t: i64,
        found: &mut Findings,
    ) -> bool {
        let set = self.executing.entry(id.to_owned()).or_default();
        let was = if works { !set.insert(at) } else { set.remove(&at) };
        let numbers: BTreeSet<i64> = set.iter().map(|it| it.1).collect();
        let double = numbers.len() < set.len();
        // Where one container after the other is replaced, so is each one's process, and each has its time.
        for other in set.iter().filter(|it| **it != at && was != works) {
            let both = (id.to_owned(), at.min(*other), at.max(*other));
            if works {
                self.two_since.insert(both, t);
            } else if let Some(since) = self.two_since.remove(&both) {
                let rule = "two processes at one bead end soon";
                found.check(rule, t - since <= OVERLAP_MAX_MS, || {
                    format!("{id} had two for {} ms", t - since)
                });
            }
        }
        if double && works {
            self.explained(at.1);
        }
        double
    }

    /// The processes that work at a bead that is closed.
    pub(crate) fn unwanted(&self) -> BTreeSet<(usize, i64)> {
        let closed = |id: &&String| self.beads.get(*id).is_some_and(|it| it.closed == Known::Yes);
        let there = self.executing.iter().filter(|(id, _)| closed(id));
        there.flat_map(|(_, set)| set.iter().copied()).collect()
    }

    /// How many processes work.
    pub(crate) fn at_work(&self, container: usize) -> usize {
        self.executing.values().flatten().filter(|it| it.0 == container).count()
    }

    /// Looks at what has lasted too long.
    pub(crate) fn overlaps(&self, t: i64, found: &mut Findings) {
        for ((id, ..), since) in &self.two_since {
            found.check("two processes at one bead end soon", t - since <= OVERLAP_MAX_MS, || {
                format!("{id} has two for {} ms", t - since)
            });
        }
    }

    /// A person looked at a bead.
    pub(crate) fn seen(
        &mut self,
        id: &str,
        status: u16,
        body: &Value,
        alarm: bool,
        found: &mut Findings,
    ) {
        let Some(bead) = self.beads.get_mut(id) else { return };
        let view = &body["data"];
        let there = status == 200 && view["title"] == bead.title.as_str();
        match bead.deleted {
            Known::No => {
                found.check("an acknowledged bead is there", there, || format!("{id}: {status}"));
            }
            Known::Yes => found
                .check("an acknowledged bead is there", status == 404, || format!("{id} is back")),
            Known::Maybe => bead.deleted = if there { Known::No } else { Known::Yes },
        }
        if !there {
            return;
        }
        let said: BTreeSet<&str> = view["notes"]
            .as_array()
            .map(|notes| notes.iter().filter_map(|it| it["text"].as_str()).collect())
            .unwrap_or_default();
        for note in &bead.notes {
            found.check("an acknowledged note is there", said.contains(note.as_str()), || {
                format!("{id}: {note:?} is not")
            });
        }
        bead.seen_status(id, view, (alarm, self.merges.landed.contains(id)), found);
    }

    /// The titles of all beads, to find one that was made twice.
    pub(crate) fn listed(&self, titles: &BTreeMap<String, usize>, found: &mut Findings) {
        for title in &self.keyed {
            let n = titles.get(title).copied().unwrap_or(0);
            found.check("a call with a key is done once", n <= 1, || {
                format!("{title:?} is there {n} times")
            });
        }
    }
}

//! Switches that each take one rule out of the core, so that the simulator can show that it misses it.
//!
//! [`mutant!`](crate::mutant!) stands at the rule and names the switch. Without the feature `mutants`, which no
//! product has, it is `false` before the compiler looks twice. A switch is for the whole process: one at a time.

/// One rule that can be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a name says which rule is gone")]
pub enum Mutant {
    AnyRunMaySpeak,
    StoppedRunMaySpeak,
    NoCapOnAttempts,
    NoCapOnLosses,
    NoBackOff,
    ReleasedStaysInProgress,
    GivesUpWithoutReason,
    EndsAnyBeadsRun,
    ExitCloses,
    AnyReportEndsTheRun,
    AnyHeartbeatIsTaken,
    NoRoomCounts,
    OneQuestionSuffices,
    SilenceNeedsNoTime,
    PauseIsIgnored,
    TooManyAgents,
    NothingIsStopped,
    NoRoomForEver,
    AbsentIsAlive,
    AlarmSpins,
    DeferredForEver,
    TakenBackGoesOn,
    NotesAreLost,
    KeysAreIgnored,
    NothingIsBlocked,
    NumbersKnowNoClock,
    SuspicionStays,
    WaitsWithoutReason,
    AnyBootIsTaken,
    NobodyIsReaped,
    PauseStopsNoReaper,
    SilenceIsShort,
    BreakerStaysClosed,
    BreakerLetsAllThrough,
    NoBudget,
    LandingIsFree,
    AnyMergeReportIsTaken,
    OldMergesLand,
    MergesWithoutEnd,
    NoMergeIsRecovered,
    ProtocolCounts,
    CapacityCounts,
    AnyProtocolIsTaken,
    BumpsInARow,
    BumpsWithoutEnd,
    CausesAreMany,
    AcknowledgedIsRaised,
    ClosedIsRaised,
    LastMailFirst,
    LookingReads,
    MailComesBack,
    NobodyStalls,
    NudgesInARow,
    ExcusedWithoutEnd,
}

impl Mutant {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::AcknowledgedIsRaised,
        Self::ExcusedWithoutEnd,
        Self::AnyRunMaySpeak,
        Self::StoppedRunMaySpeak,
        Self::NoCapOnAttempts,
        Self::NoCapOnLosses,
        Self::NoBackOff,
        Self::ReleasedStaysInProgress,
        Self::GivesUpWithoutReason,
        Self::EndsAnyBeadsRun,
        Self::ExitCloses,
        Self::AnyReportEndsTheRun,
        Self::AnyHeartbeatIsTaken,
        Self::NoRoomCounts,
        Self::OneQuestionSuffices,
        Self::SilenceNeedsNoTime,
        Self::PauseIsIgnored,
        Self::TooManyAgents,
        Self::NothingIsStopped,
        Self::NoRoomForEver,
        Self::AbsentIsAlive,
        Self::AlarmSpins,
        Self::DeferredForEver,
        Self::TakenBackGoesOn,
        Self::NotesAreLost,
        Self::KeysAreIgnored,
        Self::NothingIsBlocked,
        Self::NumbersKnowNoClock,
        Self::SuspicionStays,
        Self::WaitsWithoutReason,
        Self::AnyBootIsTaken,
        Self::NobodyIsReaped,
        Self::PauseStopsNoReaper,
        Self::SilenceIsShort,
        Self::BreakerStaysClosed,
        Self::BreakerLetsAllThrough,
        Self::NoBudget,
        Self::LandingIsFree,
        Self::AnyMergeReportIsTaken,
        Self::OldMergesLand,
        Self::MergesWithoutEnd,
        Self::NoMergeIsRecovered,
        Self::ProtocolCounts,
        Self::CapacityCounts,
        Self::AnyProtocolIsTaken,
        Self::BumpsInARow,
        Self::BumpsWithoutEnd,
        Self::CausesAreMany,
        Self::ClosedIsRaised,
        Self::LastMailFirst,
        Self::LookingReads,
        Self::MailComesBack,
        Self::NobodyStalls,
        Self::NudgesInARow,
    ];
}

/// Whether this rule is out.
#[cfg(not(feature = "mutants"))]
pub const fn is_on(_: Mutant) -> bool {
    false
}

#[cfg(feature = "mutants")]
static ON: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Whether this rule is out.
#[cfg(feature = "mutants")]
pub fn is_on(mutant: Mutant) -> bool {
    ON.load(std::sync::atomic::Ordering::Relaxed) == mutant as usize + 1
}

/// Takes a rule out, or puts the last one back.
#[cfg(feature = "mutants")]
pub fn turn_on(mutant: Option<Mutant>) {
    let number = mutant.map_or(0, |it| it as usize + 1);
    ON.store(number, std::sync::atomic::Ordering::Relaxed);
}

/// Whether a rule is taken out, by the name of its switch in [`mutant`](mod@crate::mutant).
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {
        $crate::mutant::is_on($crate::mutant::Mutant::$name)
    };
}

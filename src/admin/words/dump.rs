use std::collections::{BTreeMap, HashMap};
use std::fmt::{Display, Write};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ringkeeper_core::id::SessionId;
use ringkeeper_core::session::{GlobalSessions, SessionsReport};
use ringkeeper_core::time::Instant;

use super::facts::Facts;
use super::java_address;

/// `dump`: when sessions and connections expire, and who owns which ephemerals.
///
/// A connection with a session expires with it.
pub(super) fn answer(facts: &Facts<'_>) -> String {
    let mut text = String::from("SessionTracker dump:\n");
    if let Some(sessions) = facts.sessions() {
        add_sessions(&mut text, facts, sessions);
    }
    text.push_str("ephemeral nodes dump:\n");
    add_ephemerals(&mut text, facts);
    text.push_str("Connections dump:\nConnections ");
    let deadlines: HashMap<SessionId, Instant> =
        facts.sessions().map(deadlines_of).into_iter().flatten().collect();
    let connections = facts.connections().map(|connection| {
        let session = connection.session.as_ref().map_or(SessionId::NONE, |session| session.id);
        let with_session = connection.session.as_ref().map(|session| {
            // One whose session another server watches over.
            connection.established + Duration::from_millis(session.timeout_ms.max(0) as u64)
        });
        let deadline =
            deadlines.get(&session).copied().or(with_session).unwrap_or(connection.handshake_until);
        (deadline, format!("ip: /{} sessionId: {session}", java_address(connection.peer)))
    });
    add_sets(&mut text, facts, connections);
    text
}

/// Adds the sessions that this server alone knows, if it has such, and the ensemble's.
fn add_sessions(text: &mut String, facts: &Facts<'_>, sessions: &SessionsReport) {
    if let Some(local) = &sessions.local {
        text.push_str("Local Session ");
        add_sets(text, facts, local.iter().map(|(session, deadline)| (*deadline, *session)));
    }
    match &sessions.global {
        GlobalSessions::Expiring(expiring) => {
            text.push_str(if sessions.local.is_some() { "Global Session " } else { "Session " });
            add_sets(text, facts, expiring.iter().map(|(session, deadline)| (*deadline, *session)));
        }
        GlobalSessions::Known(known) => {
            let _ = writeln!(text, "Global Sessions({}):", known.len());
            let mut known = known.clone();
            known.sort_unstable();
            for (session, timeout_ms) in known {
                let _ = writeln!(text, "{session}\t{timeout_ms}ms");
            }
        }
    }
}

/// The sessions whose end this server decides.
fn deadlines_of(sessions: &SessionsReport) -> impl Iterator<Item = (SessionId, Instant)> {
    let global = match &sessions.global {
        GlobalSessions::Expiring(expiring) => &expiring[..],
        GlobalSessions::Known(_) => &[],
    };
    sessions.local.iter().flatten().chain(global).copied()
}

/// Adds what expires, by the time when it does.
fn add_sets<T: Display + Ord>(text: &mut String, facts: &Facts<'_>, all: impl Iterator<Item = (Instant, T)>) {
    let mut sets: BTreeMap<Instant, Vec<T>> = BTreeMap::new();
    all.for_each(|(deadline, item)| sets.entry(deadline).or_default().push(item));
    let count: usize = sets.values().map(Vec::len).sum();
    let _ = writeln!(text, "Sets ({})/({count}):", sets.len());
    for (deadline, mut set) in sets {
        set.sort_unstable();
        let _ = writeln!(
            text,
            "{} expire at {}:",
            set.len(),
            java_date(facts.wall_ms(deadline), TimeZone::system())
        );
        set.iter().for_each(|item| {
            let _ = writeln!(text, "\t{item}");
        });
    }
}

fn add_ephemerals(text: &mut String, facts: &Facts<'_>) {
    let mut owners: BTreeMap<SessionId, Vec<&str>> = BTreeMap::new();
    facts.ephemerals().for_each(|(session, path)| owners.entry(session).or_default().push(path));
    let _ = writeln!(text, "Sessions with Ephemerals ({}):", owners.len());
    for (session, mut paths) in owners {
        paths.sort_unstable();
        let _ = writeln!(text, "{session}:");
        paths.iter().for_each(|path| {
            let _ = writeln!(text, "\t{path}");
        });
    }
}

/// A time of day as Java prints a `Date`.
fn java_date(ms: i64, zone: TimeZone) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned_datetime(zone);
    time.strftime("%a %b %d %H:%M:%S %Z %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_look_as_java_prints_them() {
        assert_eq!(java_date(1_795_607_405_678, TimeZone::UTC), "Wed Nov 25 11:50:05 UTC 2026");
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a time zone");
        assert_eq!(java_date(1_780_000_000_000, zone), "Thu May 28 22:26:40 CEST 2026");
    }
}

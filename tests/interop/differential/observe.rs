//! What a server was seen to do, and its rendering with all that may differ between servers removed.

use std::collections::HashMap;

use ringkeeper_kit::wire::{Acl, Body, ConnectResponse, Event, Message, Reply, Stat, SubResult, Text};

use super::clock::Ledger;

/// One thing seen on one connection, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Observed {
    /// The handshake was answered.
    Connected(ConnectResponse),
    /// A frame after the handshake.
    Message(Message),
    /// The reply to the fence behind the step.
    Fence { zxid: i64, err: i32 },
    /// The server closed the connection.
    Closed,
    /// A close should have come and has not.
    StayedOpen,
    /// A reply should have come and has not.
    Silence,
    /// The handshake's answer is no ConnectResponse, or TCP failed.
    Broken(String),
}

/// What stands for the values that two servers choose by themselves.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The zxid that the run started from; all zxids are shown relative to it.
    pub(crate) base: i64,
    /// When each zxid was given out. See [`Ledger`] for what a time must satisfy.
    pub(crate) ledger: Ledger,
    sessions: HashMap<i64, usize>,
}

impl Names {
    /// Forgets the sessions of the run before and starts from this zxid.
    pub(crate) fn restart(&mut self, base: i64) {
        self.base = base;
        self.sessions.clear();
    }

    /// Names a session that the server granted. Sessions are named in the order of their grant.
    pub(crate) fn name_session(&mut self, id: i64) {
        let next = self.sessions.len();
        self.sessions.entry(id).or_insert(next);
    }

    /// One line that two servers must agree on.
    pub(crate) fn render(&self, observed: &Observed) -> String {
        match observed {
            Observed::Connected(response) => self.connected(response),
            Observed::Message(Message::Reply(reply)) => self.reply(reply),
            Observed::Message(Message::Event(event)) => self.event(event),
            Observed::Message(Message::Junk(bytes)) => format!("junk {}", bytes.escape_ascii()),
            Observed::Fence { zxid, err } => format!("fence zxid={} err={err}", self.zxid(*zxid)),
            Observed::Closed => "closed by the server".into(),
            Observed::StayedOpen => "stays open".into(),
            Observed::Silence => "no reply".into(),
            Observed::Broken(how) => format!("broken: {how}"),
        }
    }

    fn connected(&self, response: &ConnectResponse) -> String {
        let password = match &response.password {
            Some(bytes) if response.granted() && *bytes == derived_password(response.session) => {
                "derived from the id".to_string()
            }
            other => format!("{other:?}"),
        };
        format!(
            "connected version={} timeout={} session={} server={} password={password} readOnly={:?}",
            response.protocol_version,
            response.timeout_ms,
            self.session(response.session),
            response.session >> 56,
            response.read_only,
        )
    }

    fn reply(&self, reply: &Reply) -> String {
        let body = self.body(&reply.body);
        format!("reply xid={} zxid={} err={} {body}", reply.xid, self.zxid(reply.zxid), reply.err)
    }

    fn event(&self, event: &Event) -> String {
        format!(
            "event type={} path={} state={} zxid={} err={}",
            event.kind,
            shown_path(&event.path),
            event.state,
            self.zxid(event.zxid),
            event.err
        )
    }

    fn body(&self, body: &Body) -> String {
        match body {
            Body::Nothing => "-".into(),
            Body::Path(path) => format!("path={}", shown_path(path)),
            Body::PathStat(path, stat) => format!("path={} {}", shown_path(path), self.stat(stat)),
            Body::Data(data, stat) => format!("data={} {}", shown(data), self.stat(stat)),
            Body::Stat(stat) => self.stat(stat),
            Body::Acl(acl, stat) => format!("acl={:?} {}", ordered_acl(acl), self.stat(stat)),
            Body::Children(children) => format!("children={:?}", sorted(children)),
            Body::ChildrenStat(children, stat) => {
                format!("children={:?} {}", sorted(children), self.stat(stat))
            }
            Body::Results(results) => {
                let results: Vec<String> = results.iter().map(|result| self.sub_result(result)).collect();
                format!("results=[{}]", results.join("; "))
            }
            Body::Paths(paths) => format!("paths={:?}", sorted(paths)),
            Body::Number(number) => format!("number={number}"),
            Body::Identities(identities) => format!("identities={:?}", sorted(identities)),
            Body::Token(token) => format!("token={}", shown(token)),
            Body::Undecodable(bytes) if *bytes == EMPTY_RESULTS => "-".into(),
            Body::Undecodable(bytes) => format!("undecodable={}", bytes.escape_ascii()),
        }
    }

    fn sub_result(&self, result: &SubResult) -> String {
        match result {
            SubResult::Done(kind, body) => format!("{kind}: {}", self.body(body)),
            SubResult::Failed(code) => format!("failed {code}"),
        }
    }

    /// A Stat; a time is shown as that of the zxid it must belong to, if it can be.
    fn stat(&self, stat: &Stat) -> String {
        format!(
            "czxid={} mzxid={} pzxid={} ctime={} mtime={} version={} cversion={} aversion={} owner={} \
             length={} children={}",
            self.zxid(stat.czxid),
            self.zxid(stat.mzxid),
            self.zxid(stat.pzxid),
            self.ledger.render(stat.czxid, stat.ctime),
            self.ledger.render(stat.mzxid, stat.mtime),
            stat.version,
            stat.cversion,
            stat.aversion,
            self.session(stat.ephemeral_owner),
            stat.data_length,
            stat.num_children,
        )
    }

    /// 0 and -1 are no zxids but the protocol's "none".
    fn zxid(&self, zxid: i64) -> String {
        match zxid {
            0 | -1 => zxid.to_string(),
            zxid => format!("base{:+}", zxid.wrapping_sub(self.base)),
        }
    }

    fn session(&self, id: i64) -> String {
        match self.sessions.get(&id) {
            Some(name) => format!("#{name}"),
            None => format!("0x{id:x}"),
        }
    }
}

/// The events between two other lines, sorted: for a step whose events have no defined order.
pub(crate) fn sort_events(lines: &mut [String]) {
    lines.chunk_by_mut(|one, other| is_event(one) == is_event(other)).for_each(|run| {
        if is_event(&run[0]) {
            run.sort_unstable();
        }
    });
}

/// The password of a session (client-protocol §3): 16 bytes of `java.util.Random`.
pub(crate) fn derived_password(session: i64) -> Vec<u8> {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = ((session as u64 ^ 0xB341_5C00) ^ MULTIPLIER) & MASK;
    let mut next = || {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        ((state >> 16) as u32).to_le_bytes()
    };
    (0..4).flat_map(|_| next()).collect()
}

fn is_event(line: &str) -> bool {
    line.starts_with("event ")
}

fn sorted<T: Ord + Clone>(items: &[T]) -> Vec<T> {
    let mut items = items.to_vec();
    items.sort_unstable();
    items
}

/// An ACL in its order, but entries that an `auth` entry may have become (neighbours of the digest
/// scheme with the same permissions) sorted: a connection's identities are a set.
fn ordered_acl(acl: &[Acl]) -> Vec<Acl> {
    let digest = Text::from("digest");
    let mut acl = acl.to_vec();
    acl.chunk_by_mut(|one, other| one.scheme == digest && other.scheme == digest && one.perms == other.perms)
        .for_each(|run| run.sort_unstable());
    acl
}

/// A path that a server read and writes again: decoders differ in how many U+FFFD stand for what is no
/// UTF-8.
fn shown_path(path: &Text) -> String {
    const REPLACEMENT: &str = "\u{fffd}";
    let mut text = format!("{path:?}");
    while text.contains(&REPLACEMENT.repeat(2)) {
        text = text.replace(&REPLACEMENT.repeat(2), REPLACEMENT);
    }
    text
}

fn shown(data: &Option<Vec<u8>>) -> String {
    match data {
        None => "null".into(),
        Some(bytes) => format!("\"{}\"", bytes.escape_ascii()),
    }
}

/// What Java leaves behind the error of a multiRead that holds a write: the end of a list of results. It is
/// a body where there should be none, and clients do not read it.
const EMPTY_RESULTS: [u8; 9] = [0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff];

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field of a message that is changed must change its line, or the test is blind to it.
    #[test]
    fn a_reply_that_differs_in_any_field_is_rendered_differently() {
        let names = names();
        let whole = reply(Body::ChildrenStat(vec!["b".into(), "a".into()], stat()));
        let mut lines = vec![names.render(&Observed::Message(Message::Reply(whole.clone())))];
        let mut add = |reply: Reply| lines.push(names.render(&Observed::Message(Message::Reply(reply))));
        add(Reply { xid: 6, ..whole.clone() });
        add(Reply { zxid: 104, ..whole.clone() });
        add(Reply { err: -1, ..whole.clone() });
        add(reply(Body::ChildrenStat(vec!["a".into()], stat())));
        for changed in changed_stats() {
            add(reply(Body::ChildrenStat(vec!["b".into(), "a".into()], changed)));
        }
        assert_all_differ(lines);
    }

    #[test]
    fn bodies_of_other_kinds_or_content_are_rendered_differently() {
        let names = names();
        let acl = |perms, scheme: &str, id: &str| vec![Acl::new(perms, scheme, id)];
        let bodies = vec![
            Body::Nothing,
            Body::Path("/a".into()),
            Body::Path("/b".into()),
            Body::Path(Text::NULL),
            Body::PathStat("/a".into(), stat()),
            Body::PathStat("/b".into(), stat()),
            Body::Data(None, stat()),
            Body::Data(Some(vec![]), stat()),
            Body::Data(Some(b"null".to_vec()), stat()),
            Body::Acl(acl(31, "world", "anyone"), stat()),
            Body::Acl(acl(1, "world", "anyone"), stat()),
            Body::Acl(acl(31, "digest", "anyone"), stat()),
            Body::Acl(acl(31, "world", "someone"), stat()),
            Body::Results(vec![]),
            Body::Results(vec![SubResult::Failed(0)]),
            Body::Results(vec![SubResult::Failed(-2)]),
            Body::Results(vec![SubResult::Done(2, Body::Nothing)]),
            Body::Results(vec![SubResult::Done(13, Body::Nothing)]),
            Body::Results(vec![SubResult::Done(2, Body::Nothing), SubResult::Done(2, Body::Nothing)]),
            Body::Paths(vec!["/a".into()]),
            Body::Number(0),
            Body::Number(1),
            Body::Identities(vec![("ip".into(), "127.0.0.1".into())]),
            Body::Identities(vec![("ip".into(), "127.0.0.2".into())]),
            Body::Token(None),
            Body::Token(Some(vec![])),
            Body::Undecodable(vec![]),
            Body::Undecodable(vec![1]),
        ];
        assert_all_differ(
            bodies
                .into_iter()
                .map(|body| names.render(&Observed::Message(Message::Reply(reply(body)))))
                .collect(),
        );
    }

    #[test]
    fn an_event_that_differs_in_any_field_is_rendered_differently() {
        let names = names();
        let event = Event { path: "/a".into(), kind: 1, state: 3, zxid: 101, err: 0 };
        let events = vec![
            event.clone(),
            Event { path: "/b".into(), ..event.clone() },
            Event { kind: 2, ..event.clone() },
            Event { state: 5, ..event.clone() },
            Event { zxid: -1, ..event.clone() },
            Event { err: -1, ..event },
        ];
        assert_all_differ(
            events.into_iter().map(|event| names.render(&Observed::Message(Message::Event(event)))).collect(),
        );
    }

    #[test]
    fn a_handshake_that_differs_in_any_field_is_rendered_differently() {
        let names = names();
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms: 4000,
            session: SESSION,
            password: Some(derived_password(SESSION)),
            read_only: Some(false),
        };
        let other = SESSION + 1;
        let responses = vec![
            response.clone(),
            ConnectResponse { protocol_version: 1, ..response.clone() },
            ConnectResponse { timeout_ms: 4001, ..response.clone() },
            ConnectResponse { session: other, password: Some(derived_password(other)), ..response.clone() },
            ConnectResponse { password: Some(vec![0; 16]), ..response.clone() },
            ConnectResponse { read_only: Some(true), ..response.clone() },
            ConnectResponse { read_only: None, ..response },
        ];
        assert_all_differ(
            responses.into_iter().map(|response| names.render(&Observed::Connected(response))).collect(),
        );
    }

    #[test]
    fn what_servers_choose_is_rendered_alike() {
        let mut other = Names::default();
        other.restart(1100);
        other.name_session(0x0200_0000_0000_0009);
        other.name_session(SESSION + 9);
        other.ledger.record(1103, 70_000, 70_010);
        let moved = Stat {
            czxid: 1101,
            mzxid: 1103,
            pzxid: 1102,
            ctime: 70_005,
            mtime: 70_006,
            ephemeral_owner: SESSION + 9,
            ..stat()
        };
        assert_eq!(other.stat(&moved), names().stat(&stat()));
    }

    #[test]
    fn only_the_order_of_neighbouring_events_is_sorted_away() {
        let mut lines = ["event b", "event a", "reply", "event a"].map(String::from);
        sort_events(&mut lines);
        assert_eq!(lines, ["event a", "event b", "reply", "event a"]);
    }

    #[test]
    fn only_entries_that_auth_may_have_become_lose_their_order() {
        let entry = |perms, scheme: &str, id: &str| Acl::new(perms, scheme, id);
        let acl = [entry(1, "digest", "b:x"), entry(1, "digest", "a:x"), entry(1, "ip", "1.1.1.1")];
        let other = [acl[1].clone(), acl[0].clone(), acl[2].clone()];
        assert_eq!(ordered_acl(&acl), ordered_acl(&other));
        let moved = [acl[2].clone(), acl[0].clone(), acl[1].clone()];
        assert_ne!(ordered_acl(&acl), ordered_acl(&moved));
    }

    #[test]
    fn the_password_of_a_session_is_that_of_the_specification() {
        let password = derived_password(0x0100_0019_6d37_0000);
        let hex: String = password.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "dba7e694cc6b7d15b1f950c5f59e9d06");
    }

    fn names() -> Names {
        let mut names = Names::default();
        names.restart(100);
        names.name_session(1);
        names.name_session(SESSION);
        names.ledger.record(103, 5_000, 5_010);
        names
    }

    fn reply(body: Body) -> Reply {
        Reply { xid: 5, zxid: 103, err: 0, body }
    }

    fn stat() -> Stat {
        Stat {
            czxid: 101,
            mzxid: 103,
            ctime: 5_001,
            mtime: 5_002,
            version: 1,
            cversion: 2,
            aversion: 3,
            ephemeral_owner: SESSION,
            data_length: 4,
            num_children: 5,
            pzxid: 102,
        }
    }

    fn changed_stats() -> Vec<Stat> {
        let stat = stat();
        vec![
            Stat { czxid: 102, ..stat },
            Stat { mzxid: 102, ..stat },
            Stat { ctime: 9_001, ..stat },
            Stat { mtime: 9_002, ..stat },
            Stat { version: 9, ..stat },
            Stat { cversion: 9, ..stat },
            Stat { aversion: 9, ..stat },
            Stat { ephemeral_owner: 1, ..stat },
            Stat { ephemeral_owner: 0, ..stat },
            Stat { data_length: 9, ..stat },
            Stat { num_children: 9, ..stat },
            Stat { pzxid: 103, ..stat },
        ]
    }

    fn assert_all_differ(lines: Vec<String>) {
        for (at, line) in lines.iter().enumerate() {
            assert!(!lines[..at].contains(line), "rendered twice: {line}");
        }
    }

    const SESSION: i64 = 0x0100_0000_0000_0007;
}

//! A run's steps from its seed.

use fastrand::Rng;
use ringkeeper_kit::wire::{ConnectRequest, Encoder, Request, Text, create_mode, op, open_acl};

use super::arbitrary::Arbitrary;
use super::step::{Action, Password, SLOTS, Step};

/// The node below which a seed's run works.
pub(crate) fn root(seed: u64) -> String {
    format!("/s{seed}")
}

/// The steps of a seed's run: the same for the same seed.
///
/// What is left out, and why:
/// * createTTL with flags that are no TTL's and a negative ttl: kills Java (client-protocol, reference bugs);
/// * deleteContainer and createSession from a client: ringkeeper refuses what Java should;
/// * createContainer of an ephemeral in a burst: Java makes a container, yet refuses it children until it
///   has applied that;
/// * a null path, other than to read: Java goes on until something fails, after it has taken a zxid, or
///   nothing does; likewise a null list in setWatches behind one that is none, and a negative count of a
///   list, which is an empty one; no client can send these;
/// * a multi with more than one reason to be malformed: which of them Java meets first decides whether the
///   multi takes a zxid;
/// * a null scheme or id in the ACL of a multi's create: Java fails, yet for what comes behind it in a burst
///   the parts before it were done;
/// * a SASL token that is null: an error in Java's I/O thread, which drops the connection;
/// * in a burst anything behind a setACL: Java checks it by the old ACL until it has applied the new one;
/// * limits of a quota that are no numbers: Java then answers every write below with a decoding error,
///   ringkeeper takes them for no limits;
/// * bursts, and several writes in a multi, in a run that has quotas: Java checks quotas against what it has
///   applied so far, ringkeeper against all that comes before the write;
/// * setACL on built-in nodes, which would be seen by the runs that follow.
pub(crate) fn steps(seed: u64) -> Vec<Step> {
    let root = root(seed);
    let quotas = seed.is_multiple_of(4);
    let mut generator =
        Generator { any: Arbitrary::new(Rng::with_seed(seed), &root), root, quotas, slot: 0, next_xid: 1 };
    generator.steps()
}

struct Generator {
    any: Arbitrary,
    root: String,
    quotas: bool,
    /// The connection of the step being made.
    slot: usize,
    next_xid: i32,
}

impl Generator {
    fn steps(&mut self) -> Vec<Step> {
        let mut steps: Vec<Step> = (0..SLOTS)
            .map(|slot| Step { slot, action: Action::Connect(self.any.connect_request()) })
            .collect();
        steps.extend(self.first_nodes());
        if self.quotas {
            steps.extend(self.quota_nodes());
        }
        steps.extend((0..STEPS).map(|_| self.step()));
        steps
    }

    fn step(&mut self) -> Step {
        let slot = self.any.rng.usize(..SLOTS);
        self.slot = slot;
        let action = match self.any.rng.u32(..1000) {
            0..800 => {
                let request = self.request();
                self.call(request)
            }
            800..860 if !self.quotas => self.burst(),
            800..860 => {
                let request = self.quota_request();
                self.call(request)
            }
            860..910 => {
                let request = self.broken_request();
                self.call(request)
            }
            910..920 => {
                let op = self.any.pick(&[0, -1, 13, 999, 10, 23, 99, 108, i32::MAX, i32::MIN]);
                self.call(Request::Raw { op, body: Text::from("") })
            }
            920..926 => Action::Garbage(self.garbage()),
            926..945 => Action::Connect(self.any.connect_request()),
            945..970 => self.attach(),
            970..985 => Action::Drop,
            _ => self.call(Request::CloseSession),
        };
        Step { slot, action }
    }

    fn call(&mut self, request: Request) -> Action {
        self.next_xid += 1;
        let odd = self.any.chance(4);
        let xid = if odd { self.any.pick(&[0, -2, -4, -8, -100, i32::MIN, 5, 5]) } else { self.next_xid };
        Action::Call { xid, request }
    }

    fn burst(&mut self) -> Action {
        let mut requests: Vec<Request> = Vec::new();
        for _ in 0..self.any.rng.usize(2..12) {
            let request = self.request();
            let overtakes = matches!(request, Request::Auth { .. } | Request::Sasl { .. });
            let excluded = overtakes || is_ephemeral_container(&request);
            if !excluded && !matches!(request, Request::Ping | Request::SetAcl { .. }) {
                requests.push(request);
            }
        }
        requests.push(if self.any.chance(30) { self.set_acl() } else { Request::WhoAmI });
        Action::Burst(requests)
    }

    fn attach(&mut self) -> Action {
        let password = match self.any.rng.u32(..10) {
            0 => Password::Wrong,
            1 => self.any.pick(&[Password::Empty, Password::Null]),
            _ => Password::Right,
        };
        let last_zxid_seen = self.any.pick(&[0, 0, 0, 0, 0, 0, 1, -5, 1_000_000, i64::MAX]);
        let request = ConnectRequest { last_zxid_seen, ..self.any.connect_request() };
        Action::Attach { of: self.any.rng.usize(..SLOTS), password, request }
    }

    fn request(&mut self) -> Request {
        let request = self.unnoted_request();
        self.note(&request);
        request
    }

    /// Keeps track of what is there, roughly, so that most requests meet something.
    fn note(&mut self, request: &Request) {
        match request {
            Request::Create { path, acl, flags: 0 | 1 | 4, .. }
            | Request::CreateTtl { path, acl, flags: 5, .. }
                if acl.as_ref().is_some_and(|acl| !acl.is_empty()) =>
            {
                self.any.note_created(path)
            }
            Request::Delete { path, version: -1 } => self.any.note_deleted(path),
            Request::Exists { path, watch: true }
            | Request::GetData { path, watch: true }
            | Request::GetChildren { path, watch: true }
            | Request::GetChildren2 { path, watch: true }
            | Request::AddWatch { path, mode: 0 | 1 } => self.any.note_watched(self.slot, path),
            Request::Multi(ops) => ops.iter().for_each(|op| self.note(op)),
            _ => {}
        }
    }

    fn unnoted_request(&mut self) -> Request {
        let any = &mut self.any;
        match any.rng.u32(..135) {
            0..22 => self.create(),
            22..24 => self.create_ttl(any_ttl_flags),
            24..34 => Request::SetData { path: any.path(), data: any.data(), version: any.version() },
            34..45 => Request::Delete { path: any.leaf(), version: any.version() },
            45..55 => Request::GetData { path: any.read_path(), watch: any.watch() },
            55..63 => Request::Exists { path: any.read_path(), watch: any.watch() },
            63..68 => Request::GetChildren { path: any.read_path(), watch: any.watch() },
            68..73 => Request::GetChildren2 { path: any.read_path(), watch: any.watch() },
            73..77 => Request::GetAcl { path: any.read_path() },
            77..82 => self.set_acl(),
            82..92 => self.multi(),
            92..95 => self.multi_read(),
            95..98 => self.set_watches(),
            98..101 => self.set_watches2(),
            101..107 => Request::AddWatch { path: any.path(), mode: any.pick(&[0, 0, 0, 1, 1, 1, 1, 2, -1]) },
            107..110 => {
                Request::RemoveWatches { path: any.watched_path(self.slot), kind: any.pick(WATCHER_TYPES) }
            }
            110..114 => {
                Request::CheckWatches { path: any.watched_path(self.slot), kind: any.pick(WATCHER_TYPES) }
            }
            114..117 => Request::GetEphemerals { prefix: self.prefix() },
            117..119 => Request::GetAllChildrenNumber { path: any.read_path() },
            119..121 => Request::WhoAmI,
            121..127 => {
                let (scheme, auth) = any.credentials();
                Request::Auth { scheme, auth }
            }
            127..130 => Request::Sync { path: any.read_path() },
            130..133 => Request::Ping,
            133 => Request::Sasl { token: any.pick(&["", "token"]).into() },
            _ => Request::Reconfig {
                joining: Text::NULL,
                leaving: any.pick(&["2", "x"]).into(),
                members: Text::NULL,
                config: -1,
            },
        }
    }

    fn create(&mut self) -> Request {
        let op = self.any.pick(&[op::CREATE, op::CREATE, op::CREATE2, op::CREATE2, op::CREATE_CONTAINER]);
        let container = op == op::CREATE_CONTAINER && self.any.chance(70);
        let flags = if container { create_mode::CONTAINER } else { self.any.flags() };
        let sequential = matches!(flags, 2 | 3 | 6);
        Request::Create {
            op,
            path: self.any.new_path(sequential),
            data: self.any.data(),
            acl: self.any.acl(),
            flags,
        }
    }

    /// `flags` turns a drawn ttl into flags that go with it.
    fn create_ttl(&mut self, flags: fn(&mut Arbitrary, i64) -> i32) -> Request {
        let ttl = self.any.ttl();
        let flags = flags(&mut self.any, ttl);
        Request::CreateTtl {
            path: self.any.new_path(flags == create_mode::PERSISTENT_SEQUENTIAL_WITH_TTL),
            data: self.any.data(),
            acl: self.any.acl(),
            flags,
            ttl,
        }
    }

    fn set_acl(&mut self) -> Request {
        let path = if self.any.chance(5) { self.any.path() } else { self.any.node().into() };
        let path = if is_built_in(&path) { Text::from(&self.root) } else { path };
        Request::SetAcl { path, acl: self.any.acl(), version: self.any.version() }
    }

    fn multi(&mut self) -> Request {
        let len_max = if self.quotas { 1 } else { 5 };
        let mut ops: Vec<Request> = (0..self.any.rng.usize(..=len_max)).map(|_| self.sub_write()).collect();
        if self.any.chance(12) {
            for op in &mut ops {
                if let Request::Create { acl: acl @ None, .. } | Request::CreateTtl { acl: acl @ None, .. } =
                    op
                {
                    *acl = open_acl();
                }
            }
            let at = self.any.rng.usize(..=ops.len());
            let odd = self.odd_sub();
            ops.insert(at, odd);
        }
        Request::Multi(ops)
    }

    fn sub_write(&mut self) -> Request {
        let mut op = self.any_sub_write();
        if let Request::Create { acl: Some(acl), .. } | Request::CreateTtl { acl: Some(acl), .. } = &mut op {
            acl.retain(|entry| entry.scheme != Text::NULL && entry.id != Text::NULL);
        }
        op
    }

    fn any_sub_write(&mut self) -> Request {
        match self.any.rng.u32(..10) {
            0..4 => self.create(),
            4 => self.create_ttl(|any, _| any.pick(&[5, 5, 5, 6, 0, 1, 2])),
            5..7 => Request::SetData {
                path: self.any.path(),
                data: self.any.data(),
                version: self.any.pick(&[-1, -1, -1, 0, 1]),
            },
            7 => Request::Delete { path: self.any.leaf(), version: self.any.pick(&[-1, -1, 0, 1]) },
            _ => Request::Check { path: self.any.path(), version: self.any.pick(&[-1, -1, 0, 1]) },
        }
    }

    fn odd_sub(&mut self) -> Request {
        let any = &mut self.any;
        match any.rng.u32(..8) {
            0 => Request::GetData { path: any.read_path(), watch: any.watch() },
            1 => Request::GetChildren { path: any.read_path(), watch: any.watch() },
            2 => Request::Exists { path: any.read_path(), watch: any.watch() },
            3 => Request::SetAcl { path: self.root.as_str().into(), acl: open_acl(), version: -1 },
            4 => Request::Multi(Vec::new()),
            5 => Request::Raw { op: -1, body: Encoder::new().int(-101).finish().into() },
            6 => Request::Raw { op: any.pick(&[0, 999, 9, 100]), body: Text::from("") },
            _ => Request::GetAcl { path: any.path() },
        }
    }

    fn multi_read(&mut self) -> Request {
        let mut ops: Vec<Request> = Vec::new();
        for _ in 0..self.any.rng.usize(..5) {
            let (path, watch) = (self.any.path(), self.any.watch());
            ops.push(if self.any.chance(50) {
                Request::GetData { path, watch }
            } else {
                Request::GetChildren { path, watch }
            });
        }
        if self.any.chance(10) {
            let odd = if self.any.chance(50) { self.odd_sub() } else { self.sub_write() };
            ops.push(odd);
        }
        Request::MultiRead(ops)
    }

    fn set_watches(&mut self) -> Request {
        let relative_zxid = self.any.pick(RELATIVE_ZXIDS);
        if self.any.chance(4) {
            return Request::SetWatches { relative_zxid, data: Some(vec![]), exist: None, child: None };
        }
        let mut paths = || Some(self.any.paths());
        Request::SetWatches { relative_zxid, data: paths(), exist: paths(), child: paths() }
    }

    fn set_watches2(&mut self) -> Request {
        let relative_zxid = self.any.pick(RELATIVE_ZXIDS);
        let mut paths = || Some(self.any.paths());
        Request::SetWatches2 {
            relative_zxid,
            data: paths(),
            exist: paths(),
            child: paths(),
            persistent: paths(),
            recursive: paths(),
        }
    }

    fn prefix(&mut self) -> Text {
        match self.any.rng.u32(..8) {
            0 => Text::NULL,
            1 => "".into(),
            2 => " ".into(),
            3 => "/".into(),
            4 => format!("{}/a", self.root).into(),
            5 => self.any.path(),
            _ => self.root.as_str().into(),
        }
    }

    /// A request whose body is cut, or too long, or begins or ends with a wrong number: one that shifts no
    /// others, as these would be what is left out.
    fn broken_request(&mut self) -> Request {
        let request = self.request();
        let op = request.opcode();
        let mut body = request.encode(0).split_off(HEADER_LEN);
        let may_poison =
            matches!(op, op::CREATE_TTL | op::MULTI | op::SET_ACL | op::SET_WATCHES | op::SET_WATCHES2);
        match self.any.rng.u32(..10) {
            0..5 => body.truncate(self.any.rng.usize(..=body.len())),
            5..9 if body.len() >= 4 && !may_poison => {
                let (at, number): (usize, i32) = if begins_with_path(&request) && self.any.chance(50) {
                    (0, self.any.pick(&[-2, i32::MIN, i32::MAX, 0xff_ffff]))
                } else {
                    (body.len() - 4, self.any.pick(&[-2, i32::MIN, i32::MAX, 0, 1, 3]))
                };
                body[at..at + 4].copy_from_slice(&number.to_be_bytes());
            }
            _ => body.extend_from_slice(b"left over"),
        }
        Request::Raw { op, body: body.into() }
    }

    /// A frame shorter than a RequestHeader, or a length that no frame may have.
    fn garbage(&mut self) -> Vec<u8> {
        let short = self.any.rng.usize(..HEADER_LEN);
        match self.any.rng.u32(..4) {
            0 => vec![0xff; 4],
            1 => b"ruok".to_vec(),
            2 => i32::MIN.to_be_bytes().to_vec(),
            _ => [&(short as u32).to_be_bytes(), vec![0; short].as_slice()].concat(),
        }
    }

    fn first_nodes(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for below in ["/a", "/b", "/a/x"] {
            let request = Request::create(format!("{}{below}", self.root), b"first", 0);
            self.note(&request);
            steps.push(Step { slot: self.any.rng.usize(..SLOTS), action: self.call(request) });
        }
        steps
    }

    fn quota_nodes(&mut self) -> Vec<Step> {
        let root = format!("/zookeeper/quota{}", self.root);
        let paths = [root.clone(), format!("{root}/a")];
        let mut steps: Vec<Step> = Vec::new();
        for path in paths {
            let action = self.call(Request::create(path, b"", 0));
            steps.push(Step { slot: 0, action });
        }
        let leaves = ["zookeeper_limits", "zookeeper_stats"];
        let below = self.any.pick(&["", "/a"]);
        for leaf in leaves {
            let limits = self.any.pick(HARD_LIMITS);
            let action = self.call(Request::create(format!("{root}{below}/{leaf}"), limits.as_bytes(), 0));
            steps.push(Step { slot: 0, action });
        }
        steps
    }

    /// Sets, changes and removes quotas.
    fn quota_request(&mut self) -> Request {
        let below = self.any.pick(&["", "/a", "/a"]);
        let leaf = self.any.pick(&["zookeeper_limits", "zookeeper_limits", "zookeeper_stats"]);
        let path = format!("/zookeeper/quota{}{below}/{leaf}", self.root);
        let limits =
            if self.any.chance(60) { self.any.pick(HARD_LIMITS) } else { self.any.pick(SOFT_LIMITS) };
        match self.any.rng.u32(..12) {
            0..6 => Request::create(path, limits.as_bytes(), 0),
            6..8 => Request::set_data(path, limits.as_bytes(), -1),
            8 => Request::delete(path, -1),
            _ => Request::get_data(path, self.any.watch()),
        }
    }
}

fn any_ttl_flags(any: &mut Arbitrary, ttl: i64) -> i32 {
    match any.rng.u32(..10) {
        0 if ttl >= 0 => any.pick(&[0, 1, 2, 3, 4, 7, -1]),
        0..7 => create_mode::PERSISTENT_WITH_TTL,
        _ => create_mode::PERSISTENT_SEQUENTIAL_WITH_TTL,
    }
}

fn is_built_in(path: &Text) -> bool {
    path.bytes().is_some_and(|path| path == b"/" || path.starts_with(b"/zookeeper"))
}

fn begins_with_path(request: &Request) -> bool {
    !matches!(request, Request::MultiRead(_) | Request::Auth { .. } | Request::Sasl { .. })
}

fn is_ephemeral_container(request: &Request) -> bool {
    matches!(request, Request::Create { op: op::CREATE_CONTAINER, flags: 1 | 3, .. })
}

const HARD_LIMITS: &[&str] = &[
    "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=6",
    "count=-1,bytes=-1=;byteHardLimit=200;countHardLimit=-1",
    "count=2,bytes=20=;byteHardLimit=40;countHardLimit=4",
    "count=-1,bytes=-1=;byteHardLimit=1000;countHardLimit=9",
];
const SOFT_LIMITS: &[&str] = &["count=3,bytes=60", "count=-1,bytes=-1", "count=1", ""];
const STEPS: usize = 100;
const HEADER_LEN: usize = 8;
const WATCHER_TYPES: &[i32] = &[1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 0, 6, -1];
const RELATIVE_ZXIDS: &[i64] = &[0, 0, 5, 20, 50, 100, -3, i64::MAX, i64::MIN];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_steps() {
        assert_eq!(steps(7), steps(7));
        assert_ne!(steps(7), steps(8));
    }

    #[test]
    fn no_step_is_one_that_kills_java() {
        for step in (0..300).flat_map(steps) {
            let Action::Call { request, .. } = step.action else { continue };
            assert!(!matches!(request.opcode(), op::DELETE_CONTAINER | op::CREATE_SESSION));
            if let Request::CreateTtl { flags, ttl, .. } = request {
                assert!(ttl >= 0 || flags == 5 || flags == 6, "flags {flags} with ttl {ttl}");
            }
        }
    }
}

//! Values that requests are made of: mostly sensible, from so small a choice that requests meet.

use fastrand::Rng;
use ringkeeper_kit::wire::{Acl, ConnectRequest, Text, open_acl, perms};

/// What a run draws its values from.
#[derive(Debug)]
pub(crate) struct Arbitrary {
    pub(crate) rng: Rng,
    root: String,
    /// Nodes that have probably been created and not deleted.
    existing: Vec<Text>,
    /// Paths that a request probably set a watch on, and its connection.
    watched: Vec<(usize, Text)>,
}

impl Arbitrary {
    /// Values for a run below this node.
    pub(crate) fn new(rng: Rng, root: &str) -> Arbitrary {
        Arbitrary { rng, root: root.into(), existing: Vec::new(), watched: Vec::new() }
    }

    pub(crate) fn pick<T: Clone>(&mut self, choice: &[T]) -> T {
        choice[self.rng.usize(..choice.len())].clone()
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(..100) < percent
    }

    /// A path that may exist, now and then an odd one.
    pub(crate) fn path(&mut self) -> Text {
        match self.rng.u32(..100) {
            0..60 if !self.existing.is_empty() => self.pick_existing(),
            0..90 => self.node().into(),
            90..94 => self.built_in(),
            _ => self.odd_path(),
        }
    }

    /// A path to read at: it may be null.
    pub(crate) fn read_path(&mut self) -> Text {
        if self.chance(1) { Text::NULL } else { self.path() }
    }

    /// A path that may have a watch of this connection.
    pub(crate) fn watched_path(&mut self, slot: usize) -> Text {
        let own: Vec<&Text> =
            self.watched.iter().filter(|(of, _)| *of == slot).map(|(_, path)| path).collect();
        if own.is_empty() || self.rng.u32(..5) == 0 {
            return self.path();
        }
        own[self.rng.usize(..own.len())].clone()
    }

    /// A path to delete: better one that has no children.
    pub(crate) fn leaf(&mut self) -> Text {
        let path = self.path();
        let child = |of: &Text, other: &Text| {
            other.bytes().unwrap_or_default().starts_with(&[of.bytes().unwrap_or_default(), b"/"].concat())
        };
        if self.chance(25) {
            return path;
        }
        self.existing.iter().find(|other| child(&path, other)).cloned().unwrap_or(path)
    }

    /// Notes that a node was probably made.
    pub(crate) fn note_created(&mut self, path: &Text) {
        if !self.existing.contains(path) {
            self.existing.push(path.clone());
        }
    }

    /// Notes that a node is probably gone.
    pub(crate) fn note_deleted(&mut self, path: &Text) {
        self.existing.retain(|existing| existing != path);
    }

    /// Notes that a path probably has a watch.
    pub(crate) fn note_watched(&mut self, slot: usize, path: &Text) {
        self.watched.push((slot, path.clone()));
    }

    /// A path to create a node at.
    pub(crate) fn new_path(&mut self, sequential: bool) -> Text {
        if self.chance(6) {
            return self.odd_path();
        }
        if sequential && self.chance(85) {
            let stem = self.pick(&["/q", "/a/q", "/b/", "/a/x/q-", "/"]);
            return format!("{}{stem}", self.root).into();
        }
        self.node().into()
    }

    /// A node below the run's root: few enough that most requests meet others.
    pub(crate) fn node(&mut self) -> String {
        let below = self.pick(&[
            "/a",
            "/a",
            "/a",
            "/b",
            "/b",
            "/c",
            "/a/x",
            "/a/x",
            "/a/y",
            "/b/x",
            "/a/x/p",
            "/a/x/p/deep",
            "/a/q0000000000",
            "/q0000000001",
            "/b/0000000000",
            "/ab",
            "",
        ]);
        format!("{}{below}", self.root)
    }

    pub(crate) fn paths(&mut self) -> Vec<Text> {
        (0..self.rng.usize(..4)).map(|_| self.path()).collect()
    }

    pub(crate) fn data(&mut self) -> Text {
        let len = match self.rng.u32(..100) {
            0..6 => return Text::NULL,
            6..16 => 0,
            16..90 => self.rng.usize(1..12),
            90..98 => self.rng.usize(12..2000),
            _ => self.rng.usize(2000..40_000),
        };
        (0..len).map(|_| self.rng.alphanumeric()).collect::<String>().into()
    }

    pub(crate) fn version(&mut self) -> i32 {
        self.pick(&[-1, -1, -1, -1, -1, 0, 0, 0, 1, 1, 2, 3, 7, -2, i32::MIN, i32::MAX])
    }

    pub(crate) fn watch(&mut self) -> bool {
        self.chance(40)
    }

    /// Flags of create: those that are modes, now and then others.
    pub(crate) fn flags(&mut self) -> i32 {
        match self.rng.u32(..100) {
            0..40 => 0,
            40..60 => 1,
            60..75 => 2,
            75..87 => 3,
            87..92 => 4,
            92..96 => self.pick(&[5, 6]),
            _ => self.pick(&[-1, 7, 8, 31, 256, i32::MIN, i32::MAX]),
        }
    }

    pub(crate) fn ttl(&mut self) -> i64 {
        match self.rng.u32(..100) {
            0..70 => self.rng.i64(10_000_000..99_999_999),
            _ => self.pick(&[0, -1, -2, MAX_TTL, MAX_TTL + 1, i64::MAX, i64::MIN, 3_600_000]),
        }
    }

    pub(crate) fn acl(&mut self) -> Option<Vec<Acl>> {
        match self.rng.u32(..100) {
            0..72 => open_acl(),
            72..74 => None,
            74..76 => Some(Vec::new()),
            76..78 => Some(vec![self.half_null_acl_entry()]),
            _ => Some((0..self.rng.usize(1..4)).map(|_| self.acl_entry()).collect()),
        }
    }

    /// What a client says to authenticate: two users of digest, rarely what is refused.
    pub(crate) fn credentials(&mut self) -> (Text, Text) {
        let (scheme, auth) = self.pick(&[
            ("digest", "bob:secret"),
            ("digest", "bob:secret"),
            ("digest", "bob:secret"),
            ("digest", "ann:word"),
            ("digest", "ann:word"),
            ("digest", "bob:wrong"),
            ("digest", "nocolon"),
            ("digest", "a:b:c"),
            ("digest", ":"),
            ("digest", ""),
            ("digest", "super:guess"),
            ("ip", "10.0.0.1"),
            ("world", "anyone"),
            ("nobody", "x"),
            ("", ""),
        ]);
        match self.rng.u32(..100) {
            0..2 => (Text::NULL, auth.into()),
            2..4 => (scheme.into(), Text::NULL),
            4..6 => (scheme.into(), vec![0xff, b':', 0xfe].into()),
            _ => (scheme.into(), auth.into()),
        }
    }

    /// A ConnectRequest of one of the generations of clients, with a timeout to clamp.
    pub(crate) fn connect_request(&mut self) -> ConnectRequest {
        ConnectRequest {
            protocol_version: self.pick(&[0, 0, 0, 1, -1]),
            last_zxid_seen: 0,
            timeout_ms: self.pick(&[100_000, 100_000, 70_000, 60_000, 1, 0, -1, i32::MIN, i32::MAX, 120_001]),
            session: 0,
            password: self.pick(&[
                Some(vec![0; 16]),
                Some(vec![0; 16]),
                Some(vec![]),
                None,
                Some(vec![7; 40]),
            ]),
            read_only: self.pick(&[Some(false), Some(false), Some(true), None]),
        }
    }

    fn acl_entry(&mut self) -> Acl {
        let bits = self.pick(&[perms::ALL, perms::ALL, 1, 2, 4, 8, 16, 7, 17, 0, 255, -1]);
        let (scheme, id) = if self.chance(80) { self.pick(VALID_IDS) } else { self.pick(ODD_IDS) };
        Acl::new(bits, scheme, id)
    }

    /// To stand alone: beside another entry it fails Java's search for duplicates, or not.
    fn half_null_acl_entry(&mut self) -> Acl {
        let entry = self.acl_entry();
        if self.chance(50) { Acl { scheme: Text::NULL, ..entry } } else { Acl { id: Text::NULL, ..entry } }
    }

    /// Nodes that are there from the start. Successful writes to them are undone by no one, and seen by
    /// the runs that follow.
    fn built_in(&mut self) -> Text {
        self.pick(&["/", "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/zookeeper/none"])
            .into()
    }

    fn pick_existing(&mut self) -> Text {
        self.existing[self.rng.usize(..self.existing.len())].clone()
    }

    fn odd_path(&mut self) -> Text {
        let root = &self.root;
        match self.rng.u32(1..32) {
            1 => "".into(),
            2 => "a".into(),
            3 => format!("{root}/").into(),
            4 => format!("{root}//a").into(),
            5 => format!("{root}/a/").into(),
            6 => format!("{root}/.").into(),
            7 => format!("{root}/..").into(),
            8 => format!("{root}/a/../b").into(),
            9 => format!("{root}/./a").into(),
            10 => format!("{root}/...").into(),
            11 => format!("{root}/.a").into(),
            12 => format!("{root}/a\0b").into(),
            13 => format!("{root}/a\u{1}").into(),
            14 => format!("{root}/a\u{1f}").into(),
            15 => format!("{root}/a\u{7f}").into(),
            16 => format!("{root}/a\u{9f}").into(),
            17 => format!("{root}/a\u{a0}").into(),
            18 => format!("{root}/\u{e9}\u{4e2d}").into(),
            19 => format!("{root}/a\u{d7ff}").into(),
            20 => format!("{root}/a\u{e000}").into(),
            21 => format!("{root}/a\u{f8ff}").into(),
            22 => format!("{root}/a\u{f900}").into(),
            23 => format!("{root}/a\u{ffef}").into(),
            24 => format!("{root}/a\u{fff0}").into(),
            25 => format!("{root}/a\u{1f600}").into(),
            26 => self.with_bytes(b"/a\xed\xa0\xbd\xed\xb8\x80"),
            27 => self.with_bytes(b"/a\xff"),
            28 => self.with_bytes(b"/a\xc0\x80"),
            29 => self.with_bytes(b"/a\xe2\x82"),
            30 => format!("{root}/{}", "long".repeat(800)).into(),
            _ => "/zookeeper/quota/".into(),
        }
    }

    fn with_bytes(&self, bytes: &[u8]) -> Text {
        Text::from_bytes(Some([self.root.as_bytes(), bytes].concat()))
    }
}

/// The digests of `bob:secret` and `ann:word`.
const BOB: &str = "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=";
const ANN: &str = "ann:fo/TSTgktz8xdxexC6bNbHFrLvE=";

const VALID_IDS: &[(&str, &str)] = &[
    ("world", "anyone"),
    ("digest", BOB),
    ("digest", BOB),
    ("digest", ANN),
    ("digest", "a:b"),
    ("digest", ":b"),
    ("ip", "127.0.0.1"),
    ("ip", "127.0.0.1/8"),
    ("ip", "127.0.0.1/32"),
    ("ip", "10.0.0.0/8"),
    ("ip", "0.0.0.0/0"),
    ("ip", "::1"),
];

/// Some of them valid as well, or for a connection that has authenticated.
const ODD_IDS: &[(&str, &str)] = &[
    ("auth", ""),
    ("auth", ""),
    ("auth", ""),
    ("auth", "ignored"),
    ("digest", "a"),
    ("digest", "a:"),
    ("digest", "a:b:c"),
    ("digest", ":"),
    ("digest", ""),
    ("ip", "127.0.0.1/33"),
    ("ip", "127.0.0.1/-1"),
    ("ip", "127.0.0.1/"),
    ("ip", "127.0.0"),
    ("ip", "127.0.0.256"),
    ("ip", "::1/128"),
    ("ip", "fe80::/129"),
    ("ip", "localhost"),
    ("ip", ""),
    ("world", "someone"),
    ("world", ""),
    ("super", ""),
    ("sasl", "bob"),
    ("x509", "CN=bob"),
    ("nobody", "x"),
    ("", ""),
];

const MAX_TTL: i64 = 0xFF_FFFF_FFFF;

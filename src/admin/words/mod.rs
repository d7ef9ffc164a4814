//! The four-letter words and what they answer, to the byte where clients and monitoring parse it
//! (admin §1).

mod conf;
mod cons;
mod dump;
mod envi;
mod facts;
mod mntr;
mod srvr;
mod watches;

use std::net::SocketAddr;

use ringkeeper_core::acl::ip_identity;
use ringkeeper_core::shard::Lists;

pub(super) use facts::Facts;

/// What must be known to answer a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Whether the roles must report at all.
    pub(super) roles: bool,
    /// What the shards' reports must list.
    pub(super) lists: Lists,
    /// Whether the commit role's report must list the sessions.
    pub(super) sessions: bool,
}

/// A word that is answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Conf,
    Cons,
    Crst,
    Dirs,
    Dump,
    Envi,
    Hash,
    Isro,
    Mntr,
    Ruok,
    Srst,
    Srvr,
    Stat,
    Wchc,
    Wchp,
    Wchs,
}

impl Word {
    /// The word that these bytes spell.
    pub(super) fn from_bytes(bytes: [u8; 4]) -> Option<Word> {
        Some(match &bytes {
            b"conf" => Word::Conf,
            b"cons" => Word::Cons,
            b"crst" => Word::Crst,
            b"dirs" => Word::Dirs,
            b"dump" => Word::Dump,
            b"envi" => Word::Envi,
            b"hash" => Word::Hash,
            b"isro" => Word::Isro,
            b"mntr" => Word::Mntr,
            b"ruok" => Word::Ruok,
            b"srst" => Word::Srst,
            b"srvr" => Word::Srvr,
            b"stat" => Word::Stat,
            b"wchc" => Word::Wchc,
            b"wchp" => Word::Wchp,
            b"wchs" => Word::Wchs,
            _ => return None,
        })
    }

    /// What must be known to answer it.
    pub(super) fn needs(self) -> Needs {
        let figures = Needs { roles: true, ..Needs::default() };
        let lists = Lists::default();
        match self {
            Word::Dirs | Word::Envi | Word::Isro | Word::Ruok => Needs::default(),
            Word::Conf | Word::Crst | Word::Hash | Word::Mntr | Word::Srst | Word::Srvr | Word::Wchs => {
                figures
            }
            Word::Cons | Word::Stat => Needs { lists: Lists { connections: true, ..lists }, ..figures },
            Word::Wchc | Word::Wchp => Needs { lists: Lists { watches: true, ..lists }, ..figures },
            Word::Dump => Needs {
                lists: Lists { connections: true, ephemerals: true, ..lists },
                sessions: true,
                ..figures
            },
        }
    }

    /// Whether the word is about what a server that serves nobody does not have (admin §1).
    pub(super) fn needs_service(self) -> bool {
        !matches!(self, Word::Ruok | Word::Envi)
    }

    /// What it answers then.
    pub(super) fn answer_out_of_service(self) -> &'static str {
        match self {
            Word::Isro => "null",
            // Java prints no end of the line here.
            Word::Hash => "This ZooKeeper instance is not currently serving requests",
            _ => "This ZooKeeper instance is not currently serving requests\n",
        }
    }

    /// What the word answers.
    pub(super) fn answer(self, facts: &Facts<'_>) -> String {
        match self {
            Word::Conf => conf::answer(facts),
            Word::Cons => cons::answer(facts),
            Word::Crst => "Connection stats reset.\n".into(),
            Word::Dirs => {
                format!("datadir_size: {}\nlogdir_size: {}\n", facts.data_dir_size(), facts.log_dir_size())
            }
            Word::Dump => dump::answer(facts),
            Word::Envi => envi::answer(),
            Word::Hash => hash(facts),
            Word::Isro => if facts.is_read_only() { "ro" } else { "rw" }.into(),
            Word::Mntr => mntr::answer(facts),
            Word::Ruok => "imok".into(),
            Word::Srst => "Server stats reset.\n".into(),
            Word::Srvr => srvr::srvr(facts),
            Word::Stat => srvr::stat(facts),
            Word::Wchc => watches::by_session(facts),
            Word::Wchp => watches::by_path(facts),
            Word::Wchs => watches::summary(facts),
        }
    }
}

/// `hash`: the digests of the tree as it was at some zxids.
fn hash(facts: &Facts<'_>) -> String {
    let lines = facts.digest_log().iter().map(|(zxid, digest)| format!("{:x}: {}\n", zxid.0, *digest as i64));
    lines.collect()
}

/// An address and port as Java prints them, without its leading slash.
fn java_address(address: SocketAddr) -> String {
    format!("{}:{}", ip_identity(address.ip()).id, address.port())
}

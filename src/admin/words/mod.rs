//! The four-letter words and what they answer, to the byte where clients and monitoring parse it
//! (admin §1).

mod conf;
mod cons;
mod envi;
mod facts;
mod mntr;
mod srvr;
mod wchs;

use std::net::SocketAddr;

use ringkeeper_core::acl::ip_identity;

pub(super) use facts::Facts;

/// A word that is answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Conf,
    Cons,
    Crst,
    Dirs,
    Envi,
    Isro,
    Mntr,
    Ruok,
    Srst,
    Srvr,
    Stat,
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
            b"envi" => Word::Envi,
            b"isro" => Word::Isro,
            b"mntr" => Word::Mntr,
            b"ruok" => Word::Ruok,
            b"srst" => Word::Srst,
            b"srvr" => Word::Srvr,
            b"stat" => Word::Stat,
            b"wchs" => Word::Wchs,
            _ => return None,
        })
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
            Word::Envi => envi::answer(),
            Word::Isro => "rw".into(),
            Word::Mntr => mntr::answer(facts),
            Word::Ruok => "imok".into(),
            Word::Srst => "Server stats reset.\n".into(),
            Word::Srvr => srvr::srvr(facts),
            Word::Stat => srvr::stat(facts),
            Word::Wchs => wchs::answer(facts),
        }
    }
}

/// An address and port as Java prints them, without its leading slash.
fn java_address(address: SocketAddr) -> String {
    format!("{}:{}", ip_identity(address.ip()).id, address.port())
}

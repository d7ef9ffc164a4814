use thiserror::Error;

use super::vote::{PeerState, Vote};
use crate::id::{ServerId, Zxid};
use crate::jute::{DecodeError, Reader, Writer};

/// The one message between servers on the election port (election §3.1).
///
/// | offset | size | field |
/// |-------:|-----:|-------|
/// |      0 |    4 | state of the sender |
/// |      4 |    8 | leader |
/// |     12 |    8 | zxid |
/// |     20 |    8 | round, ZooKeeper's "election epoch" |
/// |     28 |    8 | epoch, ZooKeeper's "peer epoch"; 3.3 and before end here |
/// |     36 |    4 | version of the format; 3.4 sends 1 and ends here |
/// |     40 |    4 | length of the configuration |
/// |     44 |      | the sender's committed configuration |
///
/// In front of it goes its length, 4 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What the sender is doing.
    pub state: PeerState,
    /// What it proposes, or follows.
    pub vote: Vote,
    /// The round of the election that the vote is from.
    pub round: i64,
    /// Version of the message's format: 2 since 3.5, 0 for what came without one.
    pub version: i32,
    /// The sender's configuration as text; empty if it came without.
    pub config: Vec<u8>,
}

/// Why a frame is no notification. The connection that brought it is none the worse for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotificationError {
    /// Shorter than any format.
    #[error("a notification of {len} bytes is shorter than any format")]
    TooShort {
        /// The frame's length.
        len: usize,
    },
    /// A state that ZooKeeper does not have.
    #[error("a notification tells a state {state} that ZooKeeper does not have")]
    UnknownState {
        /// The number.
        state: i32,
    },
    /// The configuration's length cannot be.
    #[error("a notification of {len} bytes claims {config_len} bytes of configuration")]
    BadConfigLen {
        /// The frame's length.
        len: usize,
        /// The claimed length.
        config_len: i32,
    },
    /// It ends inside a field.
    #[error("a notification is cut off: {0}")]
    CutOff(#[from] DecodeError),
}

impl Notification {
    /// Appends the message as a frame, in the format of 3.5 and later, which 3.4 understands.
    pub fn encode_frame(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        writer.int((WITH_CONFIG_LEN + self.config.len()) as i32);
        writer.int(self.state as i32);
        writer.long(self.vote.leader.0);
        writer.long(self.vote.zxid.0);
        writer.long(self.round);
        writer.long(self.vote.epoch);
        writer.int(VERSION);
        writer.buffer(Some(&self.config));
    }

    /// Reads a frame's content in any format that 3.5 and later read, by its length.
    pub fn decode(frame: &[u8]) -> Result<Notification, NotificationError> {
        let len = frame.len();
        if len < OLDEST_LEN {
            return Err(NotificationError::TooShort { len });
        }
        let mut reader = Reader::new(frame);
        let state = reader.int()?;
        let state = PeerState::from_number(state).ok_or(NotificationError::UnknownState { state })?;
        let leader = ServerId(reader.long()?);
        let zxid = Zxid(reader.long()?);
        let round = reader.long()?;
        let epoch = if len == OLDEST_LEN { zxid.0 >> 32 } else { reader.long()? };
        // The format of 3.4 has a version that nobody reads.
        let version = if len == OLDEST_LEN || len == WITHOUT_CONFIG_LEN { 0 } else { reader.int()? };
        let config = if version < FIRST_VERSION_WITH_CONFIG {
            Vec::new()
        } else {
            let config_len = reader.int()?;
            let bad_len = || NotificationError::BadConfigLen { len, config_len };
            let config_len = usize::try_from(config_len).map_err(|_| bad_len())?;
            reader.rest().get(..config_len).ok_or_else(bad_len)?.to_vec()
        };
        Ok(Notification { state, vote: Vote { epoch, zxid, leader }, round, version, config })
    }
}

/// The longest frame that Java takes; a longer one closes the connection.
pub const FRAME_LEN_MAX: usize = 512 << 10;

/// The version of what [`Notification::encode_frame`] writes.
pub const VERSION: i32 = 2;

const FIRST_VERSION_WITH_CONFIG: i32 = 2;
const OLDEST_LEN: usize = 28;
const WITHOUT_CONFIG_LEN: usize = 40;
const WITH_CONFIG_LEN: usize = 44;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arbitrary() -> impl Strategy<Value = Notification> {
        let config = prop::collection::vec(any::<u8>(), 0..200);
        (0..4, any::<[i64; 4]>(), config).prop_map(|(state, [leader, zxid, round, epoch], config)| {
            Notification {
                state: PeerState::from_number(state).expect("a state"),
                vote: Vote { epoch, zxid: Zxid(zxid), leader: ServerId(leader) },
                round,
                version: VERSION,
                config,
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(notification in arbitrary()) {
            let mut bytes = Vec::new();
            notification.encode_frame(&mut bytes);
            prop_assert_eq!(bytes.len(), 4 + i32::from_be_bytes(*bytes.first_chunk().unwrap()) as usize);
            prop_assert_eq!(Notification::decode(&bytes[4..]), Ok(notification));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..120), state in 0u8..5) {
            let _ = Notification::decode(&bytes);
            let mut likely = vec![0, 0, 0, state];
            likely.extend(bytes);
            if let Ok(notification) = Notification::decode(&likely) {
                prop_assert!(notification.config.len() <= likely.len());
            }
        }
    }

    const VOTE: Vote = Vote { epoch: 4, zxid: Zxid(0x3_0000_0007), leader: ServerId(2) };

    /// The fields up to a length, as the versions of ZooKeeper send them.
    fn fields(version: i32, config: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 1];
        bytes.extend([2i64, 0x3_0000_0007, 9, 4].into_iter().flat_map(i64::to_be_bytes));
        bytes.extend(version.to_be_bytes());
        bytes.extend((config.len() as i32).to_be_bytes());
        bytes.extend(config);
        bytes
    }

    #[test]
    fn each_generation_of_the_format_is_read() {
        let read = |bytes: &[u8]| {
            Notification::decode(bytes).map(|n| (n.state, n.vote, n.round, n.version, n.config.len()))
        };
        let following = PeerState::Following;
        let epoch_of_zxid = Vote { epoch: 3, ..VOTE };
        assert_eq!(read(&fields(2, b"version=0")), Ok((following, VOTE, 9, 2, 9)));
        assert_eq!(read(&fields(1, b"")[..40]), Ok((following, VOTE, 9, 0, 0)), "3.4");
        assert_eq!(read(&fields(1, b"")[..28]), Ok((following, epoch_of_zxid, 9, 0, 0)), "3.3");
        assert_eq!(read(&fields(1, b"no config")), Ok((following, VOTE, 9, 1, 0)));
        assert_eq!(read(&fields(2, b"")), Ok((following, VOTE, 9, 2, 0)));
    }

    #[test]
    fn a_message_that_java_would_drop_is_refused() {
        let whole = fields(2, b"version=0");
        assert_eq!(Notification::decode(&whole[..27]), Err(NotificationError::TooShort { len: 27 }));
        for len in [29, 36, 39, 41, 43] {
            let cut_off = Notification::decode(&whole[..len]);
            assert!(matches!(cut_off, Err(NotificationError::CutOff(_))), "{len}: {cut_off:?}");
        }
        let without_end = Notification::decode(&whole[..52]);
        assert_eq!(without_end, Err(NotificationError::BadConfigLen { len: 52, config_len: 9 }));
        let mut negative = whole.clone();
        negative[40..44].copy_from_slice(&(-1i32).to_be_bytes());
        let negative = Notification::decode(&negative);
        assert_eq!(negative, Err(NotificationError::BadConfigLen { len: 53, config_len: -1 }));
        let mut stranger = whole;
        stranger[3] = 4;
        assert_eq!(Notification::decode(&stranger), Err(NotificationError::UnknownState { state: 4 }));
    }

    #[test]
    fn an_observer_s_vote_looks_as_java_s() {
        let observer = Notification {
            state: PeerState::Looking,
            vote: Vote::OBSERVER,
            round: 1,
            version: VERSION,
            config: Vec::new(),
        };
        let mut bytes = Vec::new();
        observer.encode_frame(&mut bytes);
        let min = [0x80, 0, 0, 0, 0, 0, 0, 0];
        let mut expected = vec![0, 0, 0, 44, 0, 0, 0, 0];
        expected.extend(min.into_iter().chain(min));
        expected.extend([0, 0, 0, 0, 0, 0, 0, 1].into_iter().chain(min));
        expected.extend([0, 0, 0, 2, 0, 0, 0, 0]);
        assert_eq!(bytes, expected);
    }
}

use super::packet::{FromLeader, PacketError, QuorumPacket, Split};
use super::reason::DownReason;
use crate::format::snapshot::{Received, TreeReceiver};
use crate::tree::{DataTree, TreeOptions};

/// Takes a leader's bytes apart: packets, and behind a SNAP a whole tree.
pub struct LeaderStream {
    tree: Option<TreeReceiver>,
    options: TreeOptions,
    value_len_max: usize,
}

/// What a leader's next bytes are. Each says how many of them are done with.
pub enum Item {
    /// Part of a tree, or of nothing yet. The rest must have at least so many bytes before another look is of
    /// use.
    Part {
        /// How many are done with.
        consumed: usize,
        /// How many there must be behind them.
        wanted: usize,
    },
    /// Packets, in this order; one at least.
    Packets(Vec<FromLeader>, usize),
    /// The tree that the last SNAP announced.
    Tree(Box<DataTree>, usize),
}

impl LeaderStream {
    /// The bytes of a new connection. No value in them may be longer than `value_len_max`; trees that come
    /// get these options.
    pub fn new(options: TreeOptions, value_len_max: usize) -> LeaderStream {
        LeaderStream { tree: None, options, value_len_max }
    }

    /// Takes the next item off the bytes that are not done with.
    ///
    /// # Errors
    ///
    /// If they are not what leaders send. The connection is of no use then.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Item, DownReason> {
        if let Some(receiver) = &mut self.tree {
            return Ok(match receiver.receive(bytes)? {
                Received::Part { consumed, wanted } => Item::Part { consumed, wanted },
                Received::Whole(tree, consumed) => {
                    self.tree = None;
                    Item::Tree(tree, consumed)
                }
            });
        }
        let (mut packets, mut consumed) = (Vec::new(), 0);
        while self.tree.is_none() {
            match self.next_packet(&bytes[consumed..]) {
                Ok(Ok((packet, len))) => {
                    packets.push(packet);
                    consumed += len;
                }
                Ok(Err(wanted)) if packets.is_empty() => return Ok(Item::Part { consumed: 0, wanted }),
                Err(error) if packets.is_empty() => return Err(error.into()),
                // The packets come first. What is behind them is looked at again.
                Ok(Err(_)) | Err(_) => break,
            }
        }
        Ok(Item::Packets(packets, consumed))
    }

    /// The first packet and its length, or how many bytes there must be to have one.
    fn next_packet(&mut self, bytes: &[u8]) -> Result<Result<(FromLeader, usize), usize>, PacketError> {
        let (packet, len) = match QuorumPacket::split(bytes, self.value_len_max)? {
            Split::Partial(wanted) => return Ok(Err(wanted)),
            Split::Whole(packet, len) => (FromLeader::decode(&packet)?, len),
        };
        if let FromLeader::Snap(zxid) = packet {
            self.tree = Some(TreeReceiver::new(zxid, self.options, self.value_len_max));
        }
        Ok(Ok((packet, len)))
    }
}

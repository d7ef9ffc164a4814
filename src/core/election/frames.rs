use thiserror::Error;

use super::notification::FRAME_LEN_MAX;

/// Cuts what a connection brings into frames, however it arrives: Java writes a frame's length and
/// content apart.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    taken: usize,
}

/// A frame's length that Java refuses; the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a frame of {len} bytes was announced, it must be from 1 to {FRAME_LEN_MAX}")]
pub struct BadFrameLen {
    /// What was announced.
    pub len: i32,
}

impl Frames {
    /// Takes what has arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// What has arrived and was not taken.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Takes bytes in front of the frames.
    pub(super) fn skip(&mut self, len: usize) {
        self.taken += len.min(self.rest().len());
    }

    /// The next frame that is there as a whole.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, BadFrameLen> {
        let Some(head) = self.rest().first_chunk::<HEAD_LEN>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*head);
        let len = match usize::try_from(announced) {
            Ok(len) if (1..=FRAME_LEN_MAX).contains(&len) => len,
            _ => return Err(BadFrameLen { len: announced }),
        };
        if self.rest().len() < HEAD_LEN + len {
            return Ok(None);
        }
        let start = self.taken + HEAD_LEN;
        self.taken = start + len;
        Ok(Some(&self.bytes[start..start + len]))
    }
}

const HEAD_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_are_the_same_however_they_arrive(
            contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..6),
            cuts in prop::collection::vec(1usize..9, 1..40),
        ) {
            let mut bytes = Vec::new();
            for content in &contents {
                bytes.extend((content.len() as i32).to_be_bytes());
                bytes.extend(content);
            }
            let (mut frames, mut read, mut rest) = (Frames::default(), Vec::new(), &bytes[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                rest = after;
                frames.push(piece);
                while let Some(frame) = frames.next().expect("good lengths") {
                    read.push(frame.to_vec());
                }
            }
            prop_assert_eq!(read, contents);
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_refused_before_anything_is_kept_for_it() {
        for len in [0, -1, i32::MIN, i32::MAX, FRAME_LEN_MAX as i32 + 1] {
            let mut frames = Frames::default();
            frames.push(&len.to_be_bytes());
            assert_eq!(frames.next(), Err(BadFrameLen { len }));
        }
        let mut frames = Frames::default();
        frames.push(&(FRAME_LEN_MAX as i32).to_be_bytes());
        assert_eq!(frames.next(), Ok(None));
    }
}

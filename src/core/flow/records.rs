//! The records of a turn's requests, copied once from what their connections sent.

/// The records of several requests, in memory of their own: a few pieces, of which none moves, and not one for each.
#[derive(Debug, Default)]
pub struct Records {
    pieces: Vec<Vec<u8>>,
}

/// Where a record is among those of its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordAt {
    piece: u32,
    start: u32,
    len: u32,
}

impl Records {
    /// These records, which are at the places returned.
    pub fn of<const N: usize>(records: [&[u8]; N]) -> (Records, [RecordAt; N]) {
        let mut all = Records::default();
        let places = records.map(|record| all.push(record));
        (all, places)
    }

    /// Copies one record.
    ///
    /// # Panics
    ///
    /// If it is 4 GiB long, or the four thousand millionth piece: frames are shorter, and memory is.
    pub fn push(&mut self, record: &[u8]) -> RecordAt {
        let has_room = |piece: &Vec<u8>| piece.capacity() - piece.len() >= record.len();
        if !self.pieces.last().is_some_and(has_room) {
            // The first is as long as a lone request, for there is often no other.
            let twice = self
                .pieces
                .last()
                .map_or(0, |last| (last.capacity() * 2).clamp(PIECE_LEN_MIN, PIECE_LEN_MAX));
            self.pieces.push(Vec::with_capacity(record.len().max(twice)));
        }
        let piece = self.pieces.len() - 1;
        let bytes = &mut self.pieces[piece];
        let start = bytes.len();
        bytes.extend_from_slice(record);
        let number = |value: usize| {
            u32::try_from(value).expect("frames, and what is held of them, are far below this")
        };
        RecordAt { piece: number(piece), start: number(start), len: number(record.len()) }
    }

    /// The record that was put there.
    ///
    /// # Panics
    ///
    /// If none was: places are those of one turn's records.
    pub fn get(&self, at: RecordAt) -> &[u8] {
        let (start, len) = (at.start as usize, at.len as usize);
        &self.pieces[at.piece as usize][start..start + len]
    }
}

const PIECE_LEN_MIN: usize = 1 << 10;
/// Larger ones hold a single record.
const PIECE_LEN_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_record_is_found_where_it_was_put(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..100),
            large in 0..3usize,
        ) {
            let mut all = Records::default();
            let large = vec![7; large * PIECE_LEN_MAX];
            let records: Vec<_> = records.iter().chain([&large]).chain(&records).collect();
            let places: Vec<_> = records.iter().map(|record| all.push(record)).collect();
            for (record, at) in records.iter().zip(places) {
                prop_assert_eq!(all.get(at), &record[..]);
            }
        }
    }

    #[test]
    fn many_records_share_a_piece() {
        let mut all = Records::default();
        for _ in 0..500 {
            all.push(&[1; 100]);
        }
        assert!(all.pieces.len() <= 8, "{}", all.pieces.len());
        assert_eq!(Records::of([&[1, 2, 3]]).0.pieces[0].capacity(), 3);
    }
}

/// A vector in chunks of fixed size, which never move: growth copies nothing.
#[derive(Clone)]
pub(crate) struct Chunks<T>(Vec<Vec<T>>);

impl<T> Chunks<T> {
    /// These chunks. Each but the last must be full.
    pub(crate) fn of_chunks(chunks: Vec<Vec<T>>) -> Chunks<T> {
        let full = chunks.split_last().map_or(&[][..], |(_, full)| full);
        assert!(full.iter().all(|chunk| chunk.len() == CHUNK_LEN), "a chunk before the last is not full");
        Chunks(chunks)
    }

    /// How many values there are: the index of the next.
    pub(crate) fn len(&self) -> u32 {
        self.0.last().map_or(0, |last| ((self.0.len() - 1) * CHUNK_LEN + last.len()) as u32)
    }

    /// The value at this index, if there is one.
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.0.get(index as usize / CHUNK_LEN)?.get(index as usize % CHUNK_LEN)
    }

    /// Appends and returns the index.
    pub(crate) fn push(&mut self, value: T) -> u32 {
        if self.0.last().is_none_or(|chunk| chunk.len() == CHUNK_LEN) {
            // The first chunk grows as it needs; a small tree should cost little.
            let capacity = if self.0.is_empty() { 0 } else { CHUNK_LEN };
            self.0.push(Vec::with_capacity(capacity));
        }
        let before = (self.0.len() - 1) * CHUNK_LEN;
        let chunk = self.0.last_mut().expect("a chunk was pushed if there was none");
        chunk.push(value);
        (before + chunk.len() - 1) as u32
    }
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks(Vec::new())
    }
}

impl<T> std::ops::Index<u32> for Chunks<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        &self.0[index as usize / CHUNK_LEN][index as usize % CHUNK_LEN]
    }
}

impl<T> std::ops::IndexMut<u32> for Chunks<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.0[index as usize / CHUNK_LEN][index as usize % CHUNK_LEN]
    }
}

/// How many values a chunk holds.
pub(crate) const CHUNK_LEN: usize = 4096;

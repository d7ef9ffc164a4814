//! What happened, as a number that tells two stories apart, and in words if somebody listens.

use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hasher};

pub(crate) struct Trace {
    hasher: DefaultHasher,
    is_loud: bool,
}

impl Trace {
    pub(crate) fn new(is_loud: bool) -> Trace {
        Trace { hasher: DefaultHasher::new(), is_loud }
    }

    /// Something happened.
    pub(crate) fn note(&mut self, now: u64, what: fmt::Arguments<'_>) {
        self.hasher.write_u64(now);
        // Writing to a hasher cannot fail.
        let _ = self.write_fmt(what);
        if self.is_loud {
            println!("{:12.3} ms  {what}", now as f64 / 1e6);
        }
    }

    /// The whole story so far.
    pub(crate) fn sum(&self) -> u64 {
        self.hasher.finish()
    }
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.hasher.write(text.as_bytes());
        Ok(())
    }
}

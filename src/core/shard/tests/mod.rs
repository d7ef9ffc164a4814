mod harness;

mod framing;
mod handshake;
mod limits;
mod line;
mod order;
mod properties;
mod reads;
mod reporting;
mod watching;
mod whole;

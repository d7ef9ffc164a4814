mod harness;

mod framing;
mod handshake;
mod limits;
mod order;
mod properties;
mod reads;
mod reporting;
mod watching;
mod whole;
